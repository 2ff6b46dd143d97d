"""Text into pieces for search, at the best natural edges that cut nothing guarded."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from semantic_text_splitter import TextSplitter

from ingest.parse.document import Heading

# all-MiniLM-L6-v2 sees 256 tokens. Measured at 900 characters with its tokenizer: clinical notes
# have 4.2 characters to the token and 0.3 % of their pieces exceed it; annual reports 5.0 and, for
# tables of figures, 3.2: 4.5 % exceed it (800: 2.2 %, 1,000: 6.9 %). ``TokenLimit`` makes it none.
MAX_CHARS: Final = 900
OVERLAP: Final = 90
# Below this share of the size, a section joins the next one instead of standing alone.
_SMALL: Final = 4
_FLOOR_CHARS: Final = 50

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run ``text[start:end]`` of a text, and the titles of the sections that hold its start."""

    start: int
    end: int
    heading: tuple[str, ...] = field(default=(), repr=False)


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
    max_chars: int = MAX_CHARS,
    overlap: int = OVERLAP,
    tokens: TokenLimit | None = None,
) -> list[Piece]:
    """Return the text's pieces in order; every character that is not white space is in one.

    No edge falls inside a ``guarded`` range (half-open, any order, may overlap). A piece holds at
    most ``max_chars`` characters, up to ``overlap`` of them repeated from the piece before, unless
    one guarded range alone is longer. Headings begin pieces where the sections are large enough.
    The same arguments always give the same pieces.

    Raises ``ValueError`` when a range or heading does not lie in the text, or a size is impossible:
    a title that is not in this text may be one that was masked.
    """
    if not 0 <= overlap < max_chars:
        raise ValueError("wanted 0 <= overlap < max_chars")
    if any(not text.startswith(heading.title, heading.offset) for heading in headings):
        raise ValueError("a heading does not stand in this text")
    guard = _Guard(text, guarded)
    capacity = max_chars - overlap
    pieces: list[Piece] = []
    for start, end in _sections(guard, headings, max_chars // _SMALL):
        for index, (left, right) in enumerate(_split(guard, start, end, capacity, tokens)):
            reach = min(overlap, max_chars - (right - left)) if index else 0
            begin = _reach_back(guard, start, left, reach)
            if tokens and tokens.count(text[begin:right]) > tokens.most:
                begin = left
            pieces.append(Piece(begin, right))
    paths = _paths(headings, [piece.start for piece in pieces])
    return [Piece(p.start, p.end, path) for p, path in zip(pieces, paths, strict=True)]


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


def _sections(guard: _Guard, headings: Sequence[Heading], small: int) -> Iterator[Range]:
    """Yield runs that begin at headings and together cover the text, none of them small."""
    edges = sorted({h.offset for h in headings if h.offset and not guard.around(h.offset)})
    kept = [0]
    for edge in edges:
        if edge - kept[-1] >= small:
            kept.append(edge)
    end = len(guard.text)
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
