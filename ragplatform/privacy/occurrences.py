"""A value found once in a document is found everywhere in it."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ragplatform.model import Span

_WORD: Final = re.compile(r"\w+")
# Shorter values (initials, "Al") would hit unrelated words.
_SHORTEST: Final = 3
_MOST_WORDS: Final = 12


@dataclass(frozen=True, slots=True)
class _Core:
    """A value without its outer punctuation: where its words start and end in the text."""

    text: str
    words: int
    span: Span


def with_other_occurrences(
    text: str, spans: Sequence[Span], *, go: Callable[[Span], bool]
) -> list[Span]:
    """Return the spans, and one for every other word-bounded occurrence of a value that must go.

    Spans that must go win over spans that may stay: such a span is cut where they overlap. The
    result is sorted and nothing in it overlaps. Time grows with the text's length alone.
    """
    fixed = [span for span in spans if go(span)]
    cores = _cores(text, fixed)
    if not cores:
        return list(spans)
    found = list(_occurrences(text, cores, fixed))
    gone = sorted([*fixed, *found], key=lambda span: span.start)
    stay = [part for span in spans if not go(span) for part in _uncovered(span, gone)]
    return sorted([*gone, *stay], key=lambda span: span.start)


def _cores(text: str, spans: Sequence[Span]) -> dict[str, _Core]:
    cores: dict[str, _Core] = {}
    for span in spans:
        words = list(_WORD.finditer(text, span.start, span.end))
        if not words or len(words) > _MOST_WORDS:
            continue
        core = text[words[0].start() : words[-1].end()]
        if len(core) >= _SHORTEST:
            cores.setdefault(core, _Core(core, len(words), span))
    return cores


def _occurrences(text: str, cores: dict[str, _Core], taken: Sequence[Span]) -> Iterator[Span]:
    lengths = sorted({core.words for core in cores.values()}, reverse=True)
    words = [found.span() for found in _WORD.finditer(text)]
    starts = [span.start for span in taken]
    longest = max(map(len, cores))
    free_from = 0
    for i, (start, _) in enumerate(words):
        if start < free_from:
            continue
        for length in lengths:
            if i + length > len(words):
                continue
            end = words[i + length - 1][1]
            core = cores.get(text[start:end]) if end - start <= longest else None
            if core is None or _overlaps(start, end, taken, starts):
                continue
            yield replace(core.span, start=start, end=end, source=f"again:{core.span.source}")
            free_from = end
            break


def _overlaps(start: int, end: int, taken: Sequence[Span], starts: Sequence[int]) -> bool:
    at = bisect_left(starts, end) - 1
    return at >= 0 and taken[at].end > start


def _uncovered(span: Span, covers: Sequence[Span]) -> Iterator[Span]:
    start = span.start
    at = bisect_left(covers, span.start, key=lambda cover: cover.end)
    while at < len(covers) and covers[at].start < span.end:
        if covers[at].start > start:
            yield replace(span, start=start, end=covers[at].start)
        start = max(start, covers[at].end)
        at += 1
    if start < span.end:
        yield replace(span, start=start, end=span.end)
