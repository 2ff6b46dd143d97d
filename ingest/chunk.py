"""Text into pieces for search, at the best natural edges that cut nothing guarded."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, TypeAlias

from semantic_text_splitter import TextSplitter

from ingest.parse.document import Heading
from ingest.tables import Table, tables

# all-MiniLM-L6-v2 sees 256 tokens. Measured at 900 characters with its tokenizer: clinical notes
# have 4.2 characters to the token and 0.3 % of their pieces exceed it; annual reports 5.0 and, for
# tables of figures, 3.2: 4.5 % exceed it (800: 2.2 %, 1,000: 6.9 %). ``TokenLimit`` makes it none.
MAX_CHARS: Final = 900
OVERLAP: Final = 90
# A table is kept whole up to this: a statement of accounts takes 1,000 to 2,600 characters. Cut in
# two, "Total current assets" stands in one piece and the name of the statement in the other.
MAX_TABLE_CHARS: Final = 2_600
# What is left of a page beside a table when it is shorter than this belongs to the table: notes to
# it, the page's number.
_REST: Final = 160
# Below this share of the size, a section joins the next one instead of standing alone.
_SMALL: Final = 4
_FLOOR_CHARS: Final = 50

Range: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run ``text[start:end]`` of a text, and the titles of the sections that hold its start.

    ``caption`` is where the lines stand that say what it is, of a further piece of a long table.
    ``table`` says that it is one, or a part of one.
    """

    start: int
    end: int
    heading: tuple[str, ...] = field(default=(), repr=False)
    caption: Range | None = None
    table: bool = False


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """A second bound on a piece: at most ``most`` by ``count``."""

    count: Callable[[str], int]
    most: int


def chunk(
    text: str,
    *,
    guarded: Sequence[Range],
    headings: Sequence[Heading] = (),
    pages: Sequence[int] = (),
    max_chars: int = MAX_CHARS,
    overlap: int = OVERLAP,
    tokens: TokenLimit | None = None,
) -> list[Piece]:
    """Return the text's pieces in order; every character that is not white space is in one.

    No edge falls inside a ``guarded`` range (half-open, any order, may overlap). A piece holds at
    most ``max_chars`` characters, up to ``overlap`` of them repeated from the piece before, unless
    one guarded range alone is longer. A table is one piece, up to ``MAX_TABLE_CHARS`` where
    ``max_chars`` is no less than usual, and cut between its lines where it is longer. Headings, and
    the ``pages`` that begin at these offsets, begin pieces where the sections are large enough. The
    same arguments always give the same pieces.

    Raises ``ValueError`` when a range or heading does not lie in the text, or a size is impossible:
    a title that is not in this text may be one that was masked.
    """
    if not 0 <= overlap < max_chars:
        raise ValueError("wanted 0 <= overlap < max_chars")
    if any(not text.startswith(heading.title, heading.offset) for heading in headings):
        raise ValueError("a heading does not stand in this text")
    guard = _Guard(text, guarded)
    whole = MAX_TABLE_CHARS if max_chars >= MAX_CHARS and tokens is None else 0
    pieces: list[Piece] = []
    for start, end, table in _regions(guard, pages, whole):
        if table is not None:
            pieces += _table_pieces(guard, start, end, table, whole)
            continue
        edges = [*(h.offset for h in headings), *pages]
        for left, right in _sections(guard, start, end, edges, max_chars // _SMALL):
            pieces += _prose(guard, (left, right), max_chars, overlap, tokens)
    paths = _paths(headings, [piece.start for piece in pieces])
    return [replace(piece, heading=path) for piece, path in zip(pieces, paths, strict=True)]


def _prose(
    guard: "_Guard", section: Range, max_chars: int, overlap: int, tokens: TokenLimit | None
) -> Iterator[Piece]:
    """Yield the pieces of one section."""
    runs = _split(guard, *section, max_chars - overlap, tokens)
    for index, (left, right) in enumerate(runs):
        reach = min(overlap, max_chars - (right - left)) if index else 0
        begin = _reach_back(guard, section[0], left, reach)
        if tokens and tokens.count(guard.text[begin:right]) > tokens.most:
            begin = left
        yield Piece(begin, right)


def _regions(
    guard: "_Guard", pages: Sequence[int], whole: int
) -> Iterator[tuple[int, int, Table | None]]:
    """Yield runs that together cover the text: tables, and what stands between them.

    A short rest of a page goes with the table before it. Without ``whole`` no table is looked for.
    """
    done = 0
    for table in tables(guard.text) if whole else ():
        # An edge inside a guarded range would cut it: such a table is text like any other.
        if table.start < done or guard.around(table.start) or guard.around(table.end):
            continue
        if table.start > done:
            yield done, table.start, None
        page = bisect_right(pages, table.end)
        limit = pages[page] if page < len(pages) else len(guard.text)
        done = table.end
        rest = guard.text[done:limit].strip()
        if len(rest) <= _REST and not guard.around(limit) and limit - table.start <= whole:
            done = limit
        yield table.start, done, table
    if done < len(guard.text):
        yield done, len(guard.text), None


def _table_pieces(
    guard: "_Guard", start: int, end: int, table: Table, whole: int
) -> Iterator[Piece]:
    """Yield the table as one piece, or as few as hold all of its lines in turn."""
    edges = [at for at in table.lines[1:] if at > table.rows and not guard.around(at)]
    begin, last = start, start
    caption = guard.trim(table.start, table.rows) if table.rows > table.start else None
    for edge in (*edges, end):
        if edge - begin > whole and last > begin:
            yield from _table_piece(guard, begin, last, caption if begin > start else None)
            begin = last
        last = edge
    yield from _table_piece(guard, begin, end, caption if begin > start else None)


def _table_piece(guard: "_Guard", start: int, end: int, caption: Range | None) -> Iterator[Piece]:
    left, right = guard.trim(start, end)
    if guard.text[left:right].strip():
        yield Piece(left, right, caption=caption, table=True)


class _Guard:
    """A text with the ranges that no edge may cut, merged where they overlap."""

    def __init__(self, text: str, ranges: Sequence[Range]) -> None:
        if any(not 0 <= start <= end <= len(text) for start, end in ranges):
            raise ValueError("a guarded range does not lie in the text")
        self.text = text
        self.starts: list[int] = []
        self.ends: list[int] = []
        for start, end in sorted(r for r in ranges if r[0] < r[1]):
            # Ranges that only touch stay two: an edge may fall between them.
            if self.ends and start < self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], end)
            else:
                self.starts.append(start)
                self.ends.append(end)
        self.proxy = self._proxy()

    def _proxy(self) -> str:
        """Return the text with each guarded range as one word of the same length.

        The splitter cuts a word only when nothing else helps, and takes "Dr. J. Doe" for no
        sentence's end.
        """
        parts, done = [], 0
        for start, end in zip(self.starts, self.ends, strict=True):
            parts += [self.text[done:start], "x" * (end - start)]
            done = end
        return "".join((*parts, self.text[done:]))

    def around(self, edge: int) -> Range | None:
        """Return the range that the edge would cut, or None."""
        index = bisect_left(self.starts, edge) - 1
        if index >= 0 and edge < self.ends[index]:
            return self.starts[index], self.ends[index]
        return None

    def trim(self, start: int, end: int) -> Range:
        """Return the run without the white space around it, as far as no range is cut."""
        while start < end and self.text[start].isspace() and not self.around(start + 1):
            start += 1
        while start < end and self.text[end - 1].isspace() and not self.around(end - 1):
            end -= 1
        return start, end


