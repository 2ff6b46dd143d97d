"""What the verifier holds signatures to: the log's key, checkpoints, commit lines, statements.

Shares no code with the writer. Source: C2SP signed-note and tlog-checkpoint.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ragplatform.errors import NotFoundError

_STATEMENT: Final = re.compile(
    r"ragplatform archived segment\n(?P<origin>[^\n]+)\n(?P<first>0|[1-9][0-9]*)\n"
    r"(?P<count>[1-9][0-9]*)\n(?P<sha256>[0-9a-f]{64})\n(?P<recorded>[^\n]+/[0-9]+)\n"
)


class BrokenError(Exception):
    """The log is not what was signed, and from which record on, if that can be said."""

    def __init__(self, problem: str, first_bad: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.first_bad = first_bad


@dataclass(frozen=True, slots=True)
class Key:
    """The key that all of a log's signatures are held to."""

    name: str
    id: bytes
    public: Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed state: from where it was read, and what it says."""

    source: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Archived:
    """What a signed statement says of a segment that was moved elsewhere."""

    first: int
    count: int
    sha256: str


def fail(problem: str, first_bad: int | None = None) -> NoReturn:
    """Raise ``BrokenError``."""
    raise BrokenError(problem, first_bad)


def read_key(directory: Path, trusted: bytes | None) -> Key:
    """Return the key beside a log, which must be the trusted one where one is given.

    Raises ``NotFoundError`` when there is no log.
    """
    try:
        text = (directory / "key.pub").read_bytes()
    except FileNotFoundError:
        if not any(directory.glob("segment-*")):
            raise NotFoundError(f"there is no audit log in {directory}") from None
        fail("key.pub is missing")
    return parse_key(text, trusted)


def parse_key(text: bytes, trusted: bytes | None) -> Key:
    """Return the key that a signed-note verifier key names."""
    match = re.fullmatch(rb"([!-*,-~]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)\n", text)
    body = _base64(match[3].decode()) if match else None
    if match is None or body is None or len(body) != 33 or body[0] != 1:
        fail("key.pub is not an Ed25519 verifier key")
    key_id = hashlib.sha256(match[1] + b"\n" + body).digest()[:4]
    if key_id.hex().encode() != match[2]:
        fail("key.pub is damaged: its key id does not fit its name and key")
    if trusted is not None and trusted != body[1:]:
        fail("key.pub is not the key that was given to check with")
    return Key(match[1].decode(), key_id, Ed25519PublicKey.from_public_bytes(body[1:]))


def read_anchors(directory: Path, key: Key, held: str | None) -> list[Signed]:
    """Return the signed states that the log must fit: beside it, and held elsewhere."""
    try:
        beside = (directory / "checkpoint").read_bytes()
    except FileNotFoundError:
        fail("the checkpoint beside the log is missing")
    source = "the checkpoint beside the log"
    found = [open_checkpoint(_text(beside, "the checkpoint"), source, key)]
    if held is not None:
        found.append(open_checkpoint(held, "the checkpoint held elsewhere", key, strict=False))
    return found


def read_statements(directory: Path, key: Key) -> dict[int, Archived]:
    """Return by first record what signed statements in the folder say was archived."""
    found = {}
    for path in sorted(directory.glob("archived-*.note")):
        text, _, signatures = _text(path.read_bytes(), path.name).partition("\n\n")
        match = _STATEMENT.fullmatch(text + "\n")
        if match is None or path.name != f"archived-{int(match['first']):012d}.note":
            fail(f"{path.name} is damaged")
        if match["origin"] != key.name:
            fail(f"{path.name} is that of another log")
        _check_signature(text + "\n", signatures, path.name, key, strict=True, bad=None)
        first, count = int(match["first"]), int(match["count"])
        found[first] = Archived(first, count, match["sha256"])
    return found


def parse_checkpoint(note: str, source: str, bad: int | None) -> tuple[Signed, str, str]:
    """Return the state, the signed text and the signature lines of a checkpoint."""
    text, mark, signatures = note.partition("\n\n")
    match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)", text)
    root = _base64(match[3]) if match else None
    if match is None or root is None or not mark:
        fail(f"{source} is damaged", bad)
    return Signed(source, int(match[2]), root), text + "\n", signatures


def open_checkpoint(
    note: str, source: str, key: Key, *, strict: bool = True, bad: int | None = None
) -> Signed:
    """Return what a checkpoint says, if the key signed it.

    Not strict, it may bear further signatures, as witnesses add them.
    """
    signed, text, signatures = parse_checkpoint(note, source, bad)
    if text.split("\n", 1)[0] != key.name:
        fail(f"{source} is that of another log", bad)
    _check_signature(text, signatures, source, key, strict=strict, bad=bad)
    return signed


def parse_commit(line: bytes, base: int, key: Key, *, check: bool) -> tuple[Signed, list[bytes]]:
    """Return the state in a commit line and the leaf hashes that it lists; signature checked if
    asked.
    """
    source = f"the commit line of the group that begins with record {base}"
    try:
        raw = json.loads(line)
        note = raw["checkpoint"]
        listed = [bytes.fromhex(leaf) for leaf in raw["leaves"]]
        again = {"checkpoint": note, "leaves": [leaf.hex() for leaf in listed]}
        fits = json.dumps(again, separators=(",", ":"), ensure_ascii=False).encode() == line
    except (ValueError, KeyError, TypeError):
        fail(f"{source} is damaged", base)
    if not fits or not isinstance(note, str) or not listed:
        fail(f"{source} is damaged", base)
    if check:
        return open_checkpoint(note, source, key, bad=base), listed
    return parse_checkpoint(note, source, base)[0], listed


def _check_signature(
    text: str, signatures: str, source: str, key: Key, *, strict: bool, bad: int | None
) -> None:
    ours = [line for line in signatures.split("\n") if line.startswith(f"— {key.name} ")]
    blob = _base64(ours[0].removeprefix(f"— {key.name} ")) if len(ours) == 1 else None
    if blob is None or blob[:4] != key.id or (strict and signatures != ours[0] + "\n"):
        fail(f"{source} does not bear the log's signature", bad)
    try:
        key.public.verify(blob[4:], text.encode())
    except InvalidSignature:
        fail(f"{source} was not signed by the log's key", bad)


def _text(raw: bytes, source: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        fail(f"{source} is not text")


def _base64(text: str) -> bytes | None:
    """Return the bytes of base64 text, or None unless it is the one right way to write them."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if base64.b64encode(raw).decode() == text else None
