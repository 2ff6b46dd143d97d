"""Outlook's MSG (MS-OXMSG): properties of a mail in the streams of an OLE file."""

import io
import struct
from datetime import UTC, datetime, timedelta
from typing import Final

import compressed_rtf
import olefile

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ingest.parse.mail import write_body, write_header
from ingest.parse.rtf import parse_rtf
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

# Property ids. Source: MS-OXPROPS.
_SUBJECT: Final = 0x0037
_BODY: Final = 0x1000
_RTF: Final = 0x1009
_HTML: Final = 0x1013
_SENDER: Final = (0x0C1A, 0x0C1F)
_TO: Final = 0x0E04
_CC: Final = 0x0E03
_SENT: Final = 0x0039
_DELIVERED: Final = 0x0E06
_CODE_PAGE: Final = 0x3FFD
_DATA: Final = 0x3701
_LONG_NAME: Final = 0x3707
_SHORT_NAME: Final = 0x3704
# Contacts and appointments hold their substance in fields of their own.
_FIELDS: Final = (
    (0x3001, "Name"), (0x3A16, "Company"), (0x3A17, "Title"), (0x3A08, "Business telephone"),
    (0x3A1C, "Mobile telephone"), (0x3A09, "Home telephone"), (0x3A15, "Address"),
)  # fmt: skip
_ATTACHMENT: Final = "__attach_version1.0_#"
_EMBEDDED: Final = "__substg1.0_3701000d"
_MAX_ATTACHMENTS: Final = 2_000
_MAX_STREAM: Final = 256 * 1024 * 1024
_MAX_NESTING: Final = 4
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)


