"""In which circumstances a passage can be, and how an index is asked for those that are permitted.

A passage's circumstances follow from the people it is about and the caller's standing alone. For
each there is a condition on the passage's subjects that is true of just the passages in it, so that
any set of permitted circumstances becomes a few branches of one filter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final

from ragplatform.model import Clause, Consent, Standing
from ragplatform.policy.questions import Circumstances

_SUBJECTS: Final = "subjects"


@dataclass(frozen=True, slots=True)
class Condition:
    """What must, and what must not, be true of a passage's subjects. Nothing: always true."""

    wanted: tuple[Clause, ...] = ()
    unwanted: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    """Some of the values that one circumstance can have, and the condition that is true of them."""

    values: frozenset[bool | Consent]
    condition: Condition


def of(standing: Standing, subjects: frozenset[str]) -> Circumstances:
    """Return the circumstances of a passage about these people."""
    if subjects & standing.refusing:
        consent = Consent.REFUSED
    elif subjects & standing.consenting:
        consent = Consent.GIVEN
    else:
        consent = Consent.SILENT
    return Circumstances(
        related=bool(subjects & standing.related),
        opened=bool(subjects & standing.opened),
        consent=consent,
    )


def possible(standing: Standing) -> tuple[Circumstances, ...]:
    """Return all circumstances that any passage can be in, at least one."""
    consents = [Consent.SILENT]
    consents += [Consent.GIVEN] if standing.consenting else []
    consents += [Consent.REFUSED] if standing.refusing else []
    related, opened = _truths(standing.related), _truths(standing.opened)
    return tuple(Circumstances(*each) for each in product(related, opened, consents))


def conditions(standing: Standing, permitted: Iterable[Circumstances]) -> list[Condition]:
    """Return conditions one of which, at least, is true of exactly the passages so permitted.

    Every largest block of circumstances that is permitted whole gives one condition; blocks may
    overlap. ``permitted`` are of ``possible``: none of them gives no condition, all of them a
    single one that is always true.
    """
    wanted = {(one.related, one.opened, one.consent) for one in permitted}
    blocks = [
        block
        for block in product(
            _choices(standing.related), _choices(standing.opened), _consents(standing)
        )
        if wanted.issuperset(product(*(choice.values for choice in block)))
    ]
    return [
        Condition(
            tuple(clause for choice in block for clause in choice.condition.wanted),
            tuple(clause for choice in block for clause in choice.condition.unwanted),
        )
        for block in blocks
        if not any(_inside(block, other) for other in blocks)
    ]


def _truths(people: frozenset[str]) -> tuple[bool, ...]:
    return (True, False) if people else (False,)


def _choices(people: frozenset[str]) -> list[_Choice]:
    whole = _Choice(frozenset(_truths(people)), Condition())
    if not people:
        return [whole]
    among = (Clause(_SUBJECTS, people),)
    return [
        whole,
        _Choice(frozenset({True}), Condition(wanted=among)),
        _Choice(frozenset({False}), Condition(unwanted=among)),
    ]


def _consents(standing: Standing) -> list[_Choice]:
    """Return the choices of consent. A refusal outweighs a consent.

    "Silent or refused" has no condition of its own where there are consents: it is two blocks.
    """
    giving, refusing = standing.consenting, standing.refusing
    if not (giving and refusing):
        other = Consent.GIVEN if giving else Consent.REFUSED
        named = {True: other, False: Consent.SILENT}
        return [
            _Choice(frozenset(named[bool(value)] for value in choice.values), choice.condition)
            for choice in _choices(giving | refusing)
        ]
    given = (Clause(_SUBJECTS, giving),)
    refused, either = (Clause(_SUBJECTS, refusing),), (Clause(_SUBJECTS, giving | refusing),)
    return [
        _Choice(frozenset(Consent), Condition()),
        _Choice(frozenset({Consent.SILENT, Consent.GIVEN}), Condition(unwanted=refused)),
        _Choice(frozenset({Consent.GIVEN, Consent.REFUSED}), Condition(wanted=either)),
        _Choice(frozenset({Consent.GIVEN}), Condition(wanted=given, unwanted=refused)),
        _Choice(frozenset({Consent.SILENT}), Condition(unwanted=either)),
        _Choice(frozenset({Consent.REFUSED}), Condition(wanted=refused)),
    ]


def _inside(one: tuple[_Choice, ...], other: tuple[_Choice, ...]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return one != other and all(a.values <= b.values for a, b in pairs)
