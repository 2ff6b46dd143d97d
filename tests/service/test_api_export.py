"""Reviewers take their own tenant's records away, on record before and after, and nobody else."""

import csv
import hashlib
import io
import json

import pytest

from ragplatform.audit.events import Action
from ragplatform.audit.export.formats import Format
from ragplatform.errors import AuditError

TEXT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
NDJSON = "/v1/audit/export?format=ndjson"


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


@pytest.mark.parametrize("who", ["doctor", "administrator", "banker"])
def test_nobody_but_a_reviewer_gets_an_export_and_the_attempt_is_recorded(client, ward, who):
    response = client.get(NDJSON, headers=as_(who))

    assert response.status_code == 403
    [tried] = ward.records(action=Action.EXPORTED)
    assert (tried.actor, tried.outcome) == (ward.people[who].id, "denied")


def test_a_reviewer_gets_its_tenants_records_without_their_sealed_parts(client, ward):
    response = client.get(NDJSON, headers=as_("compliance"))
    lines = [json.loads(line) for line in response.text.splitlines()]

    assert response.headers["content-type"] == "application/x-ndjson"
    assert {line["tenant"] for line in lines} == {"mercy"}
    assert {"asked", "retrieved", "answered"} <= {line["action"] for line in lines}
    assert "apixaban" not in response.text.lower()


def test_an_export_is_on_record_before_and_after_with_the_digest_of_its_bytes(client, ward):
    response = client.get(f"{NDJSON}&action=asked", headers=as_("compliance"))

    begun, done = ward.records(action=Action.EXPORTED)
    assert (begun.details["stage"], begun.details["actions"]) == ("begun", ["asked"])
    assert (done.details["stage"], done.details["records"]) == ("done", 1)
    assert done.details["sha256"] == hashlib.sha256(response.content).hexdigest()


def test_without_a_record_that_it_begins_nothing_leaves(client, ward, monkeypatch):
    def refused(event):
        raise AuditError("no room")

    monkeypatch.setattr(ward.audit, "append", refused)
    response = client.get(NDJSON, headers=as_("compliance"))

    assert (response.status_code, response.json()["code"]) == (503, "audit_unavailable")


def test_without_a_record_that_it_is_done_the_end_does_not_leave(client, ward, monkeypatch):
    real = ward.audit.append

    def refuse_the_end(event):
        if event.details.get("stage") == "done":
            raise AuditError("no room")
        return real(event)

    monkeypatch.setattr(ward.audit, "append", refuse_the_end)
    response = client.get(NDJSON, headers=as_("compliance"))

    # A server ends the connection there; all of a short export is its last block.
    assert response.content == b""


@pytest.mark.parametrize("form", Format)
def test_every_format_is_served(client, form):
    response = client.get(f"/v1/audit/export?format={form}", headers=as_("compliance"))

    assert response.status_code == 200
    assert response.headers["content-disposition"] == f'attachment; filename="audit.{form}"'
    assert "answered" in response.text


def test_times_and_requests_narrow_an_export(client, ward):
    [asked] = ward.records(action=Action.ASKED)
    csv_of = "/v1/audit/export?format=csv"
    about = client.get(f"{csv_of}&request_id={asked.request_id}", headers=as_("compliance"))
    nothing = client.get(f"{csv_of}&since=2999-01-01T00:00:00Z", headers=as_("compliance"))

    rows = list(csv.DictReader(io.StringIO(about.text)))
    assert {row["request_id"] for row in rows} == {asked.request_id}
    assert len(nothing.text.splitlines()) == 1


@pytest.mark.parametrize("wrong", ["", "format=xml", "format=csv&since=2026-01-01T00:00:00"])
def test_what_cannot_be_asked_is_refused(client, wrong):
    response = client.get(f"/v1/audit/export?{wrong}", headers=as_("compliance"))

    assert response.status_code == 422
