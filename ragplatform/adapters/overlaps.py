"""From candidate spans that may overlap to spans that do not, without losing what was covered."""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from ragplatform.model import Span

_WORD: Final = re.compile(r"\w")
_EDGES: Final = " \t\r\n\f\v\u00a0,.;:|\"'“”‘’"


def resolve(text: str, candidates: Iterable[Span]) -> list[Span]:
    """Return spans of the text that do not overlap, sorted by start.

    Candidates of one type that overlap become one. Where types compete, the higher score wins,
    then the longer span, then the earlier, then the type's name: never the order of discovery.
    What a loser covers outside the winners stays covered, under the loser's type; every letter or
    digit that any candidate covered is covered in the result.
    """
    kept: list[Span] = []
    for span in sorted(_unions(candidates), key=_rank):
        for part in _free(span, kept):
            if trimmed := _trimmed(text, part):
                insort(kept, trimmed, key=lambda one: one.start)
    return kept


def _rank(span: Span) -> tuple[float, int, int, str]:
    return (-span.score, span.start - span.end, span.start, span.entity)


def _unions(candidates: Iterable[Span]) -> Iterator[Span]:
    held: dict[str, Span] = {}
    for span in sorted(candidates, key=lambda s: (s.start, -s.end, -s.score, s.source)):
        last = held.get(span.entity)
        if last is None or span.start >= last.end:
            if last is not None:
                yield last
            held[span.entity] = span
            continue
        surer = span if span.score > last.score else last
        held[span.entity] = replace(surer, start=last.start, end=max(last.end, span.end))
    yield from held.values()


def _free(span: Span, kept: Sequence[Span]) -> list[Span]:
    """Return the parts of the span that no kept span covers; kept spans never overlap."""
    parts: list[Span] = []
    start = span.start
    at = bisect_left(kept, span.start, key=lambda one: one.end)
    while at < len(kept) and kept[at].start < span.end:
        if kept[at].start > start:
            parts.append(replace(span, start=start, end=kept[at].start))
        start = max(start, kept[at].end)
        at += 1
    if start < span.end:
        parts.append(replace(span, start=start, end=span.end))
    return parts


def _trimmed(text: str, span: Span) -> Span | None:
    """Return the span without outer blanks and stops, or None when no word is left."""
    part = text[span.start : span.end]
    if not _WORD.search(part):
        return None
    # "(617) 555-0123" keeps its bracket; one whose partner lies outside goes.
    before = _EDGES if ")" in part else _EDGES + "(["
    behind = _EDGES if "(" in part else _EDGES + ")]"
    left = len(part) - len(part.lstrip(before))
    right = len(part.rstrip(behind))
    return replace(span, start=span.start + left, end=span.start + right)
