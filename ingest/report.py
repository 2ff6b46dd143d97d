"""What a run did, counted, and the exit code that follows."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from ingest.runs import Progress
from ragplatform.model import Json


class FileState(StrEnum):
    """How one file of a run ended."""

    INDEXED = "indexed"
    UNCHANGED = "unchanged"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    FORGOTTEN = "forgotten"
    FAILED = "failed"
    UNPACKED = "unpacked"
    REMOVED = "removed"
    KEPT = "kept"
    # Changed or gone while it was read: the next run meets it as it is then.
    DEFERRED = "deferred"
    # Changed, and kept back: the version that is there is on legal hold.
    ON_HOLD = "on_hold"


@dataclass(frozen=True, slots=True)
class FileResult:
    """The end of one file: its shown name, and the reason where it was not indexed."""

    name: str
    state: FileState
    chunks: int = 0
    reason: str = ""
    document: str = ""
    detail: str = ""


@dataclass(slots=True)
class Tally:
    """What the stages of some documents did, wherever they ran.

    ``seconds`` are wall seconds by stage, added up over all workers; ``cpu`` are those of the
    process that ran the stage, without the parser's. ``walls`` stood around the parsers.
    """

    characters: int = 0
    personal_data: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    cpu: Counter[str] = field(default_factory=Counter)
    walls: set[str] = field(default_factory=set)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside towards the stage."""
        began, used = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - began  # type: ignore[assignment]  # seconds
            self.cpu[name] += time.process_time() - used  # type: ignore[assignment]  # seconds


@dataclass(slots=True, kw_only=True)
class Report(Tally):
    """Counts of one run, filled while it goes on."""

    run: str
    seen: int = 0
    states: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    chunks: int = 0
    warnings: list[str] = field(default_factory=list)
    bytes: int = 0
    total: int = 0
    total_bytes: int = 0
    refused: dict[str, Json] = field(default_factory=dict)
    cancelled: bool = False
    started: float = field(default_factory=time.monotonic)

    def merge(self, tally: Tally) -> None:
        """Add what a worker counted."""
        self.characters += tally.characters
        self.personal_data.update(tally.personal_data)
        self.seconds.update(tally.seconds)
        self.cpu.update(tally.cpu)
        self.walls |= tally.walls

    def add(self, result: FileResult) -> None:
        """Count one file."""
        self.seen += 1
        self.states[result.state] += 1
        if result.state is FileState.QUARANTINED:
            self.quarantined[result.reason] += 1
        if result.state is FileState.FAILED:
            self.failed[result.reason] += 1
        if result.state is FileState.INDEXED:
            self.chunks += result.chunks

    def progress(self) -> Progress:
        """Return what was done so far, as the ledger keeps it."""
        return Progress(
            files=self.seen,
            documents=self.states[FileState.INDEXED],
            chunks=self.chunks,
            characters=self.characters,
            bytes=self.bytes,
            total=self.total,
            total_bytes=self.total_bytes,
            elapsed_s=time.monotonic() - self.started,
            seconds=dict(self.seconds),
            states=dict(self.states),
        )

    @property
    def all_well(self) -> bool:
        """Whether all that was there was dealt with: nothing failed, waits, or was cut short."""
        stopped_short = self.failed or self.refused or self.cancelled
        return not (stopped_short or self.states[FileState.DEFERRED])

    @property
    def exit_code(self) -> int:
        """0 when all went in, 1 when some were put aside, 2 when some failed, 3 when cancelled.

        A source that lost so much that nothing of it was taken out counts as failed.
        """
        if self.failed or self.refused:
            return 2
        if self.cancelled:
            return 3
        waiting = self.states[FileState.DEFERRED] + self.states[FileState.ON_HOLD]
        return 1 if self.quarantined or waiting else 0

    def summary(self) -> dict[str, Json]:
        """Return the counts for people and machines; holds no text of any document."""
        return {
            "run": self.run,
            "files": self.seen,
            "indexed": self.states[FileState.INDEXED],
            "unchanged": self.states[FileState.UNCHANGED],
            "forgotten": self.states[FileState.FORGOTTEN],
            "rejected": self.states[FileState.REJECTED],
            "unpacked": self.states[FileState.UNPACKED],
            "removed": self.states[FileState.REMOVED],
            "kept": self.states[FileState.KEPT],
            "deferred": self.states[FileState.DEFERRED],
            "on_hold": self.states[FileState.ON_HOLD],
            "quarantined": dict(sorted(self.quarantined.items())),
            "failed": dict(sorted(self.failed.items())),
            "chunks": self.chunks,
            "bytes": self.bytes,
            "characters": self.characters,
            "personal_data": dict(self.personal_data.most_common()),
            "warnings": list(self.warnings),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "elapsed_s": round(time.monotonic() - self.started, 3),
            "parser_walls": sorted(self.walls - {""}),
            "cancelled": self.cancelled,
            "not_removed": self.refused,
            "exit_code": self.exit_code,
        }
