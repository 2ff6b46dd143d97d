"""The check of a log, from its files alone. Shares no code with the writer, by design.

A bug in the writer's hashing must not be able to hide behind the same bug here, so everything is
derived again from the published formats: RFC 9162 (hashing), C2SP signed-note and tlog-checkpoint
(signatures), tlog-tiles, and the layout described in the package's docstring.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from ragplatform.audit.verify_files import (
    COMMIT,
    PATIENCE_S,
    Tiles,
    segment_pieces,
)
from ragplatform.audit.verify_notes import (
    Archived,
    BrokenError,
    Key,
    Signed,
    fail,
    parse_commit,
    read_anchors,
    read_key,
    read_statements,
)
from ragplatform.audit.verify_tree import Tree, first_difference
from ragplatform.errors import ConfigurationError, NotFoundError

_PATIENCE_S: Final = PATIENCE_S

# 32 bytes in base64.
_ROOT_CHARS: Final = 44

# A signed note, with as many signatures as witnesses added; or a line that belongs to none.
_HELD: Final = re.compile(
    r"(?P<note>(?P<origin>[^\n]+)\n[0-9]+\n[A-Za-z0-9+/]{43}=\n\n(?:— [^\n]+\n)+)|[^\n]+"
)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found. ``ok`` says that every record is as it was signed."""

    ok: bool
    origin: str
    records: int
    """How many records were checked and found good, from the first."""
    checkpoints: int
    """How many signed states were compared with those records."""
    root: str
    """The root hash over the good records, in base64 as checkpoints write it."""
    first_bad: int | None = None
    """The index of the first record that is altered, missing or out of place; None if no record
    can be named."""
    problem: str = ""
    """What is wrong, in plain words; empty if nothing is."""
    archived: tuple[tuple[int, int], ...] = ()
    """The runs of records, as first index and count, whose hashes alone were checked: the records
    were moved elsewhere by a signed statement, and no folder was given to read them from."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be checked, and with what."""

    directory: Path
    archive: Path | None
    key: Key
    anchors: list[Signed]
    statements: dict[int, Archived]
    progress: Callable[[int], None]


