"""The quarantine's desk for callers of the service: what is to be let in waits for a worker.

Decisions are those of the commands, by the same code. Only the taking in is another's: the process
that answers questions fills no index.
"""

from collections.abc import Callable, Mapping, Sequence

from ingest.aside import Item, ItemState
from ingest.quarantine import Quarantine, Shown, TakeIn
from ingest.queue import QueuedRun, RunQueue, What, new_run, require_room
from ingest.report import FileResult
from ragplatform.access.desk import Caller
from ragplatform.model import Json


class QuarantineOrders:
    """Decides about what was put aside, for one caller at a time; safe to use from threads."""

    def __init__(self, *, desk: Callable[[TakeIn], Quarantine], queue: RunQueue) -> None:
        """``desk`` is opened for each act, with what takes documents in."""
        self._desk = desk
        self._queue = queue

    def items(
        self,
        caller: Caller,
        *,
        collection: str | None,
        reason: str | None,
        state: ItemState | None,
    ) -> list[Item]:
        """Return what is put aside, as ``Quarantine.items``."""
        desk = self._desk(_nothing)
        return desk.items(caller, collection=collection, reason=reason, state=state)

    def show(self, caller: Caller, document: str, *, characters: int) -> Shown:
        """Return one item with its masked text, as ``Quarantine.show``."""
        return self._desk(_nothing).show(caller, document, characters=characters)

    def release(self, caller: Caller, document: str, reason: str) -> Item:
        """Ask that a document be let in, as ``Quarantine.release``."""
        return self._desk(_nothing).release(caller, document, reason)

    def reject(self, caller: Caller, document: str, reason: str) -> None:
        """Destroy a document's bytes, as ``Quarantine.reject``."""
        self._desk(_nothing).reject(caller, document, reason)

    def approve(self, caller: Caller, document: str, reason: str) -> QueuedRun | None:
        """Agree as the second person, as ``Quarantine.approve``; return the run that takes it in.

        Raises ``BusyError`` before anything is decided when too many runs wait.
        """
        return self._ordered(caller, lambda desk: desk.approve(caller, document, reason))

    def relabel(
        self, caller: Caller, document: str, changes: Mapping[str, Json], reason: str
    ) -> QueuedRun | None:
        """Give other labels, as ``Quarantine.relabel``; return the run that tries it again.

        None where its bytes are not here: its source is to be run again. Raises ``BusyError``.
        """
        return self._ordered(caller, lambda desk: desk.relabel(caller, document, changes, reason))

    def retry(self, caller: Caller, document: str) -> QueuedRun | None:
        """Try a document again, as ``Quarantine.retry``; return the run, None as ``relabel``.

        Raises ``BusyError``.
        """
        return self._ordered(caller, lambda desk: desk.retry(caller, document=document))

    def _ordered(
        self, caller: Caller, act: Callable[[Quarantine], Sequence[FileResult]]
    ) -> QueuedRun | None:
        tenant = caller.principal.tenant
        require_room(self._queue, tenant)
        runs: list[str] = []

        def take_in(items: Sequence[Item]) -> list[FileResult]:
            # The decision is on record; one that dies here is let in by trying it again.
            for item in items:
                runs.append(new_run())
                self._queue.ask(
                    principal=caller.principal,
                    purpose=caller.purpose,
                    collection=item.collection,
                    kind=What.QUARANTINE,
                    what=item.document,
                    run=runs[-1],
                    size=item.size,
                )
            return []

        act(self._desk(take_in))
        return self._queue.lookup(tenant, runs[0]) if runs else None


def _nothing(items: Sequence[Item]) -> list[FileResult]:
    """Take nothing in: the act at hand lets nothing in."""
    return []
