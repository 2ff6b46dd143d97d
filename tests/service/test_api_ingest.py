"""Files and runs over REST: who may bring what, what is kept of it, and how it is followed."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
import uvicorn
from fastapi.testclient import TestClient

from ingest import serving
from ingest.aside_wiring import aside
from ingest.intake import Uploads
from ingest.queue import MOST_ATTEMPTS, QueuedRun, RunQueue, RunState
from ingest.report import FileResult, FileState, Report
from ingest.sources import GivenLabels, SourceFile
from ingest.work import Work
from ingest.worker import Worker
from ragplatform import openers
from ragplatform.api.app import create_app
from ragplatform.audit.events import Action
from ragplatform.catalog import DocumentEntry
from ragplatform.errors import AuditError, UnavailableError
from ragplatform.model import Labels
from tests.fakes import Bench

TEXT = b"Apixaban was stopped for Maria Lopez because of a gastric bleed."
NAME = "lopez-maria.txt"


def as_(person: str, purpose: str = "HOPERAT") -> dict[str, str]:
    return {"Authorization": f"Bearer {person}", "X-Purpose-Of-Use": purpose}


class Ward:
    """A service with ingest's routes, and a worker whose runs are a script."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.app = create_app(bench.platform, [serving.extension(bench.platform)])
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.queue = RunQueue(bench.settings.catalog_url)
        files = openers.open_sealed_files(bench.settings, bench.platform.store.vault)
        self.uploads = Uploads(files=files, privacy=bench.privacy)
        self.ending = threading.Event()
        self.taken: list[tuple[str, bytes]] = []
        self.cut_short = False
        self.result = FileResult("shown", FileState.INDEXED, 2, "", "doc-1")

    def bring(self, person: str = "clerk", **form: Any) -> Any:
        data = {"collection": "clinical", "purpose": "user_data", **form}
        given = {name: value for name, value in data.items() if value is not None}
        files = {"file": (NAME, TEXT)}
        return self.client.post("/v1/files", data=given, files=files, headers=as_(person))

    def run(
        self,
        asked: QueuedRun,
        *,
        told: Callable[[FileResult], None],
        stopped: Callable[[], bool],
    ) -> Report:
        upload = self.uploads.about(asked.tenant, asked.run)
        self.taken.append((upload.name, self.uploads.content(asked.tenant, asked.run)))
        report = Report(run=asked.run, cancelled=self.cut_short and stopped())
        report.add(self.result)
        told(self.result)
        return report

    def work(self) -> bool:
        return Worker(queue=self.queue, uploads=self.uploads, runs=self, ending=self.ending).work()

    def kept(self) -> list[Path]:
        return list((self.bench.settings.data_dir / "sealed").rglob("*.sealed"))


def into_the_catalog(ward: Ward) -> str:
    """Take a document in past the queue; return its id."""
    ward.bench.put(TEXT.decode(), subjects=["mrn:1"])
    catalog = ward.bench.platform.store.catalog
    [kind] = catalog.classes("mercy")
    entry = DocumentEntry(
        document="doc-0",
        tenant="mercy",
        collection="clinical",
        title="document 0.pdf",
        media_type="application/pdf",
        access_class=kind,
        subjects=frozenset({ward.bench.privacy.subject_ref("mercy", "mrn:1")}),
        generation="g1",
        chunks=1,
        treated=None,
        indexed_at=datetime.now(UTC),
    )
    catalog.put_document(entry)
    return "doc-0"


@pytest.fixture
def ward(bench: Callable[..., Bench]) -> Iterator[Ward]:
    one = Ward(bench())
    yield one
    one.client.close()
    one.queue.close()


