"""Check an audit log or a proof file with Python 3.10 and the package cryptography, nothing else.

    python verify_audit.py LOGDIR [--key K] [--from-checkpoint F] [--archive DIR]
    python verify_audit.py --proof FILE [--key K]

K is the log's verifier key or a file with it, had from elsewhere than the log; without it the key
beside the log is believed. F holds checkpoints kept elsewhere, of this log and maybe of others.
Exit code 0: good, 1: tampered with, and where, 2: unreadable. Check a copy of the log, or one that
nobody writes. Every signature and every root is checked. It stands alone on purpose: it imports
nothing of the platform.
Source: RFC 9162; C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-proof.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class BadError(Exception):
    """Something is not as it was signed: what, and from which record on if one can be named."""


def sha256(*parts: bytes) -> bytes:
    """Return the digest of the parts, one after the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text: str) -> bytes:
    """Return the bytes, or none unless they are spelled in the one right way."""
    fits = re.fullmatch("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[A-Za-z0-9+/=]=)?", text)
    raw = base64.b64decode(text) if fits else b""
    return raw if base64.b64encode(raw).decode() == text else b""


class Key:
    """The log's key, and what must be signed with it."""

    def __init__(self, text: str) -> None:
        match = re.fullmatch(r"([!-*,-~]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)\n", text)
        self.name, body = (match[1], unbase64(match[3])) if match else ("", b"")
        self.id = sha256(self.name.encode(), b"\n", body)[:4]
        if not match or len(body) != 33 or body[0] != 1 or self.id.hex() != match[2]:
            raise BadError("the key is not a verifier key for Ed25519")
        self.public = Ed25519PublicKey.from_public_bytes(body[1:])

    def open(self, note: str, what: str, at: int | None, others: bool = False) -> list[str]:
        """Return the lines of a note that the log signed, and nobody else unless others may."""
        text, _, signatures = note.partition("\n\n")
        lines, mark = signatures.split("\n"), f"— {self.name} "
        ours = [unbase64(line[len(mark) :]) for line in lines if line.startswith(mark)]
        if len(ours) != 1 or ours[0][:4] != self.id or (lines[1:] != [""] and not others):
            raise BadError(f"{what} does not bear the log's signature", at)
        try:
            self.public.verify(ours[0][4:], text.encode() + b"\n")
        except InvalidSignature:
            raise BadError(f"{what} was not signed by the log's key", at) from None
        if (lines := text.split("\n"))[0] not in (self.name, "ragplatform archived segment"):
            raise BadError(f"{what} is of another log", at)
        return lines


