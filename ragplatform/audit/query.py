"""Reading the log: by scanning its files, also while another process writes them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ragplatform.audit.events import Action
from ragplatform.audit.layout import (
    CHECKPOINT,
    COMMIT_START,
    KEY,
    lines_from_end,
    note_of,
    segment_name,
    segments,
    tenant_of,
)
from ragplatform.audit.record import MAX_RECORD_BYTES, Record, canonical, decode
from ragplatform.errors import NotFoundError, TamperedError

# The first record of a group carries a digest beyond its own length.
LONGEST_LINE: Final = MAX_RECORD_BYTES + 128
_RECENT: Final = 64


@dataclass(frozen=True, slots=True)
class Line:
    """One durable record as it stands in the log: its segment's first index, and its first byte."""

    segment: int
    place: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Group:
    """Records that became durable together; the next group of the segment begins at ``end``."""

    lines: tuple[Line, ...]
    segment: int
    end: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    since: int
    actor: str | None
    request_id: str | None
    action: Action | None
    tenant: str | None

    def needles(self) -> list[bytes]:
        """Return what must stand in the line of a record that is kept.

        Most lines are ruled out by this alone, at a tenth of the cost of parsing them.
        """
        fields = {
            "actor": self.actor,
            "request": self.request_id,
            "action": self.action,
            "tenant": self.tenant,
        }
        return [
            canonical({name: str(value)})[1:-1]
            for name, value in fields.items()
            if value is not None
        ]

    def keeps(self, record: Record) -> bool:
        return (
            record.index >= self.since
            and (self.actor is None or record.actor == self.actor)
            and (self.request_id is None or record.request_id == self.request_id)
            and (self.action is None or record.action is self.action)
            and (self.tenant is None or record.tenant == self.tenant)
        )


def read(
    directory: Path,
    *,
    since: int = 0,
    actor: str | None = None,
    request_id: str | None = None,
    action: Action | None = None,
    tenant: str | None = None,
    limit: int | None = None,
    newest_first: bool = False,
    archive: Path | None = None,
) -> list[Record]:
    """Return the durable records that fit every condition, oldest first unless asked otherwise.

    ``since`` is the lowest index wanted. With ``newest_first`` and ``limit`` the files are read
    from their end, and no further than needed. Records that were archived are read from the folder
    ``archive`` where it is given, and are left out where not. Nothing is verified here; ``verify``
    does that.

    Raises ``NotFoundError`` when the folder holds no log, ``TamperedError`` for a line that is no
    record.
    """
    origin = origin_of(directory)
    wanted = _Wanted(since, actor, request_id, action, tenant)
    paths = _relevant(directory, archive, since)
    lines = _backward(paths) if newest_first else _forward(paths)
    needles = wanted.needles()
    records = (
        decode(line, origin=origin) for line in lines if all(needle in line for needle in needles)
    )
    return list(itertools.islice(filter(wanted.keeps, records), limit))


def origin_of(directory: Path) -> str:
    """Return the origin of the log in a folder.

    Raises ``NotFoundError`` when there is none, ``TamperedError`` when it does not say.
    """
    try:
        name, mark, _ = (directory / KEY).read_text("utf-8").partition("+")
    except FileNotFoundError as error:
        if directory.is_dir() and segments(directory):
            raise TamperedError(f"the audit log {directory} has lost its {KEY}") from error
        raise NotFoundError(f"{directory} holds no audit log") from error
    except UnicodeDecodeError as error:
        raise TamperedError(f"{directory / KEY} is damaged") from error
    if not mark:
        raise TamperedError(f"{directory / KEY} is damaged")
    return name


def groups(
    directory: Path, *, segment: int = 0, place: int = 0, archive: Path | None = None
) -> Iterator[Group]:
    """Yield the durable groups of a log from a group's first byte on, oldest first.

    Segments before ``segment`` are left out, and those that were archived where no folder
    ``archive`` is given to read them from. What is still being written, or was by a writer that
    was killed, is no group. Nothing is verified here. The folder is not followed while it grows: a
    segment that is begun meanwhile is for the next call.
    """
    for first, path in segments_with(directory, archive):
        if first < segment:
            continue
        lines: list[Line] = []
        with path.open("rb") as file:
            at = file.seek(place if first == segment else 0)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break
                data, start, at = raw[:-1], at, at + len(raw)
                if not data.startswith(COMMIT_START):
                    lines.append(Line(first, start, data))
                else:
                    yield Group(tuple(lines), first, at)
                    lines = []


