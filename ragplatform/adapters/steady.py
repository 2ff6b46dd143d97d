"""An index for whoever writes for hours: it waits for an engine that is away for a while.

Every operation of an index may be repeated without harm, so one that failed is tried again until
patience ends. A count can then be short: what the failed try had done already is not counted twice.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final, TypeVar

from ragplatform.errors import IndexLockedError, IndexRefusedError, IndexUnavailableError
from ragplatform.model import Hit, Labels, Narrow, Passage, Scope, TermWeights
from ragplatform.ports import Entry, Index

_T = TypeVar("_T")

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0


class SteadyIndex:
    """Implements ``Index`` over another one."""

    def __init__(
        self,
        index: Index,
        *,
        patience_s: float,
        still: Callable[[], bool],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``still`` says whether this edition of the index is the one that is written to."""
        self._index = index
        self._patience_s = patience_s
        self._still = still
        self._sleep = sleep
        self._clock = clock

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Store the entries; raises as ``retire`` when another edition answers by then."""
        self._do("store passages", lambda: self._index.upsert(entries))
        self._require_still()

    def search(
        self,
        vector: Sequence[float],
        terms: TermWeights,
        scope: Scope,
        limit: int,
        narrow: Narrow | None = None,
    ) -> list[Hit]:
        """Search, with patience."""
        return self._do("search", lambda: self._index.search(vector, terms, scope, limit, narrow))

    def fetch(self, chunk: str, scope: Scope) -> Hit | None:
        """Fetch, with patience."""
        return self._do("fetch a passage", lambda: self._index.fetch(chunk, scope))

    def browse(self, scope: Scope, narrow: Narrow, limit: int) -> list[Passage]:
        """Browse, with patience."""
        return self._do("browse", lambda: self._index.browse(scope, narrow, limit))

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """List generations, with patience."""
        return self._do("list generations", lambda: self._index.generations(tenant))

    def passages(
        self, tenant: str, document: str, generation: str, *, after: str = "", limit: int
    ) -> list[Passage]:
        """List passages, with patience."""
        return self._do(
            "list passages",
            lambda: self._index.passages(tenant, document, generation, after=after, limit=limit),
        )

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Retire, with patience.

        Raises ``IndexUnavailableError`` when another edition of the index answers by then: what
        was written to this one would not be found, so nobody may call it done.
        """
        act = partial(self._index.retire, tenant, document, keep_generation)
        gone = self._do("retire old generations", act)
        self._require_still()
        return gone

    def remove(self, tenant: str, document: str) -> int:
        """Remove, with patience; raises as ``retire``."""
        gone = self._do("remove a document", lambda: self._index.remove(tenant, document))
        self._require_still()
        return gone

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Relabel, with patience; raises as ``retire``."""
        act = partial(self._index.relabel, document, labels, access_class)
        count = self._do("relabel a document", act)
        self._require_still()
        return count

    def scrub(self, tenant: str) -> None:
        """Scrub, with patience."""
        self._do("scrub what was deleted", lambda: self._index.scrub(tenant))

    def count(self) -> int:
        """Count, with patience."""
        return self._do("count", self._index.count)

    def close(self) -> None:
        """Close the other index."""
        self._index.close()

    def _do(self, act: str, operation: Callable[[], _T]) -> _T:
        began: float | None = None
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return operation()
            except IndexRefusedError:
                raise
            except (IndexUnavailableError, IndexLockedError) as error:
                began = self._clock() if began is None else began
                if self._clock() + pause_s - began > self._patience_s:
                    raise IndexUnavailableError(
                        f"the index did not {act} within {self._patience_s:g} s: mend it and run "
                        f"again; what was finished stays ({error})"
                    ) from error
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _require_still(self) -> None:
        if not self._still():
            raise IndexUnavailableError(
                "another edition of the index answers since this began: run again; what was "
                "finished before stays"
            )


class EveryEdition(SteadyIndex):
    """A steady index that is changed in all its editions: for erasure and for labels."""

    def __init__(
        self,
        index: Index,
        *,
        others: Callable[[], Sequence[Index]],
        patience_s: float,
        still: Callable[[], bool],
    ) -> None:
        """``others`` opens the editions that are being built or have retired."""
        super().__init__(index, patience_s=patience_s, still=still)
        self._others = others

    def remove(self, tenant: str, document: str) -> int:
        """Delete all chunks of the document in every edition; return how many of them answered."""
        self._of_others("remove a document", lambda other: other.remove(tenant, document))
        return super().remove(tenant, document)

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Relabel the document in every edition; return how many chunks of it answered."""
        act = partial(_relabel, document, labels, access_class)
        self._of_others("relabel a document", act)
        return super().relabel(document, labels, access_class)

    def scrub(self, tenant: str) -> None:
        """Scrub every edition."""
        self._of_others("scrub what was deleted", lambda other: other.scrub(tenant))
        super().scrub(tenant)

    def _of_others(self, act: str, operation: Callable[[Index], object]) -> None:
        with ExitStack() as closing:
            for other in self._others():
                closing.callback(other.close)
                self._do(act, partial(operation, other))


def _relabel(document: str, labels: Labels, access_class: str, index: Index) -> int:
    return index.relabel(document, labels, access_class)
