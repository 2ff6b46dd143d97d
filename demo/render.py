"""Demo sources as PDF, DOCX, HTML, Markdown, CSV and plain text, the same bytes every time."""

import html
import io
import re
import textwrap
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import docx
from docx.shared import Pt
from reportlab.lib import colors
from reportlab.lib.pagesizes import letter
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import inch
from reportlab.platypus import (
    Flowable,
    ListFlowable,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from demo.dialect import Block, Source, blocks, runs

HOUSE: Mapping[str, str] = MappingProxyType(
    {"mercy": "Mercy Alderbrook Hospital", "harbor": "Harbor Pell Bank"}
)
_INK: Mapping[str, str] = MappingProxyType({"mercy": "#1f5f5b", "harbor": "#27406b"})
_WHEN = datetime(2026, 4, 20, 9, 0, tzinfo=UTC)
# The first moment that a ZIP archive can name, so that no clock gets into a DOCX.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_GAP = "    "


def render(source: Source) -> bytes:
    """Return the document's bytes in the format that its path names."""
    return _RENDERERS[source.format](source)


def _markup(line: str) -> str:
    """Return the line as the small HTML that both ReportLab and browsers read."""
    return "".join(
        f"<{style}>{html.escape(text)}</{style}>" if style else html.escape(text)
        for style, text in runs(line)
    )


# PDF


def _styles(tenant: str) -> dict[str, ParagraphStyle]:
    base = getSampleStyleSheet()
    ink = colors.HexColor(_INK[tenant])
    body = ParagraphStyle("body", parent=base["BodyText"], fontSize=10, leading=13.5)
    return {
        "p": body,
        "cell": ParagraphStyle("cell", parent=body, fontSize=9, leading=11, spaceBefore=0),
        "h1": ParagraphStyle("h1", parent=base["Heading1"], fontSize=17, textColor=ink),
        "h2": ParagraphStyle("h2", parent=base["Heading2"], fontSize=12, textColor=ink),
    }


def _pdf_table(block: Block, styles: Mapping[str, ParagraphStyle], tenant: str) -> Table:
    rows = [[Paragraph(_markup(cell), styles["cell"]) for cell in row] for row in block.rows]
    table = Table(rows, hAlign="LEFT", repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, 0), 1, colors.HexColor(_INK[tenant])),
                ("LINEBELOW", (0, 1), (-1, -1), 0.25, colors.lightgrey),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return table


def _flowable(block: Block, styles: Mapping[str, ParagraphStyle], tenant: str) -> list[Flowable]:
    if block.kind == "page":
        return [PageBreak()]
    if block.kind == "table":
        return [_pdf_table(block, styles, tenant), Spacer(1, 8)]
    if block.kind in {"ul", "ol"}:
        items = [Paragraph(_markup(line), styles["p"]) for line in block.lines]
        kind = "bullet" if block.kind == "ul" else "1"
        return [ListFlowable(items, bulletType=kind, leftIndent=16, bulletFontSize=9)]
    text = "<br/>".join(_markup(line) for line in block.lines)
    return [Paragraph(text.replace(_GAP, "&nbsp;&nbsp;&nbsp; "), styles[block.kind])]


