"""Which sentences of a model may be shown: each is judged against the passages before it leaves."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ragplatform.answer import evidence, exits, support
from ragplatform.answer.retrieve import ClearedPassage, Retrieved
from ragplatform.model import Citation, SentenceKind

_DECLINED: Final = re.compile(r"^the passages do not (?:say|answer|mention|contain)", re.I)

UNSUPPORTED: Final = "[unsupported]"


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


class Judge:
    """Judges the sentences that a model writes on some passages. Not for two answers."""

    def __init__(
        self,
        *,
        retrieved: Retrieved,
        passages: Sequence[ClearedPassage],
        unsupported: Unsupported,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._retrieved = retrieved
        self._passages = passages
        self._evidence = [support.Evidence(passage.texts) for passage in passages]
        self._unsupported = unsupported
        self._said: set[str] = set()

    def judge(self, text: str) -> Sentence | None:
        """Return the sentence as it may be shown, or None; ``dropped`` counts why not."""
        claim = support.without_citations(text).strip()
        # A question handed back claims nothing, and a heading would seem to support it.
        if not claim or claim.endswith("?") or _DECLINED.search(claim):
            return None
        at, verdict = self._best(claim, set(support.cited(text)))
        # Only what is cited may bring in an address or a number to call, and only where it stands.
        places = self._passages[at].texts[verdict.first : verdict.last + 1]
        never = self._never(claim, " ".join(places) if verdict.supported else "")
        failed = never or verdict.failed
        if failed:
            self.dropped[failed] += 1
            if self._unsupported is Unsupported.DROP or never or failed == "empty":
                return None
            self._said.add(claim.casefold())
            return Sentence(
                f"{claim} {UNSUPPORTED}", SentenceKind.UNSUPPORTED, (), verdict.coverage, failed
            )
        self._said.add(claim.casefold())
        passage = self._passages[at]
        citation = evidence.cite(self._retrieved, passage, verdict.first, verdict.last)
        return Sentence(
            f"{claim} [{passage.number}]", SentenceKind.SUPPORTED, (citation,), verdict.coverage
        )

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
