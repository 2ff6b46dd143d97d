"""Reads the committed corpus as an outsider would: with parsers, not with the generator."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
import pypdfium2
from docx.table import Table
from docx.text.paragraph import Paragraph
from selectolax.lexbor import LexborHTMLParser

DEMO = Path(__file__).parents[3] / "demo"
CORPUS = DEMO / "corpus"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DEMO / name).read_text("utf-8").splitlines()]


def pages(file: str) -> list[str]:
    """The text of a file by page; one page for formats without pages. White space is folded."""
    path = CORPUS / file
    found = _READERS.get(path.suffix, _whole)(path)
    return [" ".join(page.split()) for page in found]


def _whole(path: Path) -> Iterator[str]:
    yield path.read_text("utf-8")


def _pdf(path: Path) -> Iterator[str]:
    document = pypdfium2.PdfDocument(path)
    try:
        for page in document:
            text = page.get_textpage()
            yield text.get_text_bounded()
            text.close()
            page.close()
    finally:
        document.close()


def _docx(path: Path) -> Iterator[str]:
    parts = []
    for block in docx.Document(str(path)).iter_inner_content():
        if isinstance(block, Paragraph):
            parts.append(block.text)
        elif isinstance(block, Table):
            parts += [cell.text for row in block.rows for cell in row.cells]
    yield "\n".join(parts)


def _html(path: Path) -> Iterator[str]:
    body = LexborHTMLParser(path.read_text("utf-8")).body
    assert body is not None
    yield body.text(separator=" ")


_READERS = {".pdf": _pdf, ".docx": _docx, ".html": _html}
