"""Sentences that answer nothing although a passage holds all their words. Small models write many.

English only, and deterministic: no model takes part.
"""

import re
from collections import Counter
from itertools import pairwise
from typing import Final

from ragplatform.answer.asked import is_among
from ragplatform.answer.terms import TOKEN, content_terms

# Said of the text instead of the matter: "The passage 4 mentions the treatment".
_OF_THE_TEXT: Final = re.compile(
    r"^(?:it (?:is|talks) about\b|(?:the|this|these) (?:passage|text|article)s?(?: \d{1,3})? "
    r"(?:(?:is|are|talks?) about|discuss|describ|mention|provid|refer|deal|contain)|"
    r"the answer (?:is|to (?:the|this) question is)\W*$)",
    re.I,
)
# Who asks whether, or which of two, may be answered in the question's own words.
_EITHER: Final = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|has|have|had|can|could|may|must|should|will|would)\b"
    r"|[,;?]\s*(?:and|or)?\s*(?:is|are|was|were|do|does|did|has|have|had|can|could|should)\b|\bor\b",
    re.I,
)
_WORDS: Final = re.compile(r"[a-z0-9][a-z0-9'-]*")


def fault(claim: str, question: str, place: str) -> str | None:
    """Return why a sentence is no answer to the question, if so; ``place`` is what supports it."""
    if _OF_THE_TEXT.search(claim):
        return "of_the_text"
    if not _EITHER.search(question) and not _adds(claim, question):
        return "adds_nothing"
    if _circles(claim, place):
        return "circular"
    return None


def _adds(claim: str, question: str) -> bool:
    """Return whether a sentence says anything that the question does not say itself."""
    asked = content_terms(question)
    return not all(is_among(term, asked) for term in content_terms(claim))


def _circles(claim: str, place: str) -> bool:
    """Return whether a sentence repeats words side by side that its place has fewer times."""
    held = _pairs(place)
    return any(count > max(1, held[pair]) for pair, count in _pairs(claim).items())


def _pairs(text: str) -> Counter[tuple[str, str]]:
    """Count neighbouring words of which both carry meaning."""
    words = _WORDS.findall(TOKEN.sub(" ", text).lower())
    carrying = {word: bool(content_terms(word)) for word in set(words)}
    return Counter((a, b) for a, b in pairwise(words) if carrying[a] and carrying[b])
