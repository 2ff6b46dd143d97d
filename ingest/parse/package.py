"""What Office and OpenDocument files have in common: XML parts in a ZIP, none of them trusted."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lxml import etree

from ragplatform.errors import ParseError

# A large real report unpacks to some tens of MiB, and Word's XML to at most about 40 times its
# compressed size; bombs start at 1,000 times.
_MAX_UNPACKED: Final = 512 * 1024 * 1024
_MAX_RATIO: Final = 200
_RATIO_FLOOR: Final = 16 * 1024 * 1024
_MAX_ENTRIES: Final = 10_000
_MACROS: Final = ("vbaproject.bin", "vbadata.xml")
# OpenDocument keeps Basic and other scripts in these folders of its package.
_SCRIPT_FOLDERS: Final = ("basic/", "scripts/")
_SCRIPT_INDEX: Final = frozenset({"basic/script-lc.xml", "basic/standard/script-lb.xml"})
# Every binary sheet is declared so, with macros or without.
_BINARY_SHEET: Final = b"sheet.binary.macroenabled"
_DOCTYPE: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
)


def inspect_package(data: bytes, what: str) -> None:
    """Refuse a package that is dangerous to unpack or holds what runs, before it is unpacked.

    ``what`` names the format in messages. Raises ``ParseError``: ``archive_bomb``,
    ``active_content``, ``encrypted``, ``malformed``.
    """
    with open_package(data, what) as archive:
        entries = archive.infolist()
        refuse_bombs([entry.file_size for entry in entries], len(data))
        for entry in entries:
            _inspect_entry(archive, entry, what)


@contextmanager
def open_package(data: bytes, what: str) -> Iterator[zipfile.ZipFile]:
    """Open the archive; whatever its damage raises inside becomes ``malformed``."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except _DAMAGE as error:
        raise ParseError("malformed", f"the archive of this {what} is damaged") from error
    except RuntimeError as error:
        if isinstance(error, RecursionError):
            raise
        # zipfile's way to say that an entry needs a password.
        raise ParseError("encrypted", f"a part of this {what} is encrypted") from error


def refuse_bombs(sizes: list[int], packed: int) -> None:
    """Raise ``ParseError`` (``archive_bomb``) for too many parts, or too much in too little."""
    total = sum(sizes)
    if len(sizes) > _MAX_ENTRIES or total > _MAX_UNPACKED:
        raise ParseError("archive_bomb", f"{len(sizes)} parts unpack to {total} bytes")
    if total > _RATIO_FLOOR and total > packed * _MAX_RATIO:
        raise ParseError("archive_bomb", f"{packed} bytes unpack to {total}")


def parse_part(data: bytes, what: str) -> etree._Element:
    """Return the root of a part's XML; no entity is resolved and nothing is fetched.

    Raises ``ParseError`` (``malformed``).
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root: etree._Element = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ParseError("malformed", f"a part of this {what} is damaged") from error
    return root


def _inspect_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, what: str) -> None:
    name = entry.filename.lower()
    if entry.flag_bits & 0x1:
        raise ParseError("encrypted", f"a part of this {what} is encrypted")
    if name.endswith(_MACROS) or (
        name.startswith(_SCRIPT_FOLDERS) and name not in _SCRIPT_INDEX and not name.endswith("/")
    ):
        raise ParseError("active_content", "the document holds macros")
    if name == "[content_types].xml":
        declared = archive.read(entry).lower().replace(_BINARY_SHEET, b"")
        if b"macroenabled" in declared:
            raise ParseError("active_content", "the document is made for macros")
    if name == "meta-inf/manifest.xml" and b"encryption-data" in archive.read(entry):
        raise ParseError("encrypted", f"this {what} is protected by a password")
    if name.endswith((".xml", ".rels")):
        with archive.open(entry) as part:
            start = part.read(4096)
        # Office Open XML forbids DTDs (ECMA-376 part 2, 8.1.1 M1.17): one is an attack. In UTF-16
        # it would hide from this search, but the XML parser resolves no entity either. OpenOffice 1
        # wrote a DOCTYPE without entities into OpenDocument's ancestor and its manifest.
        found = _DOCTYPE.search(start)
        if found and (b"ENTITY" in start.upper() or name.startswith(("word/", "xl/", "ppt/"))):
            raise ParseError("malformed", f"a part of this {what} declares XML entities")
