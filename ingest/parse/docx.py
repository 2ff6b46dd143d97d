"""DOCX: paragraphs, headings, tables, notes, headers and text boxes in reading order."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Final

import docx
from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.exceptions import OpcError
from docx.oxml.parser import parse_xml
from lxml import etree

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ingest.parse.package import inspect_package, open_package
from ragplatform.errors import ParseError

_MAX_NESTING: Final = 200

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_SKIPPED: Final = frozenset(
    {f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_W}delText", f"{_MC}Fallback"}
    | {f"{_W}{name}" for name in ("pPr", "sectPr", "tblPr", "tblGrid", "trPr", "tcPr", "sdtPr")}
)
_SIGNS: Final = {
    f"{_W}tab": "\t",
    f"{_W}br": "\n",
    f"{_W}cr": "\n",
    f"{_W}noBreakHyphen": "-",
    f"{_W}ptab": "\t",
}
_HEADING: Final = re.compile(r"(?:heading|überschrift|titre|título) (\d)", re.IGNORECASE)
_NOTES: Final = (
    RELATIONSHIP_TYPE.FOOTNOTES,
    RELATIONSHIP_TYPE.ENDNOTES,
    RELATIONSHIP_TYPE.COMMENTS,
)
_STRICT: Final = b"http://purl.oclc.org/ooxml/wordprocessingml"


def parse_docx(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the document's text with its headings; a table row is one line.

    Deleted (tracked) and hidden text is left out. Raises ``ParseError``: ``archive_bomb``;
    ``active_content`` for macros; ``encrypted``; ``malformed``; ``no_text``; ``resource_limit``.
    """
    inspect_package(data, "DOCX")
    _refuse_strict(data)
    try:
        document = docx.Document(io.BytesIO(data))
        builder = TextBuilder(max_chars=max_chars)
        _Writer(document, builder).write()
    except (OpcError, KeyError, ValueError, AttributeError, IndexError) as error:
        # python-docx takes a sound package for granted and fails in any of these ways.
        raise ParseError("malformed", "this DOCX is not a sound Word document") from error
    except (zipfile.BadZipFile, etree.XMLSyntaxError, EOFError, NotImplementedError) as error:
        raise ParseError("malformed", "a part of this DOCX is damaged") from error
    except RuntimeError as error:
        # zipfile's way to say that an entry needs a password.
        raise ParseError("encrypted", "a part of this DOCX is encrypted") from error
    return builder.finish(Kind.DOCX.value)


def _refuse_strict(data: bytes) -> None:
    with open_package(data, "DOCX") as archive:
        if "word/document.xml" in archive.namelist():
            with archive.open("word/document.xml") as part:
                if _STRICT in part.read(4096):
                    raise ParseError(
                        "unsupported_type", "no parser for the strict form of Open XML"
                    )


class _Writer:
    """Walks the document's XML, since python-docx passes over content controls and text boxes."""

    def __init__(self, document: Document, builder: TextBuilder) -> None:
        self._document = document
        self._builder = builder
        self._levels: dict[str, int] = {}
        for style in document.styles.element.iter(f"{_W}style"):
            name = style.find(f"{_W}name")
            if name is None:
                continue
            label = name.get(f"{_W}val") or ""
            if found := _HEADING.fullmatch(label):
                self._levels[style.get(f"{_W}styleId")] = int(found[1])
            elif label.lower() == "title":
                self._levels[style.get(f"{_W}styleId")] = 1

    def write(self) -> None:
        """Write headers, body, notes and footers, each once."""
        seen: set[str] = set()
        for kind in ("header", "footer"):
            if kind == "footer":
                self._blocks(self._document.element.body, 0)
                self._notes()
            for section in self._document.sections:
                for name in (f"first_page_{kind}", kind, f"even_page_{kind}"):
                    part = getattr(section, name)
                    if part.is_linked_to_previous or str(part.part.partname) in seen:
                        continue
                    seen.add(str(part.part.partname))
                    self._blocks(part._element, 0)  # the only way to its XML

    def _notes(self) -> None:
        for relation in self._document.part.rels.values():
            if relation.reltype in _NOTES and not relation.is_external:
                self._blocks(parse_xml(relation.target_part.blob), 0)

    def _blocks(self, parent: etree._Element, depth: int) -> None:
        """Write every paragraph and table below the element, in document order."""
        if depth > _MAX_NESTING:
            raise ParseError("resource_limit", f"nested deeper than {_MAX_NESTING}")
        for child in parent:
            if child.tag == f"{_W}p":
                self._paragraph(child, depth)
            elif child.tag == f"{_W}tbl":
                self._table(child, depth)
            elif child.tag not in _SKIPPED:
                self._blocks(child, depth + 1)

    def _paragraph(self, paragraph: etree._Element, depth: int) -> None:
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        level = self._levels.get(style.get(f"{_W}val")) if style is not None else None
        boxes: list[etree._Element] = []
        text = "".join(_runs(paragraph, boxes))
        if level:
            self._builder.heading(text, level)
        elif paragraph.find(f"{_W}pPr/{_W}numPr") is not None and text.strip():
            self._builder.add(f"- {text.strip()}")
        else:
            self._builder.add(text)
        for box in boxes:
            self._blocks(box, depth + 1)

    def _table(self, table: etree._Element, depth: int) -> None:
        """Write each row on a line, cells apart by ``|``; a table inside a cell follows its row."""
        for row in _inside(table, f"{_W}tr"):
            cells, boxes = [], list[etree._Element]()
            inner: list[etree._Element] = []
            for cell in _inside(row, f"{_W}tc"):
                parts = ["".join(_runs(p, boxes)) for p in _inside(cell, f"{_W}p")]
                cells.append(" ".join(clean(" ".join(parts)).split()))
                inner.extend(_inside(cell, f"{_W}tbl"))
            if any(cells):
                self._builder.add_clean(" | ".join(cells))
            for nested in (*inner, *boxes):
                if depth > _MAX_NESTING:
                    raise ParseError("resource_limit", f"nested deeper than {_MAX_NESTING}")
                if nested.tag == f"{_W}tbl":
                    self._table(nested, depth + 1)
                else:
                    self._blocks(nested, depth + 1)


def _inside(parent: etree._Element, tag: str) -> Iterator[etree._Element]:
    """Yield the nearest elements of the tag below the parent, through wrappers, in order."""
    stops = {f"{_W}tbl", f"{_W}p", f"{_W}tr", f"{_W}tc"}
    waiting = list(reversed(parent))
    while waiting:
        element = waiting.pop()
        if element.tag == tag:
            yield element
        elif element.tag not in _SKIPPED and element.tag not in stops:
            waiting.extend(reversed(element))


def _runs(paragraph: etree._Element, boxes: list[etree._Element]) -> Iterator[str]:
    """Yield the visible text of a paragraph; text boxes anchored in it are put aside."""
    waiting = list(reversed(paragraph))
    while waiting:
        element = waiting.pop()
        if element.tag in {f"{_W}t", f"{_M}t"}:
            yield element.text or ""
        elif element.tag in _SIGNS:
            yield _SIGNS[element.tag]
        elif element.tag == f"{_W}txbxContent":
            boxes.append(element)
        elif element.tag not in _SKIPPED and not _is_hidden(element):
            waiting.extend(reversed(element))


def _is_hidden(run: etree._Element) -> bool:
    if run.tag != f"{_W}r":
        return False
    vanish = run.find(f"{_W}rPr/{_W}vanish")
    return vanish is not None and vanish.get(f"{_W}val") not in {"0", "false", "off"}
