"""Sends every record on to a collector, in order, and remembers how far it got.

Each target has a cursor of its own: for each log the index of the next record to send. It moves,
durably, after the target has taken the records, so that after a crash nothing is missing; what is
sent twice then stands at the border, and its origin and index say that it is the same record.
Nothing here is in the way of the writer: the log's files are read like anybody else reads them.
"""

import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import structlog

from ragplatform.audit.export import formats
from ragplatform.audit.layout import COMMIT_START, segments
from ragplatform.audit.query import find_logs, newest_checkpoint, origin_of
from ragplatform.audit.record import Record, decode
from ragplatform.audit.recovery import make_folders
from ragplatform.audit.storage import Storage, WriterLock, put
from ragplatform.audit.witness import durable_note
from ragplatform.audit.witness_notes import parse_note
from ragplatform.errors import AuditLockedError, ForwardError, PlatformError, TamperedError

_log = structlog.get_logger("ragplatform.forward")

# Records between two steps of the cursor: a sync each, and at most so many sent twice.
BATCH: Final = 256

_POLL_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_LAST_ROUND_S: Final = 5.0

Format = Callable[[Record], str]
"""Returns one line of text, without line feed, for a record."""


class Target(Protocol):
    """Takes records for a collector."""

    @property
    def name(self) -> str:
        """The name by which status and settings speak of it."""

    def take(self, batch: Sequence[Record]) -> None:
        """Return once the target has all records of the batch.

        Raises ``ForwardError`` when it may not have some; the whole batch is then given again.
        """

    def close(self) -> None:
        """Release what it holds open."""


def as_line(format_: formats.Format) -> Format:
    """Return how a record is written as one line in one of the formats of exports."""
    text = formats.WRITERS[format_].text
    return lambda record: text(record).rstrip("\n")


