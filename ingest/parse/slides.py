"""PPTX: each slide is a page, with its title, text, tables and the speaker's notes."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Final

from lxml import etree

from ingest.parse.document import Heading, ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ingest.parse.package import inspect_package, open_package, parse_part
from ragplatform.errors import ParseError

_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
# The strict form of Open XML (ISO 29500-1) has namespaces of its own; all else here is the same.
_STRICT: Final = (
    (
        b"http://purl.oclc.org/ooxml/drawingml/",
        b"http://schemas.openxmlformats.org/drawingml/2006/",
    ),
    (
        b"http://purl.oclc.org/ooxml/presentationml/",
        b"http://schemas.openxmlformats.org/presentationml/2006/",
    ),
    (
        b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    ),
)
_TITLES: Final = frozenset({"title", "ctrTitle"})
# Placeholders that repeat on every slide and say nothing about it.
_FURNITURE: Final = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
_RELATED: Final = re.compile(r"/(notesSlide|diagramData|chart|comments)$")
_MAX_SLIDES: Final = 5_000
_WHAT: Final = "presentation"


def parse_slides(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the text of all shown slides, in order; the slide's number is the page.

    A slide's title is a heading, a table row is one line, notes and comments follow the slide.
    Hidden slides are left out. Raises ``ParseError``: ``archive_bomb``, ``active_content`` for
    macros, ``encrypted``, ``malformed``, ``no_text``, ``resource_limit``.
    """
    inspect_package(data, _WHAT)
    builder = TextBuilder(max_chars=max_chars)
    with open_package(data, _WHAT) as archive:
        package = _Package(archive)
        try:
            for number, path in enumerate(package.slides(), start=1):
                if number > _MAX_SLIDES:
                    raise ParseError("resource_limit", f"over {_MAX_SLIDES:,} slides")
                _write_slide(package, path, number, builder)
        except (KeyError, IndexError) as error:
            raise ParseError("malformed", "a part of this presentation is missing") from error
    return builder.finish(Kind.PPTX.value)


class _Package:
    """The parts of one presentation and what each refers to."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = {name.lower(): name for name in archive.namelist()}

    def root(self, path: str) -> etree._Element:
        """Return the root element of a part."""
        body = self._archive.read(self._names[path.lower()])
        for strict, transitional in _STRICT:
            body = body.replace(strict, transitional)
        return parse_part(body, _WHAT)

    def related(self, path: str) -> dict[str, tuple[str, str]]:
        """Return kind and path of each part that this one refers to, by reference."""
        folder, name = posixpath.split(path)
        rels = f"{folder}/_rels/{name}.rels"
        found: dict[str, tuple[str, str]] = {}
        if rels.lower() not in self._names:
            return found
        for relation in self.root(rels):
            target = relation.get("Target") or ""
            if relation.get("TargetMode") == "External" or not target:
                continue
            absolute = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            if absolute.lower() in self._names:
                found[relation.get("Id") or ""] = (relation.get("Type") or "", absolute)
        return found

    def slides(self) -> Iterator[str]:
        """Yield the slides' paths in the order in which they are shown."""
        related = self.related("ppt/presentation.xml")
        for slide in self.root("ppt/presentation.xml").iter(f"{_P}sldId"):
            _, path = related.get(slide.get(f"{_R}id") or "", ("", ""))
            if path:
                yield path


def _write_slide(package: _Package, path: str, number: int, builder: TextBuilder) -> None:
    slide = package.root(path)
    if slide.get("show") in {"0", "false"}:
        builder.warn("hidden_slides_left_out")
        return
    lines: list[tuple[str, bool]] = list(_lines(slide))
    for kind, target in package.related(path).values():
        found = _RELATED.search(kind)
        if not found:
            continue
        inner = list(_lines(package.root(target)))
        if found[1] == "notesSlide" and inner:
            lines.append(("Notes:", False))
        lines += [(line, False) for line, _ in inner]
    text, titles = "", list[Heading]()
    for line, is_title in lines:
        text += "\n" if text else ""
        if is_title:
            titles.append(Heading(len(text), 1, line))
        text += line
    start = builder.page(text, number)
    for title in titles:
        builder.mark_heading(start + title.offset, 1, title.title)


def _lines(root: etree._Element) -> Iterator[tuple[str, bool]]:
    """Yield each line below the element and whether it is the slide's title."""
    waiting: list[tuple[etree._Element, bool]] = [(root, False)]
    while waiting:
        element, titled = waiting.pop()
        if element.tag in {f"{_MC}Fallback", etree.Comment, etree.ProcessingInstruction}:
            continue
        if element.tag in {f"{_P}sp", f"{_P}graphicFrame", f"{_P}pic"}:
            properties = element.find(f"./*/{_P}cNvPr")
            if properties is not None and properties.get("hidden") in {"1", "true"}:
                continue
            place = element.find(f"./*/{_P}nvPr/{_P}ph")
            role = place.get("type") if place is not None else None
            if role in _FURNITURE:
                continue
            titled = role in _TITLES
        if element.tag == f"{_A}tr":
            if row := _row(element):
                yield row, False
        elif element.tag in {f"{_A}p", f"{_P}text"}:
            for line in _paragraph(element).split("\n"):
                if folded := " ".join(line.split()):
                    yield folded, titled
        else:
            waiting.extend((child, titled) for child in reversed(element))


def _row(row: etree._Element) -> str:
    cells = []
    for cell in row.iter(f"{_A}tc"):
        text = " ".join(_paragraph(paragraph) for paragraph in cell.iter(f"{_A}p"))
        cells.append(" ".join(text.split()))
    return " | ".join(cells) if any(cells) else ""


def _paragraph(paragraph: etree._Element) -> str:
    if paragraph.tag == f"{_P}text":
        return clean(paragraph.text or "")
    pieces = paragraph.iter(f"{_A}t", f"{_A}br")
    return clean("".join("\n" if p.tag == f"{_A}br" else p.text or "" for p in pieces))
