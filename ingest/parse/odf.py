"""ODT and ODP: the text of OpenDocument, whose content lies in one XML part."""

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ingest.parse.package import inspect_package, open_package, parse_part
from ragplatform.errors import ParseError

_NS: Final = "urn:oasis:names:tc:opendocument:xmlns:"
_TEXT: Final = f"{{{_NS}text:1.0}}"
_TABLE: Final = f"{{{_NS}table:1.0}}"
_DRAW: Final = f"{{{_NS}drawing:1.0}}"
_OFFICE: Final = f"{{{_NS}office:1.0}}"
_STYLE: Final = f"{{{_NS}style:1.0}}"
_PRESENTATION: Final = f"{{{_NS}presentation:1.0}}"
# OpenOffice 1 wrote the same words in namespaces of its own.
_OLD: Final = re.compile(rb"http://openoffice\.org/2000/(text|table|drawing|office|style)")
_SKIPPED: Final = frozenset(
    {
        *(f"{_TEXT}tracked-changes", f"{_TEXT}sequence-decls", f"{_TEXT}hidden-text"),
        *(f"{_TEXT}variable-decls", f"{_TEXT}user-field-decls", f"{_TEXT}bookmark"),
        *(f"{_OFFICE}forms", f"{_OFFICE}scripts", f"{_OFFICE}event-listeners"),
        *(f"{_TABLE}covered-table-cell", f"{_OFFICE}automatic-styles"),
    }
)
_MAX_REPEAT: Final = 1_000
_MAX_NESTING: Final = 200
_WHAT: Final = "OpenDocument file"


def parse_odf(data: bytes, *, kind: Kind, max_chars: int) -> ParsedDocument:
    """Return headings, paragraphs and tables in order; in a presentation each slide is a page.

    Headers and footers come first and last. Deleted (tracked) and hidden text is left out. Raises
    ``ParseError``: ``archive_bomb``, ``active_content`` for macros, ``encrypted``, ``malformed``,
    ``no_text``, ``resource_limit``.
    """
    inspect_package(data, _WHAT)
    builder = TextBuilder(max_chars=max_chars)
    with open_package(data, _WHAT) as archive:
        names = archive.namelist()
        if "content.xml" not in names:
            raise ParseError("malformed", "this OpenDocument file holds no content")
        content = _root(archive.read("content.xml"))
        styles = _root(archive.read("styles.xml")) if "styles.xml" in names else None
    body = content.find(f"{_OFFICE}body")
    if body is None:
        raise ParseError("malformed", "this OpenDocument file holds no content")
    if kind is Kind.ODP:
        _write_slides(body, builder)
    else:
        _write_furniture(styles, "header", builder)
        _Writer(builder).blocks(body, 0)
        _write_furniture(styles, "footer", builder)
    return builder.finish(kind.value)


def _root(part: bytes) -> etree._Element:
    modern = _OLD.sub(lambda found: f"{_NS}{found[1].decode()}:1.0".encode(), part)
    return parse_part(modern, _WHAT)


def _write_furniture(styles: etree._Element | None, name: str, builder: TextBuilder) -> None:
    if styles is not None:
        for found in styles.iter(f"{_STYLE}{name}"):
            _Writer(builder).blocks(found, 0)


def _write_slides(body: etree._Element, builder: TextBuilder) -> None:
    for number, slide in enumerate(body.iter(f"{_DRAW}page"), start=1):
        inner = TextBuilder(max_chars=10**9)
        writer = _Writer(inner)
        notes = slide.find(f"{_PRESENTATION}notes")
        for child in slide:
            if child is not notes:
                title = child.get(f"{_PRESENTATION}class") == "title"
                writer.blocks(child, 0, level=1 if title else 0)
        if notes is not None:
            writer.blocks(notes, 0)
        if inner.blank:
            builder.page("", number)
            continue
        page = inner.finish(Kind.ODP.value)
        start = builder.page(page.text, number)
        for heading in page.headings:
            builder.mark_heading(start + heading.offset, heading.level, heading.title)


class _Writer:
    """Walks blocks with bounded recursion and inline content with none."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder

    def blocks(self, parent: etree._Element, depth: int, level: int = 0) -> None:
        """Write all below the element; paragraphs become headings of ``level`` if it is set."""
        if depth > _MAX_NESTING:
            raise ParseError("resource_limit", f"nested deeper than {_MAX_NESTING}")
        for child in parent:
            if child.tag in _SKIPPED or not isinstance(child.tag, str):
                continue
            if child.tag == f"{_TEXT}h":
                self._builder.heading(_inline(child, self, depth), _level(child))
            elif child.tag == f"{_TEXT}p":
                self._paragraph(child, depth, level)
            elif child.tag == f"{_TEXT}list-item":
                self._item(child, depth, level)
            elif child.tag == f"{_TABLE}table":
                self._table(child, depth)
            else:
                self.blocks(child, depth + 1, level)

    def _paragraph(self, paragraph: etree._Element, depth: int, level: int) -> None:
        text = _inline(paragraph, self, depth)
        if level:
            self._builder.heading(text, level)
        else:
            self._builder.add(text)

    def _item(self, item: etree._Element, depth: int, level: int) -> None:
        first = next(iter(item), None)
        if first is not None and first.tag == f"{_TEXT}p" and not level:
            text = _inline(first, self, depth).strip()
            self._builder.add(f"- {text}" if text else "")
            item.remove(first)
        self.blocks(item, depth + 1, level)

    def _table(self, table: etree._Element, depth: int) -> None:
        for row in table.iter(f"{_TABLE}table-row"):
            cells = []
            for cell in row:
                if cell.tag != f"{_TABLE}table-cell":
                    continue
                parts = [
                    _inline(part, self, depth + 1) for part in cell.iter(f"{_TEXT}p", f"{_TEXT}h")
                ]
                repeat = cell.get(f"{_TABLE}number-columns-repeated") or "1"
                times = int(repeat) if repeat.isdigit() and len(repeat) < 5 else 1
                text = " ".join(clean(" ".join(parts)).split())
                cells += [text] * (min(times, _MAX_REPEAT) if text else 1)
            if any(cells):
                self._builder.add_clean(" | ".join(cells))


def _level(heading: etree._Element) -> int:
    level = heading.get(f"{_TEXT}outline-level") or heading.get(f"{_TEXT}level") or "1"
    return min(int(level), 9) if level.isdigit() and len(level) < 3 else 1


def _inline(paragraph: etree._Element, writer: _Writer, depth: int) -> str:
    """Return a paragraph's own text; what is anchored in it (frames, notes) is written before."""
    return "".join(_pieces(paragraph, writer, depth))


def _pieces(paragraph: etree._Element, writer: _Writer, depth: int) -> Iterator[str]:
    waiting: list[etree._Element | str] = [paragraph]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
            continue
        if item.tag in _SKIPPED or not isinstance(item.tag, str):
            continue
        if item.tag == f"{_TEXT}s":
            count = item.get(f"{_TEXT}c") or "1"
            yield " " * (int(count) if count.isdigit() and len(count) < 4 else 1)
        elif item.tag == f"{_TEXT}tab":
            yield "\t"
        elif item.tag == f"{_TEXT}line-break":
            yield "\n"
        elif item.tag in {f"{_TEXT}note", f"{_TEXT}footnote", f"{_TEXT}endnote"} or (
            item.tag in {f"{_DRAW}text-box", f"{_OFFICE}annotation"}
        ):
            writer.blocks(item, depth + 1)
        else:
            waiting += [part for child in reversed(item) for part in (child.tail or "", child)]
            waiting.append(item.text or "")
