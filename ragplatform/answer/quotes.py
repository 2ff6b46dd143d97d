"""Extractive answers: which sentences of the passages answer the question, and how to join them.

The retriever chooses the quotes; the model only chooses the words that join them, under a pattern
that leaves it no room to add a fact.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

import numpy as np

from ragplatform.answer.asked import parts, read
from ragplatform.answer.sentences import is_row
from ragplatform.answer.support import Evidence
from ragplatform.answer.terms import TOKEN, content_terms
from ragplatform.ports import Embedder, Vectors
from ragplatform.privacy.tokens import embed_view

JOINERS: Final = ("Also", "In addition", "Further")
_PLACE = re.compile(r"<(\d)>")
# Neither a sentence nor a row of a table ends in words without a stop.
_HEADING = re.compile(r"[^\W\d][:)\]\"”]*$")

# How much lexical overlap weighs against the cosine. Dense vectors alone rank a sentence about the
# right topic over the one that holds the asked-for name or number. A name often stands only once
# in a passage, so the passage's own overlap counts beside the sentence's. Measured on the demo's
# questions, 0.3 to 0.5 and 0.15 to 0.5 choose alike.
_LEXICAL: Final = 0.4
_PASSAGE_SHARE: Final = 0.3
# What the passage's place in the ranking adds, for the first one; the second gets half of it.
_FIRST: Final = 0.05
# A quote this far below the best one says something else.
_NEAR_BEST: Final = 0.8
# Whether a sentence answers at all: its cosine, and so much for the share of the question's words
# in it and beside it, less so much for the share of specific words that its document lacks, must
# reach the figure below. Chosen on half of the questions to the demo's corpus and on 210 of
# PubMedQA, MedQuAD and SQuAD 2, of their halves on which no figure is reported, so that at least
# 0.9 of those to the demo that have no answer are refused; on the other halves it is as good.
# With weights from 0.6 to 0.9 it is much the same. What is asked for (a date, a number), the
# passage's place, its rank's score, the likeness of lacking words to others and how much the
# question's vector turns without them added nothing to it.
_BY_WORDS: Final = 0.7
_BY_LACK: Final = -0.7
ANSWERABLE: Final = 0.61
# To embed a sentence costs as much as all else that is done with it a hundred times over, so only
# those are embedded that words and the ranking put first. Of 197 questions of the demo, SQuAD 2,
# PubMedQA and MedQuAD, with 15 to 64 sentences each, none got other quotes for that; with 12 one
# did, with 8 four.
_EMBEDDED: Final = 16
# An answer seldom stands further behind in the ranking (SQuAD 2: 5 of 100 behind the third).
_LOOKED_AT: Final = 5
# A sentence shorter than this says something only with a figure and a word that was asked for.
_SHORTEST: Final = 20
_FIGURE: Final = re.compile(r"\d")
# Overlap counts less in a sentence longer than this.
_LONG: Final = 300
# A heading is quoted with what stands under it, and a sentence shorter than the first figure with
# the next one, up to the second.
_TERSE: Final = 60
_ROOM: Final = 260


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sentence that might be quoted: the indices of its passage and of the sentence in it.

    Passages are numbered from 0 in the order of their ranking.
    """

    passage: int
    sentence: int
    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """Chosen sentences, ``candidate`` to ``last``, and how well the first fits the question.

    Scores lie about in 0..1.
    """

    candidate: Candidate
    last: int
    score: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Where candidates are from: a passage, its document, and what stands above it.

    ``evidence`` is all of the passage, also what may not be quoted.
    """

    document: str
    title: str
    headings: tuple[str, ...]
    evidence: Evidence


class Sought:
    """What a question asks for, taken apart once to be compared with many texts.

    Whose texts they are is decided before. So a pseudonym that any of them holds is none of the
    terms: it stands at a letter's head, and not beside what is asked for. One that none holds is
    asked for in vain.
    """

    def __init__(self, question: str, origins: Iterable[Origin]) -> None:
        held = frozenset[str]().union(*(one.evidence.tokens for one in origins))
        self.terms = content_terms(question) - content_terms(" ".join(held))
        self._whole = read(question)
        self.specific = self._whole.specific
        self._parts = [read(question[start:end]) for start, end in parts(question)]

    def above(self, origin: Origin) -> set[str]:
        """Return the question's terms that stand in the title or the headings of a passage."""
        return _in_title(self.terms, origin.title) | (
            self.terms & content_terms(" ".join(origin.headings))
        )

    def lack(self, held: Set[str], hidden: Set[str] = frozenset()) -> float:
        """Return the share of the specific terms that a text of these terms lacks.

        See ``Asked.lack``. Of a question of several parts it is that of the part which lacks least:
        what the others ask for may stand elsewhere, or the answer says that it does not.
        """
        return min(one.lack(held, hidden) for one in self._parts)

    def missing(self, origin: Origin) -> frozenset[str]:
        """Return the specific terms that neither a passage holds nor what stands above it."""
        held = origin.evidence.terms | self.above(origin)
        return self._whole.missing(held, masked=bool(origin.evidence.tokens))

    def lacks(self, origins: Sequence[Origin]) -> list[float]:
        """Return for each passage what it lacks together with the others of its document.

        A heading or the first page says of whom and of what year the rest is.
        """
        known: dict[str, float] = {}
        for document in {origin.document for origin in origins}:
            own = [origin for origin in origins if origin.document == document]
            held = set[str]().union(*(one.evidence.terms | self.above(one) for one in own))
            known[document] = self.lack(held, set[str]().union(*(o.evidence.tokens for o in own)))
        return [known[origin.document] for origin in origins]


