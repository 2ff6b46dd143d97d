"""A value found once in a document is found everywhere in it.

The detector reads a sentence or a label; this reads the document. It knows that a surname alone
is the patient whose whole name stands in the header, that a cell under "Patient" is a name, and
that Parkinson's disease is nobody's.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DetectorError
from ragplatform.model import Span
from ragplatform.ports import Detector
from ragplatform.privacy import tables
from ragplatform.privacy.eponyms import without_eponyms
from ragplatform.privacy.lists import is_plain, words
from ragplatform.privacy.people import Found, Part, People, again, apart

# Changes whenever the same spans of a detector could become others here.
_VERSION: Final = "2"
_WORD: Final = re.compile(r"\w+")
# Shorter values (initials, "Al") would hit unrelated words, and so would a bare age or dose.
_SHORTEST: Final = 3
_SHORTEST_NUMBER: Final = 5
_MOST_WORDS: Final = 14
_SIGNED: Final = re.compile(
    r"(?im:(?:^|[.;|]\s{0,3})(?:(?:electronically |digitally |e-)?signed(?: by)?"
    r"|(?:dictated|transcribed|authored|attested|witnessed|prepared|countersigned|reviewed) by"
    r"|author|signature|sincerely|yours (?:truly|sincerely|faithfully)|kind regards|best regards"
    r"|mit freundlichen grüßen|cordialement|atentamente)"
    r"(?:[ \t]{0,2}[:,]\s{0,4}|(?<=by)[ \t]{1,3}|[ \t]{0,3}\n\s{0,3}))"
    r"((?:(?:Dr|Mr|Mrs|Ms|Prof)\.?\s)?[A-Z][\w'’-]+,?(?:[ ](?:[A-Z]\.?(?!\w)|[A-Z][\w'’-]+)){1,3})"
)
_SIGNED_SCORE: Final = 0.8
# Types that rules leave in clear more often than names, for what they name is rarely a person.
_WEAK: Final = frozenset(
    {"LOCATION", "ORGANIZATION", "OCCUPATION", "TIME_REFERENCE", "QUASI_IDENTIFIER"}
)


class Consistent:
    """A detector whose findings hold for the whole of each text. Safe for several threads."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""
        return f"{self._detector.version}+consistent-{_VERSION}"

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the personal data of each text, in order, sorted, none overlapping another.

        Raises ``DetectorError`` rather than return a text unsearched, or spans that do not fit.
        """
        found = self._detector.detect(texts)
        if len(found) != len(texts):
            raise DetectorError(f"the detector answered for {len(found)} of {len(texts)} texts")
        for text, spans in zip(texts, found, strict=True):
            end = 0
            for span in spans:
                if not end <= span.start < span.end <= len(text):
                    raise DetectorError("the detector's spans overlap or leave the text")
                end = span.end
        return [everywhere(text, spans) for text, spans in zip(texts, found, strict=True)]


def everywhere(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans made true for the whole text, sorted, none overlapping another.

    1. What names a disease, a device or the head of a column is no person.
    2. Cells and signatures are read by what stands over or before them.
    3. Values and names are found at every other place. Where one of the text's people is named,
       a finding of a type that may stay in clear and holds nothing but that name gives way.

    Nothing found loses a character but by 1.

    Takes time linear in the text. ``spans`` are sorted and do not overlap.
    """
    read = tables.read(text)
    kept = _without_heads(text, without_eponyms(text, spans), read.headers)  # 1
    kept = _joined(text, kept, [*read.cells, *_signatures(text)])  # 2
    found = _again(text, kept)
    return _joined(text, _outranked(kept, found), found)  # 3


def _outranked(spans: Sequence[Span], again: Sequence[Span]) -> list[Span]:
    """Return the spans less those of ``_WEAK`` that lie within a person's name found again.

    A surname under the name of a hospital reads like a place or part of the hospital's name: were
    it left that, the rules would keep it.
    """
    people = sorted((one for one in again if one.entity == "PERSON"), key=lambda one: one.start)
    starts = [one.start for one in people]

    def is_name(span: Span) -> bool:
        at = bisect_right(starts, span.start) - 1
        return span.entity in _WEAK and at >= 0 and span.end <= people[at].end

    return [span for span in spans if not is_name(span)]


def _without_heads(
    text: str, spans: Sequence[Span], headers: Sequence[tuple[int, int]]
) -> list[Span]:
    """Return the spans less the names made of nothing but a header's words."""
    lines = sorted(headers)
    starts = [start for start, _ in lines]

    def is_head(span: Span) -> bool:
        at = bisect_left(starts, span.end) - 1
        if span.entity != "PERSON" or at < 0 or span.end > lines[at][1]:
            return False
        held = (word.lower() for word in _WORD.findall(text, span.start, span.end))
        return all(word in words("clinical") or word in words("frames") for word in held)

    return [span for span in spans if not is_head(span)] if lines else list(spans)


