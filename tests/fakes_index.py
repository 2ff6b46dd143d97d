"""An index that compares the question with every passage: the oracle of the contract suite."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ragplatform.errors import IndexUnavailableError, InvalidRequestError
from ragplatform.model import (
    AllOf,
    AnyOf,
    Clause,
    Hit,
    Labels,
    Narrow,
    Passage,
    Purpose,
    Scope,
    TermWeights,
)
from ragplatform.ports import Entry

LEXICAL = 0.13
FEWEST_CANDIDATES = 40


class MemoryIndex:
    """A ``ports.Index`` in memory, exact and slow. It shares no code with the adapters."""

    def __init__(self, *, dim: int) -> None:
        self._dim = dim
        self._entries: dict[str, Entry] = {}
        self._lock = threading.RLock()
        self._closed = False

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Store the entries, all or none."""
        for entry in entries:
            vector = np.asarray(entry.vector, dtype=np.float64)
            terms = entry.terms
            if vector.shape != (self._dim,) or not np.isfinite(vector).all():
                raise InvalidRequestError("a vector is of another length or not finite")
            if len(terms.indices) != len(terms.values) or not np.isfinite(terms.values).all():
                raise InvalidRequestError("term weights are not one finite number per term")
            if len(set(terms.indices)) != len(terms.indices):
                raise InvalidRequestError("a term is weighed twice")
        with self._lock:
            self._require_open()
            self._entries |= {entry.passage.chunk.id: entry for entry in entries}

    def search(
        self,
        vector: Sequence[float],
        terms: TermWeights,
        scope: Scope,
        limit: int,
        narrow: Narrow | None = None,
    ) -> list[Hit]:
        """Judge every passage in the scope by both measures and add them."""
        with self._lock:
            self._require_open()
            inside = [
                e
                for e in self._entries.values()
                if allowed(e.passage, scope) and fits(e.passage, narrow)
            ]
        if limit < 1 or not inside:
            return []
        candidates = max(limit, FEWEST_CANDIDATES)
        cosines, weights = _by_vector(inside, vector), _by_terms(inside, terms)
        near = sorted(range(len(inside)), key=lambda i: -cosines[i])[:candidates]
        worded = sorted(range(len(inside)), key=lambda i: -weights[i])[:candidates]
        shares = {i: LEXICAL * weights[i] / max(terms.counted, 1) for i in worded if weights[i] > 0}
        hits = [
            Hit(one.passage, cosines[i] + shares.get(i, 0.0), shares.get(i, 0.0), one.vector)
            for i, one in enumerate(inside)
            if i in near or i in shares
        ]
        hits.sort(key=lambda h: (-round(h.score, 6), h.passage.chunk.id))
        worth = sorted((hit.lexical for hit in hits), reverse=True)
        first = [h for h in hits if worth[1:] and h.lexical > 1.5 * worth[1]]
        if first and hits.index(first[0]) > 2:
            hits.remove(first[0])
            hits.insert(2, first[0])
        return hits[:limit]

    def fetch(self, chunk: str, scope: Scope) -> Hit | None:
        """Return the passage if the scope allows it."""
        with self._lock:
            self._require_open()
            entry = self._entries.get(chunk)
        return Hit(entry.passage, 1.0) if entry and allowed(entry.passage, scope) else None

    def browse(self, scope: Scope, narrow: Narrow, limit: int) -> list[Passage]:
        """List what the scope allows and the narrowing fits."""
        with self._lock:
            self._require_open()
            found = [
                entry.passage
                for _, entry in sorted(self._entries.items())
                if allowed(entry.passage, scope) and fits(entry.passage, narrow)
            ]
        return found[: max(0, limit)]

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """Count chunks by document and generation."""
        counts: dict[str, dict[str, int]] = {}
        with self._lock:
            self._require_open()
            for entry in self._entries.values():
                if entry.passage.labels.tenant == tenant:
                    of = counts.setdefault(entry.passage.document, {})
                    of[entry.passage.generation] = of.get(entry.passage.generation, 0) + 1
        return counts

    def passages(
        self, tenant: str, document: str, generation: str, *, after: str = "", limit: int
    ) -> list[Passage]:
        """List the passages of one generation of a document."""
        with self._lock:
            self._require_open()
            found = [
                entry.passage
                for name, entry in sorted(self._entries.items())
                if name > after
                and _of(entry.passage, tenant, document)
                and entry.passage.generation == generation
            ]
        return found[: max(0, limit)]

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Delete all other generations of the document."""
        return self._delete(lambda p: _of(p, tenant, document) and p.generation != keep_generation)

    def remove(self, tenant: str, document: str) -> int:
        """Delete the document."""
        return self._delete(lambda p: _of(p, tenant, document))

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Replace the labels of the document's chunks."""
        with self._lock:
            self._require_open()
            found = [e for e in self._entries.values() if _of(e.passage, labels.tenant, document)]
            for entry in found:
                passage = replace(entry.passage, labels=labels, access_class=access_class)
                self._entries[passage.chunk.id] = replace(entry, passage=passage)
        return len(found)

    def scrub(self, tenant: str) -> None:
        """Nothing of what was deleted is anywhere."""
        self._require_open()

    def count(self) -> int:
        """Count all chunks."""
        with self._lock:
            self._require_open()
            return len(self._entries)

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def _delete(self, gone) -> int:  # type: ignore[no-untyped-def]
        with self._lock:
            self._require_open()
            names = [n for n, e in self._entries.items() if gone(e.passage)]
            for name in names:
                del self._entries[name]
        return len(names)

    def _require_open(self) -> None:
        if self._closed:
            raise IndexUnavailableError("the index is closed")


