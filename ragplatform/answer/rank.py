"""The order of what a search found: from the index's candidates to the passages that are shown.

Nothing here is asked of the index, and of a model only where a deployment has one that reranks;
without it this takes about half a millisecond.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ragplatform.model import Hit, Passage
from ragplatform.privacy.tokens import tokens_in

# As many as are worth their time: each candidate's payload takes 25 microseconds to read.
CANDIDATES: Final = 40
# How far a passage is moved towards the best that its document has by terms and by meaning: whose
# note it is stands at its head, what was found further down. Measured with the figure below on
# several sets together, see docs/measurements.md.
_DOCUMENT: Final = 0.4
# How much it counts to be near what the first few have in common, and how many those are.
_FEEDBACK: Final = 0.2
_FIRST: Final = 5
# As ``Index.search`` has it: so many times the second best's share of terms, and at which place.
_STANDS_OUT: Final = 1.5
_EXACT_AT: Final = 2
# A cross-encoder takes about 25 milliseconds for each passage that it reads.
_JUDGED: Final = 20
# The share of the places that one document may fill while others fit the question nearly as well.
_LARGEST_SHARE: Final = 0.8
_NEARLY: Final = 0.8


@dataclass(frozen=True, slots=True)
class Sought:
    """What a question looks for: its cleared text, and how many passages are wanted.

    ``named`` are the pseudonyms in the question, ``meant`` further ones for what it names,
    ``spelt`` those of whole names of which the question's text holds a part's pseudonym or none.
    """

    text: str = field(repr=False)
    limit: int
    named: frozenset[str] = frozenset()
    meant: frozenset[str] = frozenset()
    spelt: frozenset[str] = frozenset()

    @property
    def depth(self) -> int:
        """How many candidates the index must give for the order to be right."""
        return max(self.limit, CANDIDATES)


# Given passages, how well each answers the question; more is better.
Judge = Callable[[Sequence[Passage]], Sequence[float]]


def best(
    hits: Sequence[Hit], sought: Sought, judge: Judge | None = None, *, about: Sequence[Hit] = ()
) -> list[Hit]:
    """Return up to ``sought.limit`` of the hits, best first; ``hits`` are in the index's order.

    First come those ``about`` whom the question names, whose scores are their own. Then passages of
    documents that hold the pseudonym of a whole name as the question spells it, then a pseudonym of
    the question's text, then one that it may mean. In each group the score counts, in part that of
    the document's best passage, and nearness to what the best have in common; a passage whose terms
    stand out is among the first three. What says the same as one before it comes last, and one
    document does not fill all places.
    """
    groups = [_ordered(about, judge)]
    if len(about) < sought.limit:
        asked = (sought.spelt, sought.named, sought.meant)
        groups += _groups(_ordered(hits, judge), asked)
    return [hit for group in groups for hit in _varied(group, sought.limit)][: sought.limit]


def _ordered(hits: Sequence[Hit], judge: Judge | None) -> list[Hit]:
    ordered = _exact_early(_fed_back(_lifted(hits)))
    return ordered if judge is None else _judged(ordered, judge)


def text_of(passage: Passage) -> str:
    """Return the text by which a passage names somebody."""
    return f"{passage.title} {passage.chunk.text}"


def _groups(hits: Sequence[Hit], asked: Sequence[frozenset[str]]) -> list[list[Hit]]:
    """Return the hits of documents that hold a pseudonym of a set, for each set, and the rest.

    A record names its patient at its head: what is asked for often stands in a passage without.
    """
    held: dict[str, frozenset[str]] = {}
    for hit in hits:
        own = tokens_in(text_of(hit.passage))
        held[hit.passage.document] = held.get(hit.passage.document, frozenset()) | own
    groups: list[list[Hit]] = [[] for _ in range(len(asked) + 1)]
    for hit in hits:
        there = held[hit.passage.document]
        groups[next((n for n, some in enumerate(asked) if some & there), len(asked))].append(hit)
    return groups


def _lifted(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits moved part of the way to the best of their documents, best first."""
    words: dict[str, float] = {}
    sense: dict[str, float] = {}
    for hit in hits:
        document = hit.passage.document
        words[document] = max(hit.lexical, words.get(document, -math.inf))
        sense[document] = max(hit.score - hit.lexical, sense.get(document, -math.inf))
    moved = [
        replace(
            hit,
            score=(1 - _DOCUMENT) * hit.score
            + _DOCUMENT * (words[hit.passage.document] + sense[hit.passage.document]),
        )
        for hit in hits
    ]
    return sorted(moved, key=lambda hit: -hit.score)