def _signatures(text: str) -> Iterator[Span]:
    for found in _SIGNED.finditer(text):
        held = [word for word in _WORD.findall(found[1]) if not is_plain(word)]
        if held:
            start, end = found.span(1)
            yield Span(start, end, "PERSON", CATEGORY_OF["PERSON"], _SIGNED_SCORE, "signature")


@dataclass(frozen=True, slots=True)
class _Value:
    """A value without its outer punctuation, to be found again as it was written."""

    text: str
    span: Span


def _again(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return a span for each further place of a value or a name; they may overlap ``spans``."""
    people = People(text, (span for span in spans if span.entity == "PERSON"))
    entries: dict[str, list[_Value | Part]] = {}
    known: list[_Value | Part] = [*_values(text, spans), *people.parts()]
    for value in known:
        if first := _WORD.match(value.text):
            entries.setdefault(first[0], []).append(value)
    if not entries:
        return []
    for same in entries.values():
        # Of two readings of one word the person's counts: see _outranked.
        same.sort(key=lambda value: (-len(value.text), not isinstance(value, Part)))
    found: list[Span] = []
    named: list[Found] = []
    for word in _WORD.finditer(text):
        same_start = entries.get(word[0])
        if same_start is None:
            continue
        for entry in same_start:
            start, end = word.start(), word.start() + len(entry.text)
            if not text.startswith(entry.text, start) or _goes_on(text, end):
                continue
            if isinstance(entry, Part):
                named.append(Found(start, end, entry))
            else:
                found.append(again(entry.span, start, end))
            break
    return [*found, *people.spans(apart(named))]


def _goes_on(text: str, end: int) -> bool:
    return end < len(text) and (text[end].isalnum() or text[end] == "_")


def _values(text: str, spans: Iterable[Span]) -> list[_Value]:
    values: dict[str, _Value] = {}
    for span in spans:
        held = list(_WORD.finditer(text, span.start, span.end))
        if not held or len(held) > _MOST_WORDS:
            continue
        if len(held) == 1 and (span.entity == "PERSON" or is_plain(held[0][0])):
            # One word that is a name is looked for as a name: "May" is also a month.
            continue
        core = text[held[0].start() : held[-1].end()]
        if len(core) < (_SHORTEST_NUMBER if core.isdigit() else _SHORTEST):
            continue
        known = values.get(core)
        if known is None or span.score > known.span.score:
            values[core] = _Value(core, span)
    return list(values.values())


def _joined(text: str, spans: Sequence[Span], candidates: Iterable[Span]) -> list[Span]:
    """Return the spans with the candidates: of one type joined, of another type left out.

    A candidate gives way to spans of other types and keeps what they do not cover.
    """
    starts = [span.start for span in spans]
    pieces: list[Span] = []
    end = 0
    for one in sorted(candidates, key=lambda span: (span.start, -span.end)):
        if one.end <= end:
            continue
        candidate = one if one.start >= end else replace(one, start=end)
        end = candidate.end
        at = max(0, bisect_left(starts, candidate.start) - 1)
        pieces += filter(None, (_trimmed(text, piece) for piece in _free(candidate, spans, at)))
    if not pieces:
        return list(spans)
    joined: list[Span] = []
    for span in sorted([*spans, *pieces], key=lambda span: (span.start, -span.end)):
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            surer = last if last.score >= span.score else span
            joined[-1] = replace(surer, start=last.start, end=max(last.end, span.end))
        else:
            joined.append(span)
    return joined


def _free(candidate: Span, spans: Sequence[Span], at: int) -> Iterator[Span]:
    start = candidate.start
    while at < len(spans) and spans[at].start < candidate.end:
        other = spans[at]
        at += 1
        if other.entity == candidate.entity or other.end <= start:
            continue
        if start < other.start:
            yield replace(candidate, start=start, end=other.start)
        start = max(start, other.end)
    if start < candidate.end:
        yield candidate if start == candidate.start else replace(candidate, start=start)


def _trimmed(text: str, span: Span) -> Span | None:
    """Return the span from its first word to its last, or None when it holds none."""
    if text[span.start].isalnum() and text[span.end - 1].isalnum():
        return span
    held = list(_WORD.finditer(text, span.start, span.end))
    return replace(span, start=held[0].start(), end=held[-1].end()) if held else None
