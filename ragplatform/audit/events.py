"""What may be recorded: a closed vocabulary, and the shape of one event before it has a place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ragplatform.model import Json, Principal


class Action(StrEnum):
    """What was done. Closed: a new kind of act needs a new word here, never a free text."""

    STARTED = "started"
    STOPPED = "stopped"
    RECOVERED = "recovered"
    POLICY_LOADED = "policy_loaded"
    AUTHENTICATED_FAILED = "authenticated_failed"
    TURNED_AWAY = "turned_away"
    DENIED = "denied"
    ASKED = "asked"
    RETRIEVED = "retrieved"
    ANSWERED = "answered"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    FAILED = "failed"
    SEARCHED = "searched"
    SOURCE_VIEWED = "source_viewed"
    ANALYSED = "analysed"
    REDACTED = "redacted"
    REPORTED = "reported"
    DISAGREED = "disagreed"
    INGEST_STARTED = "ingest_started"
    INGESTED = "ingested"
    INGEST_FINISHED = "ingest_finished"
    QUARANTINED = "quarantined"
    RELABELLED = "relabelled"
    ERASED = "erased"
    EGRESS_BLOCKED = "egress_blocked"
    ARCHIVED = "archived"
    AUDIT_READ = "audit_read"
    UNSEALED = "unsealed"
    KEY_MADE = "key_made"
    KEYS_ROTATED = "keys_rotated"
    RELATIONS_CHANGED = "relations_changed"
    CONSENT_CHANGED = "consent_changed"
    FEED_DARK = "feed_dark"
    BROKE_GLASS = "broke_glass"
    GLASS_ENDED = "glass_ended"
    QUEUE_READ = "queue_read"
    REVIEWED = "reviewed"
    REVEALED = "revealed"
    EXPLAINED = "explained"
    API_KEY_MADE = "api_key_made"
    API_KEY_ROTATED = "api_key_rotated"
    API_KEY_REVOKED = "api_key_revoked"
    USER_LISTED = "user_listed"


class Outcome(StrEnum):
    """How it ended."""

    SUCCESS = "success"
    DENIED = "denied"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One act, to be recorded before it takes effect.

    ``tenant`` is empty for acts of the deployment itself. ``details`` holds ids, counts, digests
    and decisions, each string short, and never the text of a question, answer or passage. Such
    text goes into ``sealed``, by name: it is encrypted before it is written.
    """

    action: Action
    outcome: Outcome
    tenant: str
    actor: str
    request_id: str
    purpose: str | None = None
    details: Mapping[str, Json] = field(default_factory=dict)
    sealed: Mapping[str, str] = field(default_factory=dict, repr=False)


def spoken_for(principal: Principal) -> dict[str, str]:
    """Return the detail that names the client which speaks for a person; empty without one."""
    return {"via": principal.via} if principal.via else {}
