"""Records as events of the Open Cybersecurity Schema Framework, with its integrity profile.

Source: OCSF 1.9.0 (https://schema.ocsf.io/1.9.0), whose ``record_integrity`` profile lets an event
carry attestations. Ours holds the digest of the event in canonical form (RFC 8785) and names the
log as its chain. ``raw_data_hash`` is the leaf hash of the record: the link to the signed log.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from ragplatform import __version__
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.export import reading
from ragplatform.audit.export.kinds import Family, Kind, Verb, kind_of
from ragplatform.audit.record import Record, canonical, stamp
from ragplatform.model import Json

VERSION: Final = "1.9.0"

_PRODUCT: Final = "ragplatform"
_OTHER: Final = 99

_CLASSES: Final[Mapping[Family, tuple[int, str]]] = {
    Family.QUESTION: (6003, "API Activity"),
    Family.READING: (6005, "Datastore Activity"),
    Family.DOCUMENT: (6005, "Datastore Activity"),
    Family.ENTITY: (3004, "Entity Management"),
    Family.LOGIN: (3002, "Authentication"),
    Family.SERVICE: (6002, "Application Lifecycle"),
    Family.LOG: (1008, "Event Log Activity"),
    Family.NETWORK: (4001, "Network Activity"),
    Family.ALARM: (2004, "Detection Finding"),
}

# What no class has a number for is 99, "Other", and then named by the action itself.
_ACTIVITIES: Final[Mapping[int, Mapping[Verb, tuple[int, str]]]] = {
    6003: {Verb.CREATE: (1, "Create"), Verb.READ: (2, "Read")},
    6005: {
        Verb.READ: (1, "Read"),
        Verb.UPDATE: (2, "Update"),
        Verb.QUERY: (4, "Query"),
        Verb.CREATE: (5, "Write"),
        Verb.DELETE: (7, "Delete"),
        Verb.DECRYPT: (10, "Decrypt"),
    },
    3004: {
        Verb.CREATE: (1, "Create"),
        Verb.READ: (2, "Read"),
        Verb.UPDATE: (3, "Update"),
        Verb.DELETE: (4, "Delete"),
        Verb.ENABLE: (8, "Enable"),
        Verb.DISABLE: (9, "Disable"),
    },
    3002: {Verb.LOGON: (1, "Logon")},
    6002: {Verb.START: (3, "Start"), Verb.STOP: (4, "Stop")},
    1008: {Verb.EXPORT: (3, "Export"), Verb.ARCHIVE: (4, "Archive")},
    4001: {Verb.REFUSE: (5, "Refuse")},
    2004: {Verb.CREATE: (1, "Create")},
}

_SEVERITIES: Final[Mapping[Outcome, tuple[int, str]]] = {
    Outcome.SUCCESS: (1, "Informational"),
    Outcome.DENIED: (2, "Low"),
    Outcome.FAILURE: (3, "Medium"),
}


def event(record: Record) -> dict[str, Json]:
    """Return the record as one OCSF event, attested."""
    kind = kind_of(record.action)
    number, name = _CLASSES[kind.family]
    other = (_OTHER, str(record.action))
    activity, activity_name = _ACTIVITIES[number].get(kind.verb, other)
    severity, severity_name = _severity(record, kind)
    succeeded = record.outcome is Outcome.SUCCESS
    found: dict[str, Json] = {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": number // 1000,
        "class_name": name,
        "class_uid": number,
        "message": f"{record.action}: {record.outcome}",
        "metadata": _metadata(record, kind),
        "raw_data_hash": _leaf(record),
        "severity": severity_name,
        "severity_id": severity,
        "status": "Success" if succeeded else "Failure",
        "status_detail": reading.reason(record) or str(record.outcome),
        "status_id": 1 if succeeded else 2,
        "time": reading.milliseconds(record.time),
        "type_uid": number * 100 + activity,
        "unmapped": _unmapped(record),
        **_PARTS[kind.family](record),
    }
    return _attested(record, found)


def _severity(record: Record, kind: Kind) -> tuple[int, str]:
    if kind.family is Family.ALARM or record.action is Action.BROKE_GLASS:
        return 4, "High"
    return _SEVERITIES[record.outcome]


def _metadata(record: Record, kind: Kind) -> dict[str, Json]:
    profiles: list[Json] = ["record_integrity"]
    if kind.family is Family.QUESTION and reading.text(record, "model"):
        profiles.insert(0, "ai_operation")
    if kind.family is Family.QUESTION and reading.trace(record):
        profiles.append("trace")
    found: dict[str, Json] = {
        "event_code": str(record.action),
        "log_name": record.origin,
        "log_provider": _PRODUCT,
        "original_time": stamp(record.time),
        "product": {"name": _PRODUCT, "vendor_name": _PRODUCT, "version": __version__},
        "profiles": profiles,
        "sequence": record.index,
        "uid": reading.uid(record),
        "version": VERSION,
    }
    if record.request_id:
        found["correlation_uid"] = record.request_id
    if record.tenant:
        found["tenant_uid"] = record.tenant
    return found


def _unmapped(record: Record) -> dict[str, Json]:
    return {
        # Some classes have no place for who did it.
        "actor": record.actor,
        "details": _without_floats(record.details),
        "purpose": record.purpose,
        "sealed": list(reading.sealed_parts(record)),
    }


def _attested(record: Record, found: dict[str, Json]) -> dict[str, Json]:
    """Return the event with its digest, which is over all but the digest itself.

    The previous event is named by its place alone: its digest would hang on what an export leaves
    out. What binds one record to the next is the log's Merkle tree.
    """
    attestation: dict[str, Json] = {
        "authority_uid": record.origin,
        "chain_uid": record.origin,
        "uid": f"{reading.uid(record)}/attestation",
    }
    if record.index:
        attestation["prev_event"] = {"uid": f"{record.origin}/{record.index - 1}"}
    found["attestation_list"] = [attestation]
    digest = hashlib.sha256(canonical(found)).hexdigest()
    attestation["fingerprint"] = {
        "algorithm": "SHA-256",
        "algorithm_id": 3,
        "encoding": "Hex",
        "encoding_id": 1,
        "serialization": "JCS",
        "serialization_id": 2,
        "value": digest,
    }
    return found


def _leaf(record: Record) -> dict[str, Json]:
    return {
        "algorithm": "RFC 9162 leaf hash: SHA-256 over a zero byte and the record",
        "algorithm_id": _OTHER,
        "encoding": "Hex",
        "encoding_id": 1,
        "value": record.leaf.hex(),
    }


def _without_floats(value: Json) -> Json:
    """Return the value with its floats as text: RFC 8785 writes some unlike Python does."""
    plain = reading.plain(value)
    if isinstance(plain, dict):
        return {name: _without_floats(inner) for name, inner in plain.items()}
    if isinstance(plain, list):
        return [_without_floats(inner) for inner in plain]
    return str(plain) if isinstance(plain, float) else plain


def _user(record: Record) -> dict[str, Json]:
    user: dict[str, Json] = {"type_id": 0, "uid": record.actor or "unknown"}
    if record.tenant:
        user["org"] = {"uid": record.tenant}
    return user


def _actor(record: Record) -> dict[str, Json]:
    actor: dict[str, Json] = {"user": _user(record)}
    if via := reading.client(record):
        actor["app_uid"] = via
    return actor


# The log holds no addresses; where a class wants an endpoint, it says so.
_UNRECORDED: Final[Mapping[str, Json]] = {"name": "not recorded"}


def _of_question(record: Record) -> dict[str, Json]:
    request: dict[str, Json] = {"request": {"uid": record.request_id}} if record.request_id else {}
    found: dict[str, Json] = {
        "actor": _actor(record),
        "api": {"operation": str(record.action), "service": {"name": _PRODUCT}, **request},
        "src_endpoint": _UNRECORDED,
        "resources": _resources(record),
    }
    if trace := reading.trace(record):
        found["trace"] = {"uid": trace}
    if model := reading.text(record, "model"):
        found["ai_model"] = {"ai_provider": "self-hosted", "name": model}
    return {name: value for name, value in found.items() if value}


def _of_store(record: Record) -> dict[str, Json]:
    chunks = (passage.chunk for passage in reading.passages(record))
    listed = [name for name in (*chunks, *reading.documents(record)) if name]
    return {
        "actor": _actor(record),
        # Type 7 is "Vector", and 99 would be "Other".
        "database": {"name": "passages", "type": "Vector", "type_id": 7},
        "src_endpoint": _UNRECORDED,
        **({"observables": [_observable(name) for name in listed]} if listed else {}),
    }


def _of_entity(record: Record) -> dict[str, Json]:
    named = ("principal", "subject", "opening", "key", "policy")
    found = next((reading.text(record, name) for name in named if reading.text(record, name)), "")
    return {
        "actor": _actor(record),
        "entity": {"type": str(record.action), "uid": found or reading.uid(record)},
    }


def _of_login(record: Record) -> dict[str, Json]:
    return {"service": {"name": _PRODUCT}, "user": _user(record)}


def _of_service(record: Record) -> dict[str, Json]:
    return {"app": {"name": _PRODUCT, "uid": record.origin, "version": __version__}}


def _of_log(record: Record) -> dict[str, Json]:
    return {"actor": _actor(record), "log_name": reading.text(record, "origin") or record.origin}


def _of_network(record: Record) -> dict[str, Json]:
    host = reading.text(record, "host") or "unknown"
    return {"dst_endpoint": {"name": host}, "src_endpoint": {"svc_name": _PRODUCT}}


def _of_alarm(record: Record) -> dict[str, Json]:
    return {"finding_info": {"title": str(record.action), "uid": reading.uid(record)}}


def _resources(record: Record) -> list[Json]:
    return [{"type": "document", "uid": document} for document in reading.documents(record)]


def _observable(name: str) -> dict[str, Json]:
    # Type 10 is "Resource UID".
    return {"name": "database.passages", "type": "Resource UID", "type_id": 10, "value": name}


_PARTS: Final[Mapping[Family, Callable[[Record], dict[str, Json]]]] = {
    Family.QUESTION: _of_question,
    Family.READING: _of_store,
    Family.DOCUMENT: _of_store,
    Family.ENTITY: _of_entity,
    Family.LOGIN: _of_login,
    Family.SERVICE: _of_service,
    Family.LOG: _of_log,
    Family.NETWORK: _of_network,
    Family.ALARM: _of_alarm,
}
