"""How documents are spread over workers, and what follows when one is lost.

Each worker has a batch at work and one that waits for it, no more. A worker that ends, killed by
the kernel for its memory or by a crash in a library, has done nothing that anybody can see: its
documents are tried once more, each alone, and the one that takes a worker with it again is put
aside.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ingest.engine import Batch, Done
from ingest.refusals import Refusal
from ingest.report import FileState, Tally
from ingest.stages import Processed
from ingest.work import Work
from ragplatform.errors import UnavailableError

# Bytes of documents given out and not yet answered. One larger file goes out alone.
MOST_BYTES: Final = 64 * 1024 * 1024
# One at work and one that waits: a worker does not stand still while the job writes.
_AHEAD: Final = 2
_MOST_FALSE_STARTS: Final = 3
_LOST: Final = Refusal(
    FileState.FAILED, "worker_lost", "two workers ended while they were at work on it"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The worker is done with the oldest batch that it was given."""

    worker: int
    processed: Processed


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker is gone, and so is all that it was given and has not answered.

    ``ready`` says whether it had come as far as to begin with documents.
    """

    worker: int
    ready: bool


class Workers(Protocol):
    """Processes, numbered from 0, that each run the stages on what they are given, in order."""

    @property
    def count(self) -> int:
        """How many there are at most."""

    def give(self, worker: int, works: Sequence[Work]) -> None:
        """Hand documents to a worker, which is started first if it is not running.

        Raises ``UnavailableError`` when it cannot be started.
        """

    def wait(self) -> Sequence[Answer | Lost]:
        """Return what happened, after waiting for something to happen.

        Raises ``UnavailableError`` or ``ConfigurationError`` when a worker says that it cannot
        work on any document.
        """

    def close(self) -> None:
        """End every worker. Calling it again does nothing."""


@dataclass(frozen=True, slots=True)
class _Task:
    """``suspect`` is a document that was at work when its worker was lost."""

    batch: Batch
    suspect: bool = False


class Spread:
    """Implements ``Engine`` over workers."""

    def __init__(self, *, workers: Workers, most_bytes: int = MOST_BYTES) -> None:
        self._workers = workers
        self._most_bytes = most_bytes
        self._given: list[deque[_Task]] = [deque() for _ in range(workers.count)]
        self._waiting: deque[_Task] = deque()
        self._false_starts = 0

    def run(self, batches: Iterable[Batch]) -> Iterator[Done]:
        """Yield what became of the documents as they are done."""
        source = iter(batches)
        while self._fill(source):
            for event in self._workers.wait():
                given = self._given[event.worker]
                if isinstance(event, Lost):
                    yield from self._lost(given, event)
                    continue
                self._false_starts = 0
                task = given.popleft()
                # Before the job writes this: no worker is to stand still meanwhile.
                self._fill(source)
                yield Done(task.batch.works, event.processed.outcomes, event.processed.tally)

    def close(self) -> None:
        """End every worker and what it was at."""
        self._workers.close()

    def _fill(self, source: Iterator[Batch]) -> bool:
        """Give out as much as there is room for; return whether anything is being worked on."""
        while (worker := self._freest()) is not None and (task := self._next(source)) is not None:
            self._given[worker].append(task)
            self._workers.give(worker, task.batch.works)
        return any(self._given)

    def _freest(self) -> int | None:
        least = min(range(len(self._given)), key=lambda worker: len(self._given[worker]))
        return least if len(self._given[least]) < _AHEAD else None

    def _next(self, source: Iterator[Batch]) -> _Task | None:
        """Return what is to be given out next, or None when there is nothing, or no room for it."""
        if not self._waiting:
            batch = next(source, None)
            if batch is None:
                return None
            self._waiting.append(_Task(batch))
        out = sum(task.batch.size for given in self._given for task in given)
        if out and out + self._waiting[0].batch.size > self._most_bytes:
            return None
        return self._waiting.popleft()

    def _lost(self, given: deque[_Task], event: Lost) -> Iterator[Done]:
        """Take back what a lost worker had; yield the document that must not be tried again."""
        tasks = list(given)
        given.clear()
        if not event.ready:
            self._false_starts += 1
            if self._false_starts > _MOST_FALSE_STARTS:
                raise UnavailableError(
                    "workers end before they have begun: see the lines above, or try with fewer "
                    "workers, each of which needs memory for the models"
                )
        elif tasks:
            at_work = tasks.pop(0)
            if at_work.suspect:
                yield Done(at_work.batch.works, (_LOST,), Tally())
            else:
                # Behind those that wait: a document that ends workers then keeps few others back.
                self._waiting.extend(
                    _Task(Batch((work,)), suspect=True) for work in at_work.batch.works
                )
        self._waiting.extendleft(reversed(tasks))
