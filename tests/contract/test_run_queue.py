"""Runs that were asked for are done once, by one worker, and none is lost, on both engines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest import queue as queues
from ingest.queue import MOST_ATTEMPTS, RunQueue, RunState, What
from ragplatform.model import Principal, Purpose, Sensitivity

CLERK = Principal(
    "clerk",
    "mercy",
    frozenset({"ingest"}),
    frozenset({"ward"}),
    Sensitivity.RESTRICTED,
    purposes=frozenset({Purpose.HOPERAT}),
    via="portal",
    proof="key:ab12",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.db'}"
    database: Callable[[], str] = request.getfixturevalue("postgres")
    return database()


@pytest.fixture
def queue(url: str) -> Iterator[RunQueue]:
    made = RunQueue(url)
    yield made
    made.close()


def ask(queue: RunQueue, run: str, principal: Principal = CLERK) -> None:
    queue.ask(
        principal=principal,
        purpose=Purpose.HOPERAT,
        collection="clinical",
        kind=What.FILE,
        what=run,
        run=run,
        size=3,
    )


def test_the_run_that_waited_longest_is_taken_first_and_by_one_worker_alone(
    url: str, queue: RunQueue
) -> None:
    ask(queue, "r1")
    ask(queue, "r2")
    other = RunQueue(url)

    taken = [one.run for one in (queue.take(), other.take()) if one]

    assert taken == ["r1", "r2"]
    assert queue.take() is None
    other.close()


def test_who_asked_is_kept_with_the_rights_of_that_moment(queue: RunQueue) -> None:
    ask(queue, "r1")

    taken = queue.take()

    assert taken is not None
    assert taken.principal == CLERK
    assert taken.principal.proof == "key:ab12"


def test_a_worker_that_is_gone_leaves_its_run_to_the_next(
    url: str, queue: RunQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(queue, "r1")
    queue.take()
    assert queue.take() is None

    monkeypatch.setattr(queues, "is_alive", lambda holder: False)
    again = queue.take()

    assert again is not None
    assert again.attempts == 2


def test_a_run_that_takes_every_worker_with_it_is_ended(
    queue: RunQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "is_alive", lambda holder: False)
    ask(queue, "r1")
    for _ in range(MOST_ATTEMPTS):
        assert queue.take() is not None

    assert queue.take() is None
    ended = queue.lookup("mercy", "r1")
    assert ended is not None
    assert (ended.state, ended.outcome) == (RunState.FAILED, {"error": "worker_lost"})


def test_a_waiting_run_ends_at_once_when_it_is_cancelled(queue: RunQueue) -> None:
    ask(queue, "r1")

    queue.cancel("r1")

    assert queue.take() is None
    assert [event.kind for event in queue.events("r1")] == ["cancelled"]


def test_a_run_at_work_is_told_to_end_when_its_lease_is_renewed(queue: RunQueue) -> None:
    ask(queue, "r1")
    queue.take()
    assert queue.renew("r1")

    queue.cancel("r1")

    assert not queue.renew("r1")


def test_a_worker_whose_run_was_taken_over_is_told_to_end(
    url: str, queue: RunQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(queue, "r1")
    queue.take()
    monkeypatch.setattr(queues, "this_process", lambda: "another|b|1|2")
    monkeypatch.setattr(queues, "is_alive", lambda holder: False)
    other = RunQueue(url)
    other.take()

    assert not queue.renew("r1")
    other.close()


def test_events_go_on_behind_the_one_that_was_seen(queue: RunQueue) -> None:
    ask(queue, "r1")
    for number in range(3):
        queue.tell("r1", "file", {"chunks": number})
    queue.finish("r1", RunState.SUCCEEDED, {"files": 3})

    later = queue.events("r1", after=2)

    assert [(event.number, event.kind) for event in later] == [(3, "file"), (4, "succeeded")]


def test_beyond_the_most_events_only_the_end_is_kept(
    queue: RunQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "MOST_EVENTS", 2)
    ask(queue, "r1")
    for _ in range(5):
        queue.tell("r1", "file", {})
    queue.finish("r1", RunState.SUCCEEDED, {})

    assert [event.kind for event in queue.events("r1")] == ["file", "file", "succeeded"]


def test_what_is_always_told_is_kept_however_much_it_is(
    queue: RunQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "MOST_EVENTS", 2)
    ask(queue, "r1")
    for number in range(510):
        queue.tell("r1", "file", {"document": f"d{number}"}, always=True)

    found = [event.body["document"] for event in queue.all_events("r1")]

    assert found == [f"d{number}" for number in range(510)]


def test_runs_are_listed_newest_first_in_pages_and_by_who_asked(queue: RunQueue) -> None:
    other = Principal("other", "mercy", frozenset({"ingest"}))
    for run in ("r1", "r2", "r3"):
        ask(queue, run)
    ask(queue, "r4", other)

    mine = queue.runs("mercy", asked_by="clerk", limit=2)
    rest = queue.runs("mercy", asked_by="clerk", before=mine[-1].run, limit=2)

    assert [one.run for one in (*mine, *rest)] == ["r3", "r2", "r1"]
    assert queue.runs("harbor", limit=10) == []
