"""The report on a collection: counts for its keepers, samples only for whom policy permits."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from ragplatform import identities, wiring
from ragplatform.__main__ import app
from ragplatform.audit.events import Action
from ragplatform.audit.query import find_logs, read
from ragplatform.catalog import DocumentEntry
from ragplatform.errors import UnauthenticatedError
from ragplatform.model import Mode
from ragplatform.policy.classes import access_class

NOTE = "Maria Lopez was seen, MRN 204518. Her SSN is 123-45-6789."
# As if a telephone number and a birthday had stood there too.
METHODS = {
    ("MEDICAL_RECORD_NUMBER", Mode.PSEUDONYMISE): 1,
    ("PERSON", Mode.PSEUDONYMISE): 1,
    ("US_SSN", Mode.PSEUDONYMISE): 1,
    ("PHONE_NUMBER", Mode.DROP): 2,
    ("DATE_OF_BIRTH", Mode.SHIFT): 1,
    ("DATE_OF_BIRTH", Mode.MASK): 1,
}


@pytest.fixture
def ward(bench, monkeypatch):
    """A platform with two documents in its catalog, and a command line that opens it."""
    one = bench()
    put(one, NOTE, METHODS)
    put(one, "Visiting hours end at eight.", {})
    monkeypatch.setattr(wiring, "open_store", lambda settings, kind: one.platform.store)
    monkeypatch.setattr(type(one.platform.store), "close", lambda store: None)

    def known(settings, key):
        if key not in one.people:
            raise UnauthenticatedError("not known")
        return one.people[key]

    monkeypatch.setattr(identities, "authenticate", known)
    yield one
    monkeypatch.undo()


def put(one, text, treated=None):
    chunk = one.put(text, subjects=["mrn:1"])
    store = one.platform.store
    [(document, generations)] = [
        (name, found)
        for name, found in store.index.generations("mercy").items()
        if store.catalog.document(name) is None
    ]
    [passage] = store.index.passages("mercy", document, next(iter(generations)), limit=1)
    store.catalog.put_document(
        DocumentEntry(
            document=document,
            tenant="mercy",
            collection="clinical",
            title=passage.title,
            media_type="text/plain",
            access_class=access_class(passage.labels),
            subjects=passage.subjects,
            generation=passage.generation,
            chunks=1,
            treated=treated,
            indexed_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )
    return chunk


def run(*arguments, key=""):
    return CliRunner().invoke(
        app,
        ["privacy", "report", "--tenant", "mercy", *arguments],
        env={"RAGPLATFORM_API_KEY": key},
    )


def samples(*more, key):
    asked = ["--collection", "clinical", "--samples", "2", "--reason", "yearly review"]
    return run(*asked, *more, "--json", key=key)


def reported(one, tenant="mercy"):
    logs = find_logs(one.settings.audit_dir, tenant=tenant)
    return [record for log in logs for record in read(log, action=Action.REPORTED)]


def test_a_report_counts_by_type_and_method_and_shows_no_text(ward):
    result = run("--json")

    [report] = [json.loads(line) for line in result.stdout.splitlines()]
    assert (report["collection"], report["documents"], report["passages"]) == ("clinical", 2, 2)
    assert report["types"] == {
        "MEDICAL_RECORD_NUMBER": {"pseudonymise": 1},
        "PERSON": {"pseudonymise": 1},
        "US_SSN": {"pseudonymise": 1},
    }
    assert report["quasi_identifiers"]["k"] == 1
    assert "seen" not in result.stdout
    assert "Lopez" not in run().output


def test_what_left_no_mark_is_counted_as_ingest_treated_it(ward):
    [report] = [json.loads(line) for line in run("--json").stdout.splitlines()]

    assert report["treated"] == {
        "documents": 2,
        "documents_not_counted": 0,
        "types": {
            "DATE_OF_BIRTH": {"mask": 1, "shift": 1},
            "MEDICAL_RECORD_NUMBER": {"pseudonymise": 1},
            "PERSON": {"pseudonymise": 1},
            "PHONE_NUMBER": {"drop": 2},
            "US_SSN": {"pseudonymise": 1},
        },
    }
    by_letter = {row["identifier"]: row["treated"] for row in report["safe_harbor"]}
    assert (by_letter["C"], by_letter["D"]) == ({"mask": 1, "shift": 1}, {"drop": 2})
    shown = [line.split() for line in run().stdout.splitlines() if "PHONE_NUMBER" in line]
    assert [word for word in shown[0] if word != "│"] == ["PHONE_NUMBER", *"000000", "2"]


def test_what_nobody_counted_is_never_reported_as_absent(ward):
    put(ward, "An older note.", None)

    [report] = [json.loads(line) for line in run("--json").stdout.splitlines()]

    states = {row["identifier"]: row["state"] for row in report["safe_harbor"]}
    assert states == {
        **dict.fromkeys("BEFIJKLMNOPQR", "not counted"),
        **dict.fromkeys("ACDGH", "transformed"),
    }
    assert report["treated"]["documents"] == 2
    assert report["treated"]["documents_not_counted"] == 1
    assert "1 documents not counted by method" in run().stdout


def test_what_was_kept_stands_in_clear_although_it_left_no_mark(ward):
    put(ward, "Mercy Hospital.", {("ORGANIZATION", Mode.KEEP): 1})

    [report] = [json.loads(line) for line in run("--json").stdout.splitlines()]

    assert report["safe_harbor"][0]["state"] == "in clear"


def test_safe_harbor_is_answered_letter_by_letter(ward):
    [report] = [json.loads(line) for line in run("--json").stdout.splitlines()]

    states = {row["identifier"]: row["state"] for row in report["safe_harbor"]}
    assert states == {
        **dict.fromkeys("BEFIJKLMNOPQR", "absent"),
        **dict.fromkeys("ACDGH", "transformed"),
    }
    assert report["safe_harbor"][2]["rules"]["DATE_TIME"] == "tag"


def test_only_the_generation_in_force_is_counted(ward):
    store = ward.platform.store
    [document, *_] = store.catalog.documents("mercy", "clinical")
    ward.put("An older text of John Smith.", subjects=["mrn:1"])

    [report] = wiring.open_reporter(store).report("mercy", "clinical")

    assert report.tally.documents == 2
    assert report.tally.marks["PERSON", Mode.PSEUDONYMISE] == 1
    assert document.generation == "g1"


def test_a_report_is_on_record(ward):
    run()

    [record] = reported(ward)
    assert record.actor.startswith("host user ")
    assert record.details == {"collection": "clinical", "documents": 2}


def test_what_is_not_there_is_an_error(ward):
    assert run("--collection", "nothing").exit_code == 2


def test_samples_need_purpose_reason_and_collection(ward):
    for asked in (
        ["--samples", "1"],
        ["--samples", "1", "--collection", "clinical", "--reason", "x"],
        ["--samples", "1", "--collection", "clinical", "--purpose", "TREAT"],
        ["--samples", "1", "--collection", "clinical", "--purpose", "TREAT", "--reason", " "],
    ):
        assert run(*asked, key="doctor").exit_code == 2
    assert reported(ward) == []


@pytest.mark.parametrize("key", ["", "nobody"])
def test_without_a_key_no_sample_is_shown(ward, key):
    result = samples("--purpose", "TREAT", key=key)

    assert result.exit_code == 2
    assert '"sample"' not in result.stdout


def test_another_tenant_s_people_see_no_sample_and_the_attempt_is_on_their_own_record(ward):
    result = samples("--purpose", "SERVICE", key="banker")

    assert result.exit_code == 2
    assert '"sample"' not in result.stdout
    [attempt] = reported(ward, "harbor")
    assert (attempt.actor, str(attempt.outcome), attempt.details) == ("rm", "denied", {})
    assert "rm" not in {record.actor for record in reported(ward)}


def test_who_may_not_read_sees_no_sample(ward):
    for key, purpose in (
        ("reception", "TREAT"),
        ("compliance", "COMPLIANCE"),
        ("stranger", "TREAT"),
    ):
        result = samples("--purpose", purpose, key=key)

        assert '"sample"' not in result.stdout
        assert "0 of 2 samples" in result.stderr


def test_samples_are_what_their_reader_may_see_and_each_look_is_on_record(ward):
    result = samples("--purpose", "HRESCH", key="researcher")

    texts = [json.loads(line)["text"] for line in result.stdout.splitlines()[1:]]
    assert len(texts) == 2
    assert not any("Lopez" in text for text in texts)
    last = reported(ward)[-1]
    assert (last.actor, last.details["samples"], list(last.sealed.parts)) == ("res", 2, ["reason"])
    looks = read(ward.settings.audit_dir / "api.mercy", action=Action.SOURCE_VIEWED)
    assert {look.request_id for look in looks} == {last.request_id}
    assert len(looks) == 2
