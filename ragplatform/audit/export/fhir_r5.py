"""Records as AuditEvent resources of FHIR R5.

IHE publishes its patterns for R4 alone: the same codes stand here in R5's shape, and no profile is
claimed.
"""

from collections.abc import Mapping
from typing import Final

from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.export import fhir_codes as codes
from ragplatform.audit.export import reading
from ragplatform.audit.export.fhir_codes import Code
from ragplatform.audit.export.kinds import Family, kind_of
from ragplatform.audit.record import Record, stamp
from ragplatform.model import Json

_SEVERITY: Final = "http://hl7.org/fhir/issue-severity"
_OUTCOMES: Final[Mapping[Outcome, Code]] = {
    Outcome.SUCCESS: Code(_SEVERITY, "success", "Operation Successful"),
    Outcome.DENIED: Code(_SEVERITY, "error", "Error"),
    Outcome.FAILURE: Code(_SEVERITY, "fatal", "Fatal"),
}
_SEVERITIES: Final[Mapping[Outcome, str]] = {
    Outcome.SUCCESS: "informational",
    Outcome.DENIED: "warning",
    Outcome.FAILURE: "error",
}


def event(record: Record) -> dict[str, Json]:
    """Return the record as one AuditEvent, its id being the leaf hash."""
    what = codes.event_of(record)
    named = (codes.own_code(record), *what.subtypes)
    found: dict[str, Json] = {
        "resourceType": "AuditEvent",
        "id": record.leaf.hex(),
        "category": [what.type.concept()],
        "code": {"coding": [code.coding() for code in named]},
        "action": what.action,
        "severity": _severity(record),
        "recorded": stamp(record.time),
        "outcome": {
            "code": _OUTCOMES[record.outcome].coding(),
            "detail": [{"text": codes.clean(reading.reason(record) or str(record.outcome))}],
        },
        "agent": _agents(record),
        "source": {
            "site": {"display": codes.clean(record.origin)},
            "observer": codes.identified("origin", record.origin),
            "type": [codes.APPLICATION_SERVER.concept()],
        },
        "entity": _entities(record),
    }
    if purpose := codes.purpose_of(record):
        found["authorization"] = [purpose.concept()]
    people = record.subjects
    if codes.is_health(record) and len(people) == 1:
        found["patient"] = codes.person(record, people[0])
    return found


def _severity(record: Record) -> str:
    if kind_of(record.action).family is Family.ALARM or record.action is Action.BROKE_GLASS:
        return "alert"
    return _SEVERITIES[record.outcome]


def _agents(record: Record) -> list[Json]:
    user: dict[str, Json] = {
        "type": codes.USER.concept(),
        "who": codes.identified("actor", record.actor),
        "requestor": True,
    }
    if policy := codes.policy_uri(record):
        user["policy"] = policy
    if purpose := codes.purpose_of(record):
        user["authorization"] = [purpose.concept()]
    found: list[Json] = [user]
    if record.client:
        found.append(_machine(codes.CLIENT, codes.identified("client", record.client)))
    return [*found, _machine(codes.SERVER, codes.identified("origin", record.origin))]


def _machine(kind: Code, who: dict[str, Json]) -> dict[str, Json]:
    return {"type": kind.concept(), "who": who, "requestor": False}


def _entities(record: Record) -> list[Json]:
    role = codes.PATIENT if codes.is_health(record) else codes.CUSTOMER
    found: list[Json] = [
        {"what": codes.person(record, subject), "role": role.concept()}
        for subject in record.subjects
    ]
    found += [
        {
            "what": codes.identified("document", passage.document),
            "role": codes.RESOURCE.concept(),
            "detail": [_detail("passage", passage.chunk)],
        }
        for passage in reading.passages(record)
    ]
    if record.request_id:
        request = {"identifier": {"value": codes.clean(record.request_id)}}
        found.append({"what": request, "role": codes.REQUEST.concept()})
    return [*found, _evidence(record)]


def _evidence(record: Record) -> dict[str, Json]:
    """Return the record itself: where it stands in the log, and what else it holds."""
    return {
        "what": codes.identified("audit-record", reading.uid(record)),
        "role": codes.SECURITY.concept(),
        "detail": [_detail(name, value) for name, value in codes.further(record).items()],
    }


def _detail(name: str, value: str) -> dict[str, Json]:
    return {"type": {"text": name}, "valueString": codes.clean(value)}
