"""Passages that contradict what an answer says: same subject and measure, another figure or a not.

Only what is nearly the same sentence counts: two passages on one topic differ in many figures
without contradicting each other. Where dates say that two different days are meant, both may hold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ragplatform.answer.quantities import Amount, Quantities, is_year
from ragplatform.answer.support import Evidence, Facts

# Share of both sentences' content words that they have in common: less may be another measure.
_ALIKE: Final = 0.7
# Where nothing but a date differs, all else has to be the same.
_SAME: Final = 0.85
_FEWEST_WORDS: Final = 3
MOST: Final = 2
# How an answer leads over to what contradicts it.
DIFFERS: Final = "But another passage says:"


@dataclass(frozen=True, slots=True)
class Place:
    """One sentence of one passage, by their indices."""

    passage: int
    sentence: int


@dataclass(frozen=True, slots=True)
class Source:
    """A passage as evidence, and whose data it is."""

    evidence: Evidence
    subjects: frozenset[str]


def find(said: Iterable[Place], sources: Sequence[Source]) -> list[Place]:
    """Return up to ``MOST`` sentences that contradict one of those said, in ranking order."""
    shown = set(said)
    found: list[Place] = []
    for number, source in enumerate(sources):
        for at, other in enumerate(source.evidence.facts):
            place = Place(number, at)
            if place in shown or len(found) == MOST:
                continue
            if any(
                _same_subject(sources[one.passage], source)
                and contradict(sources[one.passage].evidence.facts[one.sentence], other)
                for one in shown
            ):
                found.append(place)
    return found


def contradict(one: Facts, other: Facts) -> bool:
    """Return whether two sentences cannot both be true, as far as their words tell."""
    alike = _alike(one, other)
    if alike < _ALIKE or one.people != other.people or _differ(one.names, other.names):
        return False
    first, second = one.quantities, other.quantities
    if not _days_agree(first, second):
        dated = not _counts(first) and not _counts(second)
        return dated and alike >= _SAME
    if _counts(first) and _counts(second):
        return not first.hold(second) and not second.hold(first) and _measure_alike(first, second)
    return one.polarity.contradicts(other.polarity) == "negation"


def _same_subject(one: Source, other: Source) -> bool:
    return not one.subjects or not other.subjects or bool(one.subjects & other.subjects)


def _alike(one: Facts, other: Facts) -> float:
    union = one.words | other.words
    if min(len(one.words), len(other.words)) < _FEWEST_WORDS:
        return 0.0
    return len(one.words & other.words) / len(union)


def _differ(one: frozenset[str], other: frozenset[str]) -> bool:
    """Return whether the two name different things: a name in one that the other does not have."""
    return bool(one - other) and bool(other - one)


def _counts(quantities: Quantities) -> tuple[Amount, ...]:
    return tuple(amount for amount in quantities.amounts if not is_year(amount))


def _days_agree(one: Quantities, other: Quantities) -> bool:
    if one.years and other.years and not one.years & other.years:
        return False
    if one.times and other.times and not one.times & other.times:
        return False
    if not one.days or not other.days:
        return True
    return any(day.agrees(as_day) for day in one.days for as_day in other.days)


def _measure_alike(one: Quantities, other: Quantities) -> bool:
    mine, theirs = _counts(one), _counts(other)
    return len(mine) == len(theirs) and all(
        a.unit == b.unit and a.currency == b.currency for a, b in zip(mine, theirs, strict=True)
    )
