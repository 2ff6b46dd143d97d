"""Archives, mailboxes and mails into the documents that lie in them, each with its path.

Runs in the sandbox, like the parsers. Nothing is written anywhere: members are bytes, and a path is
a name, never a place.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath, PurePosixPath
from typing import IO, Final

from ingest.parse.document import clean
from ingest.parse.kind import ARCHIVES, Kind, kind_of
from ingest.parse.mail import mail_members, mailbox_members
from ingest.parse.msg import msg_members
from ingest.parse.structured import structured_kind
from ragplatform.errors import ParseError

_MAX_RATIO: Final = 200
_RATIO_FLOOR: Final = 16 * 1024 * 1024
_MAX_PATH: Final = 500
_MAX_PARTS: Final = 40
_BLOCK: Final = 1 << 20
_DAMAGE: Final = (
    *(zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError),
    *(OSError, ValueError, OverflowError, NotImplementedError, KeyError, IndexError),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One document inside another; ``refused`` is the reason why its content was not taken out."""

    path: str = field(repr=False)
    data: bytes = field(repr=False, default=b"")
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """What lies in a file. ``is_document`` is whether the file has text of its own as well."""

    members: tuple[Member, ...]
    is_document: bool


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much one file may still give: ``members`` and ``total`` bytes of all of them."""

    members: int
    total: int


def unpack(data: bytes, name: str, allowance: Allowance) -> Opened:
    """Return the documents that lie in the file, in order, with names that are safe and distinct.

    A mail that cannot be taken apart gives no members: as a document it says why itself. Raises
    ``ParseError``: ``archive_bomb`` beyond the allowance or for too much out of too little,
    ``encrypted``, ``malformed``, and what ``kind_of`` raises.
    """
    if structured_kind(data, name) is not None:
        # HL7 is found under Outlook's suffix, too.
        return Opened((), True)
    kind = kind_of(data, name)
    if kind not in ARCHIVES:
        try:
            return Opened(tuple(_bounded(_attachments(kind, data), allowance, None)), True)
        except ParseError as error:
            if error.reason == "archive_bomb":
                raise
            return Opened((), True)
    try:
        found = _archived(kind, data, name, allowance)
        members = tuple(_bounded(found, allowance, len(data)))
    except _DAMAGE as error:
        raise ParseError("malformed", "the archive is damaged") from error
    if members and all(member.refused == "encrypted" for member in members):
        raise ParseError("encrypted", "the archive is protected by a password")
    if not members:
        raise ParseError("empty", "the archive holds no file")
    return Opened(members, False)


def _attachments(kind: Kind, data: bytes) -> Iterable[Member]:
    if kind is Kind.EML:
        return (Member(path, body) for path, body in mail_members(data))
    if kind is Kind.MSG:
        return [Member(path, body) for path, body in msg_members(data)]
    return ()


def _archived(kind: Kind, data: bytes, name: str, allowance: Allowance) -> Iterable[Member]:
    match kind:
        case Kind.ZIP:
            return _zipped(data, allowance)
        case Kind.MBOX:
            return (Member(path, body) for path, body in mailbox_members(data))
        case Kind.TAR:
            return _taped(data, allowance)
        case _:
            return _squeezed(kind, data, name, allowance)


def _bounded(
    members: Iterable[Member], allowance: Allowance, packed: int | None
) -> Iterator[Member]:
    """Yield members with safe, distinct names, until the allowance is spent."""
    seen: dict[str, int] = {}
    total = 0
    for count, member in enumerate(members, start=1):
        total += len(member.data)
        if count > allowance.members or total > allowance.total:
            raise ParseError("archive_bomb", "more lies in this file than one file may hold")
        if packed is not None and total > _RATIO_FLOOR and total > packed * _MAX_RATIO:
            raise ParseError("archive_bomb", f"{packed} bytes unpack to over {total}")
        path, is_safe = _safe(member.path)
        seen[path] = seen.get(path, 0) + 1
        if seen[path] > 1:
            place = PurePosixPath(path)
            path = str(place.with_name(f"{place.stem}~{seen[path]}{place.suffix}"))
        if is_safe:
            yield Member(path, member.data, member.refused)
        else:
            # A path out of the archive is an attempt to write over something: not a word of it.
            yield Member(path, refused="unsafe_path")


def _safe(path: str) -> tuple[str, bool]:
    """Return the path with nothing in it that leads elsewhere, and whether it was safe before."""
    shown = " ".join(clean(path).replace("\\", "/").split())
    parts = [part for part in shown.split("/") if part not in {"", "."}]
    is_safe = not shown.startswith("/") and ".." not in parts and ":" not in shown[:2]
    kept = [part.replace("..", "_") if part == ".." else part for part in parts][-_MAX_PARTS:]
    return "/".join(kept)[-_MAX_PATH:].lstrip("/") or "unnamed", is_safe


def _zipped(data: bytes, allowance: Allowance) -> Iterator[Member]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > allowance.members:
            raise ParseError("archive_bomb", f"{len(entries):,} files in one archive")
        left = allowance.total
        for entry in entries:
            # The upper half of the attributes is the mode of Unix; 0o12 marks a link.
            if entry.external_attr >> 28 == 0o12:
                yield Member(entry.filename, refused="not_a_file")
            elif entry.flag_bits & 0x1:
                yield Member(entry.filename, refused="encrypted")
            else:
                member = _zip_member(archive, entry, left)
                left -= len(member.data)
                yield member


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> Member:
    try:
        with archive.open(entry) as part:
            return Member(entry.filename, _read(part, left))
    except (NotImplementedError, RuntimeError):
        return Member(entry.filename, refused="unsupported_type")
    except _DAMAGE:
        return Member(entry.filename, refused="malformed")


def _taped(data: bytes, allowance: Allowance) -> Iterator[Member]:
    left = allowance.total
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for entry in archive:
            if entry.isdir():
                continue
            if not entry.isreg():
                yield Member(entry.name, refused="not_a_file")
                continue
            part = archive.extractfile(entry)
            if entry.size > left or part is None:
                raise ParseError("archive_bomb", "more lies in this file than one file may hold")
            body = _read(part, left)
            left -= len(body)
            yield Member(entry.name, body)


def _squeezed(kind: Kind, data: bytes, name: str, allowance: Allowance) -> Iterable[Member]:
    """Return the members of a compressed tar, or the one file that is compressed."""
    ceiling = min(allowance.total, max(_RATIO_FLOOR, len(data) * _MAX_RATIO))
    openers: dict[Kind, Callable[[IO[bytes]], io.BufferedIOBase]] = {
        Kind.GZIP: lambda packed: gzip.GzipFile(fileobj=packed),
        Kind.BZIP2: bz2.BZ2File,
        Kind.XZ: lzma.LZMAFile,
    }
    with openers[kind](io.BytesIO(data)) as opened:
        body = _read(opened, ceiling)
    if body[257:262] == b"ustar":
        return _taped(body, allowance)
    inner = PurePath(name).stem
    return [Member(inner if PurePath(inner).suffix else f"{inner}.txt", body)]


def _read(part: IO[bytes] | io.BufferedIOBase, most: int) -> bytes:
    """Return all that the stream gives; raise before it gives more than allowed."""
    blocks, size = [], 0
    while block := part.read(_BLOCK):
        blocks.append(block)
        size += len(block)
        if size > most:
            raise ParseError("archive_bomb", "more lies in this file than one file may hold")
    return b"".join(blocks)