def choose(
    question: str,
    vector: Sequence[float],
    candidates: Sequence[Candidate],
    embedder: Embedder,
    *,
    origins: Sequence[Origin],
    most: int = 3,
) -> list[Quote]:
    """Return up to ``most`` quotes that answer the question, best first, none said twice.

    Empty when none is relevant: then the honest answer is a refusal. No quote holds a sentence
    that is not among the candidates. ``origins`` are those of the passages: what a question asks of
    one company or report often stands in the title alone.
    """
    sought = Sought(question, origins)
    usable = [c for c in candidates if _says(c.text, sought)]
    if not usable:
        return []
    texts = {(c.passage, c.sentence): c.text for c in candidates}
    fit = _Fit(sought, usable, origins)
    likely = fit.likely()
    # The question's vector knows pseudonyms only as plain words, so the sentences' must too.
    vectors = embedder.embed([embed_view(usable[at].text) for at in likely])
    cosine: Vectors = vectors @ np.asarray(vector, dtype=np.float32)
    scores = fit.scores(likely, cosine)
    order = np.argsort(-scores, kind="stable")
    if max(fit.answering(likely[n], cosine[n]) for n in order[:_LOOKED_AT]) < ANSWERABLE:
        return []
    chosen: list[int] = []
    quotes: list[Quote] = []
    for index in order:
        if len(quotes) == most or scores[index] < _NEAR_BEST * scores[order[0]]:
            break
        candidate = usable[likely[index]]
        # Two documents often repeat one sentence: quoting it twice tells the reader nothing.
        if any(_within(candidate, quote) for quote in quotes) or any(
            float(vectors[index] @ vectors[other]) >= 0.92 for other in chosen
        ):
            continue
        chosen.append(int(index))
        taken = {q.candidate.sentence for q in quotes if q.candidate.passage == candidate.passage}
        quotes.append(Quote(candidate, _last(candidate, texts, taken), float(scores[index])))
    return quotes


def fits(
    sought: Sought, vector: Sequence[float], text: str, lacking: float, embedder: Embedder
) -> bool:
    """Return whether a text answers the question, whose vector this is.

    ``lacking`` is what ``Sought.lacks`` says of the passage that the text comes from. A text that
    holds all the specific words itself is not embedded: it is to the point.
    """
    held = content_terms(text)
    if sought.specific and sought.lack(held, set(TOKEN.findall(text))) == 0:
        return True
    (own,) = embedder.embed([embed_view(text)])
    cosine = float(own @ np.asarray(vector, dtype=np.float32))
    words = len(sought.terms & held) / (len(sought.terms) or 1)
    return cosine + _BY_WORDS * words + _BY_LACK * lacking >= ANSWERABLE


def _says(text: str, sought: Sought) -> bool:
    """Return whether a sentence may say anything: "See above." does not, "INR 3.1." does."""
    if len(text) >= _SHORTEST:
        return not text.endswith("?")
    return bool(_FIGURE.search(text)) and not sought.specific.isdisjoint(content_terms(text))


def _within(candidate: Candidate, quote: Quote) -> bool:
    first = quote.candidate
    return candidate.passage == first.passage and first.sentence <= candidate.sentence <= quote.last


