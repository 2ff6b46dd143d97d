"""What was decided once is looked up, and is never other than a fresh decision would be."""

import threading
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.model import Category, Consent, Decision, Labels, Principal, Purpose, Sensitivity
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.policy.memory import Asker, DecisionMemory
from ragplatform.policy.questions import AboutLabels, AboutTenant, Action, Circumstances
from ragplatform.policy.rules import read_rules
from ragplatform.policy.verdicts import Verdicts
from tests.standings import KIN, standing

ALL = [Circumstances(*one) for one in product((True, False), (True, False), Consent)]
SHIPPED = Path(__file__).resolve().parents[3] / "policies"

LEE = Principal(
    "dr-lee",
    "mercy",
    frozenset({"physician"}),
    frozenset({"cardiology"}),
    Sensitivity.CONFIDENTIAL,
    frozenset({"s1"}),
)
NOTE = Labels(
    "mercy", "clinical", Sensitivity.CONFIDENTIAL, "cardiology", frozenset({Category.PHI})
)

ROLES = (
    "physician nurse psychotherapist researcher billing quality relationship-manager teller "
    "aml-analyst compliance insider ingest records-officer reception"
).split()
TENANTS = st.sampled_from(("mercy", "harbor"))
LEVELS = st.sampled_from(Sensitivity)
DEPARTMENTS = ("cardiology", "billing", "lending", "investment-banking")
RESTRICTIONS = ("psychotherapy", "part2", "vip", "mixed-subjects", "barrier", "sar", "mistyped")

principals = st.builds(
    Principal,
    # Few ids, so that one person comes back with another standing.
    id=st.sampled_from(("ann", "bob", 'o"neil')),
    tenant=TENANTS,
    roles=st.frozensets(st.sampled_from(ROLES), max_size=3),
    departments=st.frozensets(st.sampled_from(DEPARTMENTS), max_size=2),
    clearance=LEVELS,
    subjects=st.frozensets(st.sampled_from(("s1", "s2")), max_size=2),
)
documents = st.builds(
    Labels,
    tenant=TENANTS,
    collection=st.sampled_from(("clinical", "banking")),
    sensitivity=LEVELS,
    department=st.sampled_from(("", *DEPARTMENTS)),
    categories=st.frozensets(st.sampled_from(Category), max_size=2),
    restrictions=st.frozensets(st.sampled_from(RESTRICTIONS), max_size=1),
    state=st.sampled_from(("current", "draft")),
)
actions = st.sampled_from((Action.READ, Action.INGEST, Action.FORGET))


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies.load(SHIPPED)


def test_what_is_remembered_is_what_would_be_decided_afresh() -> None:
    book = read_rules(SHIPPED)
    old = Verdicts(book)

    @settings(max_examples=400, deadline=None, database=None)
    @given(principals, actions, st.sampled_from(Purpose), st.lists(documents, max_size=8))
    def compare(
        principal: Principal, action: Action, purpose: Purpose, labels: list[Labels]
    ) -> None:
        old.answers(principal, action, purpose, labels[::2], ALL)

        remembered = old.answers(principal, action, purpose, labels, ALL)
        duty = old.duty(principal, Action.DECLARE, purpose, "mercy")

        fresh = Verdicts(book)
        assert remembered == fresh.answers(principal, action, purpose, labels, ALL)
        assert old.answers(principal, action, purpose, labels, ALL) == remembered
        assert duty == fresh.duty(principal, Action.DECLARE, purpose, "mercy")

    compare()

    assert len(old._memory) > 100


@pytest.mark.parametrize(
    "change",
    [
        {"roles": frozenset({"reception"})},
        {"clearance": Sensitivity.PUBLIC},
        {"tenant": "harbor"},
        {"roles": frozenset()},
    ],
)
def test_who_loses_standing_is_denied_at_the_next_call(policies: Policies, change) -> None:
    assert policies.decide(LEE, "read", Purpose.TREAT, NOTE, KIN).allowed

    changed = replace(LEE, **change)

    assert not policies.decide(changed, "read", Purpose.TREAT, NOTE, KIN).allowed
    assert policies.decide(LEE, "read", Purpose.TREAT, NOTE, KIN).allowed


