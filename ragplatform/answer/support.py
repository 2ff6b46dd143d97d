"""Whether a passage supports a sentence: numbers, names, negation, then wording.

A small model invents numbers and never refuses (measured on the 135M demo model: 0 of 2 numeric
questions right), so a sentence is shown as fact only where a passage says it. The checks are
deterministic and can only be too strict: a dropped true sentence costs less than a false one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?%?")
_TOKEN = re.compile(r"\[[A-Z][A-Z0-9_]*(?::[a-z2-7]{16})?\]")
_NAME = re.compile(r"(?<![.!?\"“] )(?<!^)\b[A-Z][\w'-]{2,}(?:\s+[A-Z][\w'-]+)*")
_WORD = re.compile(r"[a-z][a-z'-]+")
_NEGATION = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|denies|denied|negative|cannot|absent|refused|"
    r"declined|\w+n't)\b",
    re.I,
)
_TERM = re.compile(r"[a-z0-9][a-z0-9'-]*")
# "FY2023" asks for what a report calls "2023" or "fiscal 2023".
_FISCAL = re.compile(r"\bfy(?=\d{4}\b)")
_CITATION = re.compile(r"\[(\d{1,3})\]")

# Words that carry no claim. English only.
_STOP: Final = frozenset(
    "a an the and or but of to in on at by for from with as is are was were be been being it its "
    "this that these those he she they his her their him them we our you your i my me which who "
    "whom what when where why how there here has have had do does did will would can could should "
    "may might must also then than so such into over under after before during about according "
    "passage passages document documents states stated says mentioned following based answer "
    "patient client any some all".split()
)

# Share of a sentence's content words that its passage must hold: a paraphrase with one or two new
# words passes, a sentence with an invented clause does not.
COVERAGE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a passage supports a sentence, where, and the first check that failed if it does not.

    The place is ``sentences[first:last + 1]`` of the passage.
    """

    supported: bool
    failed: str | None = None
    coverage: float = 0.0
    first: int = 0
    last: int = 0


def cited(sentence: str) -> list[int]:
    """Return the passage numbers that the sentence cites, in order, each once."""
    return list(dict.fromkeys(int(number) for number in _CITATION.findall(sentence)))


def without_citations(sentence: str) -> str:
    """Return the sentence without its citation marks."""
    return re.sub(r"\s*" + _CITATION.pattern, "", sentence).strip()


def check(sentence: str, passage: Sequence[str]) -> Verdict:
    """Return whether ``passage``, given as its sentences, says what ``sentence`` says.

    1. Every number of the sentence stands in the passage.
    2. Every pseudonym and every name inside the sentence stands in the passage.
    3. Enough of its content words stand in one place (two adjacent sentences) of the passage.
    4. That place negates if and only if the sentence does.
    """
    claim, whole = without_citations(sentence), " ".join(passage)
    words, numbers = _content(claim), _numbers(claim)
    if not words and not numbers:
        return Verdict(False, "empty")
    if not numbers <= _numbers(whole):
        return Verdict(False, "number")
    if not _named(claim, whole):
        return Verdict(False, "name")
    coverage, first, last = _best_place(words, numbers, passage)
    if coverage < COVERAGE:
        return Verdict(False, "wording", coverage, first, last)
    place = " ".join(passage[first : last + 1])
    if bool(_NEGATION.search(claim)) != bool(_NEGATION.search(place)):
        return Verdict(False, "negation", coverage, first, last)
    return Verdict(True, None, coverage, first, last)


def _named(claim: str, whole: str) -> bool:
    if not set(_TOKEN.findall(claim)) <= set(_TOKEN.findall(whole)):
        return False
    folded = whole.casefold()
    return all(name.casefold() in folded for name in _NAME.findall(_TOKEN.sub("", claim)))


def _best_place(
    words: set[str], numbers: set[str], passage: Sequence[str]
) -> tuple[float, int, int]:
    best = (-1.0, 0, 0)
    # One sentence alone wins a tie with a pair, so that a neighbour's "not" is not counted.
    for reach in (0, 1):
        for first in range(len(passage) - reach):
            last = first + reach
            score = _coverage(words, numbers, " ".join(passage[first : last + 1]))
            if score > best[0]:
                best = (score, first, last)
    return max(best[0], 0.0), best[1], best[2]


def _coverage(words: set[str], numbers: set[str], place: str) -> float:
    if not numbers <= _numbers(place):
        return 0.0
    if not words:
        return 1.0
    return len(words & _content(place)) / len(words)


def _numbers(text: str) -> set[str]:
    found = (number.replace(",", "").lstrip("+") for number in _NUMBER.findall(_plain(text)))
    return {_canonical(number) for number in found}


def _canonical(number: str) -> str:
    body, percent = number.rstrip("%"), "%" if number.endswith("%") else ""
    return (body.rstrip("0").rstrip(".") if "." in body else body) + percent


def _plain(text: str) -> str:
    return _CITATION.sub(" ", _TOKEN.sub(" ", text))


def _content(text: str) -> set[str]:
    words = _WORD.findall(_plain(text).lower())
    return {_stem(word) for word in words if word not in _STOP and len(word) > 1}


def content_terms(text: str) -> set[str]:
    """Return the stems of the words that carry meaning, with numbers, codes and pseudonyms."""
    terms = _FISCAL.sub("", " ".join(_TERM.findall(text.lower()))).split()
    return {
        term if term[0].isdigit() else _stem(term)
        for term in terms
        if term not in _STOP and (len(term) > 1 or term.isdigit())
    }


def _stem(word: str) -> str:
    """Return the word less a common English ending. Crude on purpose: both sides get the same."""
    word = word.removesuffix("'s")
    for ending in ("ations", "ation", "ings", "ing", "edly", "ied", "ies", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e")


def best(sentence: str, passages: Sequence[Sequence[str]]) -> tuple[int, Verdict]:
    """Return the index of the passage that supports the sentence best, and the verdict.

    The index is -1 when there is no passage at all.
    """
    verdicts = [check(sentence, passage) for passage in passages]
    if not verdicts:
        return -1, Verdict(False, "no passage")
    index = max(range(len(verdicts)), key=lambda i: (verdicts[i].supported, verdicts[i].coverage))
    return index, verdicts[index]
