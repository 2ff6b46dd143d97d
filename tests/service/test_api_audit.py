"""Reviewers read their own tenant's records, each look on record, and nobody else does."""

from datetime import UTC, datetime

import pytest

from ragplatform.audit.events import Action
from ragplatform.errors import AuditError, UnavailableError
from tests.audit_story import write_story

TEXT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
LOOKS = (
    "/v1/audit/events",
    "/v1/audit/passages/{chunk}/disclosures",
    "/v1/audit/subjects/mrn:1/disclosures",
    "/v1/audit/people/dr2/break-glass",
)
REASON = {"reason": "A complaint about this answer."}


def as_(person):
    return {"Authorization": f"Bearer {person}"}


@pytest.fixture
def ward(bench):
    one = bench()
    one.put(TEXT, subjects=["mrn:1"])
    return one


@pytest.fixture
def client(ward, serve):
    """A client of a service that the related doctor has asked once."""
    made = serve(ward)
    sent = {"question": "Why was apixaban stopped?", "purpose": "TREAT"}
    assert made.post("/v1/ask", json=sent, headers=as_("doctor")).status_code == 200
    return made


def looked(client, ward, path, who="compliance"):
    response = client.get(path.format(chunk=ward.documents[0]), headers=as_(who))
    assert response.status_code == 200, response.text
    return response.json()


def last_look(ward):
    return ward.records(action=Action.AUDIT_READ)[-1]


@pytest.mark.parametrize("path", LOOKS)
@pytest.mark.parametrize("who", ["doctor", "administrator", "banker"])
def test_nobody_but_a_reviewer_is_told_anything_and_the_attempt_is_recorded(
    client, ward, path, who
):
    response = client.get(path.format(chunk=ward.documents[0]), headers=as_(who))

    assert response.status_code == 403
    assert (last_look(ward).actor, last_look(ward).outcome) == (ward.people[who].id, "denied")


@pytest.mark.parametrize("path", LOOKS)
def test_without_the_record_of_the_look_no_row_leaves(client, ward, path, monkeypatch):
    def refused(event):
        raise AuditError("no room")

    monkeypatch.setattr(ward.audit, "append", refused)

    response = client.get(path.format(chunk=ward.documents[0]), headers=as_("compliance"))

    assert response.status_code == 503
    assert "doc-0" not in response.text


def test_a_look_is_recorded_with_what_was_asked_and_how_much_was_found(client, ward):
    looked(client, ward, "/v1/audit/events?actor=dr&purpose=TREAT&limit=2")

    details = last_look(ward).details
    assert (details["asked"], details["by"], details["rows"]) == ("events", ["actor", "purpose"], 2)
    looked(client, ward, "/v1/audit/subjects/mrn:1/disclosures")
    assert last_look(ward).details["subject"] == ward.privacy.subject_ref("mercy", "mrn:1")


def test_who_saw_a_passage_is_told_with_its_place_in_the_evidence(client, ward):
    [one] = looked(client, ward, LOOKS[1])["disclosures"]

    [retrieved] = ward.records(action=Action.RETRIEVED)
    assert (one["actor"], one["purpose"], one["how"]) == ("dr", "TREAT", "shown")
    assert (one["origin"], one["index"]) == (retrieved.origin, retrieved.index)
    assert one["leaf"] == retrieved.leaf.hex()


def test_a_person_s_disclosures_are_accounted_for_by_raw_id_or_reference(client, ward):
    raw = looked(client, ward, "/v1/audit/subjects/mrn:1/disclosures")
    ref = ward.privacy.subject_ref("mercy", "mrn:1")

    assert [one["documents"] for one in raw["disclosures"]] == [["doc-0"]]
    assert raw["disclosures"][0]["exempt"] is True
    by_ref = looked(client, ward, f"/v1/audit/subjects/{ref}/disclosures")
    assert by_ref["disclosures"] == raw["disclosures"]
    assert looked(client, ward, "/v1/audit/subjects/mrn:2/disclosures")["disclosures"] == []


