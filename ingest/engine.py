"""Where the stages run: in this process, in a pool of processes, on the machines of a Ray cluster.

An engine moves documents and computes; it writes nothing and decides nothing. The job, in one
process, gives it documents as it asks for them and writes what comes back.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ingest.refusals import Refusal
from ingest.report import Tally
from ingest.stages import Prepared, Processed
from ingest.work import Work

Stage: TypeAlias = Callable[[Sequence[Work]], Processed]


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents that are worked on together."""

    works: tuple[Work, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """How many bytes of documents it holds."""
        return sum(len(work.data or b"") for work in self.works)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of some documents, in their order."""

    works: tuple[Work, ...] = field(repr=False)
    outcomes: tuple[Prepared | Refusal, ...] = field(repr=False)
    tally: Tally


class Engine(Protocol):
    """Runs the stages. Use one from one thread, for one run."""

    def run(self, batches: Iterable[Batch]) -> Iterator[Done]:
        """Yield what became of every document, each once, in any order.

        A batch is asked for only when there is room for it, so what is held in memory does not
        grow with the run. Raises ``UnavailableError`` when the documents cannot be worked on.
        """

    def close(self) -> None:
        """End every worker and what it was at. Calling it again does nothing."""


class InProcess:
    """Implements ``Engine`` in this process, one batch after the other."""

    def __init__(self, *, make: Callable[[], Stage]) -> None:
        """``make`` is called when the first batch comes: an unchanged corpus needs no models."""
        self._make = make
        self._stage: Stage | None = None

    def run(self, batches: Iterable[Batch]) -> Iterator[Done]:
        """Yield each batch's documents as they are done."""
        for batch in batches:
            if self._stage is None:
                self._stage = self._make()
            processed = self._stage(batch.works)
            yield Done(batch.works, processed.outcomes, processed.tally)

    def close(self) -> None:
        """Do nothing: what the stages use belongs to who made it."""