def _sections(
    guard: _Guard, start: int, end: int, edges: Sequence[int], small: int
) -> Iterator[Range]:
    """Yield runs that begin at edges and together cover the region, none of them small."""
    kept = [start]
    for edge in sorted({edge for edge in edges if start < edge < end and not guard.around(edge)}):
        if edge - kept[-1] >= small:
            kept.append(edge)
    if len(kept) > 1 and end - kept[-1] < small // 2:
        kept.pop()
    yield from pairwise((*kept, end))


def _split(
    guard: _Guard, start: int, end: int, capacity: int, tokens: TokenLimit | None
) -> list[Range]:
    """Return runs of at most ``capacity`` that cover all of the section but white space."""
    splitter = TextSplitter(capacity, trim=False)
    offsets = [start + at for at, _ in splitter.chunk_indices(guard.proxy[start:end])]
    edges = {start, end}
    for edge in offsets:
        cut = guard.around(edge)
        # A word of several ranges outgrew the capacity: each of them stands for itself then.
        edges.update((edge,) if cut is None else (max(cut[0], start), min(cut[1], end)))
    runs = [guard.trim(left, right) for left, right in pairwise(sorted(edges))]
    whole = [run for run in runs if guard.text[run[0] : run[1]].strip()]
    if tokens is None:
        return whole
    return [part for run in whole for part in _fitted(guard, run, tokens)]


def _fitted(guard: _Guard, run: Range, tokens: TokenLimit) -> list[Range]:
    """Return the run, or smaller ones of it while it has too many tokens."""
    start, end = run
    count = tokens.count(guard.text[start:end])
    size = min(end - start - 1, (end - start) * tokens.most * 9 // (max(count, 1) * 10))
    if count <= tokens.most or end - start <= _FLOOR_CHARS:
        return [run]
    parts = _split(guard, start, end, max(size, _FLOOR_CHARS), None)
    if parts == [run]:
        return parts
    return [smaller for part in parts for smaller in _fitted(guard, part, tokens)]


def _reach_back(guard: _Guard, section: int, start: int, overlap: int) -> int:
    """Return where a piece begins that repeats up to ``overlap`` characters from the one before.

    It begins at a word of the same section, and inside no guarded range.
    """
    text = guard.text
    for at in range(max(section, start - overlap), start):
        begins_word = not text[at].isspace() and (at == 0 or text[at - 1].isspace())
        if begins_word and not guard.around(at):
            return at
    return start


def _paths(headings: Sequence[Heading], starts: Sequence[int]) -> list[tuple[str, ...]]:
    """Return, for each ascending start, the titles of the sections around it, outermost first."""
    ordered = sorted(headings, key=lambda heading: heading.offset)
    offsets = [heading.offset for heading in ordered]
    paths: list[tuple[str, ...]] = [()]
    stack: list[Heading] = []
    for heading in ordered:
        while stack and stack[-1].level >= heading.level:
            stack.pop()
        stack.append(heading)
        paths.append(tuple(above.title for above in stack))
    return [paths[bisect_right(offsets, start)] for start in starts]
