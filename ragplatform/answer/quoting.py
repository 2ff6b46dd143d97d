"""Answers made of the passages' own sentences: which are quoted, and how they are joined."""

from collections.abc import Collection, Sequence

from ragplatform.answer import evidence, exits, quotes
from ragplatform.answer.conflicts import DIFFERS, contradict
from ragplatform.answer.judging import Sentence
from ragplatform.answer.quotes import Candidate, Quote
from ragplatform.answer.retrieve import Retrieved
from ragplatform.answer.support import Facts
from ragplatform.model import Cleared, SentenceKind
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.tokens import tokens_in


class Quoter:
    """Chooses quotes and says them. Safe to use for many answers at once."""

    def __init__(self, *, privacy: Privacy) -> None:
        self._privacy = privacy

    def choose(self, retrieved: Retrieved) -> list[Quote]:
        """Return the quotes that answer the question, best first; empty where none does."""
        named = tokens_in(retrieved.question.text)
        candidates = [
            Candidate(passage.number - 1, n, text)
            for passage in evidence.about(retrieved)
            for n, text in enumerate(passage.texts)
            if not evidence.about_others(named | retrieved.meant, text)
            and _quotable(text, retrieved.scope.reveals)
        ]
        return quotes.choose(
            retrieved.question.text,
            retrieved.vector,
            candidates,
            retrieved.embedder,
            origins=[evidence.origin(passage) for passage in retrieved.passages],
        )

    def texts(self, retrieved: Retrieved, chosen: Sequence[Quote]) -> list[Cleared]:
        """Return the quotes' texts as an answer may say them; see ``exits.inert``."""
        return [self._citable(retrieved, quote) for quote in chosen]

    def _citable(self, retrieved: Retrieved, quote: Quote) -> Cleared:
        passage = retrieved.passages[quote.candidate.passage]
        whole = self._privacy.join(
            passage.sentences[quote.candidate.sentence : quote.last + 1], " "
        )
        return self._privacy.excerpt(exits.inert(" ".join(whole.text.split())), whole)

    def say(
        self, retrieved: Retrieved, chosen: Sequence[Quote], texts: Sequence[Cleared], joined: str
    ) -> list[Sentence]:
        """Return the quotes as sentences, each with the words that join it to the one before.

        Of a quote that contradicts one before it the words say so.
        """
        said: list[Sentence] = []
        facts: list[Facts] = []
        words = ""
        for piece in quotes.pieces(joined):
            if isinstance(piece, str):
                words = piece.lstrip()
                continue
            quote = chosen[piece - 1]
            passage = retrieved.passages[quote.candidate.passage]
            citation = evidence.cite(retrieved, passage, quote.candidate.sentence, quote.last)
            kind, quoted = SentenceKind.QUOTED, Facts(texts[piece - 1].text)
            if any(contradict(one, quoted) for one in facts):
                kind, words = SentenceKind.CONFLICT, f"{DIFFERS} "
            facts.append(quoted)
            text = f"{words}{quoted.text} [{passage.number}]"
            said.append(Sentence(text, kind, (citation,)))
            words = ""
        return said


def _quotable(text: str, reveals: Collection[str]) -> bool:
    """Return whether a passage's sentence may be quoted, and says something without its links."""
    said = exits.inert(text)
    return said.strip(" (.)") != "" and not exits.fault(said, said, reveals)
