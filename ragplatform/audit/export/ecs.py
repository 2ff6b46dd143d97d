"""Records as documents of the Elastic Common Schema.

Source: ECS 9.4 (https://www.elastic.co/docs/reference/ecs). What it has no field for stands under
``ragplatform``, outside its field sets, as it asks custom fields to.
"""

from collections.abc import Mapping
from typing import Final

from ragplatform import __version__
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.export import reading
from ragplatform.audit.export.kinds import Family, Kind, Verb, kind_of
from ragplatform.audit.record import Record, stamp
from ragplatform.model import Json

VERSION: Final = "9.4.0"

_CATEGORIES: Final[Mapping[Family, str]] = {
    Family.QUESTION: "api",
    Family.READING: "database",
    Family.DOCUMENT: "database",
    Family.ENTITY: "iam",
    Family.LOGIN: "authentication",
    Family.SERVICE: "process",
    Family.LOG: "database",
    Family.NETWORK: "network",
    Family.ALARM: "intrusion_detection",
}

# Only what ECS expects with the category; any other verb is "info", which all of them know.
_TYPES: Final[Mapping[str, Mapping[Verb, str]]] = {
    "api": {Verb.READ: "access", Verb.CREATE: "access", Verb.REFUSE: "denied"},
    "database": {
        Verb.QUERY: "access",
        Verb.READ: "access",
        Verb.DECRYPT: "access",
        Verb.EXPORT: "access",
        Verb.CREATE: "change",
        Verb.UPDATE: "change",
        Verb.DELETE: "change",
        Verb.ARCHIVE: "change",
    },
    "iam": {
        Verb.CREATE: "creation",
        Verb.UPDATE: "change",
        Verb.DELETE: "deletion",
        Verb.ENABLE: "change",
        Verb.DISABLE: "change",
    },
    "authentication": {Verb.LOGON: "start"},
    "process": {Verb.START: "start", Verb.STOP: "end"},
    "network": {Verb.REFUSE: "denied"},
    "intrusion_detection": {},
}

# ECS knows no denial; what policy denied did not succeed.
_OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.SUCCESS: "success",
    Outcome.DENIED: "failure",
    Outcome.FAILURE: "failure",
}


def event(record: Record) -> dict[str, Json]:
    """Return the record as one ECS document, nested."""
    kind = kind_of(record.action)
    found: dict[str, Json] = {
        "@timestamp": stamp(record.time),
        "ecs": {"version": VERSION},
        "event": _event(record, kind),
        "log": {"logger": record.origin},
        "message": f"{record.action}: {record.outcome}",
        "ragplatform": _own(record),
        "related": {"hash": [record.leaf.hex()], "user": [record.actor]},
        "service": {
            "name": "ragplatform",
            "node": {"name": record.origin.partition(".")[0]},
            "type": "ragplatform",
            "version": __version__,
        },
        "user": {"id": record.actor},
    }
    if record.tenant:
        found["organization"] = {"id": record.tenant}
    if record.request_id:
        found["http"] = {"request": {"id": record.request_id}}
    if trace := reading.trace(record):
        found["trace"] = {"id": trace}
    if policy := reading.policy(record):
        found["rule"] = {"ruleset": "policies", "version": policy}
    if model := reading.text(record, "model"):
        found["gen_ai"] = {"request": {"model": model}}
    if host := reading.text(record, "host"):
        found["destination"] = {"address": host}
    return found


def _event(record: Record, kind: Kind) -> dict[str, Json]:
    category = _CATEGORIES[kind.family]
    alarm = kind.family is Family.ALARM or record.action is Action.BROKE_GLASS
    found: dict[str, Json] = {
        "action": str(record.action),
        "category": [category],
        "dataset": "ragplatform.audit",
        "hash": record.leaf.hex(),
        "id": reading.uid(record),
        "kind": "alert" if alarm else "event",
        "module": "ragplatform",
        "outcome": _OUTCOMES[record.outcome],
        "provider": "ragplatform",
        "sequence": record.index,
        "type": [_TYPES[category].get(kind.verb, "info")],
    }
    if why := reading.reason(record):
        found["reason"] = why
    return found


def _own(record: Record) -> dict[str, Json]:
    return {
        "details": reading.plain(record.details),
        "documents": list(reading.documents(record)),
        "leaf": record.leaf.hex(),
        "outcome": str(record.outcome),
        "passages": [passage.chunk for passage in reading.passages(record)],
        "policies": list(reading.policies(record)),
        "purpose": record.purpose,
        "sealed": list(reading.sealed_parts(record)),
        "subjects": list(reading.subjects(record)),
        "via": reading.client(record),
    }
