"""A value that must go, inside a longer value that may stay."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from ragplatform.model import AGAIN, Span

_WORD: Final = re.compile(r"\w+")
# Shorter values (initials, "Al") would hit unrelated words.
_SHORTEST: Final = 3


def cut_by_gone(text: str, spans: Sequence[Span], *, go: Callable[[Span], bool]) -> list[Span]:
    """Return the spans, those that may stay cut where they hold a value that must go.

    "Okafor" goes out of the tagged "Okafor Street". The result is sorted and nothing in it
    overlaps. ``inspect`` has found each value everywhere outside of other spans.
    """
    gone: dict[str, Span] = {}
    for span in spans:
        words = list(_WORD.finditer(text, span.start, span.end)) if go(span) else []
        core = text[words[0].start() : words[-1].end()] if words else ""
        if len(core) >= _SHORTEST:
            gone.setdefault(core, span)
    if not gone:
        return list(spans)
    lengths = sorted({len(core) for core in gone}, reverse=True)
    result: list[Span] = []
    for span in spans:
        result += [span] if go(span) else _cut(text, span, gone, lengths)
    return result


def _cut(text: str, span: Span, gone: dict[str, Span], lengths: Sequence[int]) -> Iterator[Span]:
    """Yield the span's parts in order: what stays, and what must go."""
    done = span.start
    longest = bisect_left(lengths, -(span.end - span.start), key=lambda length: -length)
    for word in _WORD.finditer(text, span.start, span.end):
        start = word.start()
        if start < done:
            continue
        for length in lengths[longest:]:
            found = gone.get(text[start : start + length])
            end = start + length
            if found is None or end > span.end or not _ends_word(text, end):
                continue
            if done < start:
                yield replace(span, start=done, end=start)
            yield replace(found, start=start, end=end, source=f"{AGAIN}{found.source}")
            done = end
            break
    if done < span.end:
        yield replace(span, start=done)


def _ends_word(text: str, end: int) -> bool:
    return end == len(text) or not (text[end].isalnum() or text[end] == "_")
