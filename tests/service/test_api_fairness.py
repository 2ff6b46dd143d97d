"""A batch job beside a ward: nobody waits for all of it; who is turned away is told until when."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from ragplatform.api.app import create_app
from ragplatform.audit.events import Action
from ragplatform.audit.verify import verify
from ragplatform.errors import AuditError
from tests.fakes import Bench
from tests.fakes_generator import ScriptedGenerator

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
SEARCH = {"question": "Why was apixaban stopped for Maria Lopez?", "purpose": "TREAT"}
ASK = {**SEARCH, "mode": "abstractive"}


class GatedGenerator(ScriptedGenerator):
    """Says one sentence each time that ``gate`` lets it."""

    def __init__(self) -> None:
        super().__init__(["Apixaban was stopped because of a gastric bleed [1]."])
        self.gate = asyncio.Semaphore(0)

    async def _pieces(self, pieces: list[str], pattern: str | None) -> AsyncIterator[str]:
        await self.gate.acquire()
        async for piece in super()._pieces(pieces, pattern):
            yield piece


@dataclass
class Call:
    """One request put to the application without a network, and what came back so far."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    stalls: bool = False

    async def make(self, app, person: str, path: str, sent: object, method: str = "POST") -> None:
        path, _, query = path.partition("?")
        requests = [{"type": "http.request", "body": json.dumps(sent).encode(), "more_body": False}]

        async def receive() -> dict[str, object]:
            if requests:
                return requests.pop()
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                self.body += message.get("body", b"")
                # The server has filled all buffers on the way to a caller who reads nothing.
                await asyncio.sleep(3600 if self.stalls else 0)

        await app(
            {
                "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1", "method": method, "scheme": "http", "path": path,
                "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
                "headers": [
                    (b"authorization", f"Bearer {person}".encode()),
                    (b"content-type", b"application/json"),
                ],
                "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            },
            receive,
            send,
        )  # fmt: skip


class Service:
    """The application of a platform on fakes, inside one event loop."""

    def __init__(self, one: Bench) -> None:
        self.one = one
        self.app = create_app(one.platform)
        self.turns = self.app.state.turns
        self.tasks: list[asyncio.Task[None]] = []

    def start(
        self, person: str, path: str = "/v1/ask", sent=ASK, *, stalls: bool = False, **more: object
    ) -> Call:
        call = Call(stalls=stalls)
        self.tasks.append(asyncio.create_task(call.make(self.app, person, path, sent | more)))
        return call

    async def get(self, person: str, path: str) -> Call:
        call = Call()
        await call.make(self.app, person, path, None, "GET")
        return call

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not reached():
                await asyncio.sleep(0.005)


def run(one: Bench, scenario: Callable[[Service], Awaitable[None]]) -> None:
    async def whole() -> None:
        service = Service(one)
        try:
            await scenario(service)
        finally:
            for task in service.tasks:
                task.cancel()
            await asyncio.gather(*service.tasks, return_exceptions=True)

    asyncio.run(whole())


@pytest.fixture
def ward(bench):
    def make(**settings):
        shares = {
            "requests_at_once": 4,
            "requests_per_tenant": 4,
            "requests_per_person": 3,
            "requests_waiting": 100,
        }
        one = bench(generator=GatedGenerator(), **(shares | settings))
        one.put(STOPPED, subjects=["mrn:1"])
        one.people["batch"] = replace(one.people["doctor"], id="batch")
        return one

    return make


def test_a_question_beside_64_of_a_job_works_at_once(ward):
    async def scenario(service: Service) -> None:
        for _ in range(64):
            service.start("batch")
        await service.until(lambda: service.turns.waiting == 61)
        await service.until(lambda: len(service.one.generator.asked) == 3)

        call = service.start("doctor", stream=True)

        await service.until(lambda: b"event: sources" in call.body)
        assert service.turns.at_work == 4

    run(ward(), scenario)


def test_a_question_beside_a_job_that_may_have_all_waits_for_one_turn_of_it(ward):
    async def scenario(service: Service) -> None:
        for _ in range(64):
            service.start("batch")
        await service.until(lambda: len(service.one.generator.asked) == 4)
        call = service.start("doctor", stream=True)
        await service.until(lambda: service.turns.waiting == 61)

        for done in (1, 2):
            service.one.generator.gate.release()
            await service.until(lambda done=done: len(service.one.generator.asked) == 4 + done)

        assert b"event: sources" in call.body

    run(ward(requests_per_person=4), scenario)


def test_two_tenants_are_served_by_turns(ward):
    async def scenario(service: Service) -> None:
        for _ in range(20):
            service.start("batch")
        await service.until(lambda: len(service.one.generator.asked) == 1)
        for _ in range(5):
            service.start("banker", "/v1/search", SEARCH, purpose="SERVICE")
        await service.until(lambda: service.turns.waiting == 24)

        for done in range(1, 7):
            service.one.generator.gate.release()
            await service.until(lambda done=done: len(service.one.generator.asked) > done)

        begun = [
            record.tenant
            for record in service.one.records()
            if record.action in {Action.ASKED, Action.SEARCHED}
        ]
        assert begun == ["mercy"] * 2 + ["harbor", "mercy"] * 5

    run(ward(requests_at_once=1), scenario)


def test_a_client_that_goes_away_gives_its_place_to_the_next(ward):
    async def scenario(service: Service) -> None:
        first = service.start("doctor", stream=True)
        await service.until(lambda: b"event: sources" in first.body)
        service.start("batch", stream=True)
        await service.until(lambda: service.turns.waiting == 1)

        first.gone.set()

        await service.until(lambda: len(service.one.generator.asked) == 2)
        assert service.turns.waiting == 0
        assert [str(record.action) for record in service.one.records() if record.actor == "dr"][
            -1
        ] == "abandoned"

    run(ward(requests_at_once=1), scenario)


def test_a_client_that_reads_nothing_gives_its_place_to_the_next(ward):
    async def scenario(service: Service) -> None:
        service.start("doctor", stream=True, stalls=True)
        await service.until(lambda: service.turns.at_work == 1)
        following = service.start("batch", stream=True)

        await service.until(lambda: len(service.one.generator.asked) == 1)
        service.one.generator.gate.release()
        await service.until(lambda: b"event: final" in following.body)

        # Nothing went wrong in the service: no error, and no record of one.
        assert service.tasks[0].result() is None
        assert [str(record.action) for record in service.one.records() if record.actor == "dr"][
            -1
        ] == "abandoned"
        assert not service.one.records(action=Action.FAILED)

    run(ward(requests_at_once=1, client_stall_s=0.2), scenario)


def test_64_streams_at_once_all_end_well(ward):
    async def scenario(service: Service) -> None:
        calls = [service.start("batch", stream=True) for _ in range(64)]
        await service.until(lambda: len(service.one.generator.asked) == 64)
        for _ in calls:
            service.one.generator.gate.release()

        await service.until(lambda: all(task.done() for task in service.tasks))
        assert [call.status for call in calls] == [200] * 64
        assert all(b"event: final" in call.body for call in calls)

    shares = ("requests_at_once", "requests_per_tenant", "requests_per_person")
    run(ward(**dict.fromkeys(shares, 64)), scenario)


def test_who_found_no_turn_in_time_is_told_when_to_come_back(ward):
    async def scenario(service: Service) -> None:
        service.start("batch")
        await service.until(lambda: len(service.one.generator.asked) == 1)

        refused = service.start("doctor")

        await service.until(lambda: refused.status != 0 and service.tasks[-1].done())
        problem = json.loads(refused.body)
        assert (refused.status, problem["code"]) == (429, "busy")
        assert refused.headers["content-type"] == "application/problem+json"
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        [record] = service.one.records(action=Action.TURNED_AWAY)
        assert (record.actor, record.tenant) == ("dr", "mercy")
        assert record.details["requests"] == 1

    run(ward(requests_at_once=1, request_wait_s=0.05), scenario)


def test_a_flood_of_refusals_does_not_fill_the_log(ward):
    async def scenario(service: Service) -> None:
        calls = [service.start("batch") for _ in range(40)]

        await service.until(lambda: sum(call.status == 429 for call in calls) == 39)

        records = service.one.records(action=Action.TURNED_AWAY)
        assert len(records) <= 3

    one = ward(requests_at_once=1, requests_waiting=0)
    run(one, scenario)
    assert verify(one.settings.audit_dir / "api", public_key=None).ok


def test_a_refusal_that_cannot_be_recorded_is_said_to_be_no_more_than_that(ward, monkeypatch):
    async def scenario(service: Service) -> None:
        service.start("batch")
        await service.until(lambda: len(service.one.generator.asked) == 1)

        def failing(event):
            raise AuditError("the disk is full")

        monkeypatch.setattr(service.one.audit, "append", failing)
        refused = service.start("doctor")

        await service.until(lambda: refused.status != 0)
        assert refused.status == 503
        monkeypatch.undo()

    run(ward(requests_at_once=1, requests_waiting=0), scenario)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v1/search", {"question": "x", "purpose": "TREAT"}),
        ("/v1/ask", {"question": "x", "purpose": "TREAT"}),
        ("/v1/pii:analyze", {"text": "x", "purpose": "TREAT"}),
        ("/v1/pii:redact", {"text": "x", "purpose": "TREAT"}),
        ("/v1/sources/x?purpose=TREAT", None),
    ],
)
def test_every_way_to_work_takes_a_turn_and_accounts_and_health_take_none(ward, path, sent):
    async def scenario(service: Service) -> None:
        service.start("batch")
        await service.until(lambda: service.turns.at_work == 1)

        call = Call()
        await call.make(service.app, "doctor", path, sent, "POST" if sent else "GET")

        assert call.status == 429
        for free in ("/v1/whoami", "/livez", "/readyz"):
            assert (await service.get("doctor", free)).status == 200

    run(ward(requests_at_once=1, requests_waiting=0), scenario)


@pytest.mark.parametrize(
    ("person", "more"),
    [("doctor", {"purpose": "HOPERAT"}), ("nobody", {}), ("doctor", {"question": ""})],
)
def test_a_request_that_is_refused_leaves_its_place(ward, person, more):
    async def scenario(service: Service) -> None:
        call = service.start(person, **more)

        await service.until(service.tasks[-1].done)

        assert call.status in {401, 403, 422}
        assert (service.turns.at_work, service.turns.waiting) == (0, 0)

    run(ward(), scenario)
