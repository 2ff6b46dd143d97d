"""The logs that one process writes: the deployment's own, and one for each tenant.

A tenant's records stand in no file with another's, its checkpoints are signed with a key of its
own, and its sealed parts open with a key of its own. So its auditor can be given its logs alone.
"""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ragplatform.audit.events import AuditEvent
from ragplatform.audit.layout import KEY, process_name, tenant_of, tenant_origin
from ragplatform.audit.log import AuditLog, utc_now
from ragplatform.audit.storage import Storage
from ragplatform.errors import AuditError, AuditLockedError, PlatformError
from ragplatform.model import Receipt

# One writer per log. A second process of a kind gets logs of its own, up to this many.
_MOST_PROCESSES: Final = 16


@dataclass(slots=True, eq=False)
class _Place:
    """Where one tenant's log stands once it is open. Owned by whoever holds the gate."""

    gate: threading.Lock = field(default_factory=threading.Lock)
    log: AuditLog | None = None
    refusal: str = ""
    """Why it will not open before the operator has seen to it; empty if nothing is known."""


class TenantLogs:
    """Records each event in the log of its tenant, or of the deployment where it names none.

    Shared by the threads of one process. What happens to one tenant's log, be it a failed write or
    tampering, keeps the acts of that tenant alone from being recorded, and so from happening.
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
    ) -> Self:
        """Open the logs of this process in the folder: as ``kind``, or as ``kind-2`` and so on.

        1. Open the deployment's log under the first name that no other process holds. Whoever
        holds it holds the tenants' logs of that name.
        2. Open the tenants' logs that were begun under this name, so that what a crash left is
        mended now and no question waits for it. One that does not open darkens its tenant alone.
        Others are begun with their tenant's first event.

        ``signing_key`` gives the Ed25519 seed of an origin, ``sealing_key`` the secret of a tenant,
        "" being the deployment; 32 bytes each.

        Raises ``AuditLockedError`` when all names are held, ``AuditError``, ``TamperedError`` or
        ``ConfigurationError`` when the deployment's log does not open.
        """

        def open_one(origin: str) -> AuditLog:
            return AuditLog.open(
                folder / origin,
                origin=origin,
                signing_key=signing_key(origin),
                sealing_key=sealing_key(tenant_of(origin)),
                clock=clock,
                storage=storage,
            )

        logs = cls(own=_first_free(open_one, kind), open_one=open_one)  # 1
        for begun in sorted(folder.glob(f"{logs.process}.*/{KEY}")):
            with contextlib.suppress(AuditError):
                logs._of(tenant_of(begun.parent.name))  # 2
        return logs

    def __init__(self, *, own: AuditLog, open_one: Callable[[str], AuditLog]) -> None:
        self.process: Final = own.origin
        self._own = own
        self._open_one = open_one
        self._mutex = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._closed = False

    @property
    def writable(self) -> bool:
        """Whether all logs that are open take records."""
        with self._mutex:
            logs = [place.log for place in self._places.values()]
        return self._own.writable and all(log.writable for log in logs if log is not None)

    def append(self, event: AuditEvent) -> Receipt:
        """Record the event in its tenant's log and return the proof, once it is durable.

        May be called from any thread. Raises ``AuditError`` when the record could not be made
        durable, and the act must then not happen.
        """
        log = self._of(event.tenant) if event.tenant else self._own
        return log.append(event)

    def close(self) -> None:
        """Close every log, the deployment's last: with its name the others become free.

        Calling it again does nothing. Raises ``AuditError`` when a checkpoint cannot be written;
        all are closed even so.
        """
        with self._mutex:
            self._closed = True
            places = list(self._places.values())
        with contextlib.ExitStack() as closing:
            closing.callback(self._own.close)
            for place in places:
                with place.gate:
                    if place.log is not None:
                        closing.callback(place.log.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _of(self, tenant: str) -> AuditLog:
        """Return the tenant's log, opened. Other tenants' appends do not wait for that."""
        origin = tenant_origin(self.process, tenant)
        with self._mutex:
            place = self._places.setdefault(tenant, _Place())
        with place.gate:
            # Looked up under the gate: what opens after close() has passed would stay open.
            if self._closed:
                raise AuditError("the audit logs are closed")
            if place.log is None:
                place.log = self._opened(origin, place)
            return place.log

    def _opened(self, origin: str, place: _Place) -> AuditLog:
        if place.refusal:
            raise AuditError(place.refusal)
        try:
            return self._open_one(origin)
        except AuditError:
            # A disk that was full may have room by the next event.
            raise
        except PlatformError as error:
            # Not tried again: each try would hash the whole log.
            place.refusal = f"the audit log {origin} does not open, so its tenant waits: {error}"
            raise AuditError(place.refusal) from error


def _first_free(open_one: Callable[[str], AuditLog], kind: str) -> AuditLog:
    for number in range(1, _MOST_PROCESSES):
        with contextlib.suppress(AuditLockedError):
            return open_one(process_name(kind, number))
    return open_one(process_name(kind, _MOST_PROCESSES))
