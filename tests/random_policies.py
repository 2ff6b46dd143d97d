"""Random policies, people, labels and passages, and an oracle that decides without the platform."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ragplatform.model import (
    Category,
    Chunk,
    Consent,
    Labels,
    Passage,
    Principal,
    Purpose,
    Sensitivity,
    Standing,
)
from ragplatform.policy.classes import access_class

TENANTS = ("mercy", "harbor")
COLLECTIONS = ("clinical", "banking", "purchasing")
DEPARTMENTS = ("", "cardiology", "billing", "discharge", "lending", "kyc", "investment-banking")
RESTRICTIONS = ("psychotherapy", "part2", "vip", "mixed-subjects", "barrier", "sar", "mistyped")
SUBJECTS = ("s1", "s2", "s3", "s4")
ROLE_AND_PURPOSE = (
    *(("physician", Purpose.TREAT), ("nurse", Purpose.TREAT), ("psychotherapist", Purpose.TREAT)),
    *(("addiction-clinician", Purpose.TREAT), ("emergency-physician", Purpose.ETREAT)),
    *(("billing", Purpose.HPAYMT), ("quality", Purpose.HOPERAT), ("researcher", Purpose.HRESCH)),
    *(("records-officer", Purpose.PATRQT), ("relationship-manager", Purpose.SERVICE)),
    *(
        ("teller", Purpose.SERVICE),
        ("credit-analyst", Purpose.CREDIT),
        ("aml-analyst", Purpose.AML),
    ),
    *(("kyc-analyst", Purpose.KYC), ("fraud-analyst", Purpose.FRAUD), ("insider", Purpose.SERVICE)),
    *(("supervisor", Purpose.SUPERVISION), ("compliance", Purpose.COMPLIANCE)),
    *(("ingest", Purpose.HOPERAT), ("reception", Purpose.HOPERAT)),
)

T = TypeVar("T")


def by_class(*labels: Labels) -> Mapping[str, Labels]:
    return {access_class(one): one for one in labels}


def passage_of(labels: Labels, *subjects: str) -> Passage:
    chunk = Chunk("c", 0, "text", 0, 4)
    return Passage(chunk, "d", "t", labels, access_class(labels), frozenset(subjects), "g")


def some(dice: random.Random, choices: Sequence[T], most: int) -> frozenset[T]:
    return frozenset(dice.sample(choices, dice.randint(0, most)))


def some_principal_and_purpose(dice: random.Random) -> tuple[Principal, Purpose]:
    role, purpose = dice.choice(ROLE_AND_PURPOSE)
    others = {other for other, _ in some(dice, ROLE_AND_PURPOSE, 1)} if dice.random() < 0.3 else ()
    if dice.random() < 0.1:
        purpose = dice.choice(list(Purpose))
    principal = Principal(
        id=dice.choice(("a", 'quo"te', "")),
        tenant=dice.choice(TENANTS),
        roles=frozenset({role, *others}),
        departments=some(dice, DEPARTMENTS[1:], 3),
        clearance=dice.choices(list(Sensitivity), (1, 2, 4, 4))[0],
        subjects=some(dice, SUBJECTS[:3], 2),
    )
    return principal, purpose


def some_labels(dice: random.Random, tenant: str) -> Labels:
    return Labels(
        tenant=tenant if dice.random() < 0.8 else dice.choice(TENANTS),
        collection=dice.choices(COLLECTIONS, (5, 5, 1))[0],
        sensitivity=dice.choice(list(Sensitivity)),
        department=dice.choice(DEPARTMENTS),
        categories=some(dice, list(Category), 2),
        restrictions=some(dice, RESTRICTIONS, 2) if dice.random() < 0.4 else frozenset(),
        state=dice.choice(("current", "current", "current", "draft")),
    )


def some_passage(dice: random.Random, labels: Labels) -> Passage:
    return passage_of(labels, *some(dice, SUBJECTS, 2))


class CedarFailureError(Exception):
    """The oracle's word for a policy that fails while it is evaluated."""


@dataclass(frozen=True)
class Facts:
    """What a condition of a random policy may look at."""

    principal: Principal
    purpose: Purpose
    labels: Labels
    related: bool
    opened: bool
    consent: Consent


def _overflow(facts: Facts) -> bool:
    if facts.labels.sensitivity > 0:
        raise CedarFailureError
    return True


