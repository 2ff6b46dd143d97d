"""Where sentences begin and end, for whole texts and for text that arrives in pieces."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

# Titles and short forms whose full stop ends no sentence.
_SHORT_FORMS: Final = (
    "dr mr mrs ms prof st jr sr vs inc ltd co corp dept approx etc e.g i.e fig al u.s p.o"
).split()
_BREAK = re.compile(r"[.!?][\"'”’)\]]*(?=\s)|\n+")
_MARKS = re.compile(r"(?:\s*\[\d{1,3}\])+")
_LAST_WORD = re.compile(r"(\S+)$")

# A run without any sentence end, such as a table, is cut here so that memory stays bounded.
LONGEST: Final = 1200


def split(text: str, whole: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Return the offsets of the sentences of ``text``, in order, without surrounding white space.

    Citation marks such as ``[2]`` that follow a full stop belong to the sentence before. No
    sentence begins or ends inside a range of ``whole``. Empty sentences are left out.
    """
    guarded = list(whole)
    edges = [e for e in _edges(text) if not any(a < e < b for a, b in guarded)]
    pairs = zip([0, *edges], [*edges, len(text)], strict=True)
    return [pair for start, end in pairs if (pair := _trim(text, start, end))]


def _edges(text: str) -> list[int]:
    edges = []
    for found in _BREAK.finditer(text):
        if _is_short_form(text[: found.start()], found.group()):
            continue
        marks = _MARKS.match(text, found.end())
        edges.append(marks.end() if marks else found.end())
    return edges


def _is_short_form(before: str, mark: str) -> bool:
    word = _LAST_WORD.search(before[-24:])
    if not mark.startswith(".") or not word:
        return False
    bare = word.group(1).lower().strip("(\"'[")
    # A single letter is an initial (J. Smith); a lone number is a list item (1. Aspirin).
    initial = len(bare) == 1 and bare.isalpha()
    line = before[-24:].rpartition("\n")[2].strip()
    return initial or bare in _SHORT_FORMS or (bare.isdigit() and line == bare)


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = end - (len(piece) - len(piece.rstrip()))
    return (left, right) if left < right else None


class SentenceStream:
    """Cuts a stream into sentences; the pieces that it gives back join to the text fed in.

    The cuts depend on the text alone, not on how it was split into pieces.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> list[str]:
        """Take the next piece and return the sentences that it completes, white space included."""
        self._held += piece
        ready: list[str] = []
        while cut := self._next_cut():
            ready.append(self._held[:cut])
            self._held = self._held[cut:]
        return ready

    def finish(self) -> list[str]:
        """Return what is left at the end of the stream."""
        rest, self._held = self._held, ""
        return [rest] if rest else []

    def _next_cut(self) -> int:
        for edge in _edges(self._held):
            following = self._held[edge:].lstrip()
            # The next character tells whether a citation mark still belongs to this sentence.
            settled = following and not re.match(r"\[\d{0,3}$", following)
            if settled and self._held[:edge].strip():
                return edge
            return 0
        if len(self._held) <= LONGEST:
            return 0
        space = self._held.rfind(" ", 0, LONGEST)
        return space if space > 0 else LONGEST


def texts(text: str, ranges: Sequence[tuple[int, int]]) -> list[str]:
    """Return the pieces of ``text`` at ``ranges``."""
    return [text[start:end] for start, end in ranges]