def _of(passage: Passage, tenant: str, document: str) -> bool:
    return (passage.labels.tenant, passage.document) == (tenant, document)


def scope(*branches: AllOf, tenant: str = "mercy", reveals: frozenset[str] = frozenset()) -> Scope:
    """Return a scope of these branches, as policy would make it."""
    return Scope(
        tenant=tenant,
        principal="dr-ada",
        purpose=Purpose.TREAT,
        filter=AnyOf(branches),
        reveals=reveals,
        policy_digest="digest",
        key="key",
    )


def allowed(passage: Passage, scope: Scope) -> bool:
    """Return whether the scope's filter is true of the passage, read from the definition."""
    if passage.labels.tenant != scope.tenant:
        return False
    return any(_all_hold(branch, passage) for branch in scope.filter.branches)


def fits(passage: Passage, narrow: Narrow | None) -> bool:
    """Return whether the passage is of what the asker narrowed to, read from the definition."""
    if narrow is None:
        return True
    facts = passage.facts
    held = [
        (narrow.documents, {passage.document}),
        (narrow.media_types, {passage.media_type}),
        (narrow.subjects, passage.subjects),
        (narrow.kinds, facts.kinds),
        (narrow.organisations, facts.organisations),
        (narrow.years, facts.years),
        (narrow.quarters, facts.quarters),
        (narrow.parts, facts.parts),
    ]
    if any(wanted is not None and wanted.isdisjoint(has) for wanted, has in held):
        return False
    if narrow.earliest is None and narrow.latest is None:
        return True
    first, last = narrow.earliest or "", narrow.latest or "9999"
    return any(first <= day <= last for day in facts.dates)


def _all_hold(branch: AllOf, passage: Passage) -> bool:
    return all(_holds(clause, passage) for clause in branch.clauses) and not any(
        _holds(clause, passage) for clause in branch.none_of
    )


def _holds(clause: Clause, passage: Passage) -> bool:
    values = {
        "tenant": {passage.labels.tenant},
        "collection": {passage.labels.collection},
        "access_class": {passage.access_class},
        "subjects": passage.subjects,
        "document": {passage.document},
        "generation": {passage.generation},
    }[clause.field]
    return not clause.any_of.isdisjoint(values)


def _by_vector(entries: Sequence[Entry], vector: Sequence[float]) -> list[float]:
    matrix = np.array([entry.vector for entry in entries], dtype=np.float64)
    asked = np.asarray(vector, dtype=np.float64)
    norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(asked)
    cosines = np.divide(matrix @ asked, norms, out=np.zeros(len(entries)), where=norms > 0)
    return [float(cosine) for cosine in cosines]


def _by_terms(entries: Sequence[Entry], terms: TermWeights) -> list[float]:
    weighed = [dict(zip(e.terms.indices, e.terms.values, strict=True)) for e in entries]
    scores = np.zeros(len(entries))
    for term, value in zip(terms.indices, terms.values, strict=True):
        holding = sum(term in weights for weights in weighed)
        idf = np.log(1 + (len(entries) - holding + 0.5) / (holding + 0.5))
        scores += [idf * value * weights.get(term, 0.0) for weights in weighed]
    return [float(score) for score in scores]