CONDITIONS: tuple[tuple[str, Callable[[Facts], bool]], ...] = (
    ("context.related", lambda f: f.related),
    ("!context.related", lambda f: not f.related),
    ("context.broke_glass", lambda f: f.opened),
    ("!context.broke_glass", lambda f: not f.opened),
    ('context.consent == "refused"', lambda f: f.consent is Consent.REFUSED),
    ('context.consent == "given"', lambda f: f.consent is Consent.GIVEN),
    ('context.consent != "silent"', lambda f: f.consent is not Consent.SILENT),
    ('context.purpose == "TREAT"', lambda f: f.purpose == "TREAT"),
    (
        '["TREAT", "SERVICE", "AML"].contains(context.purpose)',
        lambda f: f.purpose in {"TREAT", "SERVICE", "AML"},
    ),
    ('principal.roles.contains("physician")', lambda f: "physician" in f.principal.roles),
    (
        "principal.departments.contains(resource.department)",
        lambda f: f.labels.department in f.principal.departments,
    ),
    (
        "principal.clearance >= resource.sensitivity",
        lambda f: f.principal.clearance >= f.labels.sensitivity,
    ),
    ("principal.tenant == resource.tenant", lambda f: f.principal.tenant == f.labels.tenant),
    ('resource.collection == "clinical"', lambda f: f.labels.collection == "clinical"),
    ('resource.categories.contains("PHI")', lambda f: Category.PHI in f.labels.categories),
    ("resource.restrictions.isEmpty()", lambda f: not f.labels.restrictions),
    ('resource.state == "current"', lambda f: f.labels.state == "current"),
    ("resource.sensitivity + 9223372036854775807 > 0", _overflow),
)


@dataclass(frozen=True)
class Rule:
    """A random policy: alternatives of conditions, in Cedar and in Python."""

    forbids: bool
    head: str
    when: tuple[tuple[int, ...], ...]
    unless: tuple[int, ...]

    def cedar(self, number: int) -> str:
        either = " || ".join(
            "(" + " && ".join(f"({CONDITIONS[index][0]})" for index in conjunction) + ")"
            for conjunction in self.when
        )
        effect = "forbid" if self.forbids else "permit"
        text = f'@id("r{number}") @why("random") {effect} (principal, {self.head}, resource)'
        if self.when:
            text += f" when {{ {either} }}"
        for index in self.unless:
            text += f" unless {{ {CONDITIONS[index][0]} }}"
        return text + ";"

    def holds(self, facts: Facts) -> bool:
        if "read" not in self.head:
            return False
        held = not self.when or any(
            all(CONDITIONS[index][1](facts) for index in conjunction) for conjunction in self.when
        )
        return held and all(not CONDITIONS[index][1](facts) for index in self.unless)


def some_rule(dice: random.Random) -> Rule:
    heads = (
        *('action == Action::"read"',) * 4,
        'action in [Action::"ingest", Action::"read"]',
        'action == Action::"ingest"',
    )
    # The last condition fails on most labels: rare enough that most policies decide.
    weights = [*([8] * (len(CONDITIONS) - 1)), 1]
    forbids = dice.random() < 0.35

    def conjunction() -> tuple[int, ...]:
        return tuple(dice.choices(range(len(CONDITIONS)), weights, k=dice.randint(1, 3)))

    return Rule(
        forbids=forbids,
        head=dice.choice(heads),
        when=tuple(conjunction() for _ in range(dice.randint(0 if not forbids else 1, 2))),
        unless=conjunction()[:1] if dice.random() < 0.25 else (),
    )


def oracle(rules: Sequence[Rule], one: Standing, passage: Passage) -> bool:
    """Decide as the platform promises to, sharing nothing with it."""
    opened = not passage.subjects.isdisjoint(one.opened)
    consent = Consent.SILENT
    for subject in passage.subjects:
        if subject in one.refusing:
            consent = Consent.REFUSED
        elif subject in one.consenting and consent is not Consent.REFUSED:
            consent = Consent.GIVEN

    def decided(related: bool) -> bool:
        facts = Facts(one.principal, one.purpose, passage.labels, related, opened, consent)
        try:
            held = list(holding(rules, facts))
        except CedarFailureError:
            return False
        return bool(held) and not any(rule.forbids for rule in held)

    if passage.labels.tenant != one.principal.tenant:
        return False
    related = not passage.subjects.isdisjoint(one.related)
    return decided(related=True) and (related or decided(related=False))


def holding(rules: Sequence[Rule], facts: Facts) -> Iterator[Rule]:
    for rule in rules:
        if rule.holds(facts):
            yield rule
