"""What may be recorded: a closed vocabulary, and the shape of one event before it has a place."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ragplatform.model import Json, Principal

MOST_NAMED: Final = 1000
"""What one record can name. A register of more people than this is named by its document."""


class Action(StrEnum):
    """What was done. Closed: a new kind of act needs a new word here, never a free text."""

    STARTED = "started"
    STOPPED = "stopped"
    RECOVERED = "recovered"
    RESUMED = "resumed"
    POLICY_CHANGED = "policy_changed"
    AUTHENTICATED = "authenticated"
    AUTHENTICATED_FAILED = "authenticated_failed"
    TURNED_AWAY = "turned_away"
    DENIED = "denied"
    ASKED = "asked"
    RETRIEVED = "retrieved"
    GENERATED = "generated"
    ANSWERED = "answered"
    EXIT_BLOCKED = "exit_blocked"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    FAILED = "failed"
    SEARCHED = "searched"
    SOURCE_VIEWED = "source_viewed"
    CHAT_TASK = "chat_task"
    EMBEDDED = "embedded"
    BATCH_BROUGHT = "batch_brought"
    BATCH_ASKED = "batch_asked"
    BATCH_CANCELLED = "batch_cancelled"
    BATCH_ENDED = "batch_ended"
    BATCH_READ = "batch_read"
    BATCH_REMOVED = "batch_removed"
    ANALYSED = "analysed"
    REDACTED = "redacted"
    REPORTED = "reported"
    DISAGREED = "disagreed"
    INGEST_ASKED = "ingest_asked"
    INGEST_CANCELLED = "ingest_cancelled"
    UPLOAD_REMOVED = "upload_removed"
    INGEST_STARTED = "ingest_started"
    INGESTED = "ingested"
    INGEST_FINISHED = "ingest_finished"
    QUARANTINED = "quarantined"
    QUARANTINE_READ = "quarantine_read"
    QUARANTINE_DECIDED = "quarantine_decided"
    QUARANTINE_RULED = "quarantine_ruled"
    SILENCE = "silence"
    RELABELLED = "relabelled"
    HELD = "held"
    RELEASED = "released"
    HOLDS_READ = "holds_read"
    REMOVED = "removed"
    ERASURE_ORDERED = "erasure_ordered"
    ERASURE_READ = "erasure_read"
    ERASED = "erased"
    ERASURE_CERTIFIED = "erasure_certified"
    CERTIFICATE_READ = "certificate_read"
    SUBJECT_REPORTED = "subject_reported"
    SEAL_DESTROYED = "seal_destroyed"
    KEYS_RETIRED = "keys_retired"
    INDEX_REBUILT = "index_rebuilt"
    INDEX_SWITCHED = "index_switched"
    BACKED_UP = "backed_up"
    RESTORED = "restored"
    EGRESS_BLOCKED = "egress_blocked"
    ARCHIVED = "archived"
    AUDIT_READ = "audit_read"
    EXPORTED = "exported"
    UNSEALED = "unsealed"
    KEY_MADE = "key_made"
    KEYS_ROTATED = "keys_rotated"
    RELATIONS_CHANGED = "relations_changed"
    CONSENT_CHANGED = "consent_changed"
    CONSENT_READ = "consent_read"
    FEED_DARK = "feed_dark"
    FEEDS_READ = "feeds_read"
    BROKE_GLASS = "broke_glass"
    GLASS_ENDED = "glass_ended"
    QUEUE_READ = "queue_read"
    REVIEWED = "reviewed"
    REVEALED = "revealed"
    EXPLAINED = "explained"
    FEEDBACK_GIVEN = "feedback_given"
    API_KEY_MADE = "api_key_made"
    API_KEY_ROTATED = "api_key_rotated"
    API_KEY_REVOKED = "api_key_revoked"
    USER_LISTED = "user_listed"
    WITNESS_LAGGING = "witness_lagging"
    WITNESS_CAUGHT_UP = "witness_caught_up"
    WITNESS_CONFLICT = "witness_conflict"


class Outcome(StrEnum):
    """How it ended."""

    SUCCESS = "success"
    DENIED = "denied"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One act, to be recorded before it takes effect.

    ``tenant`` is empty for acts of the deployment itself. ``details`` holds what the action's entry
    in ``vocabulary`` lists, and never the text of a question, answer or passage. Such text goes
    into ``sealed``, by name: it is encrypted before it is written.
    """

    action: Action
    outcome: Outcome
    tenant: str
    actor: str
    request_id: str
    purpose: str | None = None
    details: Mapping[str, Json] = field(default_factory=dict)
    sealed: Mapping[str, str] = field(default_factory=dict, repr=False)
    client: str = ""
    """Through whom the actor acts: a registered client, or who started a job; "" for nobody."""
    proof: str = ""
    """How the actor proved who it is (see ``Principal.proof``); "" where nobody asked."""
    policy: str = ""
    """The digest of the policies in force; "" where none decide."""
    subjects: Collection[str] = ()
    """Keyed references of those whom the act is about (see ``privacy.Vault.subject_ref``)."""
    trace: str = ""
    """The W3C trace id that the caller gave; "" means the request id."""


def event_of(
    principal: Principal,
    action: Action,
    outcome: Outcome = Outcome.SUCCESS,
    *,
    request_id: str,
    purpose: str | None,
    trace: str = "",
    policy: str = "",
    subjects: Collection[str] = (),
    details: Mapping[str, Json] | None = None,
    sealed: Mapping[str, str] | None = None,
) -> AuditEvent:
    """Return an event of what a principal does, which says how it is known and by what client."""
    return AuditEvent(
        action=action,
        outcome=outcome,
        tenant=principal.tenant,
        actor=principal.id,
        request_id=request_id,
        purpose=purpose,
        details=details or {},
        sealed=sealed or {},
        client=principal.via,
        proof=principal.proof,
        policy=policy,
        subjects=subjects,
        trace=trace,
    )
