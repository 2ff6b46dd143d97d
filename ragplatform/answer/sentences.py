"""Where sentences begin and end, for whole texts and for text that arrives in pieces."""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

# Titles and short forms whose full stop ends no sentence.
_SHORT_FORMS: Final = (
    "dr mr mrs ms prof st jr sr vs inc ltd co corp dept approx etc e.g i.e fig al u.s p.o"
).split()
# Transcripts often come with ".," where a line ended.
_BREAK = re.compile(r"[.!?][\"'”’)\]]*(?:(?=\s)|,(?=[A-Z]))|\n+")
_MARKS = re.compile(r"(?:\s{0,3}\[\d{1,3}\])+")
_LAST_WORD = re.compile(r"([^\s,]+)$")
_BULLET = re.compile(r"[-•*·–]|\d{1,2}[.)]\s")
# A line this long was broken by the width of its page, not by its writer. Letters are set in 75
# to 100 characters; lists and headings are mostly shorter.
_FULL_LINE: Final = 55
# Two or more figures at a line's end are cells of a table: the row ends with its line.
_CELL = r"[(\[]?[-–]?[$€£]?\s?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?\s?%?[)\]]?"
_ROW = re.compile(rf"\s(?:{_CELL}|[—–-])(?:\s+(?:[$€£%]\s*)?(?:{_CELL}|[—–-]))+\s*[%)]?\s*$")
# How far behind an edge the text must be known before the edge is certain.
_AHEAD: Final = 5

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


def whole(text: str, guarded: Iterable[tuple[int, int]], *, first: bool) -> list[tuple[int, int]]:
    """Return the sentences of a chunk that are all there.

    A chunk that is not the document's ``first`` may begin inside a sentence, and any may end in
    one: half a sentence says something else than the whole. A chunk of nothing but halves is
    returned as it is.
    """
    ranges = split(text, guarded)
    kept = ranges
    if kept and not first and _goes_on(text[kept[0][0] : kept[0][1]]):
        kept = kept[1:]
    if kept and text[kept[-1][1] - 1].isalnum() and kept[-1][1] - kept[-1][0] >= _FULL_LINE:
        kept = kept[:-1]
    return kept or ranges


def _goes_on(sentence: str) -> bool:
    """Return whether a chunk's first sentence looks like the rest of one."""
    return not (sentence[0].isupper() or sentence[0].isdigit() or sentence[0] in "[\"“'(•-*")


def _edges(text: str) -> list[int]:
    edges = []
    for found in _BREAK.finditer(text):
        if found.group().startswith("\n"):
            if _is_wrapped(text, found):
                continue
        elif _is_short_form(text[: found.start()], found.group()):
            continue
        marks = _MARKS.match(text, found.end())
        edges.append(marks.end() if marks else found.end())
    return edges


def _is_wrapped(text: str, found: re.Match[str]) -> bool:
    """Return whether a line end only wraps a sentence that goes on in the next line."""
    if len(found.group()) > 1:
        return False
    line = text[max(text.rfind("\n", 0, found.start()) + 1, found.start() - 200) : found.start()]
    if line.rstrip().endswith((".", "!", "?", ":")):
        return False
    if is_row(line):
        return False
    following = text[found.end() : found.end() + _AHEAD].lstrip(" ")
    if following[:1].islower():
        return True
    return len(line) >= _FULL_LINE and not _BULLET.match(following)


def is_row(line: str) -> bool:
    """Return whether the line ends in two or more figures, as the rows of tables do."""
    return bool(_ROW.search(line[-120:]))


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
        if not self._held.strip():
            # White space before the first word says nothing, however much of it comes.
            self._held = self._held[-1:]
        ready: list[str] = []
        while cut := self._next_cut():
            ready.append(self._held[:cut])
            self._held = self._held[cut:]
        return ready

    def finish(self) -> list[str]:
        """Return what is left at the end of the stream."""
        rest, self._held = self._held, ""
        edges = [0, *_edges(rest), len(rest)]
        return [rest[a:b] for a, b in pairwise(edges) if rest[a:b].strip()]

    def _next_cut(self) -> int:
        for edge in _edges(self._held):
            if not self._held[:edge].strip():
                continue
            following = self._held[edge : edge + LONGEST].lstrip()
            # What follows tells whether a citation mark or a wrapped line still belongs here.
            if len(following) >= _AHEAD and not re.match(r"\[\d{0,3}$", following):
                return edge
            break
        if len(self._held) <= LONGEST:
            return 0
        # Also where an edge is still unsettled: held text must stay short, or each piece that
        # comes would be looked through with all that came before it.
        space = self._held.rfind(" ", 0, LONGEST)
        return space if space > 0 else LONGEST
