"""One order out of two searches: by meaning and by terms, fused in one query to the engine.

The engine scores each passage that either search found as ``cosine + LEXICAL * terms / n``, with n
the question's number of terms but those aside, and gives its dense vector with it. A passage that
terms alone found comes with ``ABSENT`` in place of its cosine, by which it is known and given its
true cosine here; one that meaning alone found has no weight of terms. Both scores are then known
for every candidate, and they are kept apart for whoever ranks them further.

Fused by ranks instead, nothing says by how much one passage is better than the next. But a sum may
bury what terms alone are sure of: whoever asks for one account number means the one passage that
has it, however little it means. So the passage whose terms stand out is among the first three.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ragplatform.adapters.payload import decode_payload
from ragplatform.model import Hit

DENSE: Final = "dense"
TERMS: Final = "terms"

# How much a term's mean weight counts beside the cosine.
LEXICAL: Final = 0.13
# Far below any cosine and any sum of weights.
ABSENT: Final = -100.0
# How many times the second best's weight of terms the best has when it stands out, and where it
# comes then at the latest, from 0.
_STANDS_OUT: Final = 1.5
_STANDS_AT: Final = 2
# How many passages each search brings at least: a passage that stands low in one list may win by
# standing high in the other.
FEWEST_CANDIDATES: Final = 40

DEFAULTS: Final = {"$score[0]": ABSENT, "$score[1]": 0.0}


@dataclass(frozen=True, slots=True)
class Found:
    """One passage as the engine gives it: ``vector`` is its dense one, of length 1."""

    id: str
    payload: object = field(repr=False)
    score: float
    vector: Sequence[float] = field(repr=False)


def factor(terms: int) -> float:
    """Return by what the engine multiplies the sum of weights of a question with so many terms."""
    return LEXICAL / max(terms, 1)


def fused(found: Sequence[Found], vector: Sequence[float], limit: int) -> list[Hit]:
    """Return the best ``limit`` of what the engine found for a question of this vector.

    Raises ``TamperedError`` for a payload that is not as it was written.
    """
    if not found:
        return []
    asked = np.asarray(vector, dtype=np.float32)
    asked = asked / (float(np.linalg.norm(asked)) or 1.0)
    # By way of arrays: numpy takes four times as long to read lists of Python's numbers.
    vectors = [array("f", one.vector) for one in found]
    rows = np.frombuffer(b"".join(vectors), dtype=np.float32).reshape(len(found), -1)
    scores = np.asarray([one.score for one in found])
    cosines = (rows @ asked).astype(np.float64)
    by_terms_alone = scores < ABSENT / 2
    lexical = np.where(by_terms_alone, scores - ABSENT, np.maximum(scores - cosines, 0.0))
    total = cosines + lexical
    # The engine orders equal scores by chance; a reader expects the same list twice.
    order = sorted(range(len(found)), key=lambda at: (-round(float(total[at]), 6), found[at].id))
    _raise_exact(order, lexical)
    return [
        Hit(
            decode_payload(found[at].id, found[at].payload),
            float(total[at]),
            lexical=float(lexical[at]),
            vector=vectors[at],
        )
        for at in order[:limit]
    ]


def _raise_exact(order: list[int], lexical: NDArray[np.float64]) -> None:
    """Move up the passage whose terms stand out, where meaning alone would bury it."""
    best, second, *_ = (*sorted(lexical, reverse=True), 0.0, 0.0)
    at = int(np.argmax(lexical))
    if best > _STANDS_OUT * second and best > 0 and order.index(at) > _STANDS_AT:
        order.remove(at)
        order.insert(_STANDS_AT, at)
