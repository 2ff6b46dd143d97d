"""Names that stand for a disease, a device or a drug, and not for a person."""

import re
from collections.abc import Sequence
from typing import Final

from ragplatform.model import Span
from ragplatform.privacy.lists import words
from ragplatform.privacy.names import TITLES

_WORD: Final = re.compile(r"[^\W\d_]+")
# What may stand between an eponym and the word that frames it: "Parkinson's disease",
# "Guillain-Barré syndrome", "Henoch–Schönlein purpura", "Hodgkin and non-Hodgkin lymphoma".
_TO_FRAME: Final = re.compile(
    r"(?:['’]s?\b)?(?:[\s/–-]{1,3}(?:and\s|non-?)?([^\W\d_]+)(?:['’]s?\b)?)"
)
# Their bare possessive is the disease: "she has Parkinson's".
_BY_POSSESSIVE: Final = frozenset(
    "addison alzheimer asperger barrett bell crohn cushing graves hashimoto hodgkin huntington "
    "kawasaki parkinson raynaud sjogren sjögren tourette wegener wilson".split()
)
_POSSESSIVE: Final = re.compile(r"['’]s?\b")
_BEFORE: Final = re.compile(r"([^\W\d_]+)\.?\s+\Z")
# The longest chain of eponyms before a frame: "Wolff-Parkinson-White syndrome" has three.
_LONGEST_CHAIN: Final = 4


def without_eponyms(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans less those of PERSON that only name a disease, a device or a drug.

    A span stays when a title stands before it, or when any of its words is in no allow-list.
    """
    return [span for span in spans if span.entity != "PERSON" or not _is_medical(text, span)]


def framed(text: str, start: int, end: int) -> bool:
    """Return whether the word ``text[start:end]`` is an eponym in a medical frame."""
    return text[start:end].lower() in words("eponyms") and _leads_to_frame(text, end)


def titled(text: str, start: int) -> bool:
    """Return whether a title such as "Mr." stands right before the offset."""
    found = _BEFORE.search(text, max(0, start - 16), start)
    return found is not None and found[1].lower() in TITLES


def _leads_to_frame(text: str, end: int) -> bool:
    for _ in range(_LONGEST_CHAIN):
        found = _TO_FRAME.match(text, end, end + 60)
        if found is None:
            return False
        word = found[1].lower()
        if word in words("frames"):
            return True
        if word not in words("eponyms"):
            return False
        end = found.end(1)
    return False


def _is_medical(text: str, span: Span) -> bool:
    found = [
        (match[0].lower(), match.end())
        for match in _WORD.finditer(text, span.start, span.end)
        if len(match[0]) > 1
    ]
    if not found or titled(text, span.start):
        return False
    # Not one set of all three: thousands of words would be joined anew for each name.
    known = (words("eponyms"), words("frames"), words("clinical"))
    if not all(any(word in some for some in known) for word, _ in found):
        return False
    eponyms = [(word, end) for word, end in found if word in words("eponyms")]
    if not eponyms:
        return True
    word, end = eponyms[-1]
    possessive = _POSSESSIVE.match(text, end, end + 2) is not None
    return _leads_to_frame(text, end) or (possessive and word in _BY_POSSESSIVE)
