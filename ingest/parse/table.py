"""CSV and TSV: each row becomes a line that can be understood on its own."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

_DELIMITERS: Final = ",;\t|"
_SAMPLE_ROWS: Final = 50
# An unclosed quote makes the rest of a file one field; this stops it early.
_MAX_FIELD: Final = 1024 * 1024


def parse_table(data: bytes, *, kind: Kind, max_chars: int) -> ParsedDocument:
    """Return one line ``Header: value; Header: value`` for each row; empty cells are left out.

    Without a header row the columns are called ``Column 1`` and so on. Raises ``ParseError``
    (``malformed``, ``no_text``, ``resource_limit``).
    """
    raw, encoding = decode(data)
    if len(raw) > max_chars:
        raise ParseError("resource_limit", f"the text exceeds {max_chars} characters")
    text = clean(raw)
    builder = TextBuilder(max_chars=max_chars)
    if encoding not in {"utf-8", "utf-8-sig", "utf-16", "utf-32"}:
        builder.warn("encoding_guessed")
    delimiter = "\t" if kind is Kind.TSV else _delimiter(text)
    rows = _rows(text, delimiter)
    head = list(islice(rows, 2))
    names: list[str] = []
    if head and has_header(head):
        names = head.pop(0)
    for row in head:
        builder.add_clean(row_line(names, row))
    for row in rows:
        builder.add_clean(row_line(names, row))
    if builder.blank and names:
        builder.add_clean("; ".join(name for name in names if name))
    return builder.finish(kind.value)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows that hold anything, each cell's white space folded."""
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            cells = [" ".join(cell.split()) for cell in row]
            if any(cells):
                yield cells
    except csv.Error as error:
        # The module's message names the rule that was broken, never a cell.
        raise ParseError("malformed", f"line {reader.line_num}: {error}") from error


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the first rows into the most equal columns."""
    sample = text[:65536]
    best, best_score = ",", (0.0, 0)
    for candidate in _DELIMITERS:
        try:
            widths = [len(row) for row in islice(_rows(sample, candidate), _SAMPLE_ROWS)]
        except ParseError:
            continue
        width, rows = Counter(widths).most_common(1)[0] if widths else (0, 0)
        if width > 1 and (score := (rows / len(widths), width)) > best_score:
            best, best_score = candidate, score
    return best


def has_header(head: list[list[str]]) -> bool:
    """Return whether the first row names columns: all different, none a number, not the only row.

    One row alone is data: a header that describes nothing has nothing to say.
    """
    first = [cell for cell in head[0] if cell]
    distinct = len(set(first)) == len(first)
    return len(head) > 1 and distinct and not any(_is_number(cell) for cell in first)


def _is_number(cell: str) -> bool:
    return cell.lstrip("+-$€£(").rstrip(")%").replace(",", "").replace(".", "").isdigit()


def row_line(names: list[str], row: list[str]) -> str:
    """Return the filled cells of a row, each after its column's name."""
    cells = []
    for index, cell in enumerate(row):
        if cell:
            name = names[index] if index < len(names) and names[index] else f"Column {index + 1}"
            cells.append(f"{name}: {cell}")
    return "; ".join(cells)
