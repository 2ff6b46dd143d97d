"""A FHIR source follows the bulk protocol to the letter, and believes no server too much."""

import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ingest.parse.fhir import parse_fhir
from ingest.sources.fhir import Fhir, FhirOptions
from ingest.sources.fhir_bulk import BulkExport
from ingest.sources.fhir_http import FhirServer, NoCredential, Origins
from ingest.sources.fhir_smart import Bearer
from ingest.sources.port import Found, Gone
from ragplatform.egress import Allowed, client
from ragplatform.errors import ConfigurationError, MovedOnError, SourceError
from tests.scripted_http import Scripted, scripted_http

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
    "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": "MRN-77"}],
    "name": [{"family": "Testfall", "given": ["Ada"]}],
    "telecom": [{"system": "phone", "value": "555-0100"}],
}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {
        "versionId": "3",
        "lastUpdated": "2026-01-02T00:00:00Z",
        "security": [{"system": "http://example.org/labels", "code": "PSY"}],
    },
    "status": "final",
    "code": {"text": "Haemoglobin A1c"},
    "subject": {"reference": "Patient/p1"},
    "valueQuantity": {"value": 7.2, "unit": "%"},
}
TAKEN = "2026-02-01T10:00:00.000Z"


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted_http() as opened:
        yield opened


class World:
    """A source over the scripted server; ``waits`` are the pauses that it made."""

    def __init__(self, script: Scripted) -> None:
        self.script = script
        self.waits: list[float] = []
        self.stack = ExitStack()

    def source(
        self, *, level: str = "system", token: str = "", others: tuple[str, ...] = (), **options
    ) -> Fhir:
        server = FhirServer(
            origins=Origins(f"{self.script.url}/fhir", others),
            client=client(Allowed.of([]), timeout_s=5),
            credential=Bearer(lambda: token) if token else NoCredential(),
            sleep=self.waits.append,
        )
        made = FhirOptions(**options)
        export = BulkExport(server=server, level=level, types=made.types, patience_s=100)
        source = Fhir(server=server, export=None if level == "search" else export, options=made)
        self.stack.callback(source.close)
        return source

    def export(self, *, output=(), deleted=(), error=(), **more) -> None:
        """Have the server export these files, at once."""
        manifest = {
            "transactionTime": TAKEN,
            "request": "",
            "requiresAccessToken": True,
            "output": list(output),
            "error": list(error),
            **({} if deleted is None else {"deleted": list(deleted)}),
            **more,
        }
        self.script.say("/fhir/$export", status=202, Content_Location=f"{self.script.url}/status")
        self.script.say("/status", json.dumps(manifest).encode())

    def file(self, path: str, *resources: object, kind: str = "Observation") -> dict[str, str]:
        """Put a file of resources there and return its line of the manifest."""
        self.script.say(path, b"".join(json.dumps(one).encode() + b"\n" for one in resources))
        return {"type": kind, "url": f"{self.script.url}{path}"}


@pytest.fixture
def world(script: Scripted) -> Iterator[World]:
    made = World(script)
    with made.stack:
        yield made


def test_a_resource_is_read_with_what_its_patient_is_known_by_and_no_more(world):
    world.export(output=[world.file("/o", OBSERVATION), world.file("/p", PATIENT, kind="Patient")])
    source = world.source()

    found = {one.name: one for one in source.list("")}
    document = source.read(found["Observation/o1.json"], 10_000)

    text = parse_fhir(document, max_chars=10_000)
    assert "Testfall" in text.text
    assert "Haemoglobin A1c" in text.text
    assert "555-0100" not in text.text
    assert [next(iter(ids)).value for ids in text.claims.subjects] == ["MRN-77"]


def test_marks_are_facts_and_stand_with_and_without_their_system(world):
    world.export(output=[world.file("/o", OBSERVATION)])
    world.script.say("/fhir/Patient/p1", json.dumps(PATIENT).encode())

    (found,) = world.source().list("")

    assert ("security", "http://example.org/labels|PSY") in found.facts
    assert ("security", "PSY") in found.facts
    assert ("patient", "p1") in found.facts
    assert found.unread == ""


@pytest.mark.parametrize("meta", [[], {"security": "PSY"}, {"tag": [{"code": 7}]}])
def test_marks_that_cannot_be_read_are_said_to_be_unread(world, meta):
    world.export(output=[world.file("/o", {**OBSERVATION, "subject": None, "meta": meta})])

    (found,) = world.source().list("")

    assert found.unread


def test_an_export_is_asked_for_as_the_guide_says_and_its_files_are_let_go(world):
    world.export(output=[])
    source = world.source(types=("Patient", "Observation"), token="secret-token")

    list(source.list(""))

    kickoff = world.script.asked[0]
    assert kickoff.headers["prefer"] == "respond-async"
    assert kickoff.headers["accept"] == "application/fhir+json"
    assert kickoff.headers["authorization"] == "Bearer secret-token"
    assert "_type=Patient%2CObservation" in kickoff.query
    assert "_since" not in kickoff.query
    assert world.script.paths("DELETE") == ["/status"]


