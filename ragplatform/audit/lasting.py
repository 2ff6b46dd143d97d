"""A log that outlives the failures of its disk: given up, opened anew, its gap on record."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ragplatform.audit.events import Action, AuditEvent
from ragplatform.audit.log import AuditLog, GivenUp, reason_of
from ragplatform.audit.outage import Outage
from ragplatform.errors import AuditError, AuditLockedError, PlatformError
from ragplatform.model import Receipt


class LastingLog:
    """One origin's log through all its openings in one process. Shared by its threads.

    A log whose write or sync failed is never written again as it stands. It is given up and opened
    anew, which finds out what the disk holds: at once with the next event, and then after pauses
    that double up to half a minute. Until it is open every event is refused at once, and counted.
    What it records first is the gap: from when to when, how much was refused, and why.
    """

    def __init__(
        self,
        *,
        origin: str,
        tenant: str,
        log: AuditLog | None,
        open_log: Callable[[GivenUp | None], AuditLog],
        clock: Callable[[], datetime],
        pause_clock: Callable[[], float],
    ) -> None:
        """``log`` is the open one, or None to open it with the first event.

        ``pause_clock`` measures pauses in seconds; it never goes back.
        """
        self.origin: Final = origin
        self._tenant = tenant
        self._open_log = open_log
        self._clock = clock
        self._pause_clock = pause_clock

        # Owned by whoever holds the mutex.
        self._mutex = threading.Condition()
        self._log = log
        self._outage: Outage | None = None
        self._refusal = ""
        self._opening = False
        self._closed = False
        self._inside = 0
        # Owned by whoever opens.
        self._given_up: GivenUp | None = None

    @property
    def dark(self) -> bool:
        """Whether events are refused now, as far as is known."""
        with self._mutex:
            failed = self._log is not None and bool(self._log.failure)
            return self._closed or bool(self._refusal) or failed or self._outage is not None

    def append(self, event: AuditEvent) -> Receipt:
        """Record the event and return the proof, once it is durable.

        Raises ``AuditError`` when the record could not be made durable, and the act must then not
        happen.
        """
        return self.append_together([event])[0]

    def append_together(self, events: Sequence[AuditEvent]) -> list[Receipt]:
        """Record the events by one sync, all or none of them; as ``append``."""
        actions = [event.action for event in events]
        while (log := self._enter(actions)) is None:
            self._open(actions)
        try:
            return log.append_together(events)
        except AuditError:
            self._count_if_failed(log, actions)
            raise
        finally:
            with self._mutex:
                self._inside -= 1
                self._mutex.notify_all()

    def open(self) -> None:
        """Open the log where it is not open and it is time to try; else do nothing.

        Raises ``AuditError`` when it does not open.
        """
        with self._mutex:
            if self._closed or self._refusal or self._opening or self._usable() is not None:
                return
            outage = self._outage_now()
            if outage is not None and self._pause_clock() < outage.next_try_s:
                return
            self._opening = True
        self._open(())

    def close(self) -> None:
        """Let waiting appends finish and close the log. Calling it again does nothing.

        Raises ``AuditError`` when the last checkpoint cannot be written; it is closed even so.
        """
        with self._mutex:
            self._closed = True
            self._mutex.wait_for(lambda: not self._opening)
            log, self._log = self._log, None
            given_up, self._given_up = self._given_up, None
        if log is not None:
            log.close()
        if given_up is not None:
            given_up.lock.release()

    def _enter(self, actions: Sequence[Action]) -> AuditLog | None:
        """Return the open log, with this append counted as inside, or None: the caller opens it.

        Raises ``AuditError`` at once, and counts it, while the log is dark and it is not time to
        try.
        """
        with self._mutex:
            while True:
                if self._closed:
                    raise AuditError("the audit logs are closed")
                if self._refusal:
                    raise AuditError(self._refusal)
                log = self._usable()
                if log is not None:
                    self._inside += 1
                    return log
                outage = self._outage_now()
                if self._opening and (outage is None or outage.ending):
                    # It is open in a moment. What came now and was refused would be in no count.
                    self._mutex.wait()
                    continue
                if outage is None or not (self._opening or self._pause_clock() < outage.next_try_s):
                    self._opening = True
                    return None
                outage.refused.update(actions)
                raise AuditError(
                    f"the audit log {self.origin} takes no records since "
                    f"{outage.since.isoformat()} ({outage.reason}); mend the disk"
                )

    def _usable(self) -> AuditLog | None:
        return None if self._log is None or self._log.failure else self._log

    def _outage_now(self) -> Outage | None:
        if self._outage is None and self._log is not None and self._log.failure:
            self._outage = Outage(self._clock(), self._log.failure, self._pause_clock())
        return self._outage

    def _count_if_failed(self, log: AuditLog, actions: Sequence[Action]) -> None:
        # An event that cannot be written down as it stands is refused too, and is no outage.
        with self._mutex:
            if log.failure and (outage := self._outage_now()) is not None:
                outage.refused.update(actions)

    def _open(self, actions: Sequence[Action]) -> None:
        """Open the log, for events of these actions or for none; only who set ``_opening`` may.

        Raises ``AuditError``, and the outage goes on.
        """
        log: AuditLog | None = None
        try:
            log = self._opened()
        except AuditError as error:
            with self._mutex:
                self._failed_again(error, actions)
            raise
        except PlatformError as error:
            # Not tried again: each try would hash the log, and it is evidence now.
            self._refusal = f"the audit log {self.origin} does not open, so all waits: {error}"
            raise AuditError(self._refusal) from error
        finally:
            with self._mutex:
                self._opening = False
                if log is not None:
                    self._log, self._outage = log, None
                self._mutex.notify_all()

    def _failed_again(self, error: AuditError, actions: Sequence[Action]) -> None:
        now_s = self._pause_clock()
        if self._outage is None:
            locked = isinstance(error, AuditLockedError)
            reason = "locked" if locked else reason_of(error.__cause__ or error)
            self._outage = Outage(self._clock(), reason, now_s)
        self._outage.failed_again(now_s)
        self._outage.refused.update(actions)

    def _opened(self) -> AuditLog:
        """Give the failed log up, open it anew, and record the gap.

        1. All who were inside when it failed have left, and are counted.
        2. Its lock goes on to the new one, so that no other process writes in between.
        3. The gap is on record before anything else can be.
        """
        with self._mutex:
            self._mutex.wait_for(lambda: not self._inside)  # 1
            failed, self._log = self._log, None
        if failed is not None:
            self._given_up = failed.give_up()
        log = self._open_log(self._given_up)  # 2
        self._given_up = None
        try:
            self._record_gap(log)  # 3
        except BaseException:
            self._given_up = log.give_up()
            raise
        return log

    def _record_gap(self, log: AuditLog) -> None:
        with self._mutex:
            if self._outage is None:
                return
            self._outage.ending = True
            event = self._outage.event(self._tenant, self.origin, self._clock())
        log.append(event)
