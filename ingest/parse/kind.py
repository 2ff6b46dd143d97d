"""What a document is: its content speaks first, its suffix second, and a lie is a reason."""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePath
from typing import Final

import olefile

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
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
    XLS = "application/vnd.ms-excel"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    ODT = "application/vnd.oasis.opendocument.text"
    ODS = "application/vnd.oasis.opendocument.spreadsheet"
    ODP = "application/vnd.oasis.opendocument.presentation"
    RTF = "application/rtf"
    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    XML = "application/xml"
    EML = "message/rfc822"
    MSG = "application/vnd.ms-outlook"
    MBOX = "application/mbox"
    ZIP = "application/zip"
    TAR = "application/x-tar"
    GZIP = "application/gzip"
    BZIP2 = "application/x-bzip2"
    XZ = "application/x-xz"
    PNG = "image/png"
    JPEG = "image/jpeg"
    TIFF = "image/tiff"
    WEBP = "image/webp"
    FHIR = "application/fhir+json"
    HL7 = "application/hl7-v2"
    CDA = "application/cda+xml"
    DICOM = "application/dicom"
    X12 = "application/edi-x12"
    MT940 = "application/swift-mt940"
    ISO20022 = "application/iso20022+xml"
    XBRL = "application/xbrl+xml"


ARCHIVES: Final = frozenset({Kind.ZIP, Kind.TAR, Kind.GZIP, Kind.BZIP2, Kind.XZ, Kind.MBOX})
"""Kinds that are no document themselves, only their members are."""


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
    ".xlsx": Kind.XLSX,
    ".xltx": Kind.XLSX,
    ".xlsb": Kind.XLSB,
    ".xls": Kind.XLS,
    ".pptx": Kind.PPTX,
    ".ppsx": Kind.PPTX,
    ".odt": Kind.ODT,
    ".ods": Kind.ODS,
    ".odp": Kind.ODP,
    ".rtf": Kind.RTF,
    ".json": Kind.JSON,
    ".ndjson": Kind.NDJSON,
    ".jsonl": Kind.NDJSON,
    ".xml": Kind.XML,
    ".eml": Kind.EML,
    ".msg": Kind.MSG,
    ".mbox": Kind.MBOX,
    ".zip": Kind.ZIP,
    ".tar": Kind.TAR,
    ".gz": Kind.GZIP,
    ".tgz": Kind.GZIP,
    ".bz2": Kind.BZIP2,
    ".tbz2": Kind.BZIP2,
    ".xz": Kind.XZ,
    ".txz": Kind.XZ,
    ".png": Kind.PNG,
    ".jpg": Kind.JPEG,
    ".jpeg": Kind.JPEG,
    ".tif": Kind.TIFF,
    ".tiff": Kind.TIFF,
    ".webp": Kind.WEBP,
}
# Kinds whose content is text, so that only the suffix tells them apart.
_PLAIN: Final = frozenset(
    {Kind.HTML, Kind.MARKDOWN, Kind.TEXT, Kind.CSV, Kind.TSV}
    | {Kind.JSON, Kind.NDJSON, Kind.XML, Kind.EML, Kind.MBOX}
)
# Old web pages and mails are kept under these names too, whatever their first bytes say.
_HOLDS_HTML: Final = frozenset({Kind.HTML, Kind.MARKDOWN, Kind.TEXT, Kind.XML, Kind.EML, Kind.MBOX})
_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"{\\rtf", Kind.RTF),
    (b"\x1f\x8b\x08", Kind.GZIP),
    (b"BZh", Kind.BZIP2),
    (b"\xfd7zXZ\x00", Kind.XZ),
    (b"\x89PNG\r\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
)
# Where a POSIX tar says that it is one (pax, ustar interchange format).
_TAR_OFFSET: Final = 257
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
_PACKED: Final = frozenset(
    {Kind.DOCX, Kind.XLSX, Kind.XLSB, Kind.PPTX, Kind.ODT, Kind.ODS, Kind.ODP, Kind.ZIP}
)
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zlib.error, ValueError, OverflowError, NotImplementedError),
    *(UnicodeError, OSError, EOFError, RuntimeError, KeyError),
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
    if found is Kind.HTML and claimed in _HOLDS_HTML:
        return Kind.EML if claimed is Kind.EML else Kind.HTML
    if claimed not in {None, found}:
        raise ParseError("type_mismatch", f"named {suffix or 'like text'}, but it is {found}")
    if claimed is None and suffix:
        raise ParseError("unsupported_type", f"no parser for {_shown(suffix)} files")
    return found


