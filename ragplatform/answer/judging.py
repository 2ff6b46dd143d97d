"""Which sentences of a model may be shown: each is judged against the passages before it leaves."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ragplatform.answer import asked, evidence, exits, hollow, quotes, support
from ragplatform.answer.retrieve import ClearedPassage, Retrieved
from ragplatform.answer.terms import content_terms
from ragplatform.model import Citation, SentenceKind
from ragplatform.ports import Entailment
from ragplatform.privacy.tokens import embed_view

_DECLINED: Final = re.compile(r"^the passages do not (?:say|answer|mention|contain)", re.I)

UNSUPPORTED: Final = "[unsupported]"
# A sentence with fewer of its words in its place must mean what the place means: embedding two
# texts costs milliseconds, so it is asked of the doubtful alone.
_SURE: Final = 0.8
_SIMILAR: Final = 0.5
# A sentence that fails by these is not shown, marked or not.
_UNSHOWN: Final = frozenset({"empty", "beside", "of_the_text", "adds_nothing", "circular"})


class Unsupported(StrEnum):
    """What happens to a sentence that no passage supports."""

    DROP = "drop"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence that may be shown, not yet screened, with what it cites and what vouches for it.

    ``text`` ends with its marks; only a gap has none. ``coverage`` and ``failed`` as in
    ``model.AnswerSentence``.
    """

    text: str
    kind: SentenceKind
    citations: tuple[Citation, ...] = ()
    coverage: float | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """How high the bar is for a model's sentences.

    ``entailment`` has the last word where there is one: a sentence needs ``threshold`` of it.
    """

    unsupported: Unsupported
    entailment: Entailment | None
    threshold: float


class Judge:
    """Judges the sentences that a model writes on some passages. Not for two answers."""

    def __init__(
        self,
        *,
        retrieved: Retrieved,
        passages: Sequence[ClearedPassage],
        bar: Bar,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self.declined = False
        """Whether the model said that the passages do not answer."""
        self._retrieved = retrieved
        self._passages = passages
        self._evidence = [passage.evidence for passage in passages]
        self._bar = bar
        origins = [evidence.origin(one) for one in passages]
        self._sought = quotes.Sought(retrieved.question.text, origins)
        self._lack = self._sought.lacks(origins)
        self._missing = [self._sought.missing(one) for one in origins]
        self._said: set[str] = set()
        self._answered = False

    @property
    def hopeless(self) -> bool:
        """Whether no passage holds one specific word of the question: no model is to be asked."""
        return min(self._lack, default=1.0) >= 1.0

    def judge(self, text: str) -> Sentence | None:
        """Return the sentence as it may be shown, or None; ``dropped`` counts why not."""
        claim = support.without_citations(text).strip()
        # A question handed back claims nothing, nor does a heading, and one would support either.
        declined = _DECLINED.search(claim) is not None
        self.declined |= declined
        if declined or not claim or claim.endswith(("?", ":")):
            return None
        at, verdict = self._best(claim, set(support.cited(text)))
        # Only what is cited may bring in an address or a number to call, and only where it stands.
        places = self._passages[at].texts[verdict.first : verdict.last + 1]
        cited = " ".join(" ".join(places).split()) if verdict.supported else ""
        # What the model copied is a quote; with words of its own it may not even hint at a link.
        said = exits.inert(claim) if claim in cited else claim
        never = self._never(said, cited)
        failed = never or verdict.failed
        failed = failed or self._borrowed(claim, at)
        failed = failed or hollow.fault(claim, self._retrieved.question.text, cited)
        failed = failed or self._unlike(claim, at, verdict) or self._beside(claim, at)
        if failed:
            self.dropped[failed] += 1
            if self._bar.unsupported is Unsupported.DROP or never or failed in _UNSHOWN:
                return None
            self._said.add(said.casefold())
            return Sentence(
                f"{said} {UNSUPPORTED}", SentenceKind.UNSUPPORTED, (), verdict.coverage, failed
            )
        self._answered = True
        self._said.add(said.casefold())
        passage = self._passages[at]
        citation = evidence.cite(self._retrieved, passage, verdict.first, verdict.last)
        return Sentence(
            f"{said} [{passage.number}]", SentenceKind.SUPPORTED, (citation,), verdict.coverage
        )

    def _unlike(self, claim: str, at: int, verdict: support.Verdict) -> str | None:
        """Return which of the models finds that the place does not mean the claim, if one does."""
        place = " ".join(self._passages[at].texts[verdict.first : verdict.last + 1])
        if verdict.coverage < _SURE:
            embedder = self._retrieved.embedder
            claimed, held = embedder.embed([embed_view(t) for t in (claim, place)])
            if float(claimed @ held) < _SIMILAR:
                return "meaning"
        entailment = self._bar.entailment
        if entailment and entailment.says([(place, claim)])[0] < self._bar.threshold:
            return "entailment"
        return None

    def _borrowed(self, claim: str, at: int) -> str | None:
        """Return that a sentence has a word of the question that its passage does not know.

        A model that takes the drug from the question and all else from a passage about another
        brings in one new word: far too few to be noticed by their share.
        """
        missing = self._missing[at]
        told = missing and any(asked.is_among(term, missing) for term in content_terms(claim))
        return "borrowed" if told else None

    def _beside(self, claim: str, at: int) -> str | None:
        """Return that a sentence is beside the question, where nothing before it was to the point.

        True sentences about something else are no answer; behind one that answers they may add.
        """
        if self._answered:
            return None
        found = self._retrieved
        to_the_point = quotes.fits(
            self._sought, found.vector, claim, self._lack[at], found.embedder
        )
        return None if to_the_point else "beside"

    def _never(self, claim: str, cited: str) -> str | None:
        """Return why a sentence is not shown, supported or not, marked or not."""
        if claim.casefold() in self._said:
            return "repeated"
        if UNSUPPORTED in claim.casefold():
            return "broken_mark"
        return exits.fault(claim, cited, self._retrieved.scope.reveals)

    def _best(self, claim: str, wanted: set[int]) -> tuple[int, support.Verdict]:
        """Return the place that supports the claim best: an index of the passages, and a verdict.

        The passages that the model names are tried first; a wrong number is mended, not trusted.
        """
        question = self._retrieved.question.text
        named = [n for n, passage in enumerate(self._passages) if passage.number in wanted]
        if named:
            at, verdict = support.best(claim, [self._evidence[n] for n in named], question)
            if verdict.supported:
                return named[at], verdict
        return support.best(claim, self._evidence, question)
