"""What a question asks for: its terms, those an answer cannot do without, the kind of thing.

English only, and deterministic: no model takes part.
"""

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

from ragplatform.answer import quantities
from ragplatform.answer.terms import TOKEN, content_terms, plain, stem

# Two words are forms of one where they begin alike so far: "catheter" and "catheterised" are,
# "hypertension" and "hypertrophy" are not.
_ALIKE: Final = 0.75
_SHORTEST_ROOT: Final = 4

_YEAR: Final = re.compile(r"(?:19|20)\d\d")
# How many words a year counts for: 2 to 4 refuse alike.
_OF_A_YEAR: Final = 3
# Behind which marks a name may stand, and a year.
_VEILS_NAME: Final = (
    "[PERSON", "[ORGANIZATION", "[LOCATION", "[STREET_ADDRESS", "[NRP", "[QUASI_IDENTIFIER",
)  # fmt: skip
_VEILS_YEAR: Final = "[DATE_TIME"

_MEASURE: Final = (
    r"percent(?:age)?|number|rate|ratio|dose|dosage|weight|height|length|width|size|score|amount|"
    r"level|cost|price|fee|balance|target|limit|age|temperature|value|dimension|distance|duration|"
    r"share|sum|total|income|revenue|sales|profit|margin|population|area|speed|salary|payment"
)


class Expected(StrEnum):
    """What kind of thing answers a question."""

    NUMBER = "number"
    DATE = "date"
    PERSON = "person"
    PLACE = "place"
    ANYTHING = "anything"


