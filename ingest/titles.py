"""A file's name as a title that holds no personal data: names are data too."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ragplatform.entities import CATEGORY_OF, TAGGER
from ragplatform.model import Span

_SEPARATORS: Final = str.maketrans({"_": " ", "-": " "})
_NAME_WORD: Final = re.compile(r"[^\W\d_]{4,}")
# A longer number in a file name is a record or account number more often than anything else.
_LONG_NUMBER: Final = re.compile(r"\d{5,}")
_SHORTEST_CODE: Final = 5
# What says how a file is read. "Note by Dr. Lindqvist" has none.
_ENDING: Final = re.compile(r"\.[a-z0-9]{1,8}\Z", re.I)


def spoken(name: str) -> str:
    """Return the name with its separators as spaces, every character at the same offset."""
    return name.translate(_SEPARATORS)


def personal(
    name: str, found: Sequence[Sequence[Span]], text: str, in_text: Sequence[Span]
) -> list[Span]:
    """Return the personal data of a file's name, sorted, none overlapping another.

    ``found`` are the detector's spans in the name as it is and as it is spoken. A tagger of prose
    misses most of what names hold (``discharge_WhitfieldEleanor.pdf``, ``MH204518.pdf``), so every
    value found in the document is looked for as well, and a long number is taken for a code. It
    also takes ordinary words for what they are not (``ward-round-delirium.txt`` for a street and
    two user names: 593 of 400 names of real files), so of what it alone finds there counts what it
    takes for a person, what holds a digit, and what the document has among its personal data.
    """
    said = _words_of(text, in_text)
    spans = [span for spans in found for span in spans if _counts(name, span, said)]
    spans += _known_words(name, text, in_text)
    spans += _known_codes(name, text, in_text)
    spans += [_code(match.start(), match.end()) for match in _LONG_NUMBER.finditer(name)]
    return _joined(sorted(spans, key=lambda span: (span.start, -span.end)))


def _counts(name: str, span: Span, said: Collection[str]) -> bool:
    if span.recogniser != TAGGER:
        return True
    ending = _ENDING.search(name)
    if ending is not None and span.start >= ending.start():
        return False
    value = name[span.start : span.end]
    if span.entity == "PERSON" or any(character.isdigit() for character in value):
        return True
    return any(word.lower() in said for word in _NAME_WORD.findall(value))


def _words_of(text: str, in_text: Sequence[Span]) -> frozenset[str]:
    values = (text[span.start : span.end] for span in in_text)
    return frozenset(word.lower() for value in values for word in _NAME_WORD.findall(value))


def _known_words(name: str, text: str, in_text: Sequence[Span]) -> Iterator[Span]:
    """Find each word of the document's people, also inside a word without separators."""
    folded = name.lower()
    people = [span for span in in_text if span.entity == "PERSON"]
    words = {w.lower(): s for s in people for w in _NAME_WORD.findall(text[s.start : s.end])}
    for word, span in words.items():
        for match in re.finditer(re.escape(word), folded):
            yield replace(span, start=match.start(), end=match.end())


def _known_codes(name: str, text: str, in_text: Sequence[Span]) -> Iterator[Span]:
    """Find each value with digits, however it is punctuated: MH-204518 in MRN_MH_204518.pdf."""
    places = [at for at, character in enumerate(name) if character.isalnum()]
    squeezed = "".join(name[at].lower() for at in places)
    codes: Mapping[str, Span] = {
        _squeeze(text[span.start : span.end]): span
        for span in in_text
        if any(character.isdigit() for character in text[span.start : span.end])
    }
    for code, span in codes.items():
        at = squeezed.find(code) if len(code) >= _SHORTEST_CODE else -1
        if at >= 0:
            yield replace(span, start=places[at], end=places[at + len(code) - 1] + 1)


def _squeeze(value: str) -> str:
    return "".join(character.lower() for character in value if character.isalnum())


def _code(start: int, end: int) -> Span:
    return Span(start, end, "UNIQUE_CODE", CATEGORY_OF["UNIQUE_CODE"], 1.0, "long number")


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Join what overlaps, so that the covered characters never shrink."""
    joined: list[Span] = []
    for span in spans:
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            # Written together, a person's names look like one user's name.
            kind = span if span.entity == "PERSON" else last
            joined[-1] = replace(kind, start=last.start, end=max(last.end, span.end))
        else:
            joined.append(span)
    return joined