as_json: Final = as_line(formats.Format.NDJSON)
"""Writes a record as a line of JSON: all that it holds, of sealed parts the names alone."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a target is: by origin, the index of the record that it gets next."""

    next: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Cursor":
        """Return the cursor in a file; the beginning of every log where there is none.

        Raises ``TamperedError`` for a damaged one: to begin anew would send everything twice, and
        to guess might leave something out.
        """
        try:
            kept = json.loads(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except ValueError as error:
            raise TamperedError(f"{path} is damaged; remove it to send everything anew") from error
        sound = isinstance(kept, dict) and all(
            isinstance(index, int) and index >= 0 for index in kept.values()
        )
        if not sound:
            raise TamperedError(f"{path} is damaged; remove it to send everything anew")
        return cls(kept)

    def after(self, record: Record) -> "Cursor":
        """Return the cursor once the record, and all before it in its log, were taken."""
        return Cursor({**self.next, record.origin: record.index + 1})

    def write(self, path: Path, storage: Storage) -> None:
        """Keep the cursor, durably."""
        put(storage, path, json.dumps(self.next, sort_keys=True).encode())


@dataclass(frozen=True, slots=True)
class ForwardLag:
    """How far a target is behind one log, in records."""

    log: str
    target: str
    next: int
    records: int

    @property
    def behind(self) -> int:
        """How many records it has not been given."""
        return max(0, self.records - self.next)


class Forwarder:
    """Sends the records of all logs in a folder to one target."""

    def __init__(
        self,
        folder: Path,
        *,
        target: Target,
        cursor: Path,
        storage: Storage,
        batch: int = BATCH,
    ) -> None:
        self.target: Final = target
        self._folder = folder
        self._cursor = cursor
        self._storage = storage
        self._batch = batch
        self._readers: dict[str, _Reader] = {}
        self._stop = threading.Event()
        self._end = math.inf
        self._thread: threading.Thread | None = None

    def run_once(self) -> int:
        """Send what is there and was not sent, and return how many records that were.

        Raises ``ForwardError`` when the target does not take it, ``AuditLockedError`` when another
        process forwards to it, ``TamperedError`` when cursor or log are damaged.
        """
        make_folders(self._cursor.parent, self._storage)
        lock = WriterLock(self._cursor.with_suffix(".lock"))
        try:
            cursor = Cursor.read(self._cursor)
            sent = 0
            for log in find_logs(self._folder):
                origin = origin_of(log)
                reader = self._readers.setdefault(origin, _Reader())
                for batch in reader.batches(log, cursor.next.get(origin, 0), self._batch):
                    self.target.take(batch)
                    cursor = cursor.after(batch[-1])
                    cursor.write(self._cursor, self._storage)
                    sent += len(batch)
                    if time.monotonic() > self._end:
                        return sent
            return sent
        finally:
            lock.release()

    def run(self) -> None:
        """Go on sending until ``close``, with a longer pause after each failure."""
        pause = _POLL_S
        while not self._stop.is_set():
            pause = _POLL_S if self._sent() else min(pause * 2, _LONGEST_PAUSE_S)
            self._stop.wait(pause)
        # What was recorded since the last round, as a rule that the service stopped.
        if pause == _POLL_S:
            self._sent()

    def _sent(self) -> bool:
        """Send what is there; return whether it went."""
        try:
            self.run_once()
        except AuditLockedError:
            # Another process does it; it may end.
            return True
        except (PlatformError, OSError) as error:
            _log.warning(
                "forward_failed",
                target=self.target.name,
                error=type(error).__name__,
                reason=str(error),
            )
            return False
        return True

    def start(self) -> None:
        """Go on sending in a thread, until ``close``."""
        self._thread = threading.Thread(target=self.run, name="audit forward", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Make ``run`` return soon: after what is left, if that takes no more than seconds."""
        self._end = time.monotonic() + _LAST_ROUND_S
        self._stop.set()

    def close(self) -> None:
        """Stop sending and release the target."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self.target.close()

    def status(self) -> list[ForwardLag]:
        """Return how far the target is with each log. Raises ``TamperedError``."""
        cursor = Cursor.read(self._cursor)
        return [
            ForwardLag(
                log.name,
                self.target.name,
                cursor.next.get(origin_of(log), 0),
                parse_note(newest_checkpoint(log)).size,
            )
            for log in find_logs(self._folder)
        ]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the next record begins: in the segment whose first record is ``segment``."""

    segment: int
    offset: int
    index: int


class _Reader:
    """Reads one log onwards, and remembers the place, so that no byte is read again and again."""

    def __init__(self) -> None:
        self._place: _Place | None = None

    def batches(self, log: Path, since: int, most: int) -> Iterator[Sequence[Record]]:
        """Yield the records from ``since`` on that nothing can undo, in order, none left out.

        Raises ``TamperedError`` when the log is shorter than what was sent, ``ForwardError`` when
        records are not there to be sent.
        """
        size = parse_note(newest_checkpoint(log)).size
        if since < size:
            # Only what is durable: a record that a power cut undoes would share its index with
            # the one that takes its place.
            size = durable_note(log).size
        if since > size:
            raise TamperedError(
                f"the log {log.name} has {size} records, but {since} were sent on: its end was cut "
                "off; keep it as evidence"
            )
        found = self._records(log, since, size)
        while batch := list(itertools.islice(found, most)):
            yield batch

    def _records(self, log: Path, since: int, size: int) -> Iterator[Record]:
        if since == size:
            return
        origin = origin_of(log)
        place = self._start(log, since)
        for first, path in segments(log):
            if first < place.segment:
                continue
            if first > place.segment:
                place = _Place(first, 0, place.index)
                if first != place.index:
                    break
            with path.open("rb") as file:
                file.seek(place.offset)
                while place.index < size and (line := file.readline()):
                    after = place.offset + len(line)
                    if line.startswith(COMMIT_START):
                        place = _Place(first, after, place.index)
                        continue
                    if place.index >= since:
                        yield decode(line.rstrip(b"\n"), origin=origin)
                    place = _Place(first, after, place.index + 1)
                    self._place = place
        if place.index < size:
            raise ForwardError(
                f"record {place.index} of the log {log.name} is not there: verify it"
            )

    def _start(self, log: Path, since: int) -> _Place:
        if self._place is not None and self._place.index == since:
            return self._place
        firsts = [first for first, _ in segments(log) if first <= since]
        if not firsts:
            raise ForwardError(
                f"record {since} of the log {log.name} is archived, and was not sent on yet: put "
                "its segment back until it is"
            )
        return _Place(firsts[-1], 0, firsts[-1])
