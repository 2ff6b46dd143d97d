"""Extractive answers: which sentences of the passages answer the question, and how to join them.

The retriever chooses the quotes; the model only chooses the words that join them, under a pattern
that leaves it no room to add a fact.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ragplatform.ports import Embedder, Vectors

JOINERS: Final = ("Also", "In addition", "Further")
_PLACE = re.compile(r"<(\d)>")
_WORD = re.compile(r"[a-z0-9][a-z0-9'-]*", re.I)

# How much lexical overlap weighs against the cosine. Dense vectors alone rank a sentence about the
# right topic over the one that holds the asked-for name or number. A name often stands only once
# in a passage, so the passage's own overlap counts beside the sentence's.
_LEXICAL: Final = 0.4
_PASSAGE_SHARE: Final = 0.3
# A quote this far below the best one says something else.
_NEAR_BEST: Final = 0.75
# Below this score the best sentence does not speak of what was asked.
RELEVANT: Final = 0.38
_SHORTEST: Final = 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sentence that might be quoted: the indices of its passage and of the sentence in it."""

    passage: int
    sentence: int
    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A chosen sentence and how well it fits the question; scores lie about in 0..1."""

    candidate: Candidate
    score: float


def choose(
    question: str,
    vector: Sequence[float],
    candidates: Sequence[Candidate],
    embedder: Embedder,
    most: int = 3,
) -> list[Quote]:
    """Return up to ``most`` candidates that answer the question, best first, none said twice.

    Empty when none is relevant: then the honest answer is a refusal.
    """
    usable = [c for c in candidates if len(c.text) >= _SHORTEST and not c.text.endswith("?")]
    if not usable:
        return []
    vectors = embedder.embed([c.text for c in usable])
    scores = _scores(question, np.asarray(vector, dtype=np.float32), usable, vectors)
    order = np.argsort(-scores, kind="stable")
    if scores[order[0]] < RELEVANT:
        return []
    chosen: list[int] = []
    for index in order:
        if len(chosen) == most or scores[index] < _NEAR_BEST * scores[order[0]]:
            break
        # Two documents often repeat one sentence: quoting it twice tells the reader nothing.
        if all(float(vectors[index] @ vectors[other]) < 0.92 for other in chosen):
            chosen.append(int(index))
    return [Quote(usable[i], float(scores[i])) for i in chosen]


def _scores(
    question: str, vector: Vectors, candidates: Sequence[Candidate], vectors: Vectors
) -> Vectors:
    asked = _terms(question)
    weights = _rarity(asked, [c.text for c in candidates])
    total = sum(weights.values()) or 1.0

    def overlap(text: str) -> float:
        return sum(weights[term] for term in asked & _terms(text)) / total

    whole: dict[int, str] = {}
    for candidate in candidates:
        whole[candidate.passage] = f"{whole.get(candidate.passage, '')} {candidate.text}"
    around = {passage: overlap(text) for passage, text in whole.items()}
    lexical = np.array(
        [
            (1 - _PASSAGE_SHARE) * overlap(c.text) + _PASSAGE_SHARE * around[c.passage]
            for c in candidates
        ],
        dtype=np.float32,
    )
    scores: Vectors = (1 - _LEXICAL) * (vectors @ vector) + _LEXICAL * lexical
    return scores


def _rarity(terms: set[str], texts: Sequence[str]) -> dict[str, float]:
    """Weigh each asked term by how few of the sentences hold it: "the" counts for little."""
    held = [_terms(text) for text in texts]
    counts = {term: sum(term in one for one in held) for term in terms}
    return {t: float(np.log1p(len(texts) / (1 + n))) for t, n in counts.items()}


def _terms(text: str) -> set[str]:
    return {word.lower().removesuffix("s") for word in _WORD.findall(text) if len(word) > 2}


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
