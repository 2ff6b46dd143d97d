"""Moving old segments of a log to another folder, without a gap that nobody vouches for."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ragplatform.audit.layout import (
    COMMIT_START,
    KEY,
    leaves_of,
    lines_from_end,
    note_of,
    segments,
)
from ragplatform.audit.note import Signer
from ragplatform.audit.statement import Statement
from ragplatform.audit.storage import Storage, put
from ragplatform.audit.tiles import HASH_BYTES, WIDTH, stored_tile
from ragplatform.errors import AuditError, TamperedError

# The last segment is being written, and opening reads the last commit line of the one before it.
FEWEST_KEPT: Final = 2


@dataclass(frozen=True, slots=True)
class Moved:
    """A segment that is about to be moved: what the record of it says."""

    first: int
    count: int
    sha256: str


def archive(
    directory: Path,
    to: Path,
    *,
    keep: int,
    signer: Signer,
    storage: Storage,
    record: Callable[[Moved], str],
) -> list[Statement]:
    """Move all segments but the newest ``keep`` to a folder of the log's name in ``to``.

    The log may be written meanwhile. ``record`` makes the act's audit record and returns where it
    is, as ``cli/17``. For each segment, oldest first:

    1. See that it ends where the next begins, and that the tiles hold its leaf hashes.
    2. Copy it durably, and compare what is read back.
    3. Record that it is moved.
    4. Put the signed statement beside the log, and beside the copy.
    5. Take the original away.

    A crash between any two leaves the segment in place, and archiving again finishes.

    Raises ``AuditError`` when fewer than two would stay, or another file has the copy's name,
    ``TamperedError`` when a segment or its tiles are not as written.
    """
    if keep < FEWEST_KEPT:
        raise AuditError(f"at least the newest {FEWEST_KEPT} segments of a log stay with it")
    target = to / directory.name
    for folder in (to, target):
        storage.make_folder(folder)
        storage.sync_folder(folder.parent)
    put(storage, target / KEY, (directory / KEY).read_bytes())
    found = segments(directory)
    done = []
    for (first, path), (following, _) in itertools.pairwise(found[: 1 - keep]):
        content = path.read_bytes()
        _check_end(path, following)  # 1
        _check_tiles(directory, content, first, following)
        _copy(content, target / path.name, storage)  # 2
        moved = Moved(first, following - first, hashlib.sha256(content).hexdigest())
        statement = Statement(first, moved.count, moved.sha256, record(moved))  # 3
        note = statement.signed(signer).encode()
        put(storage, target / statement.name, note)
        put(storage, directory / statement.name, note)  # 4
        storage.remove(path)  # 5
        storage.sync_folder(directory)
        done.append(statement)
    return done


def _check_end(path: Path, following: int) -> None:
    last = next(lines_from_end(path), b"")
    if not last.startswith(COMMIT_START) or note_of(last).split("\n")[1] != str(following):
        raise TamperedError(f"{path} does not end where the next segment begins: run the verifier")


def _check_tiles(directory: Path, content: bytes, first: int, end: int) -> None:
    """Raise unless the tiles hold the leaf hashes that will be known from them alone."""
    commits = (line for line in content.split(b"\n") if line.startswith(COMMIT_START))
    leaves = b"".join(leaf for line in commits for leaf in leaves_of(line))
    at = first
    while at < end:
        number, offset = divmod(at, WIDTH)
        until = min(end, (number + 1) * WIDTH)
        tile = stored_tile(directory, 0, number, until - number * WIDTH)
        listed = leaves[(at - first) * HASH_BYTES : (until - first) * HASH_BYTES]
        if tile is None or tile[offset * HASH_BYTES :] != listed:
            raise TamperedError(
                f"the tiles of {directory} lack hashes of record {at}, or hold others: restart the "
                "process that writes the log, which mends them, and run the verifier"
            )
        at = until


def _copy(content: bytes, target: Path, storage: Storage) -> None:
    if target.exists() and target.read_bytes() != content:
        raise AuditError(f"{target} is there and is another segment: archive to another folder")
    put(storage, target, content)
    if target.read_bytes() != content:
        raise AuditError(f"{target} does not hold what was written: the disk there is not sound")
