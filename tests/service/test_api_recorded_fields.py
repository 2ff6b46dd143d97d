"""What every record of a request says beside the act: credential, client, policies, trace, whom."""

import pytest

from ragplatform.audit.events import Action
from ragplatform.model import AnswerMode

QUESTION = "Why was apixaban stopped?"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def as_(who):
    return {"Authorization": f"Bearer {who}"}


def body(question=QUESTION, purpose="TREAT", **more):
    return {"question": question, "purpose": purpose, **more}


@pytest.fixture
def ward(bench):
    one = bench()
    one.put("Maria Lopez had apixaban stopped on day 30 after a bleed.", subjects=["mrn:1"])
    return one


def ask(client, who="doctor", headers=None, **more):
    response = client.post("/v1/ask", json=body(**more), headers=as_(who) | (headers or {}))
    return response.json()["request_id"]


def test_all_records_of_a_request_carry_the_caller_s_trace(ward, serve):
    request = ask(serve(ward), headers={"traceparent": PARENT})

    found = ward.records(request_id=request)
    assert len(found) >= 4
    assert {record.trace for record in found} == {TRACE}


@pytest.mark.parametrize(
    "header",
    [
        "Ms Lopez",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"{PARENT}-more",
    ],
)
def test_without_a_valid_trace_the_request_s_own_id_is_the_trace(ward, serve, header):
    request = ask(serve(ward), headers={"traceparent": header})

    assert {record.trace for record in ward.records(request_id=request)} == {request}


def test_every_record_of_a_question_names_the_policies_in_force(ward, serve):
    request = ask(serve(ward))

    digests = {record.policy for record in ward.records(request_id=request)}
    assert digests == {ward.platform.policies.digest}


def test_who_was_shown_is_named_by_keyed_references_alone(ward, serve):
    request = ask(serve(ward))

    [shown] = [one for one in ward.records(request_id=request) if one.action is Action.RETRIEVED]
    about = {one for passage in shown.details["passages"] for one in passage["subjects"]}
    assert ward.privacy.subject_ref("mercy", "mrn:1") in shown.subjects
    assert set(shown.subjects) == about


def test_a_credential_is_recorded_when_it_is_new_here_and_not_at_every_request(ward, serve):
    client = serve(ward)
    for _ in range(3):
        ask(client)
    ask(client, "stranger")

    known = [one for one in ward.records(action=Action.AUTHENTICATED) if one.tenant == "mercy"]
    assert [one.actor for one in known] == ["dr", "dr2"]
    assert known[0].details["roles"] == ["physician"]


def test_a_model_that_wrote_is_on_record_with_its_passages_before_the_answer(ward, serve):
    request = ask(serve(ward), mode=AnswerMode.ABSTRACTIVE.value)

    found = ward.records(request_id=request)
    kinds = [record.action for record in found]
    ended = next(one for one in kinds if one in {Action.ANSWERED, Action.REFUSED})
    assert kinds.index(Action.GENERATED) < kinds.index(ended)
    wrote = found[kinds.index(Action.GENERATED)].details
    shown = found[kinds.index(Action.RETRIEVED)].details["passages"]
    assert set(wrote["given"]) <= {passage["chunk"] for passage in shown}
    assert wrote["model"] == ward.generator.model
    assert wrote["complete"]


def test_start_and_stop_name_version_and_settings_and_a_change_of_policies_is_told(ward, serve):
    with serve(ward):
        pass

    [started] = ward.records(action=Action.STARTED)
    assert started.details["config"] == ward.settings.digest
    [changed] = ward.records(action=Action.POLICY_CHANGED)
    assert changed.details["after"] == started.policy == ward.platform.policies.digest
