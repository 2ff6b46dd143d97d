"""Batches are taken in turns, each line by one worker, and end as they should, on both engines."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ragplatform.batches.book import Batch, BatchBook, BatchInput, BatchState, LineState
from ragplatform.model import Principal, Purpose, Sensitivity

NURSE = Principal(
    "nurse",
    "mercy",
    frozenset({"nurse"}),
    frozenset({"ward"}),
    Sensitivity.CONFIDENTIAL,
    frozenset({"s_1"}),
    purposes=frozenset({Purpose.TREAT}),
    via="portal",
    proof="key:ab12",
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.db'}"
    database: Callable[[], str] = request.getfixturevalue("postgres")
    return database()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workers(url: str, clock: Clock) -> Iterator[Callable[[], BatchBook]]:
    made: list[BatchBook] = []

    def worker() -> BatchBook:
        made.append(BatchBook(url, lease_s=10, clock=clock))
        return made[-1]

    yield worker
    for one in made:
        one.close()


def batch(name: str, clock: Clock, principal: Principal = NURSE) -> Batch:
    return Batch(
        batch=name, tenant="mercy", principal=principal, seen=clock.now, purpose=Purpose.TREAT,
        endpoint="/v1/embeddings", input_file=f"f-{name}", state=BatchState.IN_PROGRESS,
        created=clock(), expires=clock.now + 3600, ended=0.0, cancelled=0.0,
    )  # fmt: skip


def test_what_is_submitted_is_there_with_all_that_is_known_of_its_submitter(workers, clock):
    book = workers()
    one = batch("b1", clock)

    book.submit(one, 3)

    found = workers().lookup("mercy", "b1")
    assert found == one
    assert found.principal.proof == NURSE.proof
    assert book.lookup("harbor", "b1") is None
    assert book.counts("b1")[LineState.WAITING] == 3


def test_two_workers_never_have_the_same_line(workers, clock):
    first, second = workers(), workers()
    first.submit(batch("b1", clock), 4)

    taken = [one.take() for one in (first, second, first, second)]

    assert sorted(one.number for one in taken) == [1, 2, 3, 4]
    assert first.take() is None


def test_a_line_is_taken_again_only_when_its_lease_is_over_and_ends_once(workers, clock):
    first, second = workers(), workers()
    first.submit(batch("b1", clock), 1)
    lost = first.take()
    assert second.take() is None
    clock.now += 5
    first.renew([lost])
    clock.now += 8
    assert second.take() is None
    clock.now += 11

    again = second.take()

    assert (again.number, again.attempt) == (1, 2)
    assert second.end_line(again, LineState.DONE, 7)
    assert not first.end_line(lost, LineState.FAILED, 9)
    assert second.ended_lines("b1", LineState.DONE) == [(1, 7)]


def test_a_line_that_was_given_back_counts_no_attempt(workers, clock):
    book = workers()
    book.submit(batch("b1", clock), 1)

    book.give_back(book.take())

    assert book.take().attempt == 1


def test_batches_are_served_in_turns_and_some_can_be_passed_over(workers, clock):
    book = workers()
    book.submit(batch("b1", clock), 3)
    book.submit(batch("b2", clock), 3)

    turns = [book.take().batch.batch for _ in range(4)]

    assert turns == ["b1", "b2", "b1", "b2"]
    assert book.take(["b1"]).batch.batch == "b2"
    assert book.take(["b1", "b2"]) is None


def test_a_batch_ends_when_no_line_is_left_or_none_may_begin(workers, clock):
    book = workers()
    for name in ("done", "cancelled", "expired", "open"):
        book.submit(batch(name, clock), 1)
    book.end_line(book.take(["cancelled", "expired", "open"]), LineState.DONE, 1)
    book.cancel("cancelled")
    book.submit(replace(batch("old", clock), expires=clock.now - 1), 1)

    ending = {one.batch: state for one, state in book.endable()}

    assert ending == {"done": BatchState.COMPLETED, "cancelled": BatchState.CANCELLED,
                      "old": BatchState.EXPIRED}  # fmt: skip
    assert {book.take().batch.batch for _ in range(2)} == {"expired", "open"}


def test_a_batch_with_a_line_at_work_does_not_end(workers, clock):
    book = workers()
    book.submit(batch("b1", clock), 2)
    book.take()
    book.cancel("b1")

    assert book.endable() == []
    clock.now += 11
    assert [state for _, state in book.endable()] == [BatchState.CANCELLED]


def test_an_end_is_noted_once_and_what_ended_long_ago_is_found(workers, clock):
    book = workers()
    book.submit(batch("b1", clock), 1)

    book.end("b1", BatchState.CANCELLED)
    ended = book.lookup("mercy", "b1").ended
    book.end("b1", BatchState.COMPLETED)

    assert book.lookup("mercy", "b1").state is BatchState.CANCELLED
    assert book.ended_before(ended) == []
    assert [one.batch for one in book.ended_before(ended + 1)] == ["b1"]
    book.remove("b1")
    assert book.lookup("mercy", "b1") is None
    assert book.counts("b1") == {}


def test_lists_are_of_one_person_and_purpose_newest_first(workers, clock):
    book, other = workers(), replace(NURSE, id="other")
    for name, who in (("b1", NURSE), ("b2", other), ("b3", NURSE)):
        book.submit(batch(name, clock, who), 1)

    def names(**given):
        asked = {"after": None, "limit": 9} | given
        return [one.batch for one in book.batches("mercy", "nurse", Purpose.TREAT, **asked)]

    assert names() == ["b3", "b1"]
    assert names(after="b3") == ["b1"]
    assert names(limit=1) == ["b3"]
    assert book.batches("mercy", "nurse", Purpose.AML, after=None, limit=9) == []
    assert book.open_batches("mercy", "nurse") == 2


def test_files_are_noted_until_they_are_dropped_and_known_to_be_at_work(workers, clock):
    book = workers()
    one = BatchInput("f-b1", "mercy", "nurse", Purpose.TREAT, 12, clock.now)
    book.bring(one)
    assert book.inputs("mercy", "nurse", Purpose.TREAT) == [one]
    assert not book.works_on("mercy", "f-b1")

    book.submit(batch("b1", clock), 1)

    assert book.works_on("mercy", "f-b1")
    assert book.old_inputs(clock.now + 1) == [one]
    book.drop_input("f-b1")
    assert book.inputs("mercy", "nurse", Purpose.TREAT) == []


def test_a_credential_shown_anew_is_noted_for_what_is_open(workers, clock):
    book = workers()
    book.submit(batch("b1", clock), 1)
    now = replace(NURSE, roles=frozenset({"other"}))

    book.seen(now)

    found = book.lookup("mercy", "b1")
    assert (found.principal, found.seen) == (now, clock.now)
