"""Extractive answers: which sentences of the passages answer the question, and how to join them.

The retriever chooses the quotes; the model only chooses the words that join them, under a pattern
that leaves it no room to add a fact.
"""

import math
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

import numpy as np

from ragplatform.answer.asked import parts, read
from ragplatform.answer.sentences import is_row
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
# Whether a sentence answers at all: its cosine, less so much for all of the question's specific
# words being absent from its passage, must reach the figure below. Chosen on 500 questions of SQuAD
# 2, MedQuAD and PubMedQA, of their halves on which no figure is reported, and on the demo's 50, so
# that at least 0.9 of those without an answer are refused. There 0.93 of MedQuAD's and 0.96 of
# PubMedQA's answerable questions are answered and 0.91 and 0.96 of the others refused; of SQuAD 2,
# whose unanswerable questions were written to look like answerable ones, 0.89 and 0.26. Neither
# overlap nor the kind of answer that is asked for added anything.
_BY_MISSING: Final = -0.29
ANSWERABLE: Final = 0.445
# To embed a sentence costs as much as all else that is done with it a hundred times over, so only
# those are embedded that words and the ranking put first. Of 197 questions of the demo, SQuAD 2,
# PubMedQA and MedQuAD, with 15 to 64 sentences each, none got other quotes for that; with 12 one
# did, with 8 four.
_EMBEDDED: Final = 16
# An answer seldom stands behind the third sentence in the ranking (SQuAD 2: 5 of 100 do).
_LOOKED_AT: Final = 3
_SHORTEST: Final = 20
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


def choose(
    question: str,
    vector: Sequence[float],
    candidates: Sequence[Candidate],
    embedder: Embedder,
    *,
    titles: Sequence[str],
    most: int = 3,
) -> list[Quote]:
    """Return up to ``most`` quotes that answer the question, best first, none said twice.

    Empty when none is relevant: then the honest answer is a refusal. No quote holds a sentence
    that is not among the candidates. ``titles`` are those of the passages' documents: what a
    question asks of one company or report often stands in the title alone.
    """
    usable = [c for c in candidates if len(c.text) >= _SHORTEST and not c.text.endswith("?")]
    if not usable:
        return []
    by_words = _by_words(Sought(question), usable, titles)
    # The question's vector knows pseudonyms only as plain words, so the sentences' must too.
    likely = _likely(by_words)
    vectors = embedder.embed([embed_view(usable[at].text) for at in likely])
    usable = [usable[at] for at in likely]
    ranked = _rank(np.asarray(vector, dtype=np.float32), vectors, by_words.of(likely))
    scores = ranked.scores
    order = np.argsort(-scores, kind="stable")
    if ranked.answering[order[:_LOOKED_AT]].max() < ANSWERABLE:
        return []
    texts = {(c.passage, c.sentence): c.text for c in candidates}
    chosen: list[int] = []
    quotes: list[Quote] = []
    for index in order:
        if len(quotes) == most or scores[index] < _NEAR_BEST * scores[order[0]]:
            break
        candidate = usable[index]
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
    sought: "Sought", vector: Sequence[float], text: str, lacking: float, embedder: Embedder
) -> bool:
    """Return whether a text answers the question, whose vector this is.

    ``lacking`` is what ``Sought.lack`` says of the passage that the text comes from. A text that
    holds all the specific words itself is not embedded: it is to the point.
    """
    if sought.specific and sought.lack(content_terms(text), masked=bool(TOKEN.search(text))) == 0:
        return True
    (own,) = embedder.embed([embed_view(text)])
    cosine = float(own @ np.asarray(vector, dtype=np.float32))
    return cosine + _BY_MISSING * lacking >= ANSWERABLE