def parse_msg(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the item's headers, one a line, then its text; mails attached to it follow.

    Other attachments are named, not read: see ``msg_members``. Raises ``ParseError``:
    ``malformed``, ``no_text``, ``resource_limit``.
    """
    builder = TextBuilder(max_chars=max_chars)
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            _write(_Storage(ole, ()), builder, 0)
    except _DAMAGE as error:
        raise ParseError("malformed", "this Outlook item cannot be read") from error
    return builder.finish(Kind.MSG.value)


def msg_members(data: bytes) -> list[tuple[str, bytes]]:
    """Return name and content of each attached file.

    Raises ``ParseError`` (``malformed``, ``resource_limit``).
    """
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            return list(_files(_Storage(ole, ()), 0))
    except _DAMAGE as error:
        raise ParseError("malformed", "this Outlook item cannot be read") from error


_DAMAGE: Final = (
    *(OSError, ValueError, IndexError, KeyError, TypeError, AttributeError),
    *(struct.error, OverflowError, UnicodeError, olefile.olefile.OleFileError),
)


class _Storage:
    """One item's properties: the file itself, an attachment, or an item attached to it."""

    def __init__(self, ole: olefile.OleFileIO, path: tuple[str, ...]) -> None:
        self._ole = ole
        self.path = path
        page = self._fixed().get(_CODE_PAGE)
        number = struct.unpack("<I", page[:4])[0] if page else 0
        self._encoding = f"cp{number}" if 0 < number < 60_000 else ""

    def text(self, number: int) -> str:
        """Return a string property, ``""`` where there is none."""
        if (wide := self.raw(number, "001F")) is not None:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        if (narrow := self.raw(number, "001E")) is None:
            return ""
        if self._encoding:
            try:
                return narrow.decode(self._encoding, "replace").rstrip("\0")
            except LookupError:
                pass
        return decode(narrow)[0].rstrip("\0")

    def raw(self, number: int, kind: str) -> bytes | None:
        """Return the bytes of a property of that type, None where there is none."""
        path = [*self.path, f"__substg1.0_{number:04X}{kind}"]
        if not self._ole.exists(path) or self._ole.get_type(path) != olefile.STGTY_STREAM:
            return None
        if self._ole.get_size(path) > _MAX_STREAM:
            raise ParseError("resource_limit", "a part of this Outlook item is too large")
        with self._ole.openstream(path) as stream:
            body: bytes = stream.read()
        return body

    def time(self, number: int) -> str:
        """Return a time property in ISO 8601, in UTC."""
        value = self._fixed().get(number)
        if not value:
            return ""
        ticks = struct.unpack("<Q", value)[0]
        try:
            return (_EPOCH + timedelta(microseconds=ticks // 10)).isoformat(" ", "seconds")
        except OverflowError:
            return ""

    def children(self, prefix: str) -> list["_Storage"]:
        """Return the storages directly below whose names begin so, in order."""
        depth = len(self.path)
        names = {
            tuple(entry[: depth + 1])
            for entry in self._ole.listdir(streams=True, storages=True)
            if len(entry) > depth
            and tuple(entry[:depth]) == self.path
            and entry[depth].lower().startswith(prefix.lower())
        }
        folder = olefile.STGTY_STORAGE
        found = [name for name in sorted(names) if self._ole.get_type(list(name)) == folder]
        return [_Storage(self._ole, name) for name in found[:_MAX_ATTACHMENTS]]

    def _fixed(self) -> dict[int, bytes]:
        """Return the 8-byte values of the fixed properties (MS-OXMSG, 2.4)."""
        path = [*self.path, "__properties_version1.0"]
        if not self._ole.exists(path):
            return {}
        with self._ole.openstream(path) as stream:
            body: bytes = stream.read(1 << 20)
        head = 32 if not self.path else 8 if self.path[-1].startswith("__attach") else 24
        found = {}
        for start in range(head, len(body) - 15, 16):
            _, number, _, value = struct.unpack("<HHI8s", body[start : start + 16])
            found[number] = value
        return found


def _write(item: _Storage, builder: TextBuilder, depth: int) -> None:
    if depth > _MAX_NESTING:
        raise ParseError("archive_bomb", f"mails attached to each other over {_MAX_NESTING} deep")
    sender = " ".join(filter(None, dict.fromkeys(item.text(number) for number in _SENDER)))
    when = item.time(_SENT) or item.time(_DELIVERED)
    shown = (("From", sender), ("To", item.text(_TO)), ("Cc", item.text(_CC)), ("Date", when))
    for name, value in (*shown, ("Subject", item.text(_SUBJECT))):
        write_header(name, value, builder)
    for number, name in _FIELDS:
        write_header(name, item.text(number), builder)
    text, is_html = _body(item)
    write_body(text, html=is_html, builder=builder)
    names = []
    for attachment in item.children(_ATTACHMENT):
        inner = attachment.children(_EMBEDDED)
        if inner:
            builder.add("Attached message:", gap="\n\n")
            _write(inner[0], builder, depth + 1)
        else:
            names.append(_file_name(attachment))
    if names:
        builder.add(f"Attachments: {', '.join(names)}", gap="\n\n")


def _body(item: _Storage) -> tuple[str, bool]:
    """Return the text in its plainest form, and whether it is HTML."""
    if plain := item.text(_BODY).strip():
        return plain, False
    if (html := item.raw(_HTML, "0102")) is not None:
        return decode(html)[0], True
    if html_text := item.text(_HTML):
        return html_text, True
    if (packed := item.raw(_RTF, "0102")) is not None:
        try:
            return parse_rtf(_decompressed(packed), max_chars=10**9).text, False
        except ParseError:
            return "", False
    return "", False


def _decompressed(packed: bytes) -> bytes:
    """Return the RTF. Raises ``ParseError`` (``malformed``)."""
    try:
        body: bytes = compressed_rtf.decompress(packed)
    except Exception as error:  # the library raises nothing more precise
        raise ParseError("malformed", "the text of this Outlook item is damaged") from error
    return body


def _files(item: _Storage, depth: int) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    if depth > _MAX_NESTING:
        return found
    for attachment in item.children(_ATTACHMENT):
        if inner := attachment.children(_EMBEDDED):
            found += _files(inner[0], depth + 1)
        elif body := attachment.raw(_DATA, "0102"):
            found.append((_file_name(attachment), body))
    return found


def _file_name(attachment: _Storage) -> str:
    name = attachment.text(_LONG_NAME) or attachment.text(_SHORT_NAME) or "attachment.bin"
    return " ".join(clean(name).split()).replace("/", "_").replace("\\", "_")[-200:]