def _exact_early(hits: list[Hit]) -> list[Hit]:
    """Return the hits, the one whose terms stand out where the index put it at the latest."""
    by_terms = sorted(hits, key=lambda hit: -hit.lexical)
    if len(hits) <= _EXACT_AT or by_terms[0].lexical <= _STANDS_OUT * by_terms[1].lexical:
        return hits
    others = [hit for hit in hits if hit is not by_terms[0]]
    at = min(hits.index(by_terms[0]), _EXACT_AT)
    return [*others[:at], by_terms[0], *others[at:]]


def _fed_back(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits with their scores and order moved towards what the first few are about.

    Source: Rocchio, "Relevance feedback in information retrieval", 1971, with the first few taken
    for relevant unseen.
    """
    if len(hits) <= _FIRST or not all(hit.vector for hit in hits):
        return list(hits)
    vectors = np.asarray([hit.vector for hit in hits], dtype=np.float32)
    scores = np.asarray([hit.score for hit in hits])
    middle = _middle(vectors, scores)
    moved = scores + _FEEDBACK * (vectors @ middle)
    # The first of all stays: it may hold the one word that was asked for.
    order = [0, *(int(at) + 1 for at in np.argsort(-moved[1:], kind="stable"))]
    return [replace(hits[at], score=float(moved[at])) for at in order]


def _middle(vectors: NDArray[np.float32], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.maximum(scores[:_FIRST] - scores.min(), 1e-6)
    middle: NDArray[np.float64] = weights @ vectors[:_FIRST]
    middle /= float(np.linalg.norm(middle)) or 1.0
    return middle


def _judged(hits: Sequence[Hit], judge: Judge) -> list[Hit]:
    """Return the hits, the first of them in the judge's order and with its scores above the rest.

    The judge's numbers are put in the range of what it did not read: a list has one kind of score.
    """
    first, rest = hits[:_JUDGED], hits[_JUDGED:]
    if not first:
        return []
    given = np.asarray(judge([hit.passage for hit in first]), dtype=np.float64)
    floor = min(hit.score for hit in first)
    lifted = floor + 1 / (1 + np.exp(-np.clip(given, -50, 50)))
    order = np.argsort(-lifted, kind="stable")
    return [*(replace(first[at], score=float(lifted[at])) for at in order), *rest]


def _varied(hits: Sequence[Hit], limit: int) -> list[Hit]:
    """Return the hits, repetitions last, no document in more than its share of the places.

    Unless nothing else comes near: then it is that document that was asked for.
    """
    seen: set[str] = set()
    fresh: list[Hit] = []
    repeated: list[Hit] = []
    for hit in hits:
        said = " ".join(hit.passage.chunk.text.split())
        (repeated if said in seen else fresh).append(hit)
        seen.add(said)
    most = max(1, math.floor(_LARGEST_SHARE * limit))
    often = Counter[str]()
    kept: list[Hit] = []
    behind: list[Hit] = []
    for at, hit in enumerate(fresh):
        full = often[hit.passage.document] >= most
        others = (h for h in fresh[at + 1 :] if often[h.passage.document] < most)
        if full and any(other.score >= _NEARLY * hit.score for other in others):
            behind.append(hit)
            continue
        often[hit.passage.document] += 1
        kept.append(hit)
    return [*kept, *behind, *repeated]