def test_a_file_lies_sealed_until_a_worker_has_taken_it_in(ward: Ward) -> None:
    brought = ward.bring(label=["subject=mrn:1", "department=cardiology"])

    assert brought.status_code == 200
    assert (brought.json()["status"], brought.json()["filename"]) == ("uploaded", NAME)
    everything = b"".join(
        path.read_bytes() for path in ward.bench.settings.data_dir.rglob("*") if path.is_file()
    )
    assert not [word for word in (b"Lopez", b"lopez", b"pixaban") if word in everything]
    assert ward.work()
    assert ward.taken == [(NAME, TEXT)]
    assert ward.kept() == []


def test_what_became_of_a_file_is_said_by_the_ids_of_its_documents(ward: Ward) -> None:
    file = ward.bring().json()["id"]
    ward.work()

    said = ward.client.get(f"/v1/files/{file}", headers=as_("clerk")).json()

    assert (said["status"], said["documents"], said["filename"]) == ("processed", ["doc-1"], "")


def test_a_file_that_was_kept_out_says_why(ward: Ward) -> None:
    ward.result = FileResult("shown", FileState.QUARANTINED, 0, "encrypted")
    file = ward.bring().json()["id"]
    ward.work()

    said = ward.client.get(f"/v1/files/{file}", headers=as_("clerk")).json()

    assert (said["status"], said["status_details"]) == ("error", "encrypted")


def test_who_may_take_nothing_in_is_refused_before_a_byte_is_kept_and_on_record(
    ward: Ward,
) -> None:
    refused = ward.bring("doctor")

    assert refused.status_code == 403
    assert ward.kept() == []
    [denied] = ward.bench.records(action=Action.DENIED)
    assert denied.details["act"] == "ingest"


def test_without_a_purpose_or_a_collection_nothing_is_taken(ward: Ward) -> None:
    headers = {"Authorization": "Bearer clerk"}
    files = {"file": (NAME, TEXT)}
    silent = ward.client.post(
        "/v1/files", data={"collection": "clinical"}, files=files, headers=headers
    )

    assert (silent.status_code, ward.bring(collection=None).status_code) == (422, 422)
    assert (ward.bring(label="nonsense=1").status_code, ward.kept()) == (422, [])


def test_a_file_beyond_the_limit_is_refused_and_nothing_of_it_is_left(
    bench: Callable[..., Bench],
) -> None:
    ward = Ward(bench(max_file_mb=1))
    files = {"file": (NAME, b"x" * 1_200_000)}

    refused = ward.client.post(
        "/v1/files", data={"collection": "clinical"}, files=files, headers=as_("clerk")
    )

    assert (refused.status_code, ward.kept()) == (413, [])