def test_it_waits_as_long_as_the_server_asks_and_no_less_than_a_moment(world):
    world.script.say("/fhir/$export", status=202, Content_Location=f"{world.script.url}/status")
    for wait in ("7", "0", "99999999"):
        world.script.say("/status", status=202, Retry_After=wait)
    source = world.source()

    with pytest.raises(SourceError, match="export took over"):
        list(source.list(""))

    assert world.waits[:2] == [7.0, 0.2]
    assert world.script.paths("DELETE") == ["/status"]


def test_a_busy_server_is_asked_again(world):
    world.script.say("/fhir/$export", status=429, Retry_After="2")
    world.export(output=[])

    assert list(world.source().list("")) == []
    assert world.waits == [2.0]


def test_the_next_listing_asks_for_what_changed_since_the_servers_own_time(world):
    world.export(output=[world.file("/p", PATIENT, kind="Patient")])
    source = world.source()
    first = source.list("")
    list(first)

    second = source.list(first.cursor)
    list(second)

    assert not second.complete
    assert f"_since={TAKEN.replace(':', '%3A')}" in world.script.asked[-4].query


def test_what_a_server_tells_as_deleted_is_gone(world):
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"request": {"method": "DELETE", "url": "Observation/o9"}},
            {"request": {"method": "DELETE", "url": "Patient/p1"}},
        ],
    }
    deleted = [world.file("/d", bundle, kind="Bundle")]
    world.export(output=[world.file("/p", PATIENT, kind="Patient")], deleted=deleted)
    source = world.source()

    listed = list(source.list(""))

    assert [one.name for one in listed if isinstance(one, Gone)] == ["Observation/o9.json"]
    assert [one.name for one in listed if isinstance(one, Found)] == ["Patient/p1.json"]


def test_a_server_that_tells_no_deletions_is_listed_whole_each_time(world):
    world.export(output=[world.file("/p", PATIENT, kind="Patient")], deleted=None)
    world.script.say("/fhir/metadata", b'{"resourceType": "CapabilityStatement"}')
    source = world.source()
    first = source.list("")
    list(first)

    second = source.list(first.cursor)

    assert second.complete


def test_a_listing_that_is_too_long_ago_is_made_whole_again(world):
    world.export(output=[])
    old = json.dumps({"since": TAKEN, "deletions": "manifest", "full": "2026-01-01"})

    assert world.source().list(old).complete
    assert not world.source(full_every_days=3650).list(old).complete


def test_a_patients_new_name_is_a_new_version_of_every_document_about_them(world):
    renamed = {**PATIENT, "name": [{"family": "Anders"}]}
    versions = []
    for patient in (PATIENT, renamed):
        world.script.answers.clear()
        files = [world.file("/o", OBSERVATION), world.file("/p", patient, kind="Patient")]
        world.export(output=files)
        versions.append({one.name: one.version for one in world.source().list("")})

    assert versions[0]["Observation/o1.json"] != versions[1]["Observation/o1.json"]


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:9/o", "http://other.example/o", "file:///etc/passwd", "//x/o"]
)
def test_files_on_another_server_are_not_fetched_and_no_token_is_shown_to_it(world, where):
    world.export(output=[{"type": "Observation", "url": where}])

    with pytest.raises(SourceError, match="another server"):
        list(world.source(token="secret-token").list(""))


def test_a_named_server_of_files_sees_our_token_only_where_the_manifest_asks_for_it(world):
    with scripted_http() as other:
        other.say("/o", json.dumps(PATIENT).encode())
        output = [{"type": "Patient", "url": f"{other.url}/o"}]
        for asks in (True, False):
            world.script.answers.clear()
            world.export(output=output, requiresAccessToken=asks)
            list(world.source(token="secret-token", others=(other.url,)).list(""))

        assert ["authorization" in one.headers for one in other.asked] == [True, False]


def test_a_redirect_is_not_followed(world):
    world.script.say("/fhir/$export", status=202, Content_Location=f"{world.script.url}/status")
    world.script.say("/status", status=303, Location="http://other.example/")

    with pytest.raises(SourceError, match="HTTP 303"):
        list(world.source().list(""))


