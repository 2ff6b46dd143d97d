"""What a writer does with the log it finds: trust nothing, mend only what no one was promised."""

import hashlib
import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragplatform.audit.layout import (
    CHECKPOINT,
    COMMIT_START,
    KEY,
    commit_line,
    head,
    leaves_of,
    lines_from_end,
    note_of,
    segments,
)
from ragplatform.audit.merkle import Tree, leaf_hash
from ragplatform.audit.note import Checkpoint, Signer
from ragplatform.audit.record import decode, stamp
from ragplatform.audit.statement import Statement, read_statements
from ragplatform.audit.storage import Storage, put
from ragplatform.audit.tile_writer import Edge, TileWriter
from ragplatform.audit.tiles import HASH_BYTES, WIDTH, TreeReader, tile_path
from ragplatform.errors import ConfigurationError, TamperedError
from ragplatform.model import Json


@dataclass(slots=True)
class Standing:
    """The log up to one commit: where it ends and all that the next group builds on."""

    tree: Tree = field(default_factory=Tree)
    commit: bytes | None = None
    """The last commit line; None before the first."""
    last_record: bytes | None = None
    leaves: list[bytes] = field(default_factory=list)
    """The leaf hashes of the last group."""
    unread: bool = False
    """Whether the commit line above stands in a segment that was archived."""
    chained: bool = True
    """Whether that group begins with the digest of the commit line above it."""
    segment: Path | None = None
    """The segment that the commit stands in; None before the first."""
    start: int = 0
    """Where the last group begins in its segment."""
    end: int = 0
    """Where it ends, and the next one begins."""


@dataclass(slots=True)
class _Start:
    """Where hashing begins: at the first record, or at a later segment whose edge tiles tell."""

    edge: Edge = field(default_factory=Edge)
    standing: Standing = field(default_factory=Standing)


@dataclass(slots=True)
class _Hashed:
    """What hashing has come to: the standing at the last commit but one, and at the last."""

    previous: Standing
    now: Standing
    tail: bytes = b""
    leaves: bytearray = field(default_factory=bytearray)
    borders: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found when a log was looked through."""

    standing: Standing
    tail: bytes
    """What a crash left behind the last good commit; empty if nothing."""
    edge: Edge
    """The right edge of the tree where hashing began."""
    leaves: bytearray
    """The leaf hashes from there on; those of a group that was taken back may follow."""
    borders: list[int]
    """Where segments begin after that, as numbers of records."""


def make_folders(directory: Path, storage: Storage) -> None:
    """Make the log's folder and those above it that are missing, durably."""
    lineage = [directory, *directory.parents]
    there = next(place for place, folder in enumerate(lineage) if folder.exists())
    # The lowest one that is there is synced as well: a process that was killed may have made it.
    for folder in reversed(lineage[: there + 1]):
        storage.make_folder(folder)
        storage.sync_folder(folder.parent)


def claim(directory: Path, signer: Signer, storage: Storage) -> None:
    """Begin a log with this key, or make sure that it was begun with this key.

    Raises ``TamperedError`` when what the log was begun with is missing or damaged,
    ``ConfigurationError`` when it was begun with another key or origin.
    """
    # A writer that was killed may have left names that are visible but not yet on the disk. What
    # follows builds on them, so they must not be lost while it is kept.
    storage.sync_folder(directory)
    path = directory / KEY
    mine = signer.verifier_key + "\n"
    try:
        found = path.read_text("utf-8")
    except FileNotFoundError:
        if segments(directory) or (directory / CHECKPOINT).exists():
            raise TamperedError(f"the audit log {directory} has lost its {KEY}") from None
        put(storage, path, mine.encode())
        found = mine
    except UnicodeDecodeError as error:
        raise TamperedError(f"{path} is damaged") from error
    if found != mine:
        raise ConfigurationError(
            f"the audit log {directory} was begun as {found[:80].strip()!r}, not as "
            f"{signer.verifier_key!r}: give its own origin and key, or begin another log"
        )
    if not (directory / CHECKPOINT).exists() and not segments(directory):
        empty = signer.sign(Checkpoint(0, Tree().root()))
        put(storage, directory / CHECKPOINT, empty.encode())


