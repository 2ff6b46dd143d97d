"""The time in which one log takes no records: since when, why, and what was refused meanwhile."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.record import stamp

# The first try follows at once, since many failures are of one moment. Then ever longer pauses:
# each try reads the log, and a full disk must not be kept busy with that.
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


@dataclass(slots=True)
class Outage:
    """One outage of one log. Owned by whoever holds the log's mutex."""

    since: datetime
    reason: str
    """Of the first failure, as ``log.reason_of`` names it."""
    next_try_s: float
    """When to try again, on the clock that measures pauses."""
    tries: int = 0
    refused: Counter[Action] = field(default_factory=Counter)
    ending: bool = False
    """Whether the log is open again and its gap is being recorded: what comes now waits for it."""

    def failed_again(self, now_s: float) -> None:
        """Put off the next try, longer each time."""
        pause_s = min(_FIRST_PAUSE_S * 2**self.tries, _LONGEST_PAUSE_S)
        self.next_try_s = now_s + pause_s
        self.tries += 1
        self.ending = False

    def event(self, tenant: str, origin: str, until: datetime) -> AuditEvent:
        """Return the record of the gap, for the first place after it.

        Where its own sync fails it may stand there even so. The next one has the same ``since`` and
        counts everything again: of several with one ``since``, the last holds.
        """
        return AuditEvent(
            Action.RESUMED,
            Outcome.SUCCESS,
            tenant=tenant,
            actor=origin,
            request_id="",
            details={
                "since": stamp(self.since),
                "until": stamp(until),
                "reason": self.reason,
                "refused": self.refused.total(),
                "refused_by_action": {str(action): n for action, n in self.refused.items()},
                "failed_tries": self.tries,
            },
        )