@pytest.mark.parametrize(
    "manifest",
    [
        b"no json",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"transactionTime": "yesterday", "output": []}',
        b'{"transactionTime": "2026-02-01T10:00:00Z", "output": {"type": "x"}}',
        b'{"transactionTime": "2026-02-01T10:00:00Z", "output": [{"type": "Patient"}]}',
        b'{"transactionTime": "2026-02-01T10:00:00Z", "output": [{"type": 1, "url": "/o"}]}',
        b'{"transactionTime": "2026-02-01T10:00:00Z", "link": [{"relation": "next"}]}',
    ],
)
def test_a_manifest_that_is_none_breaks_the_listing_off(world, manifest):
    world.script.say("/fhir/$export", status=202, Content_Location=f"{world.script.url}/status")
    world.script.say("/status", manifest)
    listing = world.source().list("")

    with pytest.raises(SourceError):
        list(listing)

    assert not listing.through
    assert world.script.paths("DELETE") == ["/status"]


@pytest.mark.parametrize(
    ("severity", "whole"),
    [("warning", True), ("information", True), ("error", False), (None, False)],
)
def test_an_export_that_is_not_whole_is_none(world, severity, whole):
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": severity}]}
    world.export(error=[world.file("/e", outcome, kind="OperationOutcome")])
    listing = world.source().list("")

    if whole:
        assert list(listing) == []
    else:
        with pytest.raises(SourceError, match="could not export all"):
            list(listing)


def test_a_line_that_is_no_resource_is_put_aside_and_the_others_are_taken(world):
    world.script.say("/o", b'{"resourceType": "Observation"}\n\nnonsense\n' + b"{" * 3000 + b"\n")
    world.script.answers["GET /o"][0] = (
        200,
        {},
        world.script.answers["GET /o"][0][2] + json.dumps(PATIENT).encode(),
    )
    world.export(output=[{"type": "Observation", "url": "/o"}])

    found = list(world.source(largest_line=1000).list(""))

    assert [bool(one.unread) for one in found] == [True, True, True, False]


def test_a_line_that_is_too_long_is_put_aside_whatever_it_holds(world):
    large = {**PATIENT, "id": "big", "text": {"div": "x" * 5000}}
    world.export(output=[world.file("/p", large, PATIENT, kind="Patient")])

    found = list(world.source(largest_line=1000).list(""))

    assert [one.name for one in found] == ["Patient/unreadable-1.json", "Patient/p1.json"]


def test_an_export_larger_than_is_allowed_is_refused_also_when_it_is_packed_small(world):
    bomb = gzip.compress(b" " * 30_000_000)
    world.script.say("/o", bomb, Content_Encoding="gzip")
    world.export(output=[{"type": "Observation", "url": "/o"}])

    with pytest.raises(SourceError, match="largest_export_mb"):
        list(world.source(largest_export=1_000_000).list(""))


def test_a_packing_that_was_not_asked_for_is_refused(world):
    world.script.say("/o", b"x", Content_Encoding="br")
    world.export(output=[{"type": "Observation", "url": "/o"}])

    with pytest.raises(SourceError, match="not asked for"):
        list(world.source().list(""))


def test_a_note_that_lies_in_a_binary_is_read_with_its_reference(world):
    note = {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "url": "Binary/b1"}}],
    }
    binary = {"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": "aGVsbG8="}
    world.script.say("/fhir/Binary/b1", json.dumps(binary).encode())
    world.export(output=[world.file("/d", note, kind="DocumentReference")])
    source = world.source()
    (found,) = source.list("")

    assert b"aGVsbG8=" in source.read(found, 10_000)


def test_an_attachment_on_another_server_is_left_where_it_is(world):
    note = {
        "resourceType": "DocumentReference",
        "id": "d1",
        "content": [{"attachment": {"contentType": "text/plain", "url": "http://127.0.0.1:9/x"}}],
    }
    world.export(output=[world.file("/d", note, kind="DocumentReference")])
    source = world.source()
    (found,) = source.list("")

    assert json.loads(source.read(found, 10_000)) == note


def test_another_process_reads_by_asking_the_server_and_finds_what_moved_on(world):
    world.export(output=[world.file("/p", PATIENT, kind="Patient")])
    (found,) = world.source().list("")
    world.script.say("/fhir/Patient/p1", json.dumps(PATIENT).encode())
    world.script.say(
        "/fhir/Patient/p1", json.dumps({**PATIENT, "meta": {"versionId": "2"}}).encode()
    )
    world.script.say("/fhir/Patient/p1", status=410)
    other = world.source()

    assert json.loads(other.read(found, 10_000)) == PATIENT
    for _ in range(2):
        with pytest.raises(MovedOnError):
            other.read(found, 10_000)


def test_errors_hold_nothing_of_what_the_server_said(world):
    world.script.say("/fhir/$export", b'{"diagnostics": "patient Testfall"}', status=500)

    with pytest.raises(SourceError) as caught:
        list(world.source().list(""))

    assert "Testfall" not in str(caught.value)


@pytest.mark.parametrize(
    "base", ["http://fhir.hospital.example/r4", "https://user:pw@host/", "ftp://h/", "fhir", ""]
)
def test_an_address_that_is_not_encrypted_or_holds_a_password_is_refused(base):
    with pytest.raises(ConfigurationError):
        Origins(base)