def _last(candidate: Candidate, texts: Mapping[tuple[int, int], str], taken: set[int]) -> int:
    """Return the last sentence that a quote needs to be understood by itself."""
    last, length = candidate.sentence, len(candidate.text)
    if is_row(candidate.text):
        return last
    heading = bool(_HEADING.search(candidate.text)) and "|" not in candidate.text
    while heading or length < _TERSE:
        following = texts.get((candidate.passage, last + 1))
        if following is None or last + 1 in taken or length + len(following) > _ROOM:
            break
        last, length = last + 1, length + len(following) + 1
    return last


class _Fit:
    """How well each candidate fits the question, and how likely it answers it at all."""

    def __init__(
        self, sought: Sought, candidates: Sequence[Candidate], origins: Sequence[Origin]
    ) -> None:
        self._asked = sought.terms
        self._candidates = candidates
        self._facts = [origin.evidence.facts for origin in origins]
        self._held = [self._facts[c.passage][c.sentence].terms for c in candidates]
        self._weights = _rarity(sought.terms, self._held)
        self._total = sum(self._weights.values()) or 1.0
        self._above = [sought.above(origin) for origin in origins]
        self._lacks = sought.lacks(origins)
        self._by_words = self._lexical()

    def likely(self) -> list[int]:
        """Return which candidates words and the ranking put first, in their order."""
        first = np.argsort(-self._by_words, kind="stable")[:_EMBEDDED]
        return sorted(map(int, first))

    def scores(self, chosen: Sequence[int], cosine: Vectors) -> Vectors:
        """Return how well each of some fits: by meaning, by words, and by its passage's place."""
        scores: Vectors = (1 - _LEXICAL) * cosine + self._by_words[chosen]
        return scores

    def _lexical(self) -> Vectors:
        whole = list(self._above)
        for candidate, terms in zip(self._candidates, self._held, strict=True):
            whole[candidate.passage] = whole[candidate.passage] | terms
        around = [self._overlap(terms) for terms in whole]
        own = np.array(
            [
                self._overlap(terms) * _density(c.text)
                for c, terms in zip(self._candidates, self._held, strict=True)
            ],
            dtype=np.float32,
        )
        beside = np.array([around[c.passage] for c in self._candidates], dtype=np.float32)
        rank = np.array([1 / (1 + c.passage) for c in self._candidates], dtype=np.float32)
        lexical = (1 - _PASSAGE_SHARE) * own + _PASSAGE_SHARE * beside
        found: Vectors = _LEXICAL * lexical + _FIRST * rank
        return found

    def answering(self, at: int, cosine: float) -> float:
        """Return how likely the candidate answers: the figure that ``ANSWERABLE`` is of.

        A sentence says "it" of what the one before it names, and a row of a table has its words in
        the head, so the words of its neighbours count as its own.
        """
        one = self._candidates[at]
        beside = self._facts[one.passage][max(0, one.sentence - 1) : one.sentence + 2]
        near = self._above[one.passage].union(*(facts.terms for facts in beside))
        return float(cosine + _BY_WORDS * self._overlap(near) + _BY_LACK * self._lacks[one.passage])

    def _overlap(self, terms: Set[str]) -> float:
        return sum(self._weights[term] for term in self._asked & terms) / self._total


def _density(text: str) -> float:
    """Return the weight of a sentence's overlap: a table of contents holds any word."""
    return math.sqrt(min(1.0, _LONG / len(text)))


def _in_title(asked: set[str], title: str) -> set[str]:
    """Return the asked terms that a title holds, also where it runs its words together."""
    squashed = "".join(filter(str.isalnum, title.lower()))
    return {term for term in asked if len(term) > 2 and term in squashed}


def _rarity(terms: Set[str], held: Sequence[Set[str]]) -> dict[str, float]:
    """Weigh each asked term by how few of the sentences hold it."""
    counts = {term: sum(term in one for one in held) for term in terms}
    return {t: float(np.log1p(len(held) / (1 + n))) for t, n in counts.items()}


def joining_pattern(count: int) -> str:
    """Return the regular expression of all ways to join ``count`` quotes, in order."""
    joiner = "|".join(JOINERS)
    return "<1>" + "".join(f" ({joiner}): <{n}>" for n in range(2, count + 1))


def join_plainly(count: int) -> str:
    """Return one joining that needs no model."""
    return "<1>" + "".join(
        f" {JOINERS[(n - 2) % len(JOINERS)]}: <{n}>" for n in range(2, count + 1)
    )


def pieces(joined: str) -> list[str | int]:
    """Return the joined text as words and quote numbers, in order."""
    parts = _PLACE.split(joined)
    return [int(p) if i % 2 else p for i, p in enumerate(parts) if i % 2 or p.strip()]
