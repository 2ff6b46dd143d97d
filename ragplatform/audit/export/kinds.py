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


_KINDS: Final[Mapping[Family, Mapping[Verb, tuple[Action, ...]]]] = {
    Family.QUESTION: {
        Verb.READ: (Action.ASKED, Action.ANSWERED, Action.SEARCHED, Action.EXPLAINED),
        Verb.CREATE: (Action.ANALYSED, Action.REDACTED, Action.REPORTED),
        Verb.REFUSE: (Action.DENIED, Action.REFUSED, Action.TURNED_AWAY),
        Verb.OTHER: (Action.ABANDONED, Action.FAILED),
    },
    Family.READING: {
        Verb.QUERY: (Action.RETRIEVED,),
        Verb.READ: (Action.SOURCE_VIEWED,),
        Verb.DECRYPT: (Action.REVEALED,),
    },
    Family.DOCUMENT: {
        Verb.CREATE: (Action.INGESTED,),
        Verb.START: (Action.INGEST_STARTED,),
        Verb.STOP: (Action.INGEST_FINISHED,),
        Verb.REFUSE: (Action.QUARANTINED,),
        Verb.UPDATE: (Action.RELABELLED,),
        Verb.DELETE: (Action.ERASED,),
    },
    Family.ENTITY: {
        Verb.CREATE: (Action.KEY_MADE, Action.API_KEY_MADE),
        Verb.READ: (Action.QUEUE_READ,),
        Verb.UPDATE: (
            Action.POLICY_LOADED,
            Action.KEYS_ROTATED,
            Action.API_KEY_ROTATED,
            Action.RELATIONS_CHANGED,
            Action.CONSENT_CHANGED,
            Action.REVIEWED,
            Action.USER_LISTED,
        ),
        Verb.DELETE: (Action.API_KEY_REVOKED,),
        Verb.ENABLE: (Action.BROKE_GLASS,),
        Verb.DISABLE: (Action.GLASS_ENDED,),
    },
    Family.LOGIN: {Verb.LOGON: (Action.AUTHENTICATED_FAILED,)},
    Family.SERVICE: {Verb.START: (Action.STARTED,), Verb.STOP: (Action.STOPPED,)},
    Family.LOG: {
        Verb.READ: (Action.AUDIT_READ,),
        Verb.DECRYPT: (Action.UNSEALED,),
        Verb.EXPORT: (Action.EXPORTED,),
        Verb.UPDATE: (Action.RECOVERED,),
    },
    Family.NETWORK: {Verb.REFUSE: (Action.EGRESS_BLOCKED,)},
    Family.ALARM: {Verb.CREATE: (Action.DISAGREED, Action.FEED_DARK)},
}

KINDS: Final[Mapping[Action, Kind]] = {
    action: Kind(family, verb)
    for family, verbs in _KINDS.items()
    for verb, actions in verbs.items()
    for action in actions
}
"""The kind of every action. A new action needs its place above, as a test says."""