def _pdf(source: Source) -> bytes:
    def furniture(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont("Helvetica-Bold", 9)
        canvas.setFillColor(colors.HexColor(_INK[source.tenant]))
        canvas.drawString(inch, 10.45 * inch, HOUSE[source.tenant])
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(colors.grey)
        canvas.drawString(inch, 0.55 * inch, source.footer)
        canvas.drawRightString(7.5 * inch, 0.55 * inch, f"Page {document.page}")
        canvas.restoreState()

    out = io.BytesIO()
    template = SimpleDocTemplate(
        out,
        pagesize=letter,
        leftMargin=inch,
        rightMargin=inch,
        topMargin=0.9 * inch,
        bottomMargin=0.9 * inch,
        title=source.title,
        author=HOUSE[source.tenant],
        invariant=1,
        # Compressed pages would differ between builds of zlib.
        pageCompression=0,
    )
    styles = _styles(source.tenant)
    story = [
        part for block in blocks(source.body) for part in _flowable(block, styles, source.tenant)
    ]
    template.build(story, onFirstPage=furniture, onLaterPages=furniture)
    return out.getvalue()


# DOCX


def _fill(paragraph: Any, lines: tuple[str, ...]) -> None:
    for number, line in enumerate(lines):
        if number:
            paragraph.add_run().add_break()
        for style, text in runs(line):
            run = paragraph.add_run(text.replace(_GAP, "\t"))
            run.bold = style == "b"
            run.italic = style == "i"


def _docx_table(document: Any, block: Block) -> None:
    table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light Grid Accent 1")
    for row in block.rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            _fill(cell.paragraphs[0], (text,))


def _docx_block(document: Any, block: Block) -> None:
    if block.kind == "table":
        _docx_table(document, block)
    elif block.kind in {"h1", "h2"}:
        document.add_heading(block.lines[0], level=int(block.kind[1]))
    elif block.kind == "page":
        document.add_page_break()
    elif block.kind == "p":
        _fill(document.add_paragraph(), block.lines)
    else:
        style = "List Bullet" if block.kind == "ul" else "List Number"
        for line in block.lines:
            _fill(document.add_paragraph(style=style), (line,))


def _docx(source: Source) -> bytes:
    document = docx.Document()
    document.styles["Normal"].font.size = Pt(10.5)
    document.sections[0].header.paragraphs[0].text = HOUSE[source.tenant]
    core = document.core_properties
    core.title, core.author, core.last_modified_by = source.title, HOUSE[source.tenant], ""
    core.created = core.modified = _WHEN.replace(tzinfo=None)
    core.revision = 1
    core.comments = "Synthetic document: every person in it is invented."
    for block in blocks(source.body):
        _docx_block(document, block)
    raw = io.BytesIO()
    document.save(raw)
    return _without_clock(raw.getvalue())


def _without_clock(archive: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))
    return out.getvalue()


# HTML

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ font-family: Georgia, serif; max-width: 44rem; margin: 2rem auto; }}</style>
</head>
<body>
<header><p>{house}</p><nav><a href="#content">Skip to content</a></nav></header>
<main id="content">
{main}
</main>
<footer><p>{house}. Synthetic page: every person on it is invented.</p></footer>
</body>
</html>
"""


def _html_block(block: Block) -> str:
    if block.kind == "table":
        head, *rows = block.rows
        top = "".join(f"<th>{_markup(cell)}</th>" for cell in head)
        body = "\n".join(
            "<tr>" + "".join(f"<td>{_markup(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        return f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    if block.kind in {"ul", "ol"}:
        items = "\n".join(f"<li>{_markup(line)}</li>" for line in block.lines)
        return f"<{block.kind}>\n{items}\n</{block.kind}>"
    text = "<br>\n".join(_markup(line) for line in block.lines).replace(_GAP, "&emsp;")
    return f"<{block.kind}>{text}</{block.kind}>"


def _html(source: Source) -> bytes:
    main = "\n".join(_html_block(block) for block in blocks(source.body))
    page = _PAGE.format(title=html.escape(source.title), house=HOUSE[source.tenant], main=main)
    return page.encode()


# Text


def _txt(source: Source) -> bytes:
    wrapped = (
        textwrap.fill(line, 92, break_long_words=False, break_on_hyphens=False)
        if len(line) > 92
        else line
        for line in source.body.split("\n")
    )
    return "\n".join(wrapped).encode()


def _md(source: Source) -> bytes:
    return re.sub(r"\\\n", "  \n", source.body).encode()


def _csv(source: Source) -> bytes:
    return source.body.encode()


_RENDERERS: Mapping[str, Callable[[Source], bytes]] = MappingProxyType(
    {"pdf": _pdf, "docx": _docx, "html": _html, "md": _md, "csv": _csv, "txt": _txt}
)
