"""The quarantine over REST: callers look and decide, and a worker takes in what they let in."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ingest import serving
from ingest.aside_wiring import aside
from ingest.intake import Uploads
from ingest.ledger import Ledger
from ingest.queue import RunQueue
from ingest.wiring import Workshop
from ingest.worker import Worker
from ingest.worker_wiring import sandbox
from ingest.working import RunsInWorkshop
from ragplatform import openers
from ragplatform.api.app import create_app
from ragplatform.audit.events import Action
from ragplatform.errors import AuditError
from tests.fakes import Bench
from tests.quarantine_world import LEAK, SECRET, WHY, SecretsToo

QUERY = "?purpose=COMPLIANCE"


class Ward:
    """A service and a worker, real but for models and index, and one file that was put aside."""

    def __init__(self, bench: Bench, shop: Workshop, runs: RunsInWorkshop, queue: RunQueue) -> None:
        self.bench, self.shop = bench, shop
        app = create_app(bench.platform, [serving.extension(bench.platform)])
        self.client = TestClient(app, raise_server_exceptions=False)
        files = openers.open_sealed_files(bench.settings, shop.store.vault)
        uploads = Uploads(files=files, privacy=bench.privacy)
        self.worker = Worker(queue=queue, uploads=uploads, runs=runs, ending=threading.Event())
        self.file = self.client.post(
            "/v1/files",
            data={"collection": "clinical", "label": "subject=mrn:1"},
            files={"file": ("note.txt", LEAK.encode())},
            headers={"Authorization": "Bearer clerk", "X-Purpose-Of-Use": "HOPERAT"},
        ).json()
        self.worker.work()
        [item] = self.get().json()["items"]
        self.item = item["document"]

    def get(self, path: str = "", person: str = "compliance") -> Any:
        headers = {"Authorization": f"Bearer {person}"}
        return self.client.get(f"/v1/quarantine{path}{QUERY}", headers=headers)

    def decide(self, act: str, person: str, **more: object) -> Any:
        body = {"purpose": "COMPLIANCE", "reason": WHY, **more}
        sent = {name: value for name, value in body.items() if value is not None}
        headers = {"Authorization": f"Bearer {person}"}
        return self.client.post(f"/v1/quarantine/{self.item}:{act}", json=sent, headers=headers)

    def inside(self) -> list[str]:
        return [one.document for one in self.shop.store.catalog.documents("mercy")]


@pytest.fixture
def ward(bench: Callable[..., Bench]) -> Iterator[Ward]:
    made = bench(detector=SecretsToo(), embedding_model="hash")
    settings, store = made.settings, made.platform.store
    queue = RunQueue(settings.catalog_url)
    with (
        sandbox(settings) as parser,
        aside(settings, store.vault) as kept,
    ):
        shop = Workshop(store, parser, Ledger(settings.catalog_url))
        files = openers.open_sealed_files(settings, store.vault)
        runs = RunsInWorkshop(
            settings=settings,
            shop=shop,
            uploads=Uploads(files=files, privacy=made.privacy),
            put_aside=kept,
        )
        one = Ward(made, shop, runs, queue)
        yield one
        one.client.close()
        shop.ledger.close()
    queue.close()


def test_two_people_let_a_document_in_and_a_worker_takes_it(ward: Ward) -> None:
    asked = ward.decide("release", "labeller")
    own = ward.decide("approve", "labeller")
    agreed = ward.decide("approve", "second-reviewer")

    assert (asked.json()["state"], own.status_code, agreed.status_code) == ("asked", 403, 202)
    assert agreed.json()["run"]["document"] == ward.item
    assert ward.inside() == []
    assert ward.worker.work()
    assert ward.inside() == [ward.item]
    assert ward.get().json()["items"] == []


def test_the_run_that_takes_it_in_is_followed_by_who_agreed(ward: Ward) -> None:
    ward.decide("release", "labeller")
    run = ward.decide("approve", "second-reviewer").json()["run"]["id"]
    ward.worker.work()

    path, headers = f"/v1/ingest/runs/{run}{QUERY}", {"Authorization": "Bearer second-reviewer"}
    said = ward.client.get(path, headers=headers).json()

    assert (said["state"], said["kind"]) == ("succeeded", "quarantine")
    assert said["progress"]["standing"] == "done"
    assert said["progress"]["progress"]["documents"] == 1


def test_what_is_shown_has_everything_found_masked(ward: Ward) -> None:
    shown = ward.get(f"/{ward.item}").json()

    assert "[SECRET]" in shown["text"]
    assert not [word for word in (SECRET, "Lopez", "4471230") if word in str(shown)]
    assert shown["held_by"] == ["contains_secret"]


def test_a_collection_that_cannot_be_one_is_a_mistake_of_the_caller(ward: Ward) -> None:
    path = f"/v1/quarantine{QUERY}&collection=%C3%81r"
    answer = ward.client.get(path, headers={"Authorization": "Bearer compliance"})

    assert answer.status_code == 422


@pytest.mark.parametrize("person", ["clerk", "doctor", "eraser", "operator"])
def test_who_fills_runs_or_reads_decides_nothing(ward: Ward, person: str) -> None:
    acts = [ward.decide(act, person) for act in ("release", "approve", "reject")]

    assert {one.status_code for one in acts} == {403}
    assert (ward.get(person=person).status_code, ward.get(f"/{ward.item}", person).status_code) == (
        403,
        403,
    )
    assert ward.get().json()["items"][0]["state"] == "waiting"


def test_another_tenant_has_none_of_it(ward: Ward) -> None:
    assert ward.get(f"/{'0' * 32}").status_code == 404
    assert ward.get(f"/{ward.item}", "banker").status_code == 403


def test_a_rejected_document_has_no_bytes_any_more(ward: Ward) -> None:
    gone = ward.decide("reject", "compliance")

    assert gone.status_code == 204
    [item] = ward.get().json()["items"]
    assert (item["state"], item["kept"]) == ("rejected", False)


def test_other_labels_and_a_retry_wait_for_a_worker_each(ward: Ward) -> None:
    labelled = ward.decide("relabel", "labeller", sensitivity="restricted")
    tried = ward.decide("retry", "compliance", reason=None)

    assert (labelled.status_code, tried.status_code) == (202, 202)
    assert ward.worker.work()
    assert ward.worker.work()
    # It holds a secret still, whatever its labels.
    [item] = ward.get().json()["items"]
    assert item["reason"] == "contains_secret"


@pytest.mark.parametrize(
    ("act", "person"), [("release", "labeller"), ("reject", "compliance"), ("retry", "compliance")]
)
def test_a_decision_without_its_record_is_none(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, act: str, person: str
) -> None:
    real = ward.bench.audit.append

    def full(event: Any) -> Any:
        if event.action is Action.QUARANTINE_DECIDED:
            raise AuditError("disk full")
        return real(event)

    monkeypatch.setattr(ward.bench.audit, "append", full)

    why = None if act == "retry" else WHY
    assert ward.decide(act, person, reason=why).status_code == 503
    assert ward.get().json()["items"][0]["state"] == "waiting"
    assert not ward.worker.work()
