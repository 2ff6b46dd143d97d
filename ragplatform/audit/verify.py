"""The check of a log, from its files alone. Shares no code with the writer, by design.

A bug in the writer's hashing must not be able to hide behind the same bug here, so everything is
derived again from the published formats: RFC 9162 (hashing), C2SP signed-note and tlog-checkpoint
(signatures), and the layout described in the package's docstring.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ragplatform.errors import ConfigurationError, NotFoundError

# How long a group may stay unfinished at the end of a log that someone is writing. A sync takes
# milliseconds; past this, no writer is at work on it.
_PATIENCE_S: Final = 1.0

_NOTHING: Final = hashlib.sha256(b"").digest()
_COMMIT: Final = b'{"checkpoint":'

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


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    id: bytes
    public: Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class _Signed:
    """A signed state: from where it was read, and what it says."""

    source: str
    size: int
    root: bytes


class _BrokenError(Exception):
    def __init__(self, problem: str, first_bad: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.first_bad = first_bad


def verify(
    directory: Path, *, public_key: bytes | None, held_checkpoint: str | None = None
) -> VerifyReport:
    """Check every byte of a log and report the first record that is not as it was signed.

    ``public_key`` is the 32-byte Ed25519 key that the checker trusts. With None the key beside the
    log is taken: that finds every change but one by someone who replaced key and log together.
    ``held_checkpoint`` is a signed note that was kept outside the host: with it a log that was cut
    off, rolled back or rewritten is found too, even if the signing key was used for it.

    1. Read the key.
    2. Read the checkpoint beside the log and the one held elsewhere.
    3. Hash every record and compare with the commit lines, which hang on one another by digest, and
       with the last signature.
    4. If anything differs, go through it again with the signature of every group, to name the first
       bad record even where commit lines were forged.

    Raises ``NotFoundError`` when there is no log in the folder, ``OSError`` when it is unreadable.
    """
    if not directory.is_dir():
        raise NotFoundError(f"there is no audit log in {directory}")
    walk = _Walk("", [])
    try:
        key = _read_key(directory, public_key)
        walk = _Walk(key.name, [])
        anchors = _anchors(directory, key, held_checkpoint)
        walk = _Walk(key.name, anchors)
        try:
            walk.go(directory, key, every_signature=False)
        except _BrokenError:
            walk = _Walk(key.name, anchors)
            walk.go(directory, key, every_signature=True)
    except _BrokenError as broken:
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
    """One pass over the log. ``size`` and ``peaks`` are the tree over the records found good."""

    def __init__(self, origin: str, anchors: list[_Signed]) -> None:
        self.origin = origin
        self.anchors = sorted(anchors, key=lambda anchor: anchor.size)
        self.size = 0
        self.peaks: list[tuple[int, bytes]] = []
        self.checkpoints = 0
        self.above: bytes | None = None
        self.above_first = 0
        self.last: _Signed | None = None

    def report(self, broken: _BrokenError | None) -> VerifyReport:
        """Return what the pass found."""
        return VerifyReport(
            ok=broken is None,
            origin=self.origin,
            records=self.size,
            checkpoints=self.checkpoints,
            root=base64.b64encode(_fold(self.peaks)).decode(),
            first_bad=None if broken is None else broken.first_bad,
            problem="" if broken is None else broken.problem,
        )

    def go(self, directory: Path, key: _Key, *, every_signature: bool) -> None:
        """Check group after group, and at the end what must lie beyond it."""
        self._meet_anchors([])
        for group, commit, name in _groups(directory, self):
            base = self.size
            signed, listed = _parse_commit(commit, base, key, check=every_signature)
            found = [hashlib.sha256(b"\x00" + line).digest() for line in group]
            self._compare(group, signed, listed, found, every_signature=every_signature)
            self._compare_above(base, group[0])
            self._meet_anchors(found)
            self.above, self.above_first = commit, base
            self.last = _Signed(name, signed.size, signed.root)
            self.checkpoints += 1
        self._finish(key)

    def _compare(
        self,
        group: list[bytes],
        signed: _Signed,
        listed: list[bytes],
        found: list[bytes],
        *,
        every_signature: bool,
    ) -> None:
        base = self.size
        if signed.size - len(listed) != base:
            _fail_if_merged(group, base, self.origin)
            _fail(
                f"record {base} is not where it belongs: {base} records come before this group, "
                f"but its checkpoint was signed over {signed.size - len(listed)} before it",
                base,
            )
        same = listed == found
        if same and not every_signature:
            return
        rooted = _root_with(self.peaks, found) == signed.root
        if same and rooted:
            return
        if rooted and len(listed) == len(found):
            _fail(
                f"the records {base} to {signed.size - 1} are as signed, but the hashes listed "
                "for them in their commit line are not",
                base,
            )
        if same:
            _fail(
                f"at least one of the records {base} to {signed.size - 1} and the hashes listed "
                "for them were altered together",
                base,
            )
        pairs = zip(listed, found, strict=False)
        common = min(len(listed), len(found))
        first = next((i for i, (was, now) in enumerate(pairs) if was != now), common)
        _fail(
            f"record {base + first} is altered, missing or out of place: {len(listed)} records "
            f"were signed in its group, {len(found)} are there",
            base + first,
        )

    def _compare_above(self, base: int, head: bytes) -> None:
        digest = "null" if self.above is None else f'"{hashlib.sha256(self.above).hexdigest()}"'
        if not head.startswith(f'{{"above":{digest},'.encode()):
            _fail(
                f"the commit line before record {base} is not the one that was written there",
                self.above_first,
            )

    def _meet_anchors(self, found: list[bytes]) -> None:
        """Grow the tree by the leaves, comparing the root at each size that was signed."""
        for leaf in [b"", *found]:
            if leaf:
                _push(self.peaks, leaf)
                self.size += 1
            while self.anchors and self.anchors[0].size == self.size:
                anchor = self.anchors.pop(0)
                if _fold(self.peaks) != anchor.root:
                    _fail(
                        f"the log was rewritten: its first {anchor.size} records are not those "
                        f"that {anchor.source} was signed over"
                    )
                self.checkpoints += 1

    def _finish(self, key: _Key) -> None:
        if self.above is not None and self.last is not None:
            _parse_commit(self.above, self.above_first, key, check=True)
            if self.last.root != _fold(self.peaks):
                _fail("the last checkpoint does not fit the records", self.above_first)
        if self.anchors:
            _fail(
                f"record {self.size} and what follows it are missing: {self.anchors[-1].source} "
                f"was signed over {self.anchors[-1].size} records, {self.size} are there",
                self.size,
            )


def _fail(problem: str, first_bad: int | None = None) -> NoReturn:
    raise _BrokenError(problem, first_bad)


def _fail_if_merged(group: list[bytes], base: int, origin: str) -> None:
    """Name the record whose line feed was altered, so that it runs into the commit line."""
    mark = _COMMIT + b'"' + origin.encode() + b"\\n"
    for place, line in enumerate(group):
        if mark in line and not line.startswith(mark):
            _fail(f"record {base + place} does not end where it was written to end", base + place)


def _read_key(directory: Path, trusted: bytes | None) -> _Key:
    try:
        text = (directory / "key.pub").read_bytes()
    except FileNotFoundError:
        if not any(directory.glob("segment-*")):
            raise NotFoundError(f"there is no audit log in {directory}") from None
        _fail("key.pub is missing")
    return _parse_key(text, trusted)


def _parse_key(text: bytes, trusted: bytes | None) -> _Key:
    match = re.fullmatch(rb"([!-*,-~]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)\n", text)
    body = _base64(match[3].decode()) if match else None
    if match is None or body is None or len(body) != 33 or body[0] != 1:
        _fail("key.pub is not an Ed25519 verifier key")
    key_id = hashlib.sha256(match[1] + b"\n" + body).digest()[:4]
    if key_id.hex().encode() != match[2]:
        _fail("key.pub is damaged: its key id does not fit its name and key")
    if trusted is not None and trusted != body[1:]:
        _fail("key.pub is not the key that was given to check with")
    return _Key(match[1].decode(), key_id, Ed25519PublicKey.from_public_bytes(body[1:]))


def _anchors(directory: Path, key: _Key, held: str | None) -> list[_Signed]:
    found = []
    try:
        beside = (directory / "checkpoint").read_bytes()
    except FileNotFoundError:
        _fail("the checkpoint beside the log is missing")
    found.append(_open(_text(beside, "the checkpoint"), "the checkpoint beside the log", key))
    if held is not None:
        found.append(_open(held, "the checkpoint held elsewhere", key, strict=False))
    return found


def _text(raw: bytes, source: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        _fail(f"{source} is not text")


def _base64(text: str) -> bytes | None:
    """Return the bytes of base64 text, or None unless it is the one right way to write them."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _parse_note(note: str, source: str, bad: int | None) -> tuple[_Signed, str, str]:
    """Return the state, the signed text and the signature lines of a checkpoint."""
    text, mark, signatures = note.partition("\n\n")
    match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)", text)
    root = _base64(match[3]) if match else None
    if match is None or root is None or not mark:
        _fail(f"{source} is damaged", bad)
    return _Signed(source, int(match[2]), root), text + "\n", signatures