_KINDS: Final = (
    (Expected.DATE, re.compile(
        r"\b(?:when|what (?:year|date|day|month|century|decade|time)|which (?:year|day|month)"
        r"|in (?:what|which) (?:year|month|century|decade)|(?:since|until|till) when)\b", re.I)),
    (Expected.NUMBER, re.compile(
        r"\bhow (?:many|much|long|old|far|often|large|big|high|wide|deep|tall|fast|heavy|late)\b"
        rf"|\b(?:what|which)(?:'s| is| was| are| were)?(?: \w+){{0,3}}? (?:{_MEASURE})\b", re.I)),
    (Expected.PERSON, re.compile(r"\b(?:who|whom|whose|by whom)\b", re.I)),
    (Expected.PLACE, re.compile(
        r"\b(?:where|(?:what|which) (?:country|city|town|place|state|region|continent|street))\b",
        re.I)),
)  # fmt: skip
_ASKING: Final = (
    r"(?:what|which|when|where|who|whom|whose|why|how|is|are|was|were|does|do|did|has|have|can|may)"
)
_NEXT_PART: Final = re.compile(rf"(?:[?;]|,?\s+(?:and|or))\s+({_ASKING}\b)", re.I)
_ASKS: Final = re.compile(rf"^\W*(?:\w+\s+)?{_ASKING}\b", re.I)
_NAME: Final = re.compile(r"(?<!^)(?<![.!?:] )\b[A-Z][a-z'’-]+(?:-[A-Z][a-z'’]+)*\b")
_DAY_WORD: Final = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|today|yesterday|tomorrow|morning|evening|noon"
    r"|midnight|january|february|march|april|june|july|august|september|october|november|december"
    r"|spring|summer|autumn|winter|century|days?|weeks?|months?|years?|hours?|minutes?|annually"
    r"|yearly|monthly|weekly|daily|any time|never|always|before|after|once|until)\b",
    re.I,
)
_PEOPLE: Final = re.compile(
    r"\[PERSON|\b(?:doctor|nurse|physician|surgeon|pharmacist|officer|owner|manager|committee|"
    r"patients?|clients?|people|children|members?|staff|team|council|king|queen|president)\b", re.I
)  # fmt: skip
_PLACED: Final = re.compile(r"\[(?:LOCATION|US_ZIP|ADDRESS)|\b(?:in|at|on|from|near|to|of)\b", re.I)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question taken apart.

    ``specific`` are the terms that an answer can hardly do without: whatever is no common word,
    names and figures among them. Pseudonyms are not among the terms: whom a question is about is
    decided elsewhere. ``names`` are the specific terms that begin with a capital.
    """

    terms: frozenset[str]
    specific: frozenset[str]
    names: frozenset[str]
    expected: Expected

    def missing(self, held: Iterable[str], *, masked: bool = False) -> frozenset[str]:
        """Return the specific terms of which no form is among the terms that a text holds.

        A name may stand behind a pseudonym or a mask, and so is not missing from a text with those.
        """
        there = _taken_apart(held)
        wanted = self.specific - self.names if masked else self.specific
        return frozenset(term for term in wanted - there if not _form_in(term, there))

    def lack(self, held: Iterable[str], hidden: Set[str] = frozenset()) -> float:
        """Return the share of the specific terms that a text lacks, 0 where there are none.

        ``held`` are the text's terms, ``hidden`` its pseudonyms and masks: a name may stand behind
        one, and a year behind a masked date, and is then not lacking. A year counts as much as
        several words: the same figure of another year is no answer.
        """
        missing = self.missing(held)
        if any(mark.startswith(_VEILS_NAME) for mark in hidden):
            missing -= self.names
        if any(mark.startswith(_VEILS_YEAR) for mark in hidden):
            missing = frozenset(term for term in missing if not _YEAR.fullmatch(term))
        return min(1.0, sum(map(_weight, missing)) / (len(self.specific) or 1))

    def answered_by(self, text: str) -> bool:
        """Return whether a text holds the kind of thing that is asked for."""
        match self.expected:
            case Expected.NUMBER:
                return bool(quantities.read(plain(text)).amounts)
            case Expected.DATE:
                figures = quantities.read(plain(text))
                return (
                    bool(figures.days or figures.times or figures.years or _DAY_WORD.search(text))
                    or "[DATE" in text
                )
            case Expected.PERSON:
                return bool(_PEOPLE.search(text) or _NAME.search(text))
            case Expected.PLACE:
                return bool(_PLACED.search(text) or _NAME.search(text))
        return True


def read(question: str) -> Asked:
    """Return what a question asks for."""
    bare = TOKEN.sub(" ", question)
    terms = frozenset(content_terms(bare))
    expected = next(
        (kind for kind, pattern in _KINDS if pattern.search(question)), Expected.ANYTHING
    )
    specific = terms - _common()
    names = content_terms(" ".join(_NAME.findall(bare))) & specific
    return Asked(terms, specific, frozenset(names), expected)


def parts(question: str) -> list[tuple[int, int]]:
    """Return where the questions in a question stand: "why was it stopped and what replaced it?".

    One part where it asks but one thing.
    """
    edges = [found.start(1) for found in _NEXT_PART.finditer(question)]
    ends = [found.start() for found in _NEXT_PART.finditer(question)]
    pairs = zip([0, *edges], [*ends, len(question)], strict=True)
    found = [(a, b) for a, b in pairs if _ASKS.search(question[a:b])]
    return found if len(found) > 1 else [(0, len(question))]


def words_of(question: str, terms: Iterable[str]) -> list[str]:
    """Return the question's own words of which these are the stems, in order, each once."""
    wanted = set(terms)
    words = (word.strip(".,;:?!()'\"") for word in TOKEN.sub(" ", question).split())
    return list(dict.fromkeys(w for w in words if w and content_terms(w) & wanted))


def same_word(one: str, other: str) -> bool:
    """Return whether two stems are forms of one word, as far as their beginnings tell."""
    if one[0].isdigit() or other[0].isdigit():
        return one == other
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared >= _SHORTEST_ROOT and shared >= _ALIKE * max(len(one), len(other))


def is_among(term: str, others: Set[str]) -> bool:
    """Return whether a form of a stem is among others."""
    return term in others or any(same_word(term, other) for other in others)


def _weight(term: str) -> int:
    return _OF_A_YEAR if _YEAR.fullmatch(term) else 1


def _taken_apart(held: Iterable[str]) -> set[str]:
    """Return the terms with the parts of those that hyphens join: "six-minute" holds "six"."""
    joined = [term for term in held if "-" in term]
    return {*held, *(part for term in joined for part in term.split("-"))}


def _form_in(term: str, others: Set[str]) -> bool:
    if "-" in term and all(part in others or _form_in(part, others) for part in term.split("-")):
        return True
    # Most words of a text begin otherwise, which is seen at once.
    root = term[:_SHORTEST_ROOT]
    return len(root) == _SHORTEST_ROOT and any(
        other.startswith(root) and same_word(term, other) for other in others
    )


@cache
def _common() -> frozenset[str]:
    """Return the stems of the words that say little about what is asked for."""
    text = files("ragplatform.answer").joinpath("common_words.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(stem(word) for line in lines for word in line.split())