def may_hold_members(data: bytes, name: str) -> bool:
    """Return whether other documents may lie inside: by first bytes and suffix alone.

    Safe on hostile bytes, since nothing is unpacked; a yes may still turn out to hold nothing.
    """
    claimed = _SUFFIXES.get(PurePath(name).suffix.lower())
    if claimed in {Kind.EML, Kind.MSG, Kind.MBOX, Kind.ZIP, Kind.TAR}:
        return True
    # An archive hidden behind another name is a lie, for which the parsers have a reason.
    return claimed in {Kind.GZIP, Kind.BZIP2, Kind.XZ}


def _by_content(data: bytes) -> Kind | None:
    """Return the kind that the first bytes prove, None where only the suffix can tell."""
    if data.startswith((_ZIP, b"PK\x05\x06")):
        return _packed_kind(data)
    if data.startswith(_OLE):
        return _ole_kind(data)
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind.WEBP
    if data[_TAR_OFFSET : _TAR_OFFSET + 5] == b"ustar":
        return Kind.TAR
    if data.startswith(_BINARY):
        return None
    if b"%PDF-" in data[:_PDF_WINDOW] and not _HTML_START.match(data[:_PDF_WINDOW]):
        return None if _is_mail(data) else Kind.PDF
    if _HTML_START.match(data[:4096].removeprefix(b"\xef\xbb\xbf")):
        return Kind.HTML
    return None


def _is_mail(data: bytes) -> bool:
    """Return whether header lines begin the bytes: a short mail may carry a PDF's head in it."""
    return re.match(rb"(?:[!-9;-~]{1,70}:[^\n]*\n(?:[ \t][^\n]*\n)*){3}", data[:4096]) is not None


def _packed_kind(data: bytes) -> Kind | None:
    """Return which document a ZIP is, ``Kind.ZIP`` for plain archives, None for a damaged one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {entry.filename.lower() for entry in archive.infolist()[:100_000]}
            declared = b""
            if "mimetype" in names:
                with archive.open("mimetype") as part:
                    declared = part.read(100)
    except _UNREADABLE:
        return None
    if (found := declared.decode("latin-1").strip().removesuffix("-template")) in set(Kind):
        return Kind(found)
    if declared.startswith(b"application/"):
        # EPUB and its like: more than an archive, and without a parser here.
        raise ParseError("unsupported_type", "no parser for this kind of packed document")
    if "[content_types].xml" not in names:
        return Kind.ZIP
    if "xl/workbook.bin" in names:
        return Kind.XLSB
    for folder, kind in (("word/", Kind.DOCX), ("xl/", Kind.XLSX), ("ppt/", Kind.PPTX)):
        if any(name.startswith(folder) for name in names):
            return kind
    return None


def _ole_kind(data: bytes) -> Kind | None:
    """Return which document an OLE file is, from the streams at its root."""
    if _ENCRYPTED_PACKAGE in data:
        raise ParseError("encrypted", "the Office file is protected by a password")
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            roots = {entry[0].lower() for entry in ole.listdir(streams=True, storages=True)}
    except (OSError, ValueError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    if roots & {"_vba_project_cur", "macros"}:
        raise ParseError("active_content", "the document holds macros")
    if roots & {"worddocument", "powerpoint document"}:
        raise ParseError("unsupported_type", "no parser for Word and PowerPoint files before 2007")
    if roots & {"workbook", "book"}:
        return Kind.XLS
    return Kind.MSG if "__properties_version1.0" in roots else None


def _as_text(data: bytes, claimed: Kind | None, suffix: str) -> Kind:
    """Decide on bytes whose own form proves nothing that has a parser."""
    if claimed is None:
        raise ParseError("unsupported_type", f"no parser for {_shown(suffix)} files")
    if claimed in _PACKED and data.startswith(_ZIP):
        raise ParseError("malformed", f"the archive of this {suffix} is damaged or of another kind")
    if claimed in {Kind.XLS, Kind.MSG} and data.startswith(_OLE):
        raise ParseError("malformed", f"the streams of this {suffix} are damaged")
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