def test_a_department_left_or_joined_counts_at_the_next_call(policies: Policies) -> None:
    nurse = replace(LEE, roles=frozenset({"nurse"}))
    elsewhere = replace(nurse, departments=frozenset({"billing"}))

    allowed = [
        policies.decide(who, "read", Purpose.TREAT, NOTE, KIN).allowed
        for who in (nurse, elsewhere, nurse)
    ]

    assert allowed == [True, False, True]


def test_a_document_newly_restricted_is_closed_at_the_next_call(policies: Policies) -> None:
    assert policies.decide(LEE, "read", Purpose.TREAT, NOTE, KIN).allowed

    closed = replace(NOTE, restrictions=frozenset({"mixed-subjects"}))

    assert not policies.decide(LEE, "read", Purpose.TREAT, closed, KIN).allowed


def test_a_patient_no_longer_related_is_closed_at_the_next_call(policies: Policies) -> None:
    classes = {access_class(NOTE): NOTE}
    assert not policies.scope(standing(LEE, Purpose.TREAT), classes).empty

    alone = replace(LEE, subjects=frozenset())
    assert policies.scope(standing(alone, Purpose.TREAT), classes).empty


def test_another_folder_of_policies_decides_for_itself(tmp_path: Path) -> None:
    (tmp_path / "schema.cedarschema").write_text((SHIPPED / "schema.cedarschema").read_text())
    rule = '@id("all") @why("x") {} (principal, action == Action::"read", resource);'
    answers = []

    for effect in ("permit", "forbid"):
        (tmp_path / "rules.cedar").write_text(rule.format(effect))
        loaded = Policies.load(tmp_path)
        answers += [loaded.decide(LEE, "read", Purpose.TREAT, NOTE, KIN).allowed] * 2

    assert answers == [True, True, False, False]


def test_a_policy_that_errors_is_asked_again_each_time(tmp_path: Path) -> None:
    (tmp_path / "schema.cedarschema").write_text((SHIPPED / "schema.cedarschema").read_text())
    (tmp_path / "rules.cedar").write_text(
        '@id("fails") @why("x") permit (principal, action == Action::"forget", resource)'
        " when { resource.sensitivity + 9223372036854775807 < 0 };"
    )
    verdicts = Verdicts(read_rules(tmp_path))

    for _ in range(2):
        [decision] = verdicts.decide(LEE, Action.FORGET, Purpose.TREAT, [AboutLabels(NOTE, KIN)])
        assert decision.errors
        assert not decision.allowed
    assert len(verdicts._memory) == 0


def test_what_cannot_be_remembered_is_denied_not_let_through(policies: Policies) -> None:
    unhashable = replace(LEE, roles={"physician"})  # type: ignore[arg-type]

    decision = policies.decide(unhashable, "read", Purpose.TREAT, NOTE, KIN)

    assert not decision.allowed
    assert decision.errors


def asker(name: str) -> Asker:
    return Asker(replace(LEE, id=name), Action.READ, Purpose.TREAT)


def answers(count: int) -> dict[AboutTenant, Decision]:
    return {AboutTenant(f"t{number}"): Decision(allowed=True) for number in range(count)}


def test_memory_is_bounded_and_who_was_long_unheard_of_goes_first() -> None:
    memory = DecisionMemory(most=10)
    memory.add(asker("old"), answers(4))
    memory.add(asker("older"), answers(4))
    memory.recall(asker("old"))

    memory.add(asker("new"), answers(4))

    assert len(memory) == 8
    assert memory.recall(asker("older")) == {}
    assert memory.recall(asker("old")) == answers(4)


def test_more_than_memory_holds_is_decided_all_the_same_and_not_held() -> None:
    memory = DecisionMemory(most=10)

    memory.add(asker("one"), answers(11))

    assert len(memory) == 0


def test_what_is_held_is_counted_once_by_many_threads() -> None:
    memory = DecisionMemory(most=50)

    def work(number: int) -> None:
        for turn in range(200):
            who = asker(f"p{(number + turn) % 7}")
            memory.add(who, answers(turn % 20))
            assert memory.recall(who).get(AboutTenant("t0"), Decision(allowed=True)).allowed

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    held = sum(len(memory.recall(asker(f"p{number}"))) for number in range(7))
    assert len(memory) == held <= 50