def line_at(directory: Path, segment: int, place: int) -> bytes | None:
    """Return the line that begins at a byte of a segment; None where the segment is not here.

    Raises ``TamperedError`` where no line ends behind that byte.
    """
    path = directory / segment_name(segment)
    try:
        with path.open("rb") as file:
            file.seek(place)
            line = file.readline(LONGEST_LINE)
    except FileNotFoundError:
        return None
    if not line.endswith(b"\n"):
        raise TamperedError(f"{path}: no record begins at byte {place}")
    return line[:-1]


def newest_checkpoint(directory: Path) -> str:
    """Return the newest signed checkpoint of a log, also while another process writes it.

    It is for keeping outside this host, and is not verified here. A log without records gives the
    one that was set aside when it was begun. Raises ``NotFoundError`` when there is no log.
    """
    origin_of(directory)
    for _, path in reversed(segments(directory)):
        for line in lines_from_end(path):
            if line.startswith(COMMIT_START):
                return note_of(line)
    return (directory / CHECKPOINT).read_text("utf-8")


def find_logs(parent: Path, *, tenant: str | None = None) -> list[Path]:
    """Return the folders directly under ``parent`` that hold a log, by name.

    Given a tenant, only those that can hold its records: its own logs, and the deployment's, in
    which the records of all tenants stood before each had a log.
    """
    if not parent.is_dir():
        return []
    folders = sorted(folder for folder in parent.iterdir() if folder.is_dir())
    # Without its key a log is damaged, and not gone.
    logs = [folder for folder in folders if (folder / KEY).is_file() or segments(folder)]
    # By name and not by key: another tenant's damaged log must not keep this one's from being read.
    return [log for log in logs if tenant is None or tenant_of(log.name) in {"", tenant}]


def line_of(directory: Path, index: int, archive: Path | None = None) -> bytes:
    """Return the line of one durable record, without line feed: what its leaf hash is over.

    Raises ``NotFoundError`` when the log has no such record, or it was archived elsewhere.
    """
    origin = origin_of(directory)
    known = [start for start, _ in segments_with(directory, archive) if start <= index]
    paths = _relevant(directory, archive, index)
    mark = b'"index":%d,' % index
    if known and index >= 0:
        # Most are asked for just after they were written: the end of the file is enough then.
        for line in itertools.islice(_backward(paths[-1:]), _RECENT):
            if mark in line and decode(line, origin=origin).index == index:
                return line
        lines = _forward(paths)
        line = next(itertools.islice(lines, index - known[-1], None), b"")
        if mark in line:
            return line
    raise NotFoundError(
        f"{directory} holds no record {index}; if it was archived, give the folder with --archive"
    )


def lines_from(directory: Path, archive: Path | None = None) -> Iterator[bytes]:
    """Yield the lines of all durable records, oldest first."""
    return _forward(_relevant(directory, archive, 0))


def first_index(directory: Path, archive: Path | None = None) -> int:
    """Return the index of the first record whose line is here; those before were archived."""
    return next((start for start, _ in segments_with(directory, archive)), 0)


def segments_with(directory: Path, archive: Path | None) -> list[tuple[int, Path]]:
    """Return the segments of a log in order, with those that lie in the archive alone."""
    found = dict(segments(directory))
    if archive is not None and (archive / directory.name).is_dir():
        found = dict(segments(archive / directory.name)) | found
    return sorted(found.items())


def _relevant(directory: Path, archive: Path | None, since: int) -> list[Path]:
    """Return the segments that can hold a record of index ``since`` or above, in order."""
    found = segments_with(directory, archive)
    return [
        path
        for position, (_, path) in enumerate(found)
        if position + 1 == len(found) or found[position + 1][0] > since
    ]


def _forward(paths: list[Path]) -> Iterator[bytes]:
    # Lines behind the last commit may be half written or lost by the next crash: not yet records.
    for path in paths:
        group: list[bytes] = []
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                if not line.startswith(COMMIT_START):
                    group.append(line[:-1])
                else:
                    yield from group
                    group = []


def _backward(paths: list[Path]) -> Iterator[bytes]:
    for path in reversed(paths):
        committed = False
        for line in lines_from_end(path):
            if line.startswith(COMMIT_START):
                committed = True
            elif committed:
                yield line
