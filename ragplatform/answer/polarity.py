"""Which way a sentence points: what it negates, and whether things rise or fall.

English only. Scope is by clause, which is wrong for some sentences and safe for most: where it
fails, a true sentence is dropped.
"""

import re
from dataclasses import dataclass
from typing import Final

from ragplatform.answer.terms import content, stem

# What follows is negated, to the end of the clause.
_FORWARD: Final = (
    r"no|not|never|none|neither|nor|without|cannot|can't|\w+n't|denies|denied|deny|lacks?|"
    r"fail(?:s|ed)? to|refus(?:es|ed|e)|declin(?:es|ed|e)|instead of|rather than|unlike"
)
# The whole clause is negated: "HIV negative", "pneumonia was ruled out".
_AROUND: Final = r"negative|absent|ruled out|excluded|unremarkable"
_CUE: Final = re.compile(rf"\b(?:(?P<forward>{_FORWARD})|(?P<around>{_AROUND}))\b", re.I)
_CLAUSE: Final = re.compile(
    r"[.;:!?](?:\s|$)|\s[-–—]\s|\b(?:but|however|although|though|because|since|unless|whereas|"
    r"while|so that|except|until|which|who)\b",
    re.I,
)
# "No fever, cough or pain" goes on over its commas; "no aspirin, and warfarin 6 mg" does not.
_COMMA: Final = re.compile(r",(?!\s[\w\s,-]{1,60}?\b(?:or|nor)\b)")

# Words of which one says the opposite of the other. A claim with one of them is not supported by a
# place that has only the other.
_OPPOSITES: Final = (
    ("increase increased rise rose risen grow grew gain climb climbed up upward",
     "decrease decreased fall fell fallen drop dropped decline declined loss lose lost down"),
    ("raise raised elevate", "reduce lower lowered cut"),
    ("higher high highest", "lower low lowest"),
    ("above over exceed more", "below under less fewer"),
    ("larger largest greater", "smaller smallest"),
    ("start started begin began restart restarted resume initiate",
     "stop stopped end ended discontinue cease hold held withdrawn"),
    ("accept approve approved agree permit allow grant", "refuse deny denied decline declined "
     "reject forbid prohibit"),
    ("left", "right"),
    ("improve better", "worsen worse deteriorate"),
    ("positive", "negative"),
    ("credit deposit", "debit withdrawal withdrew withdrawn"),
    ("before earlier", "after later"),
    ("first", "last"),
    ("maximum most", "minimum least"),
    ("profit", "loss"),
    ("resistant", "susceptible sensitive"),
    ("always", "never"),
    ("safe", "unsafe dangerous"),
    ("buy bought", "sell sold"),
    ("unilateral", "bilateral"),
    ("acute", "chronic"),
    ("systolic", "diastolic"),
    ("benign", "malignant"),
)  # fmt: skip
_SIDES: Final = tuple(
    (frozenset(map(stem, one.split())), frozenset(map(stem, other.split())))
    for one, other in _OPPOSITES
)
_ANY_SIDE: Final = frozenset[str]().union(*(one | other for one, other in _SIDES))
_ALL_WORDS: Final = re.compile(r"[a-z][a-z'-]+")
_THAN: Final = re.compile(
    r"(?P<left>[^.;]*?)\b(?P<word>more|less|fewer|\w{3,}er|better|worse)\b(?P<middle>[^.;]{0,40}?)"
    r"\bthan\b(?P<right>[^.;]*)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Polarity:
    """What is negated and what is not, by stem, and which sides of opposites a text takes.

    ``than`` holds what is said to be more, and than what, where two things are compared.
    """

    negated: frozenset[str]
    plain: frozenset[str]
    cues: int
    sides: frozenset[str]
    than: tuple[frozenset[str], str, frozenset[str]] | None

    def contradicts(self, place: "Polarity") -> str | None:
        """Return why a claim of this polarity is not what ``place`` says: a word, or None."""
        if self.cues and not place.cues:
            return "negation"
        if self.negated & (place.plain - place.negated):
            return "negation"
        if self.plain & (place.negated - place.plain):
            return "negation"
        if self._opposite(place) or self._turned_round(place):
            return "direction"
        return None

    def _opposite(self, place: "Polarity") -> bool:
        for one, other in _SIDES:
            for mine, theirs in ((one, other), (other, one)):
                claimed, opposed = self.sides & mine, place.sides & theirs
                if claimed - theirs and opposed and not place.sides & mine:
                    return True
        return False

    def _turned_round(self, place: "Polarity") -> bool:
        """Return whether "A is higher than B" is claimed of a place that says "B than A"."""
        if not self.than or not place.than or self.than[1] != place.than[1]:
            return False
        (more, _, less), (as_more, _, as_less) = self.than, place.than
        straight = len(more & as_more) + len(less & as_less)
        crossed = len(more & as_less) + len(less & as_more)
        return crossed > straight


def read(text: str) -> Polarity:
    """Return the polarity of a text, whose pseudonyms and citation marks are out of it."""
    negated: set[str] = set()
    plain: set[str] = set()
    cues = 0
    for clause in _clauses(text):
        spans = [_span(clause, found) for found in _CUE.finditer(clause)]
        cues += len(spans)
        outside = clause
        for start, end in spans:
            negated |= content(_CUE.sub(" ", clause[start:end]))
            outside = outside[:start] + " " * (end - start) + outside[end:]
        plain |= content(outside)
    words = {stem(word) for word in _ALL_WORDS.findall(text.lower())}
    return Polarity(
        frozenset(negated), frozenset(plain), cues, frozenset(words & _ANY_SIDE), _compared(text)
    )


def _clauses(text: str) -> list[str]:
    parts = _CLAUSE.split(text)
    return [one for part in parts for one in _COMMA.split(part) if one.strip()]


def _span(clause: str, cue: re.Match[str]) -> tuple[int, int]:
    return (0, len(clause)) if cue["around"] else (cue.start(), len(clause))


def _compared(text: str) -> tuple[frozenset[str], str, frozenset[str]] | None:
    # The pattern tries every word of a text; most texts compare nothing.
    found = _THAN.search(text) if "than" in text.lower() else None
    if not found:
        return None
    word = stem(found["word"].lower())
    left = content(found["left"]) | content(found["middle"])
    return frozenset(left), word, frozenset(content(found["right"]))