def _open(
    note: str, source: str, key: _Key, *, strict: bool = True, bad: int | None = None
) -> _Signed:
    """Return what a checkpoint says, if the key signed it.

    Not strict, it may bear further signatures, as witnesses add them.
    """
    signed, text, signatures = _parse_note(note, source, bad)
    ours = [line for line in signatures.split("\n") if line.startswith(f"— {key.name} ")]
    blob = _base64(ours[0].removeprefix(f"— {key.name} ")) if len(ours) == 1 else None
    if blob is None or blob[:4] != key.id or (strict and signatures != ours[0] + "\n"):
        _fail(f"{source} does not bear the log's signature", bad)
    if text.split("\n", 1)[0] != key.name:
        _fail(f"{source} is that of another log", bad)
    try:
        key.public.verify(blob[4:], text.encode())
    except InvalidSignature:
        _fail(f"{source} was not signed by the log's key", bad)
    return signed


def _parse_commit(line: bytes, base: int, key: _Key, *, check: bool) -> tuple[_Signed, list[bytes]]:
    source = f"the commit line of the group that begins with record {base}"
    try:
        raw = json.loads(line)
        note = raw["checkpoint"]
        listed = [bytes.fromhex(leaf) for leaf in raw["leaves"]]
        again = {"checkpoint": note, "leaves": [leaf.hex() for leaf in listed]}
        fits = json.dumps(again, separators=(",", ":"), ensure_ascii=False).encode() == line
    except (ValueError, KeyError, TypeError):
        _fail(f"{source} is damaged", base)
    if not fits or not isinstance(note, str) or not listed:
        _fail(f"{source} is damaged", base)
    if check:
        return _open(note, source, key, bad=base), listed
    return _parse_note(note, source, base)[0], listed


