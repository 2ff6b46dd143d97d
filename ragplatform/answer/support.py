"""Whether a passage supports a sentence: figures, names, wording, negation, direction.

A small model invents numbers and never refuses (measured on the 135M demo model: 0 of 2 numeric
questions right), so a sentence is shown as fact only where a passage says it. The checks are
deterministic and can only be too strict: a dropped true sentence costs less than a false one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ragplatform.answer import polarity, quantities
from ragplatform.answer.polarity import Polarity
from ragplatform.answer.quantities import Quantities
from ragplatform.answer.terms import (
    CITATION,
    STOP,
    TOKEN,
    content,
    content_of_plain,
    content_terms,
    plain,
)

_NAME = re.compile(r"(?<![.!?\"“] )(?<!^)\b[A-Z][\w'-]{2,}(?:\s+[A-Z][\w'-]+)*")
_MARK = re.compile(r"\s{0,3}\[\d{1,3}\]")
_FIRST = re.compile(r"[A-Z][\w'-]{2,}")

# Share of a sentence's content words that its passage must hold: a paraphrase with one or two new
# words passes, a sentence with an invented clause does not.
COVERAGE: Final = 0.6
# How many words of a sentence its place may lack, unless it holds four in five: with three new
# words the end of another sentence of the passage comes in (bench/support.py, "mixture").
_NEW_WORDS: Final = 2
_PLENTY: Final = 0.8
# Where two sentences say it together, the share that one of them must hold.
_ALONE: Final = 0.7


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


class Facts:
    """What one sentence says, taken apart once, as far as it is asked for."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def plain(self) -> str:
        """The text without pseudonyms, masks and citation marks."""
        return plain(self.text)

    @cached_property
    def words(self) -> frozenset[str]:
        """The stems of the words that carry a claim."""
        return frozenset(content_of_plain(self.plain))

    @cached_property
    def terms(self) -> frozenset[str]:
        """The stems of the words that carry meaning, with numbers, codes and pseudonyms."""
        return frozenset(content_terms(self.text))

    @cached_property
    def tokens(self) -> frozenset[str]:
        """The pseudonyms and masks of the text."""
        return frozenset(TOKEN.findall(self.text)) if "[" in self.text else frozenset()

    @cached_property
    def folded(self) -> str:
        """The text without regard to case."""
        return self.text.casefold()

    @cached_property
    def quantities(self) -> Quantities:
        """The figures of the text."""
        return quantities.read(self.plain)

    @cached_property
    def polarity(self) -> Polarity:
        """What the text negates."""
        return polarity.read(self.plain)

    @cached_property
    def people(self) -> frozenset[str]:
        """The pseudonyms of people in the text."""
        return frozenset(token for token in self.tokens if token.startswith("[PERSON"))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names in the text, folded: of each, all words must stand in the evidence."""
        bare = TOKEN.sub("", self.text).strip()
        names = {name.casefold() for name in _NAME.findall(bare)}
        first = _FIRST.match(bare)
        # Any sentence begins with a capital, so a first word that is no name only has to be there
        # too.
        if first and first[0].casefold() not in STOP:
            names.add(first[0].casefold())
        return frozenset(names)


class Evidence:
    """One passage, given as its sentences, each taken apart when it is first needed."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.facts = tuple(map(Facts, sentences))

    def __len__(self) -> int:
        return len(self.facts)

    @cached_property
    def folded(self) -> str:
        """The whole passage without regard to case."""
        return " ".join(one.folded for one in self.facts)

    @cached_property
    def terms(self) -> frozenset[str]:
        """The stems of all words that carry meaning, with numbers, codes and pseudonyms."""
        return frozenset[str]().union(*(one.terms for one in self.facts))

    @cached_property
    def tokens(self) -> frozenset[str]:
        """All pseudonyms and masks of the passage."""
        return frozenset[str]().union(*(one.tokens for one in self.facts))

    @cached_property
    def quantities(self) -> Quantities:
        """All figures of the passage."""
        return quantities.together([one.quantities for one in self.facts] or [quantities.NONE])


def cited(sentence: str) -> list[int]:
    """Return the passage numbers that the sentence cites, in order, each once."""
    return list(dict.fromkeys(int(number) for number in CITATION.findall(sentence)))


def without_citations(sentence: str) -> str:
    """Return the sentence without its citation marks, nor what their removal would make of it.

    A mark inside a mark, ``[[7]7]``, would leave one behind that points nowhere.
    """
    while (thinner := _MARK.sub("", sentence)) != sentence:
        sentence = thinner
    return sentence.strip()


