"""Spreadsheets of Excel and OpenDocument: each row becomes a line that can be read on its own."""

import datetime as dt
import io
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Final

import olefile
from lxml import etree
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ingest.parse.package import inspect_package, open_package, parse_part
from ingest.parse.table import has_header, row_line
from ragplatform.errors import ParseError

# The library keeps a sheet as one block from its first used cell to its last: two cells in
# opposite corners would be 17 thousand million. The largest real sheets measured stay far below.
_MAX_CELLS: Final = 20_000_000
_CELL: Final = re.compile(rb'<(?:\w+:)?c\s[^>]{0,200}?r="([A-Z]{1,3})(\d{1,7})"')
_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_X: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"

Cell = str | float | int | bool | dt.date | dt.time | dt.datetime | dt.timedelta


def parse_sheet(data: bytes, *, kind: Kind, max_chars: int) -> ParsedDocument:
    """Return a heading for each visible sheet and a line ``Row 4: Date: ...; Value: ...`` for each
    row that holds anything; comments and text boxes of Excel follow.

    A row that names columns lends its names to the rows below it, up to the next empty row.
    Formulas count by their last value. Hidden sheets are left out. Raises ``ParseError``:
    ``archive_bomb``, ``active_content`` for macros, ``encrypted``, ``malformed``, ``no_text``,
    ``resource_limit``.
    """
    if kind is Kind.XLS:
        try:
            _refuse_password(data)
        except (OSError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise ParseError("malformed", "this spreadsheet cannot be read") from error
    else:
        inspect_package(data, "spreadsheet")
    if kind is Kind.XLSX:
        _refuse_vast_sheets(data)
    builder = TextBuilder(max_chars=max_chars)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
            for described in book.sheets_metadata:
                if described.visible is not SheetVisibleEnum.Visible:
                    builder.warn("hidden_sheets_left_out")
                    continue
                _write_sheet(book, described.name, builder)
    except CalamineError as error:
        raise _reason(error) from error
    except (ValueError, OSError, OverflowError) as error:
        raise ParseError("malformed", "this spreadsheet cannot be read") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        # How a broken promise inside the library arrives here; it derives from no Exception.
        raise ParseError("malformed", "this spreadsheet cannot be read") from error
    if kind is Kind.XLSX:
        _write_notes(data, builder)
    return builder.finish(kind.value)


def _reason(error: CalamineError) -> ParseError:
    if type(error).__name__ == "PasswordError":
        return ParseError("encrypted", "the spreadsheet is protected by a password")
    return ParseError("malformed", "this spreadsheet cannot be read")


def _refuse_password(data: bytes) -> None:
    """Raise for an old workbook whose records are encrypted: record FilePass (MS-XLS, 2.4.117)."""
    with olefile.OleFileIO(io.BytesIO(data)) as ole:
        name = "Workbook" if ole.exists("Workbook") else "Book"
        with ole.openstream(name) as stream:
            head = stream.read(4096)
    position = 0
    while position + 4 <= len(head):
        record, size = struct.unpack_from("<HH", head, position)
        if record == 0x2F:
            raise ParseError("encrypted", "the spreadsheet is protected by a password")
        position += 4 + size


def _refuse_vast_sheets(data: bytes) -> None:
    with open_package(data, "spreadsheet") as archive:
        for entry in archive.infolist():
            if not entry.filename.lower().startswith("xl/worksheets/sheet"):
                continue
            width = height = 0
            columns: dict[bytes, int] = {}
            for found in _CELL.finditer(archive.read(entry)):
                column = found[1]
                if column not in columns:
                    columns[column] = _number(column)
                    width = max(width, columns[column])
                height = max(height, int(found[2]))
            if width * height > _MAX_CELLS:
                raise ParseError("resource_limit", f"a sheet spans over {_MAX_CELLS:,} cells")


def _number(column: bytes) -> int:
    """Return the place of the column that letters name, from 1."""
    number = 0
    for letter in column:
        number = number * 26 + letter - 64
    return number


def _write_sheet(book: CalamineWorkbook, name: str, builder: TextBuilder) -> None:
    try:
        sheet = book.get_sheet_by_name(name)
    except CalamineError:
        # A sheet of charts alone has no cells; a damaged one does not take the others with it.
        builder.warn("sheets_unreadable")
        return
    rows = list(_rows(sheet))
    if rows:
        builder.heading(name, 1)
    for block in _blocks(rows):
        _write_block(block, builder)


def _rows(sheet: CalamineSheet) -> Iterator[tuple[int, list[str]]]:
    """Yield number, as people count, and cells of every row that holds anything."""
    if sheet.height == 0 or sheet.start is None:
        return
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = [_shown(cell) for cell in row]
        if any(cells):
            yield number, cells


def _blocks(rows: Sequence[tuple[int, list[str]]]) -> Iterator[list[tuple[int, list[str]]]]:
    """Yield runs of rows without an empty row between them: each may be a table of its own."""
    block: list[tuple[int, list[str]]] = []
    for number, cells in rows:
        if block and number != block[-1][0] + 1:
            yield block
            block = []
        block.append((number, cells))
    if block:
        yield block


def _write_block(block: list[tuple[int, list[str]]], builder: TextBuilder) -> None:
    names: list[str] = []
    for index, (number, cells) in enumerate(block):
        filled = sum(map(bool, cells))
        below = block[index + 1][1] if index + 1 < len(block) else []
        if not names and filled > 1 and has_header([cells, below] if below else [cells]):
            names = cells
            if filled > 1 and sum(map(bool, below)) > 1:
                continue
            names = []
        if filled == 1 and not names:
            builder.add_clean(f"Row {number}: {next(filter(None, cells))}")
        else:
            builder.add_clean(f"Row {number}: {row_line(names, cells)}")


def _shown(cell: Cell) -> str:
    """Return a cell as a person would write it; ISO 8601 for dates."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        # 15 digits are what Excel itself keeps (its specifications and limits).
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.15g}"
    if isinstance(cell, dt.datetime):
        return str(cell.date()) if cell.time() == dt.time() else cell.isoformat(" ", "seconds")
    return " ".join(clean(str(cell)).split())


def _write_notes(data: bytes, builder: TextBuilder) -> None:
    """Write the comments and the text boxes, which lie in parts of their own."""
    with open_package(data, "spreadsheet") as archive:
        for entry in archive.infolist():
            name = entry.filename.lower()
            if not name.endswith(".xml"):
                continue
            if name.startswith("xl/comments"):
                root = parse_part(archive.read(entry), "spreadsheet")
                for comment in root.iter(f"{_X}comment"):
                    text = _text(comment, f"{_X}t")
                    builder.add(f"Comment on {comment.get('ref') or 'a cell'}: {text}" * bool(text))
            elif name.startswith("xl/drawings/drawing"):
                root = parse_part(archive.read(entry), "spreadsheet")
                for paragraph in root.iter(f"{_A}p"):
                    builder.add(_text(paragraph, f"{_A}t"))


def _text(element: etree._Element, tag: str) -> str:
    return " ".join("".join(part.text or "" for part in element.iter(tag)).split())