class Sought:
    """What a question asks for, taken apart once to be compared with many texts."""

    def __init__(self, question: str) -> None:
        self.terms = content_terms(question)
        self._whole = read(question)
        self.specific = self._whole.specific
        self._parts = [read(question[start:end]) for start, end in parts(question)]

    def lack(self, held: Set[str], *, masked: bool, title: str = "") -> float:
        """Return the share of the specific terms that a passage of this title lacks.

        ``held`` are the passage's ``content_terms``; ``masked`` says that some are behind a
        pseudonym or a mask. Of a question of several parts it is that of the part which lacks
        least: what the others ask for may stand elsewhere, or the answer says that it does not.
        """
        held = held | _in_title(self.terms, title)
        return min(
            len(one.missing(held, masked=masked)) / (len(one.specific) or 1) for one in self._parts
        )

    def missing(self, held: Set[str], *, masked: bool, title: str = "") -> frozenset[str]:
        """Return the specific terms that a passage of this title lacks; ``held`` as in ``lack``."""
        return self._whole.missing(held | _in_title(self.terms, title), masked=masked)


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


@dataclass(frozen=True, slots=True)
class _ByWords:
    """What words alone say of each candidate: its part of the score, and what its passage lacks."""

    score: Vectors
    missing: Vectors

    def of(self, chosen: Sequence[int]) -> "_ByWords":
        """Return the same of some of the candidates."""
        return _ByWords(self.score[chosen], self.missing[chosen])


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Of each candidate how well it fits, and how likely it answers at all."""

    scores: Vectors
    answering: Vectors


def _by_words(sought: Sought, candidates: Sequence[Candidate], titles: Sequence[str]) -> _ByWords:
    asked = sought.terms
    held = [content_terms(c.text) for c in candidates]
    weights = _rarity(asked, held)
    total = sum(weights.values()) or 1.0

    def overlap(terms: set[str]) -> float:
        return sum(weights[term] for term in asked & terms) / total

    whole = [_in_title(asked, title) for title in titles]
    for candidate, terms in zip(candidates, held, strict=True):
        whole[candidate.passage] |= terms
    around = [overlap(terms) for terms in whole]
    own = np.array(
        [overlap(terms) * _density(c.text) for c, terms in zip(candidates, held, strict=True)],
        dtype=np.float32,
    )
    beside = np.array([around[c.passage] for c in candidates], dtype=np.float32)
    rank = np.array([1 / (1 + c.passage) for c in candidates], dtype=np.float32)
    lexical = (1 - _PASSAGE_SHARE) * own + _PASSAGE_SHARE * beside
    lacking = _lacking(sought, whole, candidates)
    missing = np.array([lacking[c.passage] for c in candidates], dtype=np.float32)
    return _ByWords(_LEXICAL * lexical + _FIRST * rank, missing)


def _likely(by_words: _ByWords) -> list[int]:
    """Return which candidates are worth embedding, in their order."""
    if len(by_words.score) <= _EMBEDDED:
        return list(range(len(by_words.score)))
    return sorted(int(at) for at in np.argsort(-by_words.score, kind="stable")[:_EMBEDDED])


def _rank(vector: Vectors, vectors: Vectors, by_words: _ByWords) -> _Ranked:
    cosine = vectors @ vector
    scores: Vectors = (1 - _LEXICAL) * cosine + by_words.score
    return _Ranked(scores, cosine + _BY_MISSING * by_words.missing)


def _lacking(
    sought: Sought, held: Sequence[set[str]], candidates: Sequence[Candidate]
) -> list[float]:
    """Return for each passage what ``Sought.lack`` says of it."""
    masked = {c.passage for c in candidates if TOKEN.search(c.text)}
    return [sought.lack(terms, masked=at in masked) for at, terms in enumerate(held)]


def _density(text: str) -> float:
    """Return the weight of a sentence's overlap: a table of contents holds any word."""
    return math.sqrt(min(1.0, _LONG / len(text)))


def _in_title(asked: set[str], title: str) -> set[str]:
    """Return the asked terms that a title holds, also where it runs its words together."""
    squashed = "".join(filter(str.isalnum, title.lower()))
    return {term for term in asked if len(term) > 2 and term in squashed}


def _rarity(terms: set[str], held: Sequence[set[str]]) -> dict[str, float]:
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