def check(sentence: str, passage: Sequence[str] | Evidence, question: str = "") -> Verdict:
    """Return whether ``passage``, given as its sentences, says what ``sentence`` says.

    ``question`` is what the sentence answers, if anything.

    1. Every figure of the sentence stands in the passage, in whatever spelling: amounts with their
       units and scales, percentages, dates, times.
    2. Every pseudonym and every name of the sentence stands in the passage.
    3. They stand in one place (one sentence or two adjacent ones) with enough of its content words:
       the right words about somebody else are the worst mistake that there is.
    4. Enough of what the sentence adds to the question stands there too: a model wraps a drug that
       it made up in the question's own words, and those the passage holds.
    5. What that place negates the sentence negates, and nothing else.
    6. Nothing rises in the sentence that falls there, or is more than what is less there.
    """
    return best(sentence, [passage], question)[1]


def _check(claim: Facts, evidence: Evidence, asked: set[str]) -> Verdict:
    if not claim.words and not claim.quantities.any:
        return Verdict(False, "empty")
    if claim.quantities.any and not evidence.quantities.hold(claim.quantities):  # 1
        return Verdict(False, "number")
    if not _named(claim, evidence.tokens, evidence.folded):  # 2
        return Verdict(False, "name")
    coverage, first, last = _best_place(claim, evidence.facts)  # 3
    place = evidence.facts[first : last + 1]
    held = frozenset[str]().union(*(one.words for one in place))
    new = len(claim.words - held)
    if coverage < COVERAGE or (coverage < _PLENTY and new > _NEW_WORDS):
        return Verdict(False, "wording", coverage, first, last)
    added = claim.words - asked
    if len(added & held) < COVERAGE * len(added):  # 4
        return Verdict(False, "added", coverage, first, last)
    said = (
        place[0].polarity
        if len(place) == 1
        else polarity.read(plain(" ".join(one.text for one in place)))
    )
    failed = claim.polarity.contradicts(said)  # 5, 6
    return Verdict(failed is None, failed, coverage, first, last)


def _named(claim: Facts, tokens: frozenset[str], folded: str) -> bool:
    return claim.tokens <= tokens and all(name in folded for name in claim.names)


def _best_place(claim: Facts, passage: Sequence[Facts]) -> tuple[float, int, int]:
    best = (0.0, 0, 0)
    # One sentence alone wins a tie with a pair, so that a neighbour's "not" is not counted.
    for reach in (0, 1):
        for first in range(len(passage) - reach):
            last = first + reach
            place = passage[first : last + 1]
            score = _coverage(claim, place)
            if score > best[0] and _holds(claim, place):
                best = (score, first, last)
    return best


def _coverage(claim: Facts, place: Sequence[Facts]) -> float:
    """Return the share of the claim's words that the place holds about the claim's people."""
    if not claim.words:
        return 1.0
    # Of two sentences one has to hold most of what is claimed: else the beginning of one with the
    # end of the other would be supported.
    if len(place) > 1:
        alone = max(len(claim.words & one.words) for one in place) / len(claim.words)
        if alone < _ALONE:
            return 0.0
    # A place that names people whom the claim does not is about somebody else.
    if claim.tokens and any(one.people - claim.tokens for one in place):
        place = [one for one in place if claim.tokens & one.tokens]
    return len(claim.words & frozenset[str]().union(*(one.words for one in place))) / len(
        claim.words
    )


def _holds(claim: Facts, place: Sequence[Facts]) -> bool:
    """Return whether all that must stand in one place does."""
    tokens = frozenset[str]().union(*(one.tokens for one in place))
    if not _named(claim, tokens, " ".join(one.folded for one in place)):
        return False
    # Two adjacent sentences may be about two people: all that is claimed of one must be said there.
    if claim.tokens and len(place) > 1 and not any(claim.tokens <= one.tokens for one in place):
        return False
    figures = claim.quantities
    return not figures.any or quantities.together([one.quantities for one in place]).hold(figures)


def best(
    sentence: str, passages: Sequence[Sequence[str] | Evidence], question: str = ""
) -> tuple[int, Verdict]:
    """Return the index of the passage that supports the sentence best, and the verdict.

    The index is -1 when there is no passage at all.
    """
    claim, asked = Facts(without_citations(sentence)), content(question)
    verdicts = [
        _check(claim, one if isinstance(one, Evidence) else Evidence(one), asked)
        for one in passages
    ]
    if not verdicts:
        return -1, Verdict(False, "no passage")
    index = max(range(len(verdicts)), key=lambda i: (verdicts[i].supported, verdicts[i].coverage))
    return index, verdicts[index]
