"""The demo's promises under the policies that are shipped, without an index or a model."""

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ragplatform.model import Labels, Principal, Purpose, Sensitivity
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER, Circumstances
from tests.unit.demo.demo_reading import CORPUS, DEMO, rows

_COLLECTION = {"mercy": "clinical", "harbor": "banking"}
_FLAGSHIP = "mercy/discharge/discharge_Whitfield_Eleanor.pdf"


@cache
def _policies() -> Policies:
    return Policies.load(Path(__file__).parents[3] / "policies")


def _principal(name: str) -> Principal:
    data = tomllib.loads((DEMO / "personas.toml").read_text("utf-8"))
    [found] = [persona for persona in data["persona"] if persona["id"] == name]
    return Principal(
        id=found["id"],
        tenant=found["tenant"],
        roles=frozenset(found["roles"]),
        departments=frozenset(found["departments"]),
        clearance=Sensitivity[found["clearance"].upper()],
        subjects=frozenset(found["subjects"]),
    )


def _labelled(file: str) -> tuple[Labels, frozenset[str]]:
    tenant, _, path = file.partition("/")
    rules = tomllib.loads((CORPUS / tenant / "labels.toml").read_text("utf-8"))["rule"]
    merged: dict[str, Any] = {}
    for rule in rules:
        if fnmatchcase(path, rule["match"]):
            merged |= rule
    labels = Labels(
        tenant=tenant,
        collection=_COLLECTION[tenant],
        sensitivity=Sensitivity[merged["sensitivity"].upper()],
        department=merged["department"],
        restrictions=frozenset(merged.get("restrictions", ())),
    )
    return labels, frozenset(merged.get("subjects", ()))


def _may_read(who: Principal, purpose: str, file: str) -> bool:
    labels, subjects = _labelled(file)
    related = bool(who.subjects & subjects)
    return _policies().decide(who, "read", Purpose(purpose), labels, Circumstances(related)).allowed


def test_the_receptionist_reads_no_record_of_the_flagship_patient() -> None:
    assert not _may_read(_principal("frontdesk-temp"), "HOPERAT", _FLAGSHIP)


def test_the_researcher_reads_the_flagship_page_and_sees_no_identifier() -> None:
    kim = _principal("res-kim")

    assert _may_read(kim, "HRESCH", _FLAGSHIP)
    assert _policies().reveals(kim, Purpose.HRESCH) == frozenset()


def test_the_physician_reads_the_flagship_page_with_name_and_date() -> None:
    lee = _principal("dr-lee")

    assert _may_read(lee, "TREAT", _FLAGSHIP)
    assert {"PERSON", "DATE_TIME"} <= _policies().reveals(lee, Purpose.TREAT)


@pytest.mark.parametrize(
    "file", ["mercy/notes/psychotherapy-session-07.docx", "mercy/notes/recovery-program-intake.pdf"]
)
@pytest.mark.parametrize(
    ("persona", "purpose"),
    [
        ("dr-lee", "TREAT"),
        ("nurse-adams", "TREAT"),
        ("res-kim", "HRESCH"),
        ("coder-ruiz", "HPAYMT"),
    ],
)
def test_no_persona_reads_the_specially_protected_records(
    file: str, persona: str, purpose: str
) -> None:
    assert not _may_read(_principal(persona), purpose, file)


@pytest.mark.parametrize("persona", ["rm-okafor", "teller-diaz"])
def test_nobody_who_meets_the_client_learns_of_a_suspicious_activity_report(persona: str) -> None:
    assert not _may_read(_principal(persona), "SERVICE", "harbor/aml/alert-structuring.pdf")


def test_every_question_about_somebody_can_be_answered_for_its_asker() -> None:
    asked = [row for row in rows("questions.jsonl") if row["file"] and _labelled(row["file"])[1]]

    refused = [
        row["id"]
        for row in asked
        if not _may_read(_principal(row["persona"]), row["purpose"], row["file"])
    ]

    assert len(asked) >= 25
    assert refused == []


@pytest.mark.parametrize("tenant", ["mercy", "harbor"])
def test_the_ingest_job_may_put_every_document_in(tenant: str) -> None:
    job = _principal(f"ingest-{tenant}")
    purpose = Purpose("HOPERAT" if tenant == "mercy" else "SERVICE")
    files = {r["file"] for r in rows("planted.jsonl") if r["file"].startswith(tenant)}

    denied = [
        file
        for file in files
        if not _policies().decide(job, "ingest", purpose, _labelled(file)[0], STRANGER).allowed
    ]

    assert denied == []
