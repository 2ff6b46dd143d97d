"""Promise 2: what policy does not permit reaches nobody; filter and verdict never disagree."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import TamperedError
from ragplatform.model import (
    AnyOf,
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
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import ON_TENANT, Circumstances
from tests.standings import KIN, standing

SHIPPED = Path(__file__).resolve().parents[2] / "policies"
SCHEMA = (SHIPPED / "schema.cedarschema").read_text()

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


@dataclass
class Tally:
    """How many cases were compared, how many distinct, how many of them permitted."""

    permitted: int = 0
    seen: set[tuple[object, ...]] = field(default_factory=set)

    def add(self, allowed: bool, *case: object) -> None:
        self.permitted += allowed
        self.seen.add(case)


def test_filter_and_verdict_agree_on_50_000_random_cases_of_the_shipped_policies(
    record_property: Callable[[str, object], None],
) -> None:
    policies, tally = Policies.load(SHIPPED), Tally()

    @settings(max_examples=300, deadline=None, database=None)
    @given(seed=st.integers(0, 2**64))
    def compare(seed: int) -> None:
        dice = random.Random(seed)
        principal, purpose = some_principal_and_purpose(dice)
        labels = [some_labels(dice, principal.tenant) for _ in range(60)]
        passages = [some_passage(dice, one) for one in labels for _ in range(5)]
        one = some_standing(dice, principal, purpose)
        compare_all(policies, one, passages, some_narrowing(dice), tally)

    compare()

    record_property("cases", len(tally.seen))
    record_property("permitted", tally.permitted)
    print(f"{len(tally.seen)} distinct cases compared, {tally.permitted} permitted")
    assert len(tally.seen) >= 50_000
    assert tally.permitted >= 500, "hardly anything was permitted, so little was compared"


def test_filter_verdict_and_an_independent_oracle_agree_on_random_policies(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = Tally()
    (tmp_path / "schema.cedarschema").write_text(SCHEMA)

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(seed=st.integers(0, 2**64))
    @example(seed=0)
    def compare(seed: int) -> None:
        dice = random.Random(seed)
        rules = [some_rule(dice) for _ in range(dice.randint(1, 6))]
        text = "\n".join(rule.cedar(number) for number, rule in enumerate(rules))
        (tmp_path / "random.cedar").write_text(text)
        policies = Policies.load(tmp_path)
        principal, purpose = some_principal_and_purpose(dice)
        passages = [some_passage(dice, some_labels(dice, principal.tenant)) for _ in range(100)]
        one = some_standing(dice, principal, purpose)

        verdicts = compare_all(policies, one, passages, None, tally)

        for passage, allowed in zip(passages, verdicts, strict=True):
            assert allowed is oracle(rules, one, passage), text

    compare()

    record_property("cases", len(tally.seen))
    record_property("permitted", tally.permitted)
    print(f"{len(tally.seen)} distinct cases compared, {tally.permitted} permitted")
    assert len(tally.seen) >= 10_000
    assert tally.permitted >= 500, "hardly anything was permitted, so little was compared"


def test_a_forbid_that_errors_denies(tmp_path: Path) -> None:
    policies = load(
        tmp_path,
        '@id("all") @why("x") permit (principal, action == Action::"read", resource);',
        '@id("fails") @why("x") forbid (principal, action == Action::"read", resource)'
        " when { resource.sensitivity + 9223372036854775807 < 0 };",
    )
    fine, failing = (
        Labels("mercy", "clinical", Sensitivity.PUBLIC),
        Labels("mercy", "clinical", Sensitivity.INTERNAL),
    )
    lee = Principal("lee", "mercy", frozenset(), subjects=frozenset({"s1"}))

    decision = policies.decide(lee, "read", Purpose.TREAT, failing, KIN)

    assert not decision.allowed
    assert "fails" in decision.errors[0]
    scope = policies.scope(standing(lee, Purpose.TREAT), by_class(fine, failing))
    assert not matches(scope.filter, passage_of(failing, "s1"))
    assert matches(scope.filter, passage_of(fine))


def test_a_permit_across_tenants_permits_nothing(tmp_path: Path) -> None:
    everything = "(principal, action, resource);"
    policies = load(tmp_path, f'@id("all") @why("x") permit {everything}')
    lee = Principal("lee", "mercy", frozenset(), subjects=frozenset({"s1"}))
    own, foreign = Labels("mercy", "clinical"), Labels("harbor", "clinical")

    scope = policies.scope(standing(lee, Purpose.TREAT), by_class(own, foreign))

    assert matches(scope.filter, passage_of(own))
    assert not matches(scope.filter, passage_of(foreign, "s1"))
    assert not policies.decide_passage(
        standing(lee, Purpose.TREAT), passage_of(foreign, "s1")
    ).allowed
    for action in ON_TENANT:
        assert policies.may(lee, action, Purpose.TREAT)
        assert not policies.may(lee, action, Purpose.TREAT, tenant="harbor")


def test_what_is_forbidden_to_the_related_is_forbidden_to_strangers_too(tmp_path: Path) -> None:
    policies = load(
        tmp_path,
        '@id("all") @why("x") permit (principal, action == Action::"read", resource);',
        '@id("kin") @why("x") forbid (principal, action == Action::"read", resource)'
        " when { context.related };",
    )
    lee = Principal("lee", "mercy", frozenset(), subjects=frozenset({"s1"}))
    labels = Labels("mercy", "clinical")

    scope = policies.scope(standing(lee, Purpose.TREAT), by_class(labels))

    assert scope.empty
    for related in (True, False):
        assert not policies.decide(
            lee, "read", Purpose.TREAT, labels, Circumstances(related)
        ).allowed


def test_a_passage_whose_class_is_not_its_labels_hash_is_denied() -> None:
    policies = Policies.load(SHIPPED)
    kim = Principal("kim", "mercy", frozenset({"researcher"}), clearance=Sensitivity.RESTRICTED)
    honest = passage_of(Labels("mercy", "clinical"))
    relabelled = passage_of(Labels("mercy", "clinical", restrictions=frozenset({"part2"})))
    forged = Passage(
        relabelled.chunk,
        relabelled.document,
        relabelled.title,
        relabelled.labels,
        honest.access_class,
        relabelled.subjects,
        relabelled.generation,
    )
    forged_labels = Passage(
        relabelled.chunk,
        relabelled.document,
        relabelled.title,
        honest.labels,
        relabelled.access_class,
        relabelled.subjects,
        relabelled.generation,
    )

    decisions = policies.decide_passages(
        standing(kim, Purpose.HRESCH), [honest, relabelled, forged, forged_labels]
    )

    assert [decision.allowed for decision in decisions] == [True, False, False, False]
    assert decisions[3].errors


def test_a_class_that_is_not_its_labels_hash_stops_the_search() -> None:
    policies = Policies.load(SHIPPED)
    kim = Principal("kim", "mercy", frozenset({"researcher"}))
    part2 = Labels("mercy", "clinical", restrictions=frozenset({"part2"}))

    with pytest.raises(TamperedError):
        policies.scope(
            standing(kim, Purpose.HRESCH), {access_class(part2): Labels("mercy", "clinical")}
        )


def test_nobody_without_a_role_may_do_anything_for_any_purpose() -> None:
    policies = Policies.load(SHIPPED)
    nobody = Principal("nobody", "mercy", frozenset(), clearance=Sensitivity.RESTRICTED)
    labels = Labels("mercy", "clinical", Sensitivity.PUBLIC)

    for purpose in Purpose:
        for action in ON_TENANT:
            assert not policies.may(nobody, action, purpose)
        for each in product((True, False), (True, False), Consent):
            about = Circumstances(*each)
            assert not policies.decide(nobody, "read", purpose, labels, about).allowed
        assert not policies.may(nobody, "ingest", purpose, labels=labels)
        assert not policies.may(nobody, "forget", purpose, labels=labels)
        assert policies.reveals(nobody, purpose) == frozenset()


def test_secrets_and_card_numbers_are_revealed_to_no_mix_of_roles() -> None:
    policies = Policies.load(SHIPPED)
    never = {name for name, kind in CATEGORY_OF.items() if kind in (Category.SECRET, Category.PCI)}
    all_roles = frozenset(role for role, _ in ROLE_AND_PURPOSE) - {"compliance", "ingest"}
    mighty = Principal("mighty", "mercy", all_roles, clearance=Sensitivity.RESTRICTED)

    revealed = frozenset().union(*(policies.reveals(mighty, purpose) for purpose in Purpose))

    assert {"SECRET", "CREDIT_CARD"} <= never
    assert "PERSON" in revealed
    assert not revealed & never


def compare_all(
    policies: Policies,
    one: Standing,
    passages: Sequence[Passage],
    collections: frozenset[str] | None,
    tally: Tally,
) -> list[bool]:
    """Assert that filter and verdict agree on every passage; return the verdicts."""
    classes = by_class(*(passage.labels for passage in passages))
    scope = policies.scope(one, classes, collections=collections)
    verdicts = policies.decide_passages(one, passages)
    for passage, verdict in zip(passages, verdicts, strict=True):
        wanted = collections is None or passage.labels.collection in collections
        assert matches(scope.filter, passage) is (verdict.allowed and wanted)
        tally.add(
            verdict.allowed,
            *(one, passage.access_class, passage.subjects, policies.digest),
        )
    return [verdict.allowed for verdict in verdicts]


def matches(found: AnyOf, passage: Passage) -> bool:
    """Evaluate the filter as an index should, by nothing but its written meaning."""
    fields: dict[str, frozenset[str]] = {
        "access_class": frozenset({passage.access_class}),
        "collection": frozenset({passage.labels.collection}),
        "subjects": passage.subjects,
    }
    for branch in found.branches:
        wanted = all(fields[clause.field] & clause.any_of for clause in branch.clauses)
        if wanted and not any(fields[clause.field] & clause.any_of for clause in branch.none_of):
            return True
    return False


def by_class(*labels: Labels) -> Mapping[str, Labels]:
    return {access_class(one): one for one in labels}


def passage_of(labels: Labels, *subjects: str) -> Passage:
    chunk = Chunk("c", 0, "text", 0, 4)
    return Passage(chunk, "d", "t", labels, access_class(labels), frozenset(subjects), "g")


def load(folder: Path, *policies: str) -> Policies:
    (folder / "schema.cedarschema").write_text(SCHEMA)
    (folder / "own.cedar").write_text("\n".join(policies))
    return Policies.load(folder)


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


def some_standing(dice: random.Random, principal: Principal, purpose: Purpose) -> Standing:
    """Draw people for each circumstance, now and then nobody, some of them in several."""
    drawn = {
        name: some(dice, SUBJECTS, 2) if dice.random() < often else frozenset()
        for name, often in (("opened", 0.3), ("consenting", 0.5), ("refusing", 0.5))
    }
    return standing(principal, purpose, **drawn)


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


def some_narrowing(dice: random.Random) -> frozenset[str] | None:
    return some(dice, COLLECTIONS, 2) if dice.random() < 0.3 else None


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