def recover(directory: Path, signer: Signer, storage: Storage) -> tuple[Standing, TileWriter]:
    """Make the log fit to be written again, and return where it stands and what keeps its tiles.

    Raises ``TamperedError`` when it is not what was written.
    """
    found = survey(directory, signer)
    standing = found.standing
    if found.tail:
        # What is kept waits in a file that ends in ".new" until the log has recorded it.
        digest = hashlib.sha256(found.tail).hexdigest()
        put(storage, directory / f"torn-{standing.tree.size}-{digest[:16]}.new", found.tail)
    if standing.segment is not None:
        # The last group may be in the page cache alone: after a sync that failed the kernel calls
        # such pages clean and never writes them. Written anew and synced, it is on the disk.
        group = _read(standing.segment, standing.start, standing.end)
        file = storage.open(standing.segment)
        try:
            file.truncate(standing.end)
            file.write(group, standing.start)
            file.sync()
        finally:
            file.close()
    return standing, _mended_tiles(directory, storage, found)


def survey(directory: Path, signer: Signer) -> Survey:
    """Read the log and return where it stands, and what a crash left behind that.

    No caller was ever told that what stands behind the last good commit is recorded.

    1. Take the edge of the tree at the last segment's beginning from the tiles.
    2. Hash every record that follows.
    3. Compare with the last commit, which the signing key must have signed.
    4. Compare with the checkpoint that was set aside.
    5. If anything differs, forget the tiles and hash every record of the log.

    What is wrong in earlier segments without showing in the root is the verifier's to find.

    Raises ``TamperedError`` when the log is not what was written. A cut-off end counts as torn, not
    as tampered, only where a crash can have left it: behind the last commit, in the last segment.
    """
    aside = _checkpoint_aside(directory, signer)
    try:
        start = _last_segment_start(directory, signer, aside)
        found = _survey_from(start, directory, signer, aside)
    except TamperedError:
        found = _survey_from(_Start(), directory, signer, aside)
    size = found.standing.tree.size
    if aside.size > size or (directory / tile_path(0, size // WIDTH)).exists():
        raise TamperedError(
            f"the audit log {directory} ends after {size} records, but {aside.size} were signed "
            "or a tile holds more: its end was cut off; do not restart it, keep it as evidence"
        )
    return found


def _survey_from(start: _Start, directory: Path, signer: Signer, aside: Checkpoint) -> Survey:
    hashed = _hash_from(start, directory, signer, aside)
    now, tail = hashed.now, hashed.tail
    if now.commit is not None and not _agrees(now, signer):
        now, tail = _without_last_group(hashed.previous, now, tail, signer)
    return Survey(now, tail, start.edge, hashed.leaves, hashed.borders)


def _last_segment_start(directory: Path, signer: Signer, aside: Checkpoint) -> _Start:
    """Return how to begin at the last segment; at the first record when tiles are lacking.

    A checkpoint is set aside before each rotation, so it says no less than where that was.
    """
    found = segments(directory)
    first = found[-1][0] if found else 0
    edge = Edge.stored(directory, first)
    if edge is None or len(found) < 2 or aside.size < first:
        return _Start()
    line, record = [*itertools.islice(lines_from_end(found[-2][1]), 2), b"", b""][:2]
    standing = Standing(edge.tree(), line, record, leaves_of(line))
    fits = aside.size > first or aside.root == standing.tree.root()
    return _Start(edge, standing) if fits and _agrees(standing, signer) else _Start()


def _mended_tiles(directory: Path, storage: Storage, found: Survey) -> TileWriter:
    """Write the tiles that are lacking or differ, as far as the log was hashed."""
    tiles = TileWriter(directory, storage, found.edge)
    whole = found.edge.size == 0 and len(found.borders) > 1
    at = base = found.edge.size
    for border in [*found.borders, found.standing.tree.size]:
        part = bytes(found.leaves[(at - base) * HASH_BYTES : (border - base) * HASH_BYTES])
        tiles.extend(part[i : i + HASH_BYTES] for i in range(0, len(part), HASH_BYTES))
        at = border
        if border in found.borders:
            tiles.take_edge()
    tiles.mend_partials()
    if whole:
        # From here on they are relied on without being looked at.
        tiles.secure()
    else:
        tiles.mend_edge()
        tiles.write()
    return tiles


def unrecorded(directory: Path) -> list[tuple[Path, dict[str, Json]]]:
    """Return the torn ends that are kept but not yet recorded, with what to record of each."""
    found: list[tuple[Path, dict[str, Json]]] = []
    for path in sorted(directory.glob("torn-*.new")):
        tail = path.read_bytes()
        lines = tail.split(b"\n")[:-1]
        records = [line for line in lines if not line.startswith(COMMIT_START)]
        found.append(
            (
                path,
                {
                    "kept_as": path.with_suffix(".bin").name,
                    "bytes": len(tail),
                    "sha256": hashlib.sha256(tail).hexdigest(),
                    "unacknowledged_records": len(records),
                },
            )
        )
    return found


def _checkpoint_aside(directory: Path, signer: Signer) -> Checkpoint:
    try:
        note = (directory / CHECKPOINT).read_text("utf-8")
    except FileNotFoundError:
        if segments(directory):
            raise TamperedError(f"the audit log {directory} has lost its checkpoint") from None
        return Checkpoint(0, Tree().root())
    except UnicodeDecodeError as error:
        raise TamperedError(f"the checkpoint of the audit log {directory} is damaged") from error
    return signer.open(note)


def _hash_from(start: _Start, directory: Path, signer: Signer, aside: Checkpoint) -> _Hashed:
    """Hash all groups that follow a state of the log. Of archived ones the tiles tell the hashes,
    and the next signed root vouches for them.
    """
    done = _Hashed(start.standing, start.standing)
    first_size = start.standing.tree.size
    archived = read_statements(directory, signer)
    for first, path in segments(directory):
        if first < first_size:
            continue
        while first > done.now.tree.size and done.now.tree.size in archived:
            _pass_over(archived[done.now.tree.size], done, directory, aside)
        if first != done.now.tree.size or done.tail:
            raise TamperedError(
                f"{path.name} of the audit log {directory} does not follow the segment before it"
            )
        if first > first_size:
            done.borders.append(first)
        _hash_segment(path, done, directory, aside)
    return done


def _pass_over(said: Statement, done: _Hashed, directory: Path, aside: Checkpoint) -> None:
    hashes = TreeReader(directory).hashes(0, said.first, said.count)
    leaves = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    tree = _grown(done.now.tree, leaves, directory, aside)
    if done.now.tree.size:
        done.borders.append(done.now.tree.size)
    done.leaves += hashes
    done.previous, done.now = done.now, Standing(tree, unread=True)


def _hash_segment(path: Path, done: _Hashed, directory: Path, aside: Checkpoint) -> None:
    """Hash the groups of one segment, and keep what stands behind the last."""
    leaves: list[bytes] = []
    record: bytes | None = None
    chained = True
    offset = start = 0
    for line in path.read_bytes().splitlines(keepends=True):
        offset += len(line)
        if not line.endswith(b"\n") or not line.startswith(COMMIT_START):
            record = line[:-1]
            if not leaves:
                chained = done.now.unread or record.startswith(head(done.now.commit))
            leaves.append(leaf_hash(record))
            continue
        if not done.now.chained:
            raise TamperedError(
                f"a group of the audit log {directory} that ends before record "
                f"{done.now.tree.size} does not follow the commit line above it"
            )
        tree = _grown(done.now.tree, leaves, directory, aside)
        done.previous = done.now
        done.now = Standing(tree, line[:-1], record, leaves, False, chained, path, start, offset)
        done.leaves += b"".join(leaves)
        leaves, start = [], offset
    with path.open("rb") as file:
        file.seek(start)
        done.tail = file.read()
    if done.now.segment != path:
        done.now = replace(done.now, segment=path, start=0, end=0)


def _grown(tree: Tree, leaves: list[bytes], directory: Path, aside: Checkpoint) -> Tree:
    """Return the tree with leaves added, once it was compared with the checkpoint set aside."""
    grown = tree.copy()
    for leaf in leaves:
        grown.append(leaf)
        if grown.size == aside.size and grown.root() != aside.root:
            raise TamperedError(
                f"the first {aside.size} records of the audit log {directory} are not "
                "those that were signed"
            )
    return grown


def _agrees(standing: Standing, signer: Signer) -> bool:
    commit = standing.commit or b""
    try:
        note = note_of(commit)
        signed = signer.open(note)
    except TamperedError:
        return False
    stands = Checkpoint(standing.tree.size, standing.tree.root())
    return standing.chained and signed == stands and commit == commit_line(note, standing.leaves)


def _without_last_group(
    previous: Standing, now: Standing, tail: bytes, signer: Signer
) -> tuple[Standing, bytes]:
    # A power cut can leave the end of a group on the disk and lose its beginning; the lost sectors
    # then read as zeros, which no record or commit contains. Anything else was done by hand.
    if now.segment and not tail and (not previous.commit or _agrees(previous, signer)):
        group = _read(now.segment, now.start, now.end)
        if b"\x00" in group:
            return replace(previous, segment=now.segment, start=now.start, end=now.start), group
    raise TamperedError(
        "the newest records of the audit log are not those that were signed; do not restart it, "
        "keep it as evidence and run the verifier"
    )


def last_time(standing: Standing, origin: str) -> str:
    """Return the time of the last record as it is written; empty before the first."""
    if standing.last_record is None:
        return ""
    return stamp(decode(standing.last_record, origin=origin).time)


def _read(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)
