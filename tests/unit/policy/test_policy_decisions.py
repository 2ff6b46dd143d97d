"""What the shipped policies mean for the people of the demo, through the public methods."""

from dataclasses import replace
from pathlib import Path

import pytest

from ragplatform.model import (
    AllOf,
    Category,
    Chunk,
    Clause,
    Labels,
    Passage,
    Principal,
    Purpose,
    Scope,
    Sensitivity,
)
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from tests.standings import KIN, standing

SHIPPED = Path(__file__).resolve().parents[3] / "policies"

LEE = Principal(
    "dr-lee",
    "mercy",
    frozenset({"physician"}),
    frozenset({"cardiology"}),
    Sensitivity.RESTRICTED,
    frozenset({"s1", "s2"}),
)
KIM = Principal("res-kim", "mercy", frozenset({"researcher"}), clearance=Sensitivity.CONFIDENTIAL)
DESK = Principal("temp-front-desk", "mercy", frozenset({"reception"}))

NOTE = Labels(
    "mercy", "clinical", Sensitivity.CONFIDENTIAL, "cardiology", frozenset({Category.PHI})
)
THERAPY = Labels("mercy", "clinical", restrictions=frozenset({"psychotherapy"}))
STATEMENT = Labels("harbor", "banking")
CLASSES = {access_class(labels): labels for labels in (NOTE, THERAPY, STATEMENT)}


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies.load(SHIPPED)


def passage(labels: Labels, *subjects: str) -> Passage:
    chunk = Chunk("c", 0, "text", 0, 4)
    return Passage(chunk, "d", "t", labels, access_class(labels), frozenset(subjects), "g")


def test_one_question_gives_three_people_three_outcomes(policies: Policies) -> None:
    physician = policies.scope(standing(LEE, Purpose.TREAT), CLASSES)
    researcher = policies.scope(standing(KIM, Purpose.HRESCH), CLASSES)
    desk = policies.scope(standing(DESK, Purpose.HOPERAT), CLASSES)

    assert not physician.empty
    assert {"PERSON", "DATE_TIME", "MEDICAL_RECORD_NUMBER"} <= physician.reveals
    assert not researcher.empty
    assert researcher.reveals == frozenset()
    assert desk.empty


def test_a_physicians_filter_names_her_class_and_her_patients(policies: Policies) -> None:
    scope = policies.scope(standing(LEE, Purpose.TREAT), CLASSES)

    assert scope.filter.branches == (
        AllOf(
            (
                Clause("access_class", frozenset({access_class(NOTE)})),
                Clause("subjects", frozenset({"s1", "s2"})),
            )
        ),
    )


def test_a_researchers_filter_names_no_subject(policies: Policies) -> None:
    scope = policies.scope(standing(KIM, Purpose.HRESCH), CLASSES)

    assert scope.filter.branches == (
        AllOf((Clause("access_class", frozenset({access_class(NOTE)})),)),
    )


def test_a_physician_without_patients_searches_nothing(policies: Policies) -> None:
    alone = Principal("dr-new", "mercy", frozenset({"physician"}))

    assert policies.scope(standing(alone, Purpose.TREAT), CLASSES).empty


def test_a_search_narrowed_to_no_collection_finds_nothing(policies: Policies) -> None:
    assert policies.scope(standing(KIM, Purpose.HRESCH), CLASSES, collections=frozenset()).empty
    assert policies.scope(
        standing(KIM, Purpose.HRESCH), CLASSES, collections=frozenset({"other"})
    ).empty


def test_narrowing_leaves_the_classes_of_the_wanted_collections(policies: Policies) -> None:
    banking = replace(next(iter(CLASSES.values())), collection="research")
    classes = {**CLASSES, access_class(banking): banking}
    wide = policies.scope(standing(LEE, Purpose.TREAT), classes)
    narrow = policies.scope(
        standing(LEE, Purpose.TREAT), classes, collections=frozenset({"clinical"})
    )
    none = policies.scope(
        standing(LEE, Purpose.TREAT), classes, collections=frozenset({"elsewhere"})
    )

    assert _classes(narrow) == {n for n in _classes(wide) if classes[n].collection == "clinical"}
    assert _classes(narrow)
    assert none.empty


def _classes(scope: Scope) -> set[str]:
    clauses = [clause for branch in scope.filter.branches for clause in branch.clauses]
    return {value for c in clauses if c.field == "access_class" for value in c.any_of}


def test_a_passage_is_open_to_who_is_related_to_one_of_its_subjects(policies: Policies) -> None:
    verdicts = policies.decide_passages(
        standing(LEE, Purpose.TREAT),
        [passage(NOTE), passage(NOTE, "s9"), passage(NOTE, "s1"), passage(NOTE, "s9", "s1")],
    )

    assert [verdict.allowed for verdict in verdicts] == [False, False, True, True]
    assert verdicts[2].policies == ("health.care-team",)
    assert verdicts[2] == policies.decide_passage(standing(LEE, Purpose.TREAT), passage(NOTE, "s1"))


