"""Promise 2: what policy does not permit reaches nobody; filter and verdict never disagree."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import TamperedError
from ragplatform.model import (
    AnyOf,
    Category,
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
from tests.random_policies import (
    COLLECTIONS,
    ROLE_AND_PURPOSE,
    SUBJECTS,
    by_class,
    oracle,
    passage_of,
    some,
    some_labels,
    some_passage,
    some_principal_and_purpose,
    some_rule,
)
from tests.standings import KIN, standing

SHIPPED = Path(__file__).resolve().parents[2] / "policies"
SCHEMA = (SHIPPED / "schema.cedarschema").read_text()


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


def load(folder: Path, *policies: str) -> Policies:
    (folder / "schema.cedarschema").write_text(SCHEMA)
    (folder / "own.cedar").write_text("\n".join(policies))
    return Policies.load(folder)


def some_standing(dice: random.Random, principal: Principal, purpose: Purpose) -> Standing:
    """Draw people for each circumstance, now and then nobody, some of them in several."""
    drawn = {
        name: some(dice, SUBJECTS, 2) if dice.random() < often else frozenset()
        for name, often in (("opened", 0.3), ("consenting", 0.5), ("refusing", 0.5))
    }
    return standing(principal, purpose, **drawn)


def some_narrowing(dice: random.Random) -> frozenset[str] | None:
    return some(dice, COLLECTIONS, 2) if dice.random() < 0.3 else None
