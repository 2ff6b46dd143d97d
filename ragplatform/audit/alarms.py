"""Records what is told where nothing may be recorded: on a thread of its own, soon after.

The seal on the network is asked inside Python's audit hook, on whatever thread tries to connect.
That thread may hold the log, or be the one that all answers wait for.
"""

import ipaddress
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.errors import AuditError
from ragplatform.model import Json

_log = logging.getLogger(__name__)

# A program gone wild tries thousands of names; one record a second counts all and names the first.
_MOST_NAMED: Final = 20
_LONGEST_NAME: Final = 200
_MOST_WAITING: Final = 10_000


class EgressAlarm:
    """Records refused connections, at most one record in ``every_s``, which counts them all.

    Names are sealed: whoever wants to carry a text out by looking up names would write it into the
    log as well.
    """

    def __init__(
        self, append: Callable[[AuditEvent], object], *, actor: str, every_s: float = 1.0
    ) -> None:
        self._append = append
        self._actor = actor
        self._every_s = every_s
        self._told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._unnamed = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="egress-alarm", daemon=True)
        self._thread.start()

    def tell(self, host: str) -> None:
        """Note one refused connection. Never waits, and may be called from any thread."""
        if self._told.qsize() < _MOST_WAITING:
            self._told.put(host[:_LONGEST_NAME])
        else:
            self._unnamed += 1

    def close(self) -> None:
        """Record what was told so far, as far as the log takes it, and end."""
        if not self._closing.is_set():
            self._closing.set()
            self._told.put(None)
            self._thread.join()

    def _run(self) -> None:
        waiting: Counter[str] = Counter()
        while True:
            last = self._gather(waiting)
            if waiting:
                try:
                    self._append(self._event(waiting))
                    waiting.clear()
                except AuditError as error:
                    # Kept, and tried again with the next round: the connection stays refused.
                    _log.error("refused connections are not yet recorded: %s", error)
            if last:
                return
            self._closing.wait(self._every_s)

    def _gather(self, waiting: Counter[str]) -> bool:
        """Count all that was told; wait for the first only where nothing waits to be recorded."""
        last = False
        try:
            host = self._told.get(block=not waiting)
            while True:
                last = last or host is None
                waiting.update([] if host is None else [host])
                host = self._told.get_nowait()
        except queue.Empty:
            return last

    def _event(self, waiting: Counter[str]) -> AuditEvent:
        unnamed, self._unnamed = self._unnamed, 0
        named = [host for host, _ in waiting.most_common(_MOST_NAMED)]
        addresses: list[Json] = [host for host in named if _is_address(host)]
        details: dict[str, Json] = {
            "attempts": waiting.total() + unnamed,
            "hosts": len(waiting),
            "addresses": addresses,
        }
        return AuditEvent(
            Action.EGRESS_BLOCKED,
            Outcome.DENIED,
            tenant="",
            actor=self._actor,
            request_id="",
            details=details,
            sealed={"hosts": "\n".join(named)},
        )


def _is_address(host: str) -> bool:
    try:
        # With a zone an IPv6 address could end in any text.
        return str(ipaddress.ip_address(host)) == host and "%" not in host
    except ValueError:
        return False
