"""Builds the next edition of the index while the one before answers, and switches.

The text comes from the archive: no source is needed, and nothing is parsed or searched for personal
data again. What is taken in, relabelled or erased meanwhile is caught up with.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ingest.ledger import Ledger
from ingest.rebuild import Rebuilt
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.editions import EditionBook, EditionRow
from ragplatform.errors import UnavailableError
from ragplatform.model import Json, Principal
from ragplatform.ports import Index

# Each pass writes what changed during the one before, which is less every time.
_MOST_PASSES: Final = 20
# How long a run that had begun a document before the switch may take to end it.
_STRAGGLERS_S: Final = 120.0
_PAUSE_S: Final = 1.0


class Rebuilds(Protocol):
    """Makes one tenant's part of an index say what ledger, catalog and archive say."""

    def rebuild(self, *, deep: bool, dry_run: bool) -> Rebuilt:
        """Write what differs; see ``Rebuilder.rebuild``."""

    def archive_all(self) -> int:
        """Keep what only the index holds; see ``Rebuilder.archive_all``."""


@dataclass(slots=True)
class Reindexed:
    """What a reindex did. ``switched`` is False where the edition answered already."""

    before: str = ""
    after: str = ""
    switched: bool = False
    passes: int = 0
    documents: int = 0
    chunks: int = 0
    embedded: int = 0
    left: Counter[str] = field(default_factory=Counter)

    @property
    def exit_code(self) -> int:
        """0 when the edition answers whole, 1 when something must be taken in again."""
        return 1 if self.left.total() else 0

    def summary(self) -> dict[str, Json]:
        """Return the counts."""
        return {
            "before": self.before,
            "after": self.after,
            "switched": self.switched,
            "passes": self.passes,
            "documents": self.documents,
            "chunks": self.chunks,
            "embedded": self.embedded,
            "left": {fault: count for fault, count in sorted(self.left.items()) if count},
            "exit_code": self.exit_code,
        }


class Reindexer:
    """Builds and switches, on record. May be repeated after a crash anywhere."""

    def __init__(
        self,
        *,
        run: str,
        policy: str,
        book: EditionBook,
        before: EditionRow,
        after: EditionRow,
        old: Mapping[str, Rebuilds],
        new: Mapping[str, Rebuilds],
        index: Index,
        ledger: Ledger,
        audit: TenantLogs,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``old`` and ``new`` rebuild the two editions, by tenant; ``index`` is the new one."""
        self._run = run
        self._policy = policy
        self._book = book
        self._before = before
        self._after = after
        self._old = old
        self._new = new
        self._index = index
        self._ledger = ledger
        self._audit = audit
        self._sleep = sleep
        self._clock = clock

    def reindex(self) -> Reindexed:
        """Build the new edition, switch to it, and catch up with what was in work meanwhile.

        1. See that the archive has everything: what only the index holds goes in. 2. Write the new
        edition, again and again until nothing is missing; the last pass compares every passage.
        3. Record the switch, durable. 4. Switch. 5. Wait for what runs had in hand when it
        happened, and catch up with it.

        Raises ``UnavailableError`` when a part is away, or documents change faster than they can
        be written: the edition before answers on, and calling again goes on from there.
        """
        done = Reindexed(before=self._before.name, after=self._after.name)
        for made in self._old.values():  # 1
            made.archive_all()
        self._catch_up(done)  # 2
        self._record(self._chunks())  # 3
        self._book.switch(self._after.name)  # 4
        done.switched = True
        self._settle(done)  # 5
        return done

    def _catch_up(self, done: Reindexed) -> None:
        deep = False
        for _ in range(_MOST_PASSES):
            results = self._pass(done, deep=deep)
            if any(one.documents for one in results):
                deep = False
            elif deep:
                return
            else:
                # Nothing is missing any more. Were labels changed behind our back?
                deep = True
        raise UnavailableError(
            "documents change faster than the new edition is written: run again when less is "
            "taken in; the edition before answers on"
        )

    def _pass(self, done: Reindexed, *, deep: bool) -> Sequence[Rebuilt]:
        results = [made.rebuild(deep=deep, dry_run=False) for made in self._new.values()]
        done.passes += 1
        done.documents += sum(one.documents for one in results)
        done.chunks += sum(one.chunks for one in results)
        done.embedded += sum(one.embedded for one in results)
        done.left = Counter()
        for one in results:
            done.left.update(one.left)
        return results

    def _settle(self, done: Reindexed) -> None:
        """Catch up until nothing that was in work at the switch is in work any more."""
        deadline = self._clock() + _STRAGGLERS_S
        waiting = {(one.run, one.document) for one in self._ledger.pending()}
        while True:
            self._pass(done, deep=True)
            held = (one for one in self._ledger.pending() if self._ledger.is_held(one))
            waiting &= {(one.run, one.document) for one in held}
            if not waiting or self._clock() > deadline:
                return
            self._sleep(_PAUSE_S)

    def _chunks(self) -> Mapping[str, tuple[int, int]]:
        """Return how many documents and passages the new edition has, by tenant."""
        found = {}
        for tenant in self._new:
            held = self._index.generations(tenant)
            found[tenant] = (len(held), sum(sum(one.values()) for one in held.values()))
        return found

    def _record(self, counts: Mapping[str, tuple[int, int]]) -> None:
        for tenant, (documents, chunks) in counts.items():
            details: dict[str, Json] = {
                "before": self._before.name,
                "after": self._after.name,
                "model": self._after.model,
                "documents": documents,
                "chunks": chunks,
            }
            who = Principal(f"rebuild-{tenant}", tenant, frozenset({"operator"}))
            self._audit.append(
                event_of(
                    who,
                    Action.INDEX_SWITCHED,
                    Outcome.SUCCESS,
                    request_id=self._run,
                    purpose=None,
                    policy=self._policy,
                    details=details,
                )
            )
