"""What a writer does with the log it finds: trust nothing, mend only what no one was promised."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragplatform.audit.layout import (
    CHECKPOINT,
    COMMIT_START,
    KEY,
    commit_line,
    head,
    note_of,
    segments,
)
from ragplatform.audit.merkle import Tree, leaf_hash
from ragplatform.audit.note import Checkpoint, Signer
from ragplatform.audit.record import decode, stamp
from ragplatform.audit.storage import Storage, put
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
    chained: bool = True
    """Whether that group begins with the digest of the commit line above it."""
    segment: Path | None = None
    """The segment that the commit stands in; None before the first."""
    start: int = 0
    """Where the last group begins in its segment."""
    end: int = 0
    """Where it ends, and the next one begins."""


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


def recover(directory: Path, signer: Signer, storage: Storage) -> Standing:
    """Make the log fit to be written again, and return where it stands.

    Raises ``TamperedError`` when it is not what was written.
    """
    standing, tail = survey(directory, signer)
    if tail:
        # What is kept waits in a file that ends in ".new" until the log has recorded it.
        digest = hashlib.sha256(tail).hexdigest()
        put(storage, directory / f"torn-{standing.tree.size}-{digest[:16]}.new", tail)
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
    return standing


def survey(directory: Path, signer: Signer) -> tuple[Standing, bytes]:
    """Read the whole log and return where it stands, and what a crash left behind that.

    No caller was ever told that what stands behind the last good commit is recorded.

    1. Hash every record.
    2. Compare with the last commit, which the signing key must have signed.
    3. Compare with the checkpoint that was set aside.

    Raises ``TamperedError`` when the log is not what was written. A cut-off end counts as torn, not
    as tampered, only where a crash can have left it: behind the last commit, in the last segment.
    """
    aside = _checkpoint_aside(directory, signer)
    previous, now, tail = _hash_all(directory, aside)
    if now.commit is not None and not _agrees(now, signer):
        now, tail = _without_last_group(previous, now, tail, signer)
    if aside.size > now.tree.size:
        raise TamperedError(
            f"the audit log {directory} ends after {now.tree.size} records, but {aside.size} were "
            "signed: its end was cut off; do not restart it, keep it as evidence"
        )
    return now, tail


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


def _hash_all(directory: Path, aside: Checkpoint) -> tuple[Standing, Standing, bytes]:
    """Return the standing at the last commit but one and at the last, and the bytes behind it."""
    previous = now = Standing()
    leaves: list[bytes] = []
    record: bytes | None = None
    tail = b""
    chained = True
    for first, path in segments(directory):
        if first != now.tree.size or tail:
            raise TamperedError(
                f"{path.name} of the audit log {directory} does not follow the segment before it"
            )
        offset = start = 0
        for line in path.read_bytes().splitlines(keepends=True):
            offset += len(line)
            if not line.endswith(b"\n") or not line.startswith(COMMIT_START):
                record = line[:-1]
                if not leaves:
                    chained = record.startswith(head(now.commit))
                leaves.append(leaf_hash(record))
                continue
            tree = now.tree.copy()
            for leaf in leaves:
                tree.append(leaf)
                if tree.size == aside.size and tree.root() != aside.root:
                    raise TamperedError(
                        f"the first {aside.size} records of the audit log {directory} are not "
                        "those that were signed"
                    )
            if not now.chained:
                raise TamperedError(
                    f"a group of the audit log {directory} that ends before record "
                    f"{now.tree.size} does not follow the commit line above it"
                )
            previous = now
            now = Standing(tree, line[:-1], record, leaves, chained, path, start, offset)
            leaves, start = [], offset
        with path.open("rb") as file:
            file.seek(start)
            tail = file.read()
        leaves = []
        if now.segment != path:
            now = replace(now, segment=path, start=0, end=0)
    return previous, now, tail


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