def verify(
    directory: Path,
    *,
    public_key: bytes | None,
    held_checkpoint: str | None = None,
    archive: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> VerifyReport:
    """Check every byte of a log and report the first record that is not as it was signed.

    ``public_key`` is the 32-byte Ed25519 key that the checker trusts. With None the key beside the
    log is taken: that finds every change but one by someone who replaced key and log together.
    ``held_checkpoint`` is a signed note that was kept outside the host: with it a log that was cut
    off, rolled back or rewritten is found too, even if the signing key was used for it.
    ``archive`` is where segments were archived: they are then read from there. ``progress`` is
    told how many bytes were checked since it was last told.

    1. Read the key.
    2. Read the checkpoint beside the log, the one held elsewhere, and what was archived.
    3. Hash every record and compare with the commit lines, which hang on one another by digest,
       with the tiles, and with the last signature.
    4. If anything differs, go through it again with the signature of every group, to name the first
       bad record even where commit lines were forged.

    Raises ``NotFoundError`` when there is no log in the folder, ``OSError`` when it is unreadable.
    """
    if not directory.is_dir():
        raise NotFoundError(f"there is no audit log in {directory}")
    walk = _Walk("", [])
    try:
        key = read_key(directory, public_key)
        walk = _Walk(key.name, [])
        anchors = read_anchors(directory, key, held_checkpoint)
        statements = read_statements(directory, key)
        job = _Job(directory, archive, key, anchors, statements, progress)
        walk = _Walk(key.name, anchors)
        try:
            walk.go(job, every_signature=False)
        except BrokenError:
            walk = _Walk(key.name, anchors)
            walk.go(job, every_signature=True)
    except BrokenError as broken:
        return walk.report(broken)
    return walk.report(None)


def held_checkpoints(text: str) -> dict[str, str]:
    """Return the checkpoints in a text by origin: those of many logs, kept together.

    Raises ``ConfigurationError`` when anything else stands in it or two are of one log: what
    somebody keeps to check with must not be passed over.
    """
    found: dict[str, str] = {}
    for match in _HELD.finditer(text):
        note, origin = match["note"], match["origin"]
        if note is None or origin in found:
            line = text.count("\n", 0, match.start()) + 1
            raise ConfigurationError(
                f"line {line} of the held checkpoints: wanted one signed checkpoint for each log, "
                "as `ragplatform audit checkpoint` prints them"
            )
        found[origin] = note
    if not found:
        raise ConfigurationError("the file of held checkpoints holds none")
    return found


def missing(origin: str) -> VerifyReport:
    """Return the verdict on a log of which nothing is there but a checkpoint held elsewhere."""
    problem = "the log is missing, but a checkpoint of it is held elsewhere"
    return VerifyReport(False, origin, 0, 0, "", None, problem)


class _Walk:
    """One pass over the log. ``tree`` is that over the records found good."""

    def __init__(self, origin: str, anchors: list[Signed]) -> None:
        self.origin = origin
        self.anchors = sorted(anchors, key=lambda anchor: anchor.size)
        self.tree = Tree(Tiles(None))
        self.checkpoints = 0
        # None before the first group, and where the segment above was archived and is not read.
        self.above: bytes | None = None
        self.above_first = 0
        self.above_known = True
        self.archived: list[tuple[int, int]] = []
        self._commit_start = COMMIT + f'"{origin}\\n'.encode()
        # A key id of 4 bytes and a signature of 64 are 92 characters of base64.
        self._signature_chars = len(f"\\n\\n— {origin} ".encode()) + 92

    def report(self, broken: BrokenError | None) -> VerifyReport:
        """Return what the pass found."""
        return VerifyReport(
            ok=broken is None,
            origin=self.origin,
            records=self.tree.size,
            checkpoints=self.checkpoints,
            root=base64.b64encode(self.tree.root()).decode(),
            first_bad=None if broken is None else broken.first_bad,
            problem="" if broken is None else broken.problem,
            archived=tuple(self.archived),
        )

    def go(self, job: _Job, *, every_signature: bool) -> None:
        """Check group after group, and at the end what must lie beyond it."""
        self.tree.tiles = Tiles(job.directory)
        for piece, name in self._pieces(job):
            self._check_piece(piece, name, job.key, every_signature=every_signature)
            job.progress(len(piece))
        self._finish(job.key)

    def _pieces(self, job: _Job) -> Iterator[tuple[bytes, str]]:
        """Yield the log piece by piece, each of whole groups, with its segment's name."""
        paths = sorted(job.directory.glob("segment-*"))
        for path in paths:
            while path.name != _segment_name(self.tree.size):
                statement = job.statements.get(self.tree.size)
                if statement is None:
                    fail(f"{path.name} does not follow record {self.tree.size - 1}", self.tree.size)
                yield from self._archived_pieces(job.archive, job.directory.name, statement)
            growing = path == paths[-1]
            for piece in segment_pieces(path, growing=growing, patience_s=_PATIENCE_S):
                yield piece, path.name

    def _archived_pieces(
        self, archive: Path | None, log: str, statement: Archived
    ) -> Iterator[tuple[bytes, str]]:
        if archive is None:
            self._pass_over(statement)
            return
        name = _segment_name(statement.first)
        places = [place for place in (archive / log / name, archive / name) if place.is_file()]
        if not places:
            fail(f"the archived {name} is not in {archive}", statement.first)
        for piece in segment_pieces(places[0], growing=False, patience_s=0.0):
            yield piece, name
        if self.tree.size != statement.first + statement.count:
            fail(
                f"the archived {name} ends before record {self.tree.size}, and not where it did "
                "when it was archived",
                self.tree.size,
            )

    def _pass_over(self, statement: Archived) -> None:
        """Take the hashes of archived records from the tiles; a later root vouches for them."""
        at, end = statement.first, statement.first + statement.count
        while at < end:
            number, offset = divmod(at, 256)
            width = min(end - number * 256, 256)
            hashes = self.tree.tiles.hashes(number, width)
            if hashes is None:
                fail(
                    f"the records {statement.first} to {end - 1} were archived, and the tiles lack "
                    "their hashes: check with the folder that they were archived to",
                    at,
                )
            self._meet_anchors(hashes[offset * 32 :])
            at = number * 256 + width
        self.above, self.above_known = None, False
        self.archived.append((statement.first, statement.count))

    def _check_piece(self, piece: bytes, name: str, key: Key, *, every_signature: bool) -> None:
        lines = piece.split(b"\n")
        unended = lines.pop()
        group: list[bytes] = []
        for line in lines:
            if not line.startswith(COMMIT):
                group.append(line)
                continue
            base = self.tree.size
            if not group:
                fail(f"a commit line without records stands before record {base}", base)
            found = b"".join([hashlib.sha256(b"\x00" + record).digest() for record in group])
            if every_signature or not self._is_as_expected(line, found, len(group)):
                self._compare(group, line, found, key, every_signature=every_signature)
            self._compare_above(base, group[0])
            self._meet_anchors(found)
            self.above, self.above_first, self.above_known = line, base, True
            self.checkpoints += 1
            group = []
        if group or unended:
            self._fail_unclosed([*group, *([unended] if unended else [])], name)

    def _is_as_expected(self, line: bytes, found: bytes, count: int) -> bool:
        """Return whether a commit line is the one for these records, but for root and signature.

        Those two are vouched for by the next group, which holds the line's digest, and in the end
        by the last signature.
        """
        start = self._commit_start + b"%d\\n" % (self.tree.size + count)
        hexes = found.hex()
        listed = '","'.join([hexes[at : at + 64] for at in range(0, len(hexes), 64)])
        end = b'\\n","leaves":["%s"]}' % listed.encode()
        return (
            line.startswith(start)
            and line.endswith(end)
            and len(line) == len(start) + _ROOT_CHARS + self._signature_chars + len(end)
        )

    def _compare(
        self, group: list[bytes], line: bytes, found: bytes, key: Key, *, every_signature: bool
    ) -> None:
        base = self.tree.size
        signed, leaves = parse_commit(line, base, key, check=every_signature)
        listed = b"".join(leaves)
        before = signed.size - len(leaves)
        if before != base:
            _fail_if_merged(group, base, self.origin)
            fail(
                f"record {base} is not where it belongs: {base} records come before this group, "
                f"but its checkpoint was signed over {before} before it",
                base,
            )
        rooted = not every_signature or self.tree.root_with(found) == signed.root
        if listed == found and rooted:
            return
        end = base + len(leaves) - 1
        if rooted and every_signature and len(listed) == len(found):
            fail(
                f"the records {base} to {end} are as signed, but the hashes listed for them in "
                "their commit line are not",
                base,
            )
        if listed == found:
            self._fail_unrooted(base, end)
        first = first_difference(listed, found)
        fail(
            f"record {base + first} is altered, missing or out of place: {len(leaves)} records "
            f"were signed in its group, {len(group)} are there",
            base + first,
        )

    def _fail_unrooted(self, base: int, end: int) -> NoReturn:
        if not self.above_known:
            first = self.archived[-1][0]
            fail(
                f"the tiles of the archived records {first} to {base - 1} are not those that were "
                "signed",
                first,
            )
        fail(
            f"at least one of the records {base} to {end} and the hashes listed for them were "
            "altered together",
            base,
        )

    def _compare_above(self, base: int, head: bytes) -> None:
        if not self.above_known:
            return
        digest = "null" if self.above is None else f'"{hashlib.sha256(self.above).hexdigest()}"'
        if not head.startswith(f'{{"above":{digest},'.encode()):
            fail(
                f"the commit line before record {base} is not the one that was written there",
                self.above_first,
            )

    def _meet_anchors(self, found: bytes) -> None:
        """Grow the tree by leaf hashes, comparing the root at each size that was signed."""
        at = 0
        while at < len(found) or (self.anchors and self.anchors[0].size == self.tree.size):
            while self.anchors and self.anchors[0].size == self.tree.size:
                self._meet(self.anchors.pop(0))
            room = self.tree.room() * 32
            if self.anchors:
                room = min(room, (self.anchors[0].size - self.tree.size) * 32)
            self.tree.grow(found[at : at + room])
            at += room

    def _meet(self, anchor: Signed) -> None:
        if self.tree.root() != anchor.root:
            fail(
                f"the log was rewritten: its first {anchor.size} records are not those that "
                f"{anchor.source} was signed over"
            )
        self.checkpoints += 1

    def _finish(self, key: Key) -> None:
        if self.above is not None:
            signed = parse_commit(self.above, self.above_first, key, check=True)[0]
            if signed.root != self.tree.root():
                fail("the last checkpoint does not fit the records", self.above_first)
        self._meet_anchors(b"")
        size = self.tree.size
        if self.anchors:
            fail(
                f"record {size} and what follows it are missing: {self.anchors[-1].source} was "
                f"signed over {self.anchors[-1].size} records, {size} are there",
                size,
            )
        self.tree.finish()

    def _fail_unclosed(self, group: list[bytes], name: str) -> NoReturn:
        base = self.tree.size
        _fail_if_merged(group, base, self.origin)
        fail(
            f"record {base} and what follows it in {name} are not closed by a signed checkpoint: a "
            "write that a crash cut off before it was acknowledged (opening the log mends and "
            "records that), or a checkpoint that was removed",
            base,
        )


def _fail_if_merged(group: list[bytes], base: int, origin: str) -> None:
    """Name the record whose line feed was altered, so that it runs into the commit line."""
    mark = COMMIT + b'"' + origin.encode() + b"\\n"
    for place, line in enumerate(group):
        if mark in line and not line.startswith(mark):
            fail(f"record {base + place} does not end where it was written to end", base + place)


def _segment_name(first: int) -> str:
    return f"segment-{first:012d}.jsonl"
