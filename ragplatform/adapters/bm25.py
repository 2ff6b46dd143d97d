"""Sparse term weights for lexical search: BM25, computed without files or a server.

What a term is says ``terms``; endings come off and common words go by the engine's English rules.
Term ids are the engine's own hashes, equal to those that a Qdrant server computes, so an index
may move from the embedded engine to a server. The weights here are the document's half of BM25;
the rarity of a term is multiplied in by the index, from the passages that the asker may search.
"""

from collections import Counter
from typing import Final

import qdrant_edge as engine

from ragplatform.adapters.payload import require_characters
from ragplatform.adapters.terms import terms_of
from ragplatform.model import TermWeights

LANGUAGE: Final = "english"

# Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009: k1 = 1.2, b = 0.75. The
# mean length is a constant: with a corpus of its own, weights would change as it grows.
_K: Final = 1.2
_B: Final = 0.75
_MEAN_LENGTH: Final = 65.0
# How often a term counts that only the context holds, as in BM25F. Measured: docs/measurements.md.
_CONTEXT: Final = 1.0
# Changes whenever ``terms`` cuts otherwise, or the weights are put together otherwise.
_VERSION: Final = 2


class Bm25Weigher:
    """Implements ``TermWeigher`` for English text."""

    def __init__(self) -> None:
        self._model = engine.Bm25(engine.Bm25Config(language=LANGUAGE))

    @property
    def version(self) -> str:
        """A word that changes whenever weights stop being comparable."""
        return f"bm25-{_VERSION}-{LANGUAGE}-k{_K}-b{_B}-n{_MEAN_LENGTH:g}-edge0.9"

    def weigh_document(self, text: str, context: str = "") -> TermWeights:
        """Return the weights of a text to be found. Empty when it holds only common words.

        ``context`` counts beside it and makes it no longer. Raises ``InvalidRequestError`` for a
        text with half a character (a lone surrogate).
        """
        counts = Counter[int](self._ids(text))
        length = counts.total()
        about = Counter[int](self._ids(context))
        flat = _K * (1 - _B + _B * length / _MEAN_LENGTH)
        weights = {}
        for term in counts.keys() | about.keys():
            often = counts[term] + _CONTEXT * about[term]
            weights[term] = often * (_K + 1) / (often + flat)
        return _sorted(weights)

    def weigh_query(self, text: str) -> TermWeights:
        """Return weight 1 for each distinct term of a question. May be empty.

        Raises ``InvalidRequestError`` for a text with half a character (a lone surrogate).
        """
        return _sorted(dict.fromkeys(self._ids(text), 1.0))

    def _ids(self, text: str) -> list[int]:
        require_characters(text)
        ids = []
        for term in terms_of(text):
            # One id, or none for a common word.
            ids += self._model.embed_query(term).indices
        return ids


def _sorted(weights: dict[int, float]) -> TermWeights:
    pairs = sorted(weights.items())
    return TermWeights(tuple(term for term, _ in pairs), tuple(weight for _, weight in pairs))