class Log:
    """The records of a log in order, as far as they are found good."""

    def __init__(self, folder: Path, key: Key, archive: Path | None) -> None:
        self.folder, self.key, self.archive = folder, key, archive
        self.leaves: list[bytes] = []
        self.perfect: dict[tuple[int, int], bytes] = {}
        self.above: bytes | None = b""  # the commit line above; None where it was archived
        self.blame = self.unread = 0  # the first record of the group above; how many not read
        self.tiles: dict[tuple[int, int, int], Path] = {}
        for path in [path for path in folder.glob("tile/**/*") if path.is_file()]:
            name = path.relative_to(folder / "tile").as_posix()
            if match := re.fullmatch(r"(\d+)/((?:x\d{3}/)*\d{3})(?:\.p/(\d+))?", name):
                number = int(re.sub("[x/]", "", match[2]))
                self.tiles[int(match[1]), number, int(match[3] or 256)] = path

    def root(self, start: int, end: int) -> bytes:
        """Return the root over a run of leaves. Source: RFC 9162, section 2.1.1."""
        if end - start < 2:
            return self.leaves[start] if end > start else sha256()
        # Halves are split at the largest power of two below the count.
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        found = self.perfect.get((start, end)) or sha256(
            b"\x01", self.root(start, middle), self.root(middle, end)
        )
        if end - middle == middle - start:
            self.perfect[start, end] = found
        return found

    def check(self, states: list[tuple[int, bytes, str]]) -> None:
        """Raise ``BadError`` unless all is as it was signed."""
        archived = {}
        for path in sorted(self.folder.glob("archived-*.note")):
            said = self.key.open(path.read_bytes().decode(errors="replace"), path.name, None)
            name = f"archived-{int(said[2]):012d}.note"
            if [*said[:2], name] != ["ragplatform archived segment", self.key.name, path.name]:
                raise BadError(f"{path.name} is not what it is named")
            archived[int(said[2])] = int(said[3])
        for path in sorted(self.folder.glob("segment-*")):
            while path.name != f"segment-{(first := len(self.leaves)):012d}.jsonl":
                if first not in archived:
                    raise BadError(f"{path.name} does not follow what is before it", first)
                self.take_archived(first, first + archived[first])
            self.segment(path)
        for size, root, what in states:
            if size > len(self.leaves):
                raise BadError(f"missing, but {what} is over {size} records", len(self.leaves))
            if self.root(0, size) != root:
                raise BadError(f"the log was rewritten: {what} is over other records")
        self.check_tiles()

    def check_tiles(self) -> None:
        """Compare the tiles with the leaves."""
        for (level, number, width), path in sorted(self.tiles.items()):
            content, span = path.read_bytes(), 256**level
            for at in range(max(width, (len(content) + 31) // 32)):
                start = (number * 256 + at) * span
                there = at < width and start + span <= len(self.leaves)
                if not there or self.root(start, start + span) != content[at * 32 :][:32]:
                    bad = min(start, len(self.leaves))
                    raise BadError(f"{path} does not hold the hash of this record", bad)

    def take_archived(self, first: int, end: int) -> None:
        """Read an archived segment, or take its hashes from tiles; a later root covers them."""
        name = f"segment-{first:012d}.jsonl"
        if self.archive:
            copies = [self.archive / self.folder.name / name, self.archive / name]
            for copy in [copy for copy in copies if copy.is_file()][:1]:
                self.segment(copy)
        else:
            tiles = [(key[1], path.read_bytes()) for key, path in self.tiles.items() if not key[0]]
            for at in range(first, end):
                wide = max((tile for n, tile in tiles if n == at // 256), key=len, default=b"")
                self.leaves += [wide[at % 256 * 32 :][:32]]
            self.above, self.blame, self.unread = None, first, self.unread + end - first
        if len(self.leaves) != end or not all(self.leaves):
            raise BadError(f"{name} is not whole in the archive, or tiles lack its hashes", first)

    def segment(self, path: Path) -> None:
        """Check the groups of a segment."""
        group: list[bytes] = []
        *lines, tail = path.read_bytes().split(b"\n")
        for line in lines:
            group.append(line)
            if line.startswith(b'{"checkpoint":'):
                self.group(group, len(self.leaves))
                group = []
        if group or tail:
            raise BadError("it is not closed by a signed checkpoint", len(self.leaves))

    def group(self, lines: list[bytes], base: int) -> None:
        """Check records and the commit line behind them."""
        *records, line = lines
        try:
            note, listed = (raw := json.loads(line))["checkpoint"], raw["leaves"]
            again = {"checkpoint": note + "", "leaves": [bytes.fromhex(x).hex() for x in listed]}
            same = json.dumps(again, separators=(",", ":"), ensure_ascii=False).encode() == line
        except (ValueError, KeyError, TypeError):
            same = False
        if not same or not records or not listed:
            raise BadError("the commit line behind it is damaged", base)
        _, size, signed = self.key.open(note, "the commit line behind it", base)
        self.leaves += [sha256(b"\x00", record) for record in records]
        found = [leaf.hex() for leaf in self.leaves[base:]]
        pairs = list(zip([*found, ""], [*listed, ""], strict=False))
        bad = base + next((at for at, (one, other) in enumerate(pairs) if one != other), 0)
        if int(size) != base + len(listed):
            raise BadError("it is not where it belongs", base)
        rooted = self.root(0, base + len(found)) == unbase64(signed)
        if len(found) != len(listed) or (found != listed and not rooted):
            raise BadError("it is altered, missing or out of place", bad)
        if found != listed or not rooted:
            first = self.blame if self.above is None else base
            raise BadError("the hashes up to its commit line are not as signed", first)
        digest = f'"{hashlib.sha256(self.above).hexdigest()}"' if self.above else "null"
        if self.above is not None and not records[0].startswith(f'{{"above":{digest},'.encode()):
            raise BadError("the commit line behind it is altered", self.blame)
        self.above, self.blame = line, base


def check_proof(text: str, key: Key | None) -> str:
    """Check a tlog-proof with a record and a key in it, and return the record."""
    head, _, note = text.partition("\n\n")
    mark, extra, place, *path = head.split("\n")
    said = json.loads(unbase64(extra.removeprefix("extra ")) or "null") or {}
    own = Key(f"{said.get('key')}\n")
    if mark != "c2sp.org/tlog-proof@v1" or (key and key.public != own.public):
        raise BadError("this is no proof with a record, or its key is not the one given")
    _, size, root = (key or own).open(note, "the checkpoint", None, others=True)
    hashes, at, last = [unbase64(line) for line in path], int(place[6:]), int(size) - 1
    found, number = sha256(b"\x00", said["record"].encode()), at
    while last > 0 and hashes:
        if at % 2 or at < last:  # it has a sibling; the last of an odd row moves up alone
            pair = (hashes[0], found) if at % 2 else (found, hashes[0])
            found, hashes = sha256(b"\x01", *pair), hashes[1:]
        at, last = at // 2, last // 2
    if last or hashes or found != unbase64(root) or place != f"index {number}":
        raise BadError("the proof does not lead to the signed root", number)
    return f"record {number} of {size} in {own.name}: {said['record']}"


def check_log(folder: Path, key: Key | None, held: Path | None, archive: Path | None) -> str:
    """Check a log, and return what was found good."""
    own = Key((folder / "key.pub").read_bytes().decode(errors="replace"))
    if key and key.public != own.public:
        raise BadError("key.pub is not the key that was given")
    states = []
    for path, what in [(folder / "checkpoint", "the checkpoint beside"), (held, "the one held")]:
        if path:
            note = path.read_bytes().decode(errors="replace")
            # What is kept may hold checkpoints of many logs; signatures of others may follow ours.
            at = f"\n{note}".find(f"\n{own.name}\n") if path == held else 0
            _, size, root = own.open(note[max(at, 0) :], what, None, others=path == held)
            states.append((int(size), unbase64(root), what))
    log = Log(folder, own, archive)
    log.check(states)
    unread = f", {log.unread} of them archived and not read" if log.unread else ""
    return f"{len(log.leaves)} records of {own.name}{unread}"


def main() -> int:
    """Check what the command line names, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("log", nargs="?", type=Path, default=Path("no log given"))
    for option in ("--key", "--from-checkpoint", "--archive", "--proof"):
        parser.add_argument(option, type=str if option == "--key" else Path)
    given = parser.parse_args()
    try:
        named = given.key if not given.key or "+" in given.key else Path(given.key).read_text()
        key = Key(named.strip() + "\n") if named else None
        if given.proof:
            print("good:", check_proof(given.proof.read_bytes().decode(errors="replace"), key))
        else:
            print("good:", check_log(given.log, key, given.from_checkpoint, given.archive))
    except OSError as error:
        inside = Path(error.filename or "").parent == given.log
        gone = isinstance(error, FileNotFoundError) and inside and any(given.log.glob("segment-*"))
        print("TAMPERED: a file is missing:" if gone else "UNREADABLE:", error)
        return 1 if gone else 2
    except (BadError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem, record = (*error.args, None, None)[:2]
        print("TAMPERED:", problem if record is None else f"first bad record {record}: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
