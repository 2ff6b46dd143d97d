"""The measures, each of one question. All lie in 0..1; more is better."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

_WORD: Final = re.compile(r"[a-z0-9]+(?:[.,:][0-9]+)*")
# Source: the normalisation of SQuAD's evaluation script, which leaves articles out.
_ARTICLES: Final = frozenset({"a", "an", "the"})


def ndcg(gains: Sequence[float], ideal: Sequence[float], k: int) -> float:
    """Return the normalised discounted cumulative gain of the first ``k`` results.

    ``gains`` are those of the results, best ranked first; ``ideal`` all that there are to get.
    Source: K. Järvelin, J. Kekäläinen, Cumulated gain-based evaluation of IR techniques (2002),
    with the discount log2(1 + rank).
    """
    best = _dcg(sorted(ideal, reverse=True)[:k])
    return _dcg(gains[:k]) / best if best else 0.0


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, 1))


def recall(ranks: Sequence[int | None], k: int) -> float:
    """Return the share of the items whose first rank, from 1, is ``k`` or better."""
    if not ranks:
        return 0.0
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)


def reciprocal_rank(ranks: Sequence[int | None]) -> float:
    """Return one over the best rank of any item, 0 where none was found."""
    found = [rank for rank in ranks if rank is not None]
    return 1 / min(found) if found else 0.0


def words(text: str) -> list[str]:
    """Return the words of a text that are compared: lower case, no articles, numbers whole."""
    return [word for word in _WORD.findall(text.lower()) if word not in _ARTICLES]


def share_of(wanted: str, text: str) -> float:
    """Return which share of the wanted words stand in the text, each as often as it is wanted."""
    needed, there = Counter(words(wanted)), Counter(words(text))
    total = sum(needed.values())
    return (needed & there).total() / total if total else 0.0


def f1(answer: str, wanted: str) -> float:
    """Return the harmonic mean of precision and recall of the answer's words.

    Source: P. Rajpurkar et al., SQuAD (2016), section 6.1.
    """
    said, needed = Counter(words(answer)), Counter(words(wanted))
    same = (said & needed).total()
    if not same:
        return 0.0
    precision, found = same / said.total(), same / needed.total()
    return 2 * precision * found / (precision + found)
