"""What kind of act each word of the vocabulary is: the one place that all formats map from."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from ragplatform.audit.events import Action


class Family(StrEnum):
    """What an act is about."""

    QUESTION = auto()
    """What somebody asked of the service, and how that ended."""
    READING = auto()
    """Passages or values that were found and shown."""
    DOCUMENT = auto()
    """Documents that came in, changed or went."""
    ENTITY = auto()
    """Keys, people, relations, consents and policies: who may what."""
    LOGIN = auto()
    """Proofs of identity."""
    SERVICE = auto()
    """Processes of the platform."""
    LOG = auto()
    """The audit log itself."""
    NETWORK = auto()
    """Connections that the process wanted to make."""
    ALARM = auto()
    """What ought never to happen."""


class Verb(StrEnum):
    """What was done with it."""

    CREATE = auto()
    READ = auto()
    QUERY = auto()
    UPDATE = auto()
    DELETE = auto()
    ENABLE = auto()
    DISABLE = auto()
    DECRYPT = auto()
    EXPORT = auto()
    ARCHIVE = auto()
    START = auto()
    STOP = auto()
    LOGON = auto()
    REFUSE = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Kind:
    """The family and the verb of an act."""

    family: Family
    verb: Verb


_WORDS: Final[Mapping[Family, Mapping[Verb, str]]] = {
    Family.QUESTION: {
        Verb.READ: "asked answered searched explained batch_read",
        Verb.CREATE: "generated chat_task embedded analysed redacted reported feedback_given",
        Verb.START: "batch_brought batch_asked",
        Verb.STOP: "batch_cancelled batch_ended",
        Verb.DELETE: "batch_removed",
        Verb.REFUSE: "denied refused turned_away",
        Verb.OTHER: "abandoned failed",
    },
    Family.READING: {
        Verb.QUERY: "retrieved",
        Verb.READ: "source_viewed",
        Verb.DECRYPT: "revealed",
    },
    Family.DOCUMENT: {
        Verb.CREATE: "ingested erasure_certified",
        Verb.START: "ingest_asked ingest_started erasure_ordered",
        Verb.STOP: "ingest_cancelled ingest_finished",
        Verb.REFUSE: "quarantined",
        Verb.UPDATE: (
            "relabelled held released index_rebuilt index_switched quarantine_decided "
            "quarantine_ruled"
        ),
        Verb.DELETE: "erased upload_removed removed",
        Verb.READ: "subject_reported holds_read certificate_read quarantine_read erasure_read",
    },
    Family.ENTITY: {
        Verb.CREATE: "key_made api_key_made backed_up",
        Verb.READ: "queue_read consent_read feeds_read",
        Verb.UPDATE: (
            "policy_changed keys_rotated api_key_rotated relations_changed "
            "consent_changed reviewed user_listed restored"
        ),
        Verb.DELETE: "api_key_revoked keys_retired",
        Verb.ENABLE: "broke_glass",
        Verb.DISABLE: "glass_ended",
    },
    Family.LOGIN: {Verb.LOGON: "authenticated authenticated_failed"},
    Family.SERVICE: {Verb.START: "started", Verb.STOP: "stopped"},
    Family.LOG: {
        Verb.READ: "audit_read",
        Verb.DECRYPT: "unsealed",
        Verb.EXPORT: "exported",
        Verb.ARCHIVE: "archived",
        Verb.UPDATE: "recovered resumed witness_caught_up",
        Verb.DELETE: "seal_destroyed",
    },
    Family.NETWORK: {Verb.REFUSE: "egress_blocked"},
    Family.ALARM: {
        Verb.CREATE: "disagreed exit_blocked feed_dark silence witness_lagging witness_conflict"
    },
}

_KINDS: Final[Mapping[str, Kind]] = {
    word: Kind(family, verb)
    for family, verbs in _WORDS.items()
    for verb, words in verbs.items()
    for word in words.split()
}


def kind_of(action: Action) -> Kind:
    """Return the kind of an action. A new action needs its place above, as a test says."""
    return _KINDS[action]
