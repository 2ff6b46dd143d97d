"""Erasure and other labels over REST: as who asks, on record, with what proves it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ingest import serving
from ingest.aside_wiring import aside
from ingest.certificate import check_certificate
from ingest.holds import Held, Hold, Holds
from ingest.intake import Uploads
from ingest.ledger import Ledger
from ingest.queue import RunQueue
from ingest.wiring import Workshop
from ingest.worker import Worker
from ingest.worker_wiring import sandbox
from ingest.working import RunsInWorkshop
from ragplatform import openers
from ragplatform.api.app import create_app
from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import AuditError
from ragplatform.model import Sensitivity
from tests.fakes import Bench
from tests.state import entry_of

TEXT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."


class Ward:
    """A service with ingest's routes, and two documents about one person each."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        app = create_app(bench.platform, [serving.extension(bench.platform)])
        self.client = TestClient(app, raise_server_exceptions=False)
        self.catalog = bench.platform.store.catalog
        for subject in ("mrn:1", "mrn:2"):
            bench.put(TEXT, subjects=[subject])
        for entry in bench.index._entries.values():  # type: ignore[attr-defined]
            self.catalog.put_document(entry_of(entry.passage))

    def post(self, person: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {person}"}
        return self.client.post(path, json=body, headers=headers)

    def erase(self, person: str = "eraser", purpose: str = "PATRQT", **body: Any) -> Any:
        return self.post(person, "/v1/erasures", purpose=purpose, **body)

    def get(self, person: str, path: str) -> Any:
        return self.client.get(path, headers={"Authorization": f"Bearer {person}"})

    def documents(self) -> list[str]:
        return sorted(one.document for one in self.catalog.documents("mercy"))


@pytest.fixture
def ward(bench: Callable[..., Bench]) -> Iterator[Ward]:
    one = Ward(bench())
    yield one
    one.client.close()


def test_a_person_is_erased_with_a_certificate_that_holds(ward: Ward) -> None:
    said = ward.erase(subjects=["mrn:1"]).json()

    assert (said["documents"], ward.documents()) == (["doc-0"], ["doc-1"])
    assert said["removed"]["index"] == 1
    assert check_certificate(json.dumps(said["certificate"])).said["erased_by"] == "erase"
    named = {f"{one.origin}/{one.index}" for one in ward.bench.records(action=Action.ERASED)}
    assert set(said["records"]) <= named
    assert "mrn:1" not in json.dumps(said)


def test_the_kept_certificate_is_given_to_who_may_erase_alone(ward: Ward) -> None:
    said = ward.erase(document="doc-0").json()
    path = f"/v1/erasures/{said['id']}/certificate?purpose=PATRQT"

    kept = ward.get("eraser", path)

    assert (kept.status_code, kept.json()) == (200, said["certificate"])
    assert [ward.get(one, path).status_code for one in ("clerk", "banker")] == [403, 403]
    none = path.replace(said["id"], "0" * 32)
    assert ward.get("eraser", none).status_code == 404
    outcomes = [one.outcome for one in ward.bench.records(action=Action.CERTIFICATE_READ)]
    assert outcomes == [Outcome.SUCCESS, Outcome.DENIED, Outcome.DENIED]


def test_a_dry_run_erases_nothing_and_certifies_nothing(ward: Ward) -> None:
    said = ward.erase(document="doc-0", dry_run=True).json()

    assert (said["documents"], said["chunks"], said["id"]) == (["doc-0"], 1, None)
    assert said["certificate"] is None
    assert ward.documents() == ["doc-0", "doc-1"]


@pytest.mark.parametrize("body", [{}, {"document": "doc-0", "subjects": ["mrn:1"]}])
def test_exactly_one_kind_of_thing_is_erased(ward: Ward, body: dict[str, Any]) -> None:
    assert ward.erase(**body).status_code == 422
    assert ward.documents() == ["doc-0", "doc-1"]


@pytest.mark.parametrize(
    "body",
    [{"document": "doc-0"}, {"document": "none"}, {"subjects": ["mrn:1"]}, {"subjects": ["id:9"]}],
    ids=str,
)
def test_who_may_not_erase_is_told_nothing_of_what_there_is(
    ward: Ward, body: dict[str, Any]
) -> None:
    refused = ward.erase("doctor", "TREAT", **body)

    assert (refused.status_code, ward.documents()) == (403, ["doc-0", "doc-1"])
    [denied] = ward.bench.records(action=Action.ERASED)
    assert denied.outcome is Outcome.DENIED


def test_what_is_held_stays_and_the_answer_says_why(ward: Ward) -> None:
    settings = ward.bench.settings
    holds = Holds(settings.catalog_url, derive=openers.deriver(settings))
    now = datetime.now(UTC)
    case = holds.case_ref("mercy", "a case")
    holds.place(Hold("mercy", case, Held.DOCUMENT, "doc-0", "legal", now, "a case", "why"))

    refused = ward.erase(subjects=["mrn:1"])

    holds.close()
    assert refused.status_code == 403
    assert "hold" in refused.json()["detail"]
    [denied] = ward.bench.records(action=Action.ERASED)
    assert denied.outcome is Outcome.DENIED
    assert ward.documents() == ["doc-0", "doc-1"]


def work(ward: Ward) -> bool:
    """Let a worker do what waits."""
    settings, store = ward.bench.settings, ward.bench.platform.store
    with (
        closing(RunQueue(settings.catalog_url)) as queue,
        closing(Ledger(settings.catalog_url)) as book,
        sandbox(settings) as parser,
        aside(settings, store.vault) as kept,
    ):
        uploads = Uploads(
            files=openers.open_sealed_files(settings, store.vault), privacy=ward.bench.privacy
        )
        runs = RunsInWorkshop(
            settings=settings, shop=Workshop(store, parser, book), uploads=uploads, put_aside=kept
        )
        ending = threading.Event()
        return Worker(queue=queue, uploads=uploads, runs=runs, ending=ending).work()


def test_several_people_are_an_order_that_a_worker_does(ward: Ward) -> None:
    asked = ward.erase(subjects=["mrn:1", "mrn:2"])

    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    assert ward.documents() == ["doc-0", "doc-1"]
    assert work(ward)
    said = ward.get("eraser", f"{asked.headers['Location']}?purpose=PATRQT").json()
    assert (said["state"], said["certified"], said["waiting"]) == ("succeeded", 2, 0)
    assert ward.documents() == []
    [first, second] = said["named"]
    kept = ward.get("eraser", f"/v1/erasures/{second['certificate']}/certificate?purpose=PATRQT")
    assert check_certificate(kept.text).said["subjects"] == [second["id"]]
    assert first["id"] != second["id"]
    assert "mrn:1" not in json.dumps(said)


def test_an_order_of_which_somebody_has_to_stay_is_incomplete(ward: Ward) -> None:
    holds = Holds(ward.bench.settings.catalog_url, derive=openers.deriver(ward.bench.settings))
    case = holds.case_ref("mercy", "a case")
    now = datetime.now(UTC)
    holds.place(Hold("mercy", case, Held.DOCUMENT, "doc-0", "legal", now, "a case", "why"))
    holds.close()

    asked = ward.erase(subjects=["mrn:1", "mrn:2"]).json()
    work(ward)

    said = ward.get("eraser", f"/v1/erasures/{asked['id']}?purpose=PATRQT").json()
    assert (said["state"], said["kept"], said["certified"]) == ("incomplete", 1, 1)
    assert "hold" in said["named"][0]["why"]
    assert ward.documents() == ["doc-0"]


def test_one_is_an_order_too_where_the_index_is_large(bench: Callable[..., Bench]) -> None:
    ward = Ward(bench(erasure_at_once_passages=1))

    asked = [ward.erase(document="doc-0"), ward.erase(subjects=["mrn:2"])]

    assert [one.status_code for one in asked] == [202, 202]
    assert [work(ward), work(ward), work(ward)] == [True, True, False]
    assert ward.documents() == []
    ward.client.close()


def test_an_order_is_neither_placed_nor_seen_without_its_record_and_the_right(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ward.erase(subjects=["mrn:1", "mrn:2"]).json()
    path = f"/v1/erasures/{asked['id']}?purpose=PATRQT"

    assert ward.erase("doctor", "TREAT", subjects=["mrn:1", "mrn:2"]).status_code == 403
    assert [ward.get(one, path).status_code for one in ("clerk", "banker")] == [403, 403]
    assert ward.get("eraser", path.replace(asked["id"], "0" * 32)).status_code == 404
    for action in (Action.ERASURE_ORDERED, Action.ERASURE_READ):
        refuse(ward, monkeypatch, action)
    assert ward.erase(subjects=["mrn:1", "mrn:2"]).status_code == 503
    assert ward.get("eraser", path).status_code == 503
    assert [work(ward), work(ward)] == [True, False]


def refuse(ward: Ward, monkeypatch: pytest.MonkeyPatch, action: Action) -> None:
    """Let the log refuse the records of one action."""
    real = ward.bench.audit.append

    def full(event: Any) -> Any:
        if event.action is action:
            raise AuditError("disk full")
        return real(event)

    monkeypatch.setattr(ward.bench.audit, "append", full)


def test_nothing_is_erased_without_its_record(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(ward, monkeypatch, Action.ERASED)

    assert ward.erase(subjects=["mrn:1"]).status_code == 503
    assert ward.documents() == ["doc-0", "doc-1"]


def test_an_erasure_that_was_not_certified_is_finished_by_asking_again(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as once:
        refuse(ward, once, Action.ERASURE_CERTIFIED)
        assert ward.erase(subjects=["mrn:1"]).status_code == 503
        assert not list(ward.bench.settings.data_dir.glob("certificates/*"))

    said = ward.erase(subjects=["mrn:1"]).json()

    # Those of both attempts.
    assert check_certificate(json.dumps(said["certificate"])).records == 3


def test_a_certificate_is_not_read_without_its_record(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ward.erase(document="doc-0").json()
    refuse(ward, monkeypatch, Action.CERTIFICATE_READ)

    refused = ward.get("eraser", f"/v1/erasures/{said['id']}/certificate?purpose=PATRQT")

    assert (refused.status_code, "doc-0" in refused.text) == (503, False)


def test_a_document_gets_other_labels_by_who_may_give_them(ward: Ward) -> None:
    path = "/v1/documents/doc-0:relabel"
    body = {"purpose": "COMPLIANCE", "sensitivity": "restricted"}

    done, refused = ward.post("labeller", path, **body), ward.post("clerk", path, **body)

    assert (done.json(), refused.status_code) == ({"passages": 1}, 403)
    entry = ward.catalog.document("doc-0")
    assert entry is not None
    labels = ward.catalog.classes("mercy")[entry.access_class]
    assert labels.sensitivity is Sensitivity.RESTRICTED
    missing = ward.post("labeller", "/v1/documents/none:relabel", **body)
    assert missing.status_code == 404


def test_labels_that_are_none_are_refused(ward: Ward) -> None:
    path = "/v1/documents/doc-0:relabel"

    for body in ({}, {"sensitivity": "secret"}, {"retain_until": "soon"}, {"colour": "red"}):
        assert ward.post("labeller", path, purpose="COMPLIANCE", **body).status_code == 422
