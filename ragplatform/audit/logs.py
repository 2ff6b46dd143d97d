"""The logs that one process writes: the deployment's own, and one for each tenant.

A tenant's records stand in no file with another's, its checkpoints are signed with a key of its
own, and its sealed parts open with a key of its own. So its auditor can be given its logs alone.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ragplatform.audit.events import AuditEvent
from ragplatform.audit.lasting import LastingLog
from ragplatform.audit.layout import KEY, process_name, tenant_of, tenant_origin
from ragplatform.audit.log import AuditLog, GivenUp, utc_now
from ragplatform.audit.seeds import SealSeeds
from ragplatform.audit.storage import Storage
from ragplatform.errors import AuditError, AuditLockedError
from ragplatform.model import Receipt

# One writer per log. A second process of a kind gets logs of its own, up to this many.
_MOST_PROCESSES: Final = 16


class TenantLogs:
    """Records each event in the log of its tenant, or of the deployment where it names none.

    Shared by the threads of one process. What happens to one tenant's log, be it a failed write or
    tampering, keeps the acts of that tenant alone from being recorded, and so from happening. After
    a failed write the log comes back by itself and records the gap; one that was altered waits for
    the operator and a new process.
    """

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        kind: str,
        signing_key: Callable[[str], bytes],
        sealing_key: Callable[[str], bytes],
        clock: Callable[[], datetime] = utc_now,
        storage: Storage | None = None,
        pause_clock: Callable[[], float] = time.monotonic,
        seeds: Callable[[str], SealSeeds] | None = None,
    ) -> Self:
        """Open the logs of this process in the folder: as ``kind``, or as ``kind-2`` and so on.

        1. Open the deployment's log under the first name that no other process holds. Whoever
        holds it holds the tenants' logs of that name.
        2. Open the tenants' logs that were begun under this name, so that what a crash left is
        mended now and no question waits for it. One that does not open darkens its tenant alone.
        Others are begun with their tenant's first event.

        ``signing_key`` gives the Ed25519 seed of an origin, ``sealing_key`` the secret of a tenant,
        "" being the deployment; 32 bytes each. ``pause_clock`` measures, in seconds, the pauses
        after which a log whose disk failed is tried again. ``seeds`` gives those of an origin's
        sealed parts, by which single ones can be destroyed.

        Raises ``AuditLockedError`` when all names are held, ``AuditError``, ``TamperedError`` or
        ``ConfigurationError`` when the deployment's log does not open.
        """

        def open_one(origin: str, after: GivenUp | None) -> AuditLog:
            return AuditLog.open(
                folder / origin,
                origin=origin,
                signing_key=signing_key(origin),
                sealing_key=sealing_key(tenant_of(origin)),
                clock=clock,
                storage=storage,
                after=after,
                seeds=None if seeds is None else seeds(origin),
            )

        own = _first_free(open_one, kind)  # 1
        logs = cls(own=own, open_one=open_one, clock=clock, pause_clock=pause_clock)
        for begun in sorted(folder.glob(f"{logs.process}.*/{KEY}")):
            with contextlib.suppress(AuditError):
                logs._of(tenant_of(begun.parent.name)).open()  # 2
        return logs

    def __init__(
        self,
        *,
        own: AuditLog,
        open_one: Callable[[str, GivenUp | None], AuditLog],
        clock: Callable[[], datetime],
        pause_clock: Callable[[], float],
    ) -> None:
        self.process: Final = own.origin
        self._open_one = open_one
        self._clock = clock
        self._pause_clock = pause_clock
        self._own = self._lasting(own.origin, own)
        self._mutex = threading.Lock()
        self._tenants: dict[str, LastingLog] = {}
        self._closed = False

    @property
    def writable(self) -> bool:
        """Whether the deployment's own log takes records."""
        return not self._own.dark

    @property
    def dark(self) -> int:
        """How many tenants' logs take no records now; nothing is done for these tenants."""
        with self._mutex:
            logs = list(self._tenants.values())
        return sum(log.dark for log in logs)

    def mend(self) -> None:
        """Open anew what a failing disk has closed, where it is time to try.

        An event does that too. But a service that is not ready is sent none.
        """
        with self._mutex:
            logs = [self._own, *self._tenants.values()]
        for log in logs:
            if log.dark:
                with contextlib.suppress(AuditError):
                    log.open()

    def append(self, event: AuditEvent) -> Receipt:
        """Record the event in its tenant's log and return the proof, once it is durable.

        May be called from any thread. Raises ``AuditError`` when the record could not be made
        durable, and the act must then not happen.
        """
        return self.append_together([event])[0]

    def append_together(self, events: Sequence[AuditEvent]) -> list[Receipt]:
        """Record events of one tenant, at least one, by one sync: all of them or none.

        Raises as ``append``, and ``ValueError`` for events of several tenants.
        """
        tenants = {event.tenant for event in events}
        if len(tenants) != 1:
            raise ValueError(f"events of one tenant are recorded together, not of {len(tenants)}")
        [tenant] = tenants
        log = self._of(tenant) if tenant else self._own
        return log.append_together(events)

    def close(self) -> None:
        """Close every log, the deployment's last: with its name the others become free.

        Calling it again does nothing. Raises ``AuditError`` when a checkpoint cannot be written;
        all are closed even so.
        """
        with self._mutex:
            self._closed = True
            tenants = list(self._tenants.values())
        with contextlib.ExitStack() as closing:
            closing.callback(self._own.close)
            for log in tenants:
                closing.callback(log.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _of(self, tenant: str) -> LastingLog:
        """Return the tenant's log; it opens with its first event, and no other tenant's waits."""
        origin = tenant_origin(self.process, tenant)
        with self._mutex:
            # Looked up under the mutex: what is made after close() has passed would stay open.
            if self._closed:
                raise AuditError("the audit logs are closed")
            if tenant not in self._tenants:
                self._tenants[tenant] = self._lasting(origin, None)
            return self._tenants[tenant]

    def _lasting(self, origin: str, log: AuditLog | None) -> LastingLog:
        def open_log(after: GivenUp | None) -> AuditLog:
            return self._open_one(origin, after)

        return LastingLog(
            origin=origin,
            tenant=tenant_of(origin),
            log=log,
            open_log=open_log,
            clock=self._clock,
            pause_clock=self._pause_clock,
        )


def _first_free(open_one: Callable[[str, GivenUp | None], AuditLog], kind: str) -> AuditLog:
    for number in range(1, _MOST_PROCESSES):
        with contextlib.suppress(AuditLockedError):
            return open_one(process_name(kind, number), None)
    return open_one(process_name(kind, _MOST_PROCESSES), None)
