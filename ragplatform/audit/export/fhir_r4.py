"""Records as AuditEvent resources of FHIR R4, after IHE's Basic Audit Log Patterns."""

from typing import Final

from ragplatform.audit.events import Outcome
from ragplatform.audit.export import fhir_codes as codes
from ragplatform.audit.export import reading
from ragplatform.audit.export.fhir_codes import Code
from ragplatform.audit.record import Record, stamp
from ragplatform.model import Json

# The log holds no addresses, which BALP wants agents to have.
_UNKNOWN_ADDRESS: Final[Json] = {
    "_address": {
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                "valueCode": "unknown",
            }
        ]
    }
}

# 8, "Serious failure", is the action's end by us or by policy; 12 would be the system's.
_OUTCOMES: Final = {Outcome.SUCCESS: "0", Outcome.DENIED: "8", Outcome.FAILURE: "8"}


def event(record: Record) -> dict[str, Json]:
    """Return the record as one AuditEvent, its id being the leaf hash."""
    what = codes.event_of(record)
    found: dict[str, Json] = {
        "resourceType": "AuditEvent",
        "id": record.leaf.hex(),
        "type": what.type.coding(),
        "subtype": [code.coding() for code in (*what.subtypes, codes.own_code(record))],
        "action": what.action,
        "recorded": stamp(record.time),
        "outcome": _OUTCOMES[record.outcome],
        "outcomeDesc": codes.clean(reading.reason(record) or str(record.outcome)),
        "agent": _agents(record),
        "source": {
            "site": codes.clean(record.origin),
            "observer": codes.identified("origin", record.origin),
            "type": [codes.APPLICATION_SERVER.coding()],
        },
        "entity": _entities(record),
    }
    if profile := codes.profile_of(record):
        found["meta"] = {"profile": [profile]}
    if purpose := codes.purpose_of(record):
        found["purposeOfEvent"] = [purpose.concept()]
    return found


def _agents(record: Record) -> list[Json]:
    unknown: dict[str, Json] = {"display": "not recorded"}
    client = codes.identified("client", record.client) if record.client else unknown
    user: dict[str, Json] = {
        "type": codes.USER.concept(),
        "who": codes.identified("actor", record.actor),
        "requestor": True,
    }
    if policy := codes.policy_uri(record):
        user["policy"] = policy
    if purpose := codes.purpose_of(record):
        user["purposeOfUse"] = [purpose.concept()]
    server = codes.identified("origin", record.origin)
    return [user, _machine(codes.CLIENT, client), _machine(codes.SERVER, server)]


def _machine(kind: Code, who: dict[str, Json]) -> dict[str, Json]:
    return {
        "type": kind.concept(),
        "who": who,
        "requestor": False,
        "network": _UNKNOWN_ADDRESS,
    }


def _entities(record: Record) -> list[Json]:
    role = codes.PATIENT if codes.is_health(record) else codes.CUSTOMER
    found: list[Json] = [
        {
            "what": codes.person(record, subject),
            "type": codes.PERSON.coding(),
            "role": role.coding(),
        }
        for subject in record.subjects
    ]
    found += [
        {
            "what": codes.identified("document", passage.document),
            "type": codes.OBJECT.coding(),
            "role": codes.RESOURCE.coding(),
            "detail": [_detail("passage", passage.chunk)],
        }
        for passage in reading.passages(record)
    ]
    if record.request_id:
        request = {"identifier": {"value": codes.clean(record.request_id)}}
        found.append({"what": request, "type": codes.REQUEST.coding()})
    return [*found, _evidence(record)]


def _evidence(record: Record) -> dict[str, Json]:
    """Return the record itself: where it stands in the log, and what else it holds."""
    return {
        "what": codes.identified("audit-record", reading.uid(record)),
        "type": codes.OTHER.coding(),
        "role": codes.SECURITY.coding(),
        "detail": [_detail(name, value) for name, value in codes.further(record).items()],
    }


def _detail(name: str, value: str) -> dict[str, Json]:
    return {"type": name, "valueString": codes.clean(value)}