def test_without_its_record_a_file_is_not_kept(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ward.bench.audit.append

    def full(event: Any) -> Any:
        if event.action is Action.INGEST_ASKED:
            raise AuditError("disk full")
        return real(event)

    monkeypatch.setattr(ward.bench.audit, "append", full)

    assert ward.bring().status_code == 503
    assert (ward.kept(), ward.work()) == ([], False)


def test_a_run_of_somebody_else_looks_like_none_and_an_operator_sees_all(ward: Ward) -> None:
    file = ward.bring().json()["id"]

    def status(person: str, path: str) -> int:
        return ward.client.get(path, headers=as_(person)).status_code

    run = file.removeprefix("file-")
    paths = [f"/v1/files/{file}", f"/v1/ingest/runs/{run}?purpose=HOPERAT"]
    assert [status("second-clerk", path) for path in paths] == [404, 404]
    assert [status("banker", path) for path in paths] == [404, 404]
    assert [status("operator", path) for path in paths] == [200, 200]
    assert status("clerk", "/v1/files/file-0") == 404


def test_files_are_listed_newest_first_in_pages(ward: Ward) -> None:
    files = [ward.bring().json()["id"] for _ in range(3)]

    page = ward.client.get("/v1/files?limit=2", headers=as_("clerk")).json()
    rest = ward.client.get(f"/v1/files?after={page['last_id']}", headers=as_("clerk")).json()

    assert [one["id"] for one in (*page["data"], *rest["data"])] == files[::-1]
    assert (page["has_more"], rest["has_more"]) == (True, False)


def test_a_run_is_followed_to_its_end_and_from_where_one_was(ward: Ward) -> None:
    run = ward.bring().json()["run"]
    ward.work()
    path = f"/v1/ingest/runs/{run}/events?purpose=HOPERAT"

    whole = ward.client.get(path, headers=as_("clerk")).text
    rest = ward.client.get(path, headers=as_("clerk") | {"Last-Event-ID": "1"}).text

    assert [line for line in whole.splitlines() if line.startswith("event")] == [
        "event: file",
        "event: succeeded",
    ]
    assert '"document": "doc-1"' in whole
    assert "lopez" not in whole
    assert [line for line in rest.splitlines() if line.startswith("event")] == ["event: succeeded"]


def test_a_file_that_waits_is_taken_back_with_nothing_left(ward: Ward) -> None:
    file = ward.bring().json()["id"]

    gone = ward.client.delete(f"/v1/files/{file}", headers=as_("clerk"))

    assert (gone.status_code, gone.json()["deleted"]) == (200, True)
    assert (ward.kept(), ward.work()) == ([], False)
    assert ward.client.get(f"/v1/files/{file}", headers=as_("clerk")).status_code == 404


def test_what_a_file_became_is_erased_only_by_who_may_erase(ward: Ward) -> None:
    document = into_the_catalog(ward)
    ward.result = FileResult("shown", FileState.INDEXED, 1, "", document)
    mine, erasers = ward.bring().json()["id"], ward.bring("eraser").json()["id"]
    ward.work()
    ward.work()

    refused = ward.client.delete(f"/v1/files/{mine}", headers=as_("clerk"))
    there = ward.bench.platform.store.catalog.document(document)
    gone = ward.client.delete(f"/v1/files/{erasers}", headers=as_("eraser", "PATRQT"))

    assert (refused.status_code, gone.status_code) == (403, 200)
    assert there is not None
    assert ward.bench.platform.store.catalog.document(document) is None


def into_the_quarantine(ward: Ward, **labels: Any) -> str:
    """Put a document aside past the queue; return its id."""
    work = Work(
        source=SourceFile(Path("a.txt"), "a.txt", GivenLabels()),
        data=TEXT,
        key="k1",
        sha256=hashlib.sha256(TEXT).hexdigest(),
        labels=Labels("mercy", "clinical", **labels),
        subjects=frozenset(),
        document="doc-9",
        generation="g1",
    )
    with aside(ward.bench.settings, ward.bench.platform.store.vault) as kept:
        kept.keep(work, reason="contains_secret", detail="", run="r1", put_by="eraser")
    return "doc-9"


def test_what_a_file_left_in_quarantine_is_erased_with_it(ward: Ward) -> None:
    document = into_the_quarantine(ward)
    ward.result = FileResult("shown", FileState.QUARANTINED, 0, "contains_secret", document)
    mine, erasers = ward.bring().json()["id"], ward.bring("eraser").json()["id"]
    ward.work()
    ward.work()

    refused = ward.client.delete(f"/v1/files/{mine}", headers=as_("clerk"))
    there = len(ward.kept())
    gone = ward.client.delete(f"/v1/files/{erasers}", headers=as_("eraser", "PATRQT"))

    assert (refused.status_code, there, gone.status_code) == (403, 2, 200)
    assert ward.kept() == []


def test_what_is_held_in_quarantine_is_erased_by_nobody(ward: Ward) -> None:
    document = into_the_quarantine(ward, retain_until="9999-12-31")
    ward.result = FileResult("shown", FileState.QUARANTINED, 0, "contains_secret", document)
    file = ward.bring("eraser").json()["id"]
    ward.work()

    refused = ward.client.delete(f"/v1/files/{file}", headers=as_("eraser", "PATRQT"))

    assert (refused.status_code, len(ward.kept())) == (403, 2)


def test_what_a_run_found_unchanged_after_a_crash_is_what_its_file_became(ward: Ward) -> None:
    ward.result = FileResult("shown", FileState.UNCHANGED, 0, "", "doc-1")
    file = ward.bring().json()["id"]
    ward.work()

    said = ward.client.get(f"/v1/files/{file}", headers=as_("clerk")).json()

    assert (said["status"], said["documents"]) == ("processed", ["doc-1"])


def test_nothing_is_left_of_a_file_whose_workers_all_died(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.bring()
    monkeypatch.setattr("ingest.queue.is_alive", lambda _: False)
    for _ in range(MOST_ATTEMPTS):
        assert ward.queue.take() is not None

    assert (ward.work(), ward.kept()) == (False, [])


def test_nothing_is_left_of_a_file_whose_worker_died_after_the_end_of_its_run(ward: Ward) -> None:
    run = ward.bring().json()["run"]
    ward.queue.take()
    ward.queue.finish(run, RunState.SUCCEEDED, {})

    assert (ward.work(), ward.kept()) == (False, [])


def test_a_file_that_waits_dies_with_whom_it_is_about(ward: Ward) -> None:
    file = ward.bring(label=["subject=mrn:1"]).json()["id"]
    privacy = ward.bench.privacy
    privacy.forget("mercy", privacy.subject_ref("mercy", "mrn:1"))

    assert ward.work()
    said = ward.client.get(f"/v1/files/{file}", headers=as_("clerk")).json()
    assert (said["status"], said["filename"], ward.taken, ward.kept()) == ("error", "", [], [])


def test_a_part_that_is_away_leaves_the_run_for_later(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ward.bring().json()["run"]

    def away(*_: Any, **__: Any) -> Report:
        raise UnavailableError("the index is away")

    monkeypatch.setattr(ward, "run", away)
    with pytest.raises(UnavailableError):
        ward.work()

    found = ward.queue.lookup("mercy", run)
    assert found is not None
    assert (found.state, found.attempts) == (RunState.QUEUED, 0)
    assert ward.kept() != []


def test_a_worker_that_is_to_end_leaves_its_run_to_the_next(ward: Ward) -> None:
    run = ward.bring().json()["run"]
    ward.cut_short = True
    ward.ending.set()

    assert ward.work()
    found = ward.queue.lookup("mercy", run)
    assert found is not None
    assert (found.state, len(ward.kept())) == (RunState.QUEUED, 2)


def test_a_source_that_is_not_configured_is_not_found(ward: Ward) -> None:
    body = {"purpose": "HOPERAT", "source": "archive"}

    missing = ward.client.post("/v1/ingest/runs", json=body, headers=as_("clerk"))
    denied = ward.client.post("/v1/ingest/runs", json=body, headers=as_("doctor"))

    assert (missing.status_code, denied.status_code) == (404, 403)


def test_the_unmodified_openai_client_brings_follows_and_deletes_a_file(ward: Ward) -> None:
    server = uvicorn.Server(
        uvicorn.Config(ward.app, port=0, loop="asyncio", log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    client = openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1",
        api_key="clerk",
        default_headers={"X-Purpose-Of-Use": "HOPERAT"},
    )
    try:
        made = client.files.create(
            file=(NAME, TEXT),
            purpose="user_data",
            extra_body={"collection": "clinical", "label": ["subject=mrn:1"]},
        )
        ward.work()
        seen = client.files.retrieve(made.id)
        listed = [one.id for one in client.files.list()]
    finally:
        client.close()
        server.should_exit = True
        thread.join()

    assert (made.filename, made.bytes, seen.status) == (NAME, len(TEXT), "processed")
    assert listed == [made.id]
    assert json.loads(seen.model_dump_json())["documents"] == ["doc-1"]