def _groups(directory: Path, walk: _Walk) -> Iterator[tuple[list[bytes], bytes, str]]:
    """Yield the lines of each group, its commit line and its segment's name, in order.

    Stops at the first commit at or past the end that the last segment had at the start, so that a
    log that is being written can be checked.
    """
    paths = sorted(directory.glob("segment-*"))
    end = paths[-1].stat().st_size if paths else 0
    for path in paths:
        if path.name != f"segment-{walk.size:012d}.jsonl":
            _fail(f"{path.name} does not follow record {walk.size - 1}", walk.size)
        group: list[bytes] = []
        for line in _lines(path, until=end if path == paths[-1] else None):
            if not line.startswith(_COMMIT) or not line.endswith(b"\n"):
                group.append(line[:-1] if line.endswith(b"\n") else line)
                continue
            if not group:
                _fail(f"a commit line without records stands before record {walk.size}", walk.size)
            yield group, line[:-1], path.name
            group = []
        if group:
            _fail_if_merged(group, walk.size, walk.origin)
            _fail(
                f"record {walk.size} and what follows it in {path.name} are not closed by a "
                "signed checkpoint: a write that a crash cut off before it was acknowledged "
                "(opening the log mends and records that), or a checkpoint that was removed",
                walk.size,
            )


def _lines(path: Path, until: int | None) -> Iterator[bytes]:
    """Yield the lines of a segment. ``until`` is set for the last one, which may still grow."""
    read = 0
    settled = True
    deadline = time.monotonic() + _PATIENCE_S
    with path.open("rb") as file:
        if until is None:
            yield from file
            return
        while not (settled and read >= until):
            line = file.readline()
            if line.endswith(b"\n"):
                read += len(line)
                settled = line.startswith(_COMMIT)
                deadline = time.monotonic() + _PATIENCE_S
                yield line
            elif time.monotonic() > deadline:
                if line:
                    yield line
                return
            else:
                file.seek(read)
                time.sleep(0.01)


def _push(peaks: list[tuple[int, bytes]], leaf: bytes) -> None:
    """Add a leaf: two perfect trees of equal height at the right edge become one."""
    height, node = 0, leaf
    while peaks and peaks[-1][0] == height:
        node = hashlib.sha256(b"\x01" + peaks.pop()[1] + node).digest()
        height += 1
    peaks.append((height, node))


def _fold(peaks: list[tuple[int, bytes]]) -> bytes:
    """Return the root over perfect trees, widest first."""
    if not peaks:
        return _NOTHING
    node = peaks[-1][1]
    for _, left in reversed(peaks[:-1]):
        node = hashlib.sha256(b"\x01" + left + node).digest()
    return node


def _root_with(peaks: list[tuple[int, bytes]], leaves: list[bytes]) -> bytes:
    grown = peaks.copy()
    for leaf in leaves:
        _push(grown, leaf)
    return _fold(grown)
