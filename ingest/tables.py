"""Where a text holds tables: lines of figures, with the lines above them that say what they are.

A PDF's text has no cells, only lines: ``Total current assets 8,870 9,829``. A line of figures ends
in at least two amounts, or in one that a sign of money or parentheses mark as an amount. A table is
a run of such lines, with the labels between them that lead or break them, up to an empty line. Its
caption is what stands in short lines right above: its title, its unit, the heads of its columns.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_VALUE: Final = re.compile(r"[$€£(-]{0,3}\d[\d,]*(?:\.\d+)?\)?%?\)?|[—–-]|N/?[AM]")
# Signs that stand apart from their amount.
_SIGN: Final = re.compile(r"[$€£%()]{1,2}|\([A-Za-z\d]\)")
_MONEY: Final = re.compile(r"[$€£(]|\d,\d{3}")
# Years alone head columns; they are no amounts.
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_FEWEST_ROWS: Final = 3
# How many lines without figures may stand between two that have some: section labels, long names.
_LONGEST_GAP: Final = 7
_LONGEST_LABEL: Final = 130
_LONGEST_ROW: Final = 250
_MOST_CELLS: Final = 60
# Fewer characters are a few figures in a text, which stay with it.
_SMALLEST: Final = 300
_MOST_CAPTION_LINES: Final = 8
_SHORTEST_SENTENCE: Final = 50


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a text: ``text[start:end]``, of which ``rows`` begins the figures.

    ``lines`` are the offsets at which its lines begin, in order, the caption's too.
    """

    start: int
    rows: int
    end: int
    lines: tuple[int, ...]


def tables(text: str) -> list[Table]:
    """Return the tables of a text in order; none touches another."""
    found: list[Table] = []
    lines = list(_lines(text))
    at = 0
    for first, last in _runs([_is_row(text[start:end]) for start, end in lines], lines, text):
        begin = max(_caption(text, lines, first), at)
        starts = tuple(start for start, _ in lines[begin : last + 1])
        table = Table(starts[0], lines[first][0], lines[last][1], starts)
        if table.end - table.start >= _SMALLEST:
            found.append(table)
            at = last + 1
    return found


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


def _is_row(line: str) -> bool:
    words = line[: 2 * _LONGEST_ROW].split()
    at = len(words)
    values: list[str] = []
    marked = False
    while at and len(words) - at < _MOST_CELLS:
        word = words[at - 1]
        if _VALUE.fullmatch(word):
            values.append(word)
            marked = marked or _MONEY.search(word) is not None
        elif _SIGN.fullmatch(word):
            marked = marked or word[0] in "$€£"
        else:
            break
        at -= 1
    if not any(map(_has_digit, values)) or all(map(_YEAR.fullmatch, values)):
        return False
    return len(values) > 1 or (marked and at > 0)


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _is_prose(line: str) -> bool:
    return len(line) > _LONGEST_LABEL or (line.endswith(".") and len(line) > _SHORTEST_SENTENCE)


def _runs(
    rows: Sequence[bool], lines: Sequence[tuple[int, int]], text: str
) -> Iterator[tuple[int, int]]:
    """Yield the first and the last line of each run of enough rows."""
    first = last = count = -1
    for at, is_row in enumerate(rows):
        start, end = lines[at]
        line = text[start:end].strip()
        breaks = not line or (not is_row and _is_prose(line))
        if first >= 0 and (breaks or at - last > _LONGEST_GAP):
            if count >= _FEWEST_ROWS:
                yield first, last
            first = -1
        if is_row:
            if first < 0:
                first, count = at, 0
            last, count = at, count + 1
    if first >= 0 and count >= _FEWEST_ROWS:
        yield first, last


def _caption(text: str, lines: Sequence[tuple[int, int]], first: int) -> int:
    """Return the line at which the caption of a table begins whose figures begin at ``first``."""
    begin = first
    while begin and first - begin < _MOST_CAPTION_LINES:
        start, end = lines[begin - 1]
        line = text[start:end].strip()
        if not line or _is_prose(line):
            break
        begin -= 1
    return begin
