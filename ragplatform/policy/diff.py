"""What a change of policies changes: which cases, and which cells of who may read what for what.

A cell is a person, a purpose, an access class and how that person stands to the subject. People
and classes are those that the cases of either folder speak of: so a rule that nobody wrote a case
for still shows in the cells of everybody else's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from ragplatform.model import Consent, Labels, Principal, Purpose
from ragplatform.policy.cases import Case, run_cases
from ragplatform.policy.engine import Policies
from ragplatform.policy.explain import roles
from ragplatform.policy.questions import Action, Circumstances

_ALL: Final = tuple(Circumstances(*one) for one in product((True, False), (False, True), Consent))


@dataclass(frozen=True, slots=True)
class Change:
    """One decision that falls otherwise. ``before`` and ``after`` say whether it permits.

    ``by`` are the policies that decide it now, none where nothing permits.
    """

    what: str
    after: bool
    by: tuple[str, ...]

    @property
    def before(self) -> bool:
        """Whether it was permitted."""
        return not self.after


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """All that falls otherwise under the new policies.

    ``cases`` are of both folders, each decided under both; ``cells`` are readings, ``reveals``
    types of personal data in clear. ``compared`` counts the cells and reveals that were tried.
    """

    cases: tuple[Change, ...]
    cells: tuple[Change, ...]
    reveals: tuple[Change, ...]
    compared: int

    @property
    def empty(self) -> bool:
        """Whether nothing changed that was looked at."""
        return not (self.cases or self.cells or self.reveals)


def diff(old: Policies, new: Policies) -> PolicyDiff:
    """Return what falls otherwise under ``new``.

    Where the same policies could decide, nothing does. A rule for one purpose takes seconds, one
    for every purpose minutes.
    """
    cases = tuple(dict.fromkeys([*old.cases, *new.cases]))
    classes = tuple(dict.fromkeys(c.subject for c in cases if isinstance(c.subject, Labels)))
    cells: list[Change] = []
    reveals: list[Change] = []
    compared = 0
    reading, revealing = (_touched(old, new, act) for act in (Action.READ, Action.REVEAL))
    for person, purpose in product(_standings(cases), Purpose):
        # Across tenants nothing is ever permitted; no policy can change that.
        within = [labels for labels in classes if labels.tenant == person.tenant]
        if purpose in reading:
            cells += _cells(old, new, person, purpose, within)
        if purpose in revealing:
            reveals += _reveals(old, new, person, purpose)
        compared += len(_ALL) * len(within) + 1
    return PolicyDiff(tuple(_cases(old, new, cases)), tuple(cells), tuple(reveals), compared)


def _touched(old: Policies, new: Policies, action: Action) -> frozenset[Purpose]:
    """Return the purposes for which not the same policies could decide."""
    return frozenset(
        purpose
        for purpose in Purpose
        if old.bearing(action, purpose) != new.bearing(action, purpose)
    )


def _standings(cases: Sequence[Case]) -> tuple[Principal, ...]:
    """Return one person of each standing: tenant, roles, departments and clearance."""
    seen = {(c.who.tenant, c.who.roles, c.who.departments, c.who.clearance): c.who for c in cases}
    return tuple(seen.values())


def _cases(old: Policies, new: Policies, cases: Sequence[Case]) -> Iterator[Change]:
    before, after = (run_cases(cases, policies=each).results for each in (old, new))
    for one, other in zip(before, after, strict=True):
        if one.decision.allowed is not other.decision.allowed:
            what = f"{other.case.pack}: {other.case.says}"
            yield Change(what, other.decision.allowed, other.decision.policies)


def _cells(
    old: Policies, new: Policies, person: Principal, purpose: Purpose, classes: Sequence[Labels]
) -> Iterator[Change]:
    before, after = (each.answers(person, purpose, classes, _ALL) for each in (old, new))
    for labels, one, other in zip(classes, before, after, strict=True):
        changed = [a for a in _ALL if one.verdict(a).allowed is not other.verdict(a).allowed]
        for gained in (True, False):
            here = [about for about in changed if other.verdict(about).allowed is gained]
            if here:
                by = {name for about in here for name in other.verdict(about).policies}
                what = f"{_standing(person)}, {purpose}, {describe(labels)}, {_words(here)}"
                yield Change(what, gained, tuple(sorted(by)))


def _words(here: Sequence[Circumstances]) -> str:
    """Return circumstances as words; of what holds in all of them nothing is said."""
    parts = []
    related, opened, consents = (
        {one.related for one in here},
        {one.opened for one in here},
        {one.consent for one in here},
    )
    if len(related) == 1:
        parts.append("related" if True in related else "not related")
    if len(opened) == 1:
        parts.append("glass broken" if True in opened else "glass whole")
    if len(consents) < len(Consent):
        parts.append(f"consent {' or '.join(sorted(consents))}")
    return ", ".join(parts) or "whoever it is about"


def _reveals(old: Policies, new: Policies, person: Principal, purpose: Purpose) -> Iterator[Change]:
    for entity in sorted(old.reveals(person, purpose) ^ new.reveals(person, purpose)):
        decision = new.decide_reveal(person, purpose, entity)
        what = f"{_standing(person)}, {purpose}, sees {entity} in clear"
        yield Change(what, decision.allowed, decision.policies)


def _standing(person: Principal) -> str:
    where = f" of {', '.join(sorted(person.departments))}" if person.departments else ""
    return f"{roles(person)}{where} ({person.clearance.name.lower()})"


def describe(labels: Labels) -> str:
    """Return labels as words: ``clinical/cardiology confidential [vip]``."""
    words = [
        f"{labels.collection}/{labels.department}" if labels.department else labels.collection,
        labels.sensitivity.name.lower(),
        *([f"[{', '.join(sorted(labels.restrictions))}]"] if labels.restrictions else []),
        *([f"{{{', '.join(sorted(labels.categories))}}}"] if labels.categories else []),
        *([labels.state] if labels.state != "current" else []),
    ]
    return " ".join(words)
