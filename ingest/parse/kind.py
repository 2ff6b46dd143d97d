"""What a document is: its content speaks first, its suffix second, and a lie is a reason."""

import io
import re
import zipfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from ragplatform.encodings import looks_binary
from ragplatform.errors import ParseError


class Kind(StrEnum):
    """A media type that has a parser here."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    FHIR = "application/fhir+json"
    HL7 = "application/hl7-v2"
    CDA = "application/cda+xml"
    DICOM = "application/dicom"
    X12 = "application/edi-x12"
    MT940 = "application/swift-mt940"
    ISO20022 = "application/iso20022+xml"
    XBRL = "application/xbrl+xml"


_SUFFIXES: Final[Mapping[str, Kind]] = {
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
    ".text": Kind.TEXT,
    ".log": Kind.TEXT,
    "": Kind.TEXT,
    ".csv": Kind.CSV,
    ".tsv": Kind.TSV,
    ".tab": Kind.TSV,
}
_PLAIN: Final = frozenset({Kind.HTML, Kind.MARKDOWN, Kind.TEXT, Kind.CSV, Kind.TSV})

# The first bytes of what must never be taken for text. Source: the formats' own specifications.
_BINARY: Final = (
    b"MZ",
    b"\x7fELF",
    b"\xca\xfe\xba\xbe",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xcf\xfa\xed\xfe",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x07\x08",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"\x1f\x8b\x08",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",
    b"\x89PNG\r\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"II*\x00",
    b"MM\x00*",
    b"%!PS",
    b"{\\rtf",
    b"#!",
)
_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Readers look for the header in the first 1,024 bytes (ISO 32000-1, annex H, note 13).
_PDF_WINDOW: Final = 1024
_HTML_START: Final = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*(?:<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]|<script[\s>])",
    re.IGNORECASE | re.DOTALL,
)
# The name of the stream in which encrypted Office files lie, in UTF-16 (MS-OFFCRYPTO, 2.3.4.4).
_ENCRYPTED_PACKAGE: Final = "EncryptedPackage".encode("utf-16-le")


def kind_of(data: bytes, name: str) -> Kind:
    """Return what the bytes are.

    Raises ``ParseError``: ``empty``; ``type_mismatch`` when content and suffix contradict each
    other; ``malformed`` for a damaged head; ``encrypted`` for a protected Office file;
    ``unsupported_type`` for all else that has no parser here.
    """
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise ParseError("empty", "the file holds nothing")
    suffix = PurePath(name).suffix.lower()
    claimed = _SUFFIXES.get(suffix)
    found = _by_content(data)
    if found is None:
        return _as_text(data, claimed, suffix)
    if claimed not in {None, found} and not (found is Kind.HTML and claimed in _PLAIN):
        raise ParseError("type_mismatch", f"named {suffix or 'like text'}, but it is {found}")
    if claimed is None and suffix and found is Kind.HTML:
        raise ParseError("unsupported_type", f"no parser for {_shown(suffix)} files")
    if found is Kind.HTML and claimed in {Kind.CSV, Kind.TSV}:
        raise ParseError("type_mismatch", f"named {suffix}, but it is {found}")
    return found


def _by_content(data: bytes) -> Kind | None:
    """Return the kind that the first bytes prove, None where only the suffix can tell."""
    if data.startswith(_ZIP) and (office := _office_kind(data)):
        return office
    if data.startswith(_BINARY):
        return None
    if b"%PDF-" in data[:_PDF_WINDOW] and not _HTML_START.match(data[:_PDF_WINDOW]):
        return Kind.PDF
    if _HTML_START.match(data[:4096].removeprefix(b"\xef\xbb\xbf")):
        return Kind.HTML
    return None


def _office_kind(data: bytes) -> Kind | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {entry.filename.lower() for entry in archive.infolist()[:100_000]}
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, UnicodeError):
        return None
    if "[content_types].xml" not in names or not any(n.startswith("word/") for n in names):
        return None
    return Kind.DOCX


def _as_text(data: bytes, claimed: Kind | None, suffix: str) -> Kind:
    """Decide on bytes whose own form proves nothing that has a parser."""
    if data.startswith(_OLE) and _ENCRYPTED_PACKAGE in data:
        raise ParseError("encrypted", "the Office file is protected by a password")
    if claimed is None:
        raise ParseError("unsupported_type", f"no parser for {_shown(suffix)} files")
    if claimed is Kind.DOCX and data.startswith(_ZIP):
        raise ParseError("malformed", "the archive of this .docx is damaged or holds no document")
    if claimed not in _PLAIN:
        if data.startswith(_BINARY):
            raise ParseError("type_mismatch", f"named {suffix}, but its content is something else")
        raise ParseError("malformed", f"named {suffix}, but nothing of that format begins it")
    if data.startswith(_BINARY) or looks_binary(data):
        if not suffix:
            raise ParseError("unsupported_type", "no suffix, and the content is not text")
        raise ParseError("type_mismatch", f"named {suffix}, but its content is not text")
    return claimed


def _shown(suffix: str) -> str:
    # A suffix is the caller's text: only what looks like one is repeated.
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else "these"