def test_what_somebody_did_under_a_broken_glass_is_told(ward, serve):
    write_story(ward.settings.audit_dir, kind="replica")

    acts = looked(serve(ward), ward, "/v1/audit/people/dr2/break-glass")["acts"]

    assert [act["how"] for act in acts][:2] == ["opened", "in_force"]
    assert [act["showed"] for act in acts][:3] == [False, True, False]
    assert acts[-1]["actor"] == "audit"


def test_pages_follow_one_another_by_a_cursor_that_serves_one_query_alone(client, ward):
    first = looked(client, ward, "/v1/audit/events?limit=2")
    after = looked(client, ward, f"/v1/audit/events?limit=2&cursor={first['next']}")
    places = [(one["origin"], one["index"]) for one in first["records"] + after["records"]]

    assert len(set(places)) == len(places) > 2
    for path in (f"/v1/audit/events?actor=dr&cursor={first['next']}", "/v1/audit/events?cursor=x"):
        refused = client.get(path, headers=as_("compliance"))
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "wrong", ["limit=0", "limit=1001", "since=2026-01-01T00:00:00", "action=x", "tenant=harbor"]
)
def test_what_cannot_be_asked_is_refused_without_a_look(client, ward, wrong):
    response = client.get(f"/v1/audit/events?{wrong}", headers=as_("compliance"))

    assert response.status_code == 422
    assert ward.records(action=Action.AUDIT_READ) == []


def test_times_narrow(client, ward):
    future = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1).isoformat()

    assert (
        looked(client, ward, f"/v1/audit/events?since={future.replace('+', '%2B')}")["records"]
        == []
    )
    assert looked(client, ward, f"/v1/audit/events?until={future.replace('+', '%2B')}")["records"]


def test_questions_are_answered_while_the_index_s_database_is_away(client, ward, monkeypatch):
    def away(*args, **kwargs):
        raise UnavailableError("the audit index did not answer")

    monkeypatch.setattr(ward.platform.store.audit_index, "catch_up", away)

    look = client.get("/v1/audit/events", headers=as_("compliance"))
    sent = {"question": "Why was apixaban stopped?", "purpose": "TREAT"}

    assert (look.status_code, look.json()["code"]) == (503, "unavailable")
    assert client.post("/v1/ask", json=sent, headers=as_("doctor")).status_code == 200


def test_an_index_that_differs_from_the_log_is_not_believed(client, ward):
    looked(client, ward, "/v1/audit/events")
    with ward.platform.store.audit_index._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_records SET place = 0")

    assert client.get("/v1/audit/events", headers=as_("compliance")).status_code == 500


def unsealed(client, ward, who, origin=None):
    [asked] = ward.records(action=Action.ASKED)
    path = f"/v1/audit/records/{origin or asked.origin}/{asked.index}:unseal"
    return client.post(path, json=REASON, headers=as_(who))


def test_a_privacy_officer_opens_a_sealed_question_for_a_reason_that_is_recorded(client, ward):
    response = unsealed(client, ward, "second-reviewer")

    assert response.json() == {"parts": {"question": "Why was apixaban stopped?"}}
    [look] = ward.records(action=Action.UNSEALED)
    assert (look.actor, look.outcome, list(look.sealed.parts)) == ("audit2", "success", ["reason"])


@pytest.mark.parametrize(
    ("who", "origin", "status"),
    [
        ("doctor", None, 403),
        ("compliance", None, 403),
        ("banker", None, 403),
        ("second-reviewer", "api.harbor", 404),
        ("second-reviewer", "..", 404),
    ],
)
def test_nobody_else_opens_it_and_the_attempt_is_recorded(client, ward, who, origin, status):
    response = unsealed(client, ward, who, origin)

    assert response.status_code == status
    assert "apixaban" not in response.text
    if origin != "..":
        assert ward.records(action=Action.UNSEALED)[-1].outcome != "success"


def test_without_a_record_of_the_look_nothing_is_opened(client, ward, monkeypatch):
    def refused(event):
        raise AuditError("no room")

    monkeypatch.setattr(ward.audit, "append", refused)

    response = unsealed(client, ward, "second-reviewer")

    assert response.status_code == 503
    assert "apixaban" not in response.text