def test_a_passage_marked_as_about_several_is_opened_by_no_relation(policies: Policies) -> None:
    mixed = Labels("mercy", "clinical", restrictions=frozenset({"mixed-subjects"}))

    decision = policies.decide_passage(standing(LEE, Purpose.TREAT), passage(mixed, "s1", "s9"))

    assert not decision.allowed
    assert decision.policies == ("health.mixed-subjects",)


def test_the_key_of_a_scope_differs_with_everything_that_gives_rights(policies: Policies) -> None:
    twin = Principal("dr-twin", LEE.tenant, LEE.roles, LEE.departments, LEE.clearance, LEE.subjects)
    fewer = Principal(
        LEE.id, LEE.tenant, LEE.roles, LEE.departments, LEE.clearance, frozenset({"s1"})
    )
    scopes = [
        policies.scope(standing(LEE, Purpose.TREAT), CLASSES),
        policies.scope(standing(twin, Purpose.TREAT), CLASSES),
        policies.scope(standing(fewer, Purpose.TREAT), CLASSES),
        policies.scope(standing(LEE, Purpose.HRESCH), CLASSES),
        policies.scope(standing(LEE, Purpose.TREAT), {}),
    ]

    assert len({scope.key for scope in scopes}) == len(scopes)
    assert policies.scope(standing(LEE, Purpose.TREAT), CLASSES).key == scopes[0].key


def test_a_reason_for_refusal_names_roles_and_rules_never_documents(policies: Policies) -> None:
    assert policies.refusal_reason(DESK, Purpose.HOPERAT) == (
        "no policy permits role reception to read for purpose HOPERAT"
    )
    assert policies.refusal_reason(DESK, Purpose.TREAT) == (
        "role reception may not act for purpose TREAT; permitted purposes: HOPERAT"
    )
    assert policies.refusal_reason(LEE, Purpose.TREAT) == (
        "nothing that role physician may read for purpose TREAT is within reach"
    )
    assert policies.refusal_reason(Principal("x", "mercy", frozenset()), Purpose.AML) == (
        "a caller without a role may not act for purpose AML; permitted purposes: none"
    )


def test_purposes_are_those_the_roles_permit(policies: Policies) -> None:
    both = Principal("x", "harbor", frozenset({"relationship-manager", "aml-analyst"}))

    assert policies.purposes(LEE) == {Purpose.TREAT, Purpose.ETREAT}
    assert policies.purposes(both) == {Purpose.SERVICE, Purpose.CREDIT, Purpose.AML}


def test_an_explanation_gives_the_deciding_policies_in_plain_words(policies: Policies) -> None:
    permitted = policies.explain(LEE, Purpose.TREAT, NOTE, KIN)
    forbidden = policies.explain(LEE, Purpose.TREAT, THERAPY, KIN)
    silent = policies.explain(LEE, Purpose.TREAT, NOTE, STRANGER)

    assert permitted.allowed
    assert permitted.reason == (
        "Permitted: Clinicians read the records of patients on whose care team they are."
    )
    assert not forbidden.allowed
    assert [rule.id for rule in forbidden.rules] == ["health.psychotherapy-notes"]
    assert forbidden.reason == (
        "Denied: Psychotherapy notes are read only by the patient's own psychotherapist."
    )
    assert str(forbidden).splitlines()[1:] == [
        "  health.psychotherapy-notes (forbid, healthcare.cedar): "
        "Psychotherapy notes are read only by the patient's own psychotherapist."
    ]
    assert not silent.allowed
    assert silent.reason == ("Denied: no policy permits role physician to read for purpose TREAT.")


@pytest.mark.parametrize("action", ["declare", "reveal", "write", ""])
def test_an_action_on_labels_of_another_kind_is_refused(policies: Policies, action: str) -> None:
    with pytest.raises(ValueError, match="is none of"):
        policies.decide(LEE, action, Purpose.TREAT, NOTE, KIN)


@pytest.mark.parametrize("action", ["read", "reveal", "write", ""])
def test_an_action_on_a_tenant_of_another_kind_is_refused(policies: Policies, action: str) -> None:
    with pytest.raises(ValueError, match="is none of"):
        policies.may(LEE, action, Purpose.TREAT)


def test_an_entity_type_that_nobody_knows_is_never_revealed(policies: Policies) -> None:
    assert not policies.decide_reveal(LEE, Purpose.TREAT, "NICKNAME").allowed


def test_ids_are_data_and_never_cedar_syntax(policies: Policies) -> None:
    odd = Principal('x"; permit(principal,action,resource);//\n', "mercy", frozenset({"physician"}))

    assert not policies.decide(odd, "read", Purpose.TREAT, NOTE, STRANGER).allowed
    assert policies.decide(odd, "read", Purpose.TREAT, THERAPY, KIN).errors == ()
    assert "physician" in policies.refusal_reason(odd, Purpose.TREAT)
