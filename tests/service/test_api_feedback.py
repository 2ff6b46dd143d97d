"""Feedback: on one's own answers alone, sealed, counted, and gone with the person."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from ragplatform import openers
from ragplatform.__main__ import app
from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import ForgottenError
from tests.fakes_privacy import FailingDetector

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
COMMENT = "It speaks of Maria Lopez, SSN 078-05-1120, and I asked about the ward."


def as_(person):
    return {"Authorization": f"Bearer {person}"}


@pytest.fixture
def ward(bench):
    one = bench()
    one.put(STOPPED, subjects=["mrn:1"], page=2)
    return one


@pytest.fixture
def client(ward, serve):
    return serve(ward)


def ask(client, person="doctor", purpose="TREAT"):
    body = {"question": "Why was apixaban stopped?", "purpose": purpose}
    return client.post("/v1/ask", json=body, headers=as_(person)).json()["request_id"]


def rate(client, about, person="doctor", rating="unhelpful", **more):
    body = {"request_id": about, "rating": rating, **more}
    return client.post("/v1/feedback", json=body, headers=as_(person))


def given(ward):
    found = ward.records(action=Action.FEEDBACK_GIVEN)
    return [record for record in found if record.outcome is Outcome.SUCCESS]


def test_another_s_request_and_one_that_never_was_look_alike_and_are_on_record(ward, client):
    mine = ask(client)

    answers = [rate(client, about, "stranger") for about in (mine, "0" * 32, "Maria Lopez")]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    denied = ward.records(action=Action.FEEDBACK_GIVEN)
    assert [record.outcome for record in denied] == [Outcome.DENIED] * 3
    assert [record.details["about"] for record in denied] == [mine, "0" * 32, None]


def test_the_same_id_in_another_tenant_is_not_one_s_own(ward, client):
    assert rate(client, ask(client), "banker").status_code == 404


def test_an_act_that_gave_no_answer_cannot_be_rated(ward, client):
    other = client.post(
        "/v1/pii:analyze", json={"purpose": "TREAT", "text": "x"}, headers=as_("doctor")
    )

    assert rate(client, other.json()["request_id"]).status_code == 404


def test_what_is_said_stands_in_the_record_and_the_comment_is_sealed_without_values(ward, client):
    about = ask(client)

    taken = rate(client, about, reasons=["wrong_person", "incomplete"], comment=COMMENT)

    assert taken.status_code == 201
    (record,) = given(ward)
    assert taken.json() == {"request_id": record.request_id, "about": about}
    assert (record.actor, record.purpose) == ("dr", "TREAT")
    assert record.details["reasons"] == ["incomplete", "wrong_person"]
    assert record.details["rating"] == "unhelpful"
    assert record.details["replaced"] == {"PERSON": 1, "US_SSN": 1}
    opened = openers.unsealed(ward.settings, record)["comment"]
    assert "ward" in opened
    assert "Lopez" not in opened
    assert "078-05" not in opened
    assert COMMENT[:20] not in json.dumps(taken.json())


def test_a_comment_that_cannot_be_searched_is_not_kept(bench, serve):
    broken = bench(detector=FailingDetector())
    client = serve(broken)
    # The question itself fails, and was asked all the same.
    body = {"question": "Why was apixaban stopped?", "purpose": "HOPERAT"}
    asked = client.post("/v1/search", json=body, headers=as_("reception"))

    answer = rate(client, asked.json()["request_id"], "reception", comment="A comment.")
    without = rate(client, asked.json()["request_id"], "reception")

    assert (answer.status_code, answer.json()["code"]) == (503, "detector_failed")
    assert without.status_code == 201
    assert [record.sealed for record in given(broken)] == [None]


def test_only_reviewers_read_it_each_look_on_record_and_no_comment_in_it(ward, client):
    about = ask(client)
    rate(client, about, comment="The dose is wrong.", reasons=["wrong"])

    denied = client.get("/v1/feedback", headers=as_("doctor"))
    listed = client.get("/v1/feedback", headers=as_("compliance")).json()

    assert denied.status_code == 403
    (row,) = listed["feedback"]
    assert (row["about"], row["rating"], row["reasons"]) == (about, "unhelpful", ["wrong"])
    assert row["commented"]
    assert "dose" not in json.dumps(listed)
    looks = ward.records(action=Action.AUDIT_READ)
    assert [record.outcome for record in looks] == [Outcome.DENIED, Outcome.SUCCESS]
    unsealed = client.post(
        f"/v1/audit/records/{row['origin']}/{row['index']}:unseal",
        json={"reason": "Following up on feedback."},
        headers=as_("second-reviewer"),
    )
    assert unsealed.json() == {"parts": {"comment": "The dose is wrong."}}


def test_another_tenant_s_reviewer_sees_none_of_it(ward, client):
    rate(client, ask(client))

    page = client.get("/v1/feedback", headers=as_("banker"))

    assert page.status_code == 403


def test_counts_take_the_last_word_on_each_request(ward, client):
    first, second = ask(client), ask(client)
    rate(client, first, rating="unhelpful", reasons=["wrong"])
    rate(client, first, rating="helpful", reasons=["clear"])
    rate(client, second, rating="unhelpful", reasons=["wrong", "slow"])

    counts = client.get("/v1/feedback/counts", headers=as_("compliance")).json()

    assert counts == {
        "requests": 2,
        "ratings": {"helpful": 1, "unhelpful": 1},
        "reasons": {"clear": 1, "slow": 1, "wrong": 1},
        "complete": True,
    }


def test_a_comment_goes_when_whom_the_answer_was_about_is_erased(ward, client):
    rate(client, ask(client), comment="The dose is wrong.")
    (record,) = given(ward)
    ref = ward.privacy.subject_ref("mercy", "mrn:1")
    assert record.subjects == (ref,)

    texts = openers.open_sealed_texts(ward.settings)
    found = texts.about("mercy", [ref])[ref]
    assert record.index in found["api.mercy"]
    for origin, indexes in found.items():
        texts.destroy(origin, indexes)

    with pytest.raises(ForgottenError):
        openers.unsealed(ward.settings, record)


def test_a_comment_is_not_kept_where_it_is_not_known_whom_the_answer_was_about(
    ward, client, monkeypatch
):
    about, reader = ask(client), ward.platform.feedback._reader
    events = reader.events

    def elsewhere(*given, **named):
        found = events(*given, **named)
        return replace(found, rows=tuple(replace(row, record=None) for row in found.rows))

    monkeypatch.setattr(reader, "events", elsewhere)

    assert rate(client, about, comment="The dose is wrong.").status_code == 503
    assert rate(client, about).status_code == 201
    assert [record.sealed for record in given(ward)] == [None]


@pytest.mark.parametrize(
    "wrong",
    [{"rating": "so so"}, {"reasons": ["because Maria Lopez"]}, {"comment": "x" * 2001},
     {"request_id": ""}, {"stars": 5}],
    ids=["rating", "reason", "comment", "request", "unknown"],
)  # fmt: skip
def test_what_is_not_of_the_form_is_refused_and_not_echoed(client, wrong):
    body = {"request_id": "x", "rating": "helpful", **wrong}

    answer = client.post("/v1/feedback", json=body, headers=as_("doctor"))

    assert answer.status_code == 422
    assert "Lopez" not in answer.text


def test_the_command_lists_and_counts_and_its_look_is_on_record(ward, client, monkeypatch):
    about = ask(client)
    rate(client, about, reasons=["wrong"], comment="The dose is wrong.")
    for name in ("data_dir", "secrets_dir", "policies_dir"):
        monkeypatch.setenv(f"RAGPLATFORM_{name.upper()}", str(getattr(ward.settings, name)))

    listed = CliRunner().invoke(app, ["feedback", "list", "--tenant", "mercy", "--json"])
    counted = CliRunner().invoke(app, ["feedback", "counts", "--tenant", "mercy", "--json"])

    assert listed.exit_code == 0, listed.output
    row = json.loads(listed.stdout)
    assert (row["about"], row["rating"], row["commented"]) == (about, "unhelpful", True)
    assert "dose" not in listed.stdout
    assert json.loads(counted.stdout)["ratings"] == {"unhelpful": 1}
    looks = ward.records(action=Action.AUDIT_READ)
    assert [record.details["asked"] for record in looks] == ["feedback", "feedback"]
