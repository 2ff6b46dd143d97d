"""An index of its own for each tenant, behind the port of one."""

import contextlib
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ragplatform.adapters.payload import checked_payload
from ragplatform.errors import IndexUnavailableError, InvalidRequestError
from ragplatform.model import Hit, Labels, Narrow, Passage, Scope, TermWeights
from ragplatform.ports import Entry, Index

# As labels name tenants: a name becomes a folder or a collection, and leads nowhere else.
TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(slots=True, eq=False)
class _Place:
    """Where one tenant's index stands once it is open. Owned by whoever holds the gate."""

    gate: threading.Lock = field(default_factory=threading.Lock)
    index: Index | None = None


class TenantIndexes:
    """Implements ``Index`` over one index for each tenant, opened when it is first needed.

    What one tenant's index holds, costs or suffers, no search of another touches. Chunks are known
    by their id within their tenant.
    """

    def __init__(
        self, *, dim: int, open_one: Callable[[str], Index], begun: Callable[[], Collection[str]]
    ) -> None:
        """Take what opens a tenant's index, made if absent, and what names those that are there.

        ``dim`` is the length of the dense vectors of all.
        """
        self._dim = dim
        self._open_one = open_one
        self._begun = begun
        self._mutex = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._closed = False

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Store the entries, each in its tenant's index; durable when the call returns.

        Raises ``InvalidRequestError`` for an entry that an engine would not keep as it is; then
        none is stored.
        """
        by_tenant: dict[str, list[Entry]] = {}
        for entry in entries:
            by_tenant.setdefault(entry.passage.labels.tenant, []).append(entry)
        if len(by_tenant) > 1:
            # When the second index refuses its part, the first would hold its own already.
            for entry in entries:
                checked_payload(entry, self._dim)
        indexes = [(self._of(tenant), own) for tenant, own in by_tenant.items()]
        for index, own in indexes:
            index.upsert(own)

    def search(
        self,
        vector: Sequence[float],
        terms: TermWeights,
        scope: Scope,
        limit: int,
        narrow: Narrow | None = None,
    ) -> list[Hit]:
        """Return up to ``limit`` hits in the scope, best first, dense and sparse fused."""
        if scope.empty or limit < 1:
            return []
        return self._of(scope.tenant).search(vector, terms, scope, limit, narrow)

    def fetch(self, chunk: str, scope: Scope) -> Hit | None:
        """Return one passage if it exists and lies in the scope, else None; its score is 1."""
        return None if scope.empty else self._of(scope.tenant).fetch(chunk, scope)

    def browse(self, scope: Scope, narrow: Narrow, limit: int) -> list[Passage]:
        """Return up to ``limit`` passages in the scope that fit ``narrow``, by chunk id."""
        return [] if scope.empty else self._of(scope.tenant).browse(scope, narrow, limit)

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """Return, for each document of the tenant, the number of chunks in each generation."""
        return self._of(tenant).generations(tenant)

    def passages(
        self, tenant: str, document: str, generation: str, *, after: str = "", limit: int
    ) -> list[Passage]:
        """Return up to ``limit`` passages of one generation of a tenant's document, in order."""
        return self._of(tenant).passages(tenant, document, generation, after=after, limit=limit)

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Delete the document's chunks of every other generation; return how many went."""
        return self._of(tenant).retire(tenant, document, keep_generation)

    def remove(self, tenant: str, document: str) -> int:
        """Delete all chunks of the document; return how many went."""
        return self._of(tenant).remove(tenant, document)

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Give all chunks of the document new labels without re-embedding; return how many."""
        return self._of(labels.tenant).relabel(document, labels, access_class)

    def scrub(self, tenant: str) -> None:
        """Leave nothing in the engine's files of what was deleted from the tenant's index."""
        self._of(tenant).scrub(tenant)

    def count(self) -> int:
        """Return the number of chunks stored, over all tenants."""
        self._require_open()
        return sum(self._of(tenant).count() for tenant in self._begun())

    def close(self) -> None:
        """Flush and release every index. Calling it again does nothing."""
        with self._mutex:
            self._closed = True
            places = list(self._places.values())
        with contextlib.ExitStack() as closing:
            for place in places:
                with place.gate:
                    if place.index is not None:
                        closing.callback(place.index.close)

    def _of(self, tenant: str) -> Index:
        """Return the tenant's index, opened. Other tenants do not wait for that."""
        if not TENANT.fullmatch(tenant):
            raise InvalidRequestError(
                "no tenant has that name: wanted lower-case letters, digits, '_' and '-', 63 at "
                "most"
            )
        with self._mutex:
            place = self._places.setdefault(tenant, _Place())
        with place.gate:
            # Looked up under the gate: what opens after close() has passed would stay open.
            self._require_open()
            if place.index is None:
                place.index = self._open_one(tenant)
            return place.index

    def _require_open(self) -> None:
        if self._closed:
            raise IndexUnavailableError("the index is closed: open it again")
