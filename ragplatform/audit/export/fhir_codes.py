"""What a record is in the code systems of DICOM, HL7 and IHE, for both releases of FHIR.

Source: IHE Basic Audit Log Patterns 1.1 (https://profiles.ihe.net/ITI/BALP), which profiles FHIR R4
AuditEvent; DICOM PS3.16, CID 400 and 401, for the events.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.export import reading
from ragplatform.audit.export.kinds import Family, Verb, kind_of
from ragplatform.audit.record import Record, canonical
from ragplatform.model import Json

BALP: Final = "https://profiles.ihe.net/ITI/BALP"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_HL7: Final = "http://terminology.hl7.org/CodeSystem"
_LIFECYCLE: Final = f"{_HL7}/iso-21089-lifecycle"
_REST: Final = "http://hl7.org/fhir/restful-interaction"

# The purposes that are codes of HL7; the others are codes of ours.
_HEALTH: Final = frozenset({"TREAT", "ETREAT", "HPAYMT", "HOPERAT", "HRESCH", "PATRQT"})

# FHIR strings hold no control characters but tab and line ends. Source: FHIR, data type string.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a code system."""

    system: str
    code: str
    display: str

    def coding(self) -> dict[str, Json]:
        """Return it as FHIR's Coding."""
        return {"system": self.system, "code": self.code, "display": self.display}

    def concept(self) -> dict[str, Json]:
        """Return it as FHIR's CodeableConcept."""
        return {"coding": [self.coding()]}


def dicom(code: str, display: str) -> Code:
    """Return a code of DICOM's ontology."""
    return Code(_DCM, code, display)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: its type, the standard subtypes, and one of C, R, U, D and E."""

    type: Code
    subtypes: tuple[Code, ...]
    action: str


QUERY: Final = dicom("110112", "Query")
EXPORT: Final = dicom("110106", "Export")
IMPORT: Final = dicom("110107", "Import")
ALERT: Final = dicom("110113", "Security Alert")
LOG_USED: Final = dicom("110101", "Audit Log Used")
APPLICATION: Final = dicom("110100", "Application Activity")
AUTHENTICATION: Final = dicom("110114", "User Authentication")
REST: Final = Code(f"{_HL7}/audit-event-type", "rest", "Restful Operation")
READ: Final = Code(_REST, "read", "read")
DISCLOSE: Final = Code(_LIFECYCLE, "disclose", "Disclose Record Lifecycle Event")
AMEND: Final = Code(_LIFECYCLE, "amend", "Amend Record Lifecycle Event")
DESTROY: Final = Code(_LIFECYCLE, "destroy", "Destroy/Delete Record Lifecycle Event")
ATTRIBUTES: Final = dicom("110137", "User Security Attributes Changed")

SERVER: Final = dicom("110153", "Source Role ID")
CLIENT: Final = dicom("110152", "Destination Role ID")
USER: Final = Code(f"{_HL7}/v3-ParticipationType", "IRCP", "information recipient")
APPLICATION_SERVER: Final = Code(f"{_HL7}/security-source-type", "4", "Application Server")

PERSON: Final = Code(f"{_HL7}/audit-entity-type", "1", "Person")
OBJECT: Final = Code(f"{_HL7}/audit-entity-type", "2", "System Object")
OTHER: Final = Code(f"{_HL7}/audit-entity-type", "4", "Other")
REQUEST: Final = Code(
    f"{BALP}/CodeSystem/BasicAuditEntityType",
    "XrequestId",
    "transport specific unique identifier where http X-Request-Id is used",
)
PATIENT: Final = Code(f"{_HL7}/object-role", "1", "Patient")
CUSTOMER: Final = Code(f"{_HL7}/object-role", "19", "Customer")
RESOURCE: Final = Code(f"{_HL7}/object-role", "4", "Domain Resource")
SECURITY: Final = Code(f"{_HL7}/object-role", "13", "Security Resource")

_BY_FAMILY: Final[Mapping[Family, Event]] = {
    Family.QUESTION: Event(QUERY, (), "E"),
    Family.READING: Event(EXPORT, (DISCLOSE,), "R"),
    Family.DOCUMENT: Event(IMPORT, (), "C"),
    Family.ENTITY: Event(ALERT, (ATTRIBUTES,), "U"),
    Family.LOGIN: Event(AUTHENTICATION, (dicom("110122", "Login"),), "E"),
    Family.SERVICE: Event(APPLICATION, (), "E"),
    Family.LOG: Event(LOG_USED, (), "R"),
    Family.NETWORK: Event(ALERT, (), "E"),
    Family.ALARM: Event(ALERT, (), "E"),
}

_BY_ACTION: Final[Mapping[Action, Event]] = {
    Action.SOURCE_VIEWED: Event(REST, (READ,), "R"),
    Action.DENIED: Event(
        ALERT,
        (
            Code(
                f"{BALP}/CodeSystem/AuthZsubType",
                "AuthZ-Role",
                "Authorization Decision using only Roles",
            ),
        ),
        "E",
    ),
    Action.STARTED: Event(APPLICATION, (dicom("110120", "Application Start"),), "E"),
    Action.STOPPED: Event(APPLICATION, (dicom("110121", "Application Stop"),), "E"),
    Action.BROKE_GLASS: Event(ALERT, (dicom("110127", "Emergency Override Started"),), "E"),
    Action.GLASS_ENDED: Event(ALERT, (dicom("110138", "Emergency Override Stopped"),), "E"),
}

_BY_VERB: Final[Mapping[tuple[Family, Verb], Event]] = {
    (Family.DOCUMENT, Verb.UPDATE): Event(AMEND, (), "U"),
    (Family.DOCUMENT, Verb.DELETE): Event(DESTROY, (), "D"),
}


def event_of(record: Record) -> Event:
    """Return what happened, in codes."""
    kind = kind_of(record.action)
    special = _BY_ACTION.get(record.action) or _BY_VERB.get((kind.family, kind.verb))
    return special or _BY_FAMILY[kind.family]


def own_code(record: Record) -> Code:
    """Return the word of our own vocabulary, which says most precisely what happened."""
    return Code("urn:ragplatform:audit-action", str(record.action), str(record.action))


def purpose_of(record: Record) -> Code | None:
    """Return why it was done, as a code, if the record says so."""
    if record.purpose is None:
        return None
    system = f"{_HL7}/v3-ActReason" if is_health(record) else "urn:ragplatform:purpose"
    return Code(system, clean(record.purpose), clean(record.purpose))


def is_health(record: Record) -> bool:
    """Return whether the purpose is one of health care, so that people are patients."""
    return record.purpose in _HEALTH


def profile_of(record: Record) -> str:
    """Return the BALP profile that the record fulfils; empty where it fulfils none.

    Read and PatientRead are for one data object, and those with a patient for one patient; a
    record of more follows the same pattern but claims no profile.
    """
    if record.outcome is not Outcome.SUCCESS or not reading.passages(record):
        return ""
    one_patient = is_health(record) and len(record.subjects) == 1
    if record.action is Action.SOURCE_VIEWED:
        if len(reading.passages(record)) > 1:
            return ""
        name = "PatientRead" if one_patient else "Read"
    elif kind_of(record.action).family is Family.READING and one_patient:
        name = "PrivacyDisclosure.Source"
    else:
        return ""
    return f"{BALP}/StructureDefinition/IHE.BasicAudit.{name}"


def clean(text: str) -> str:
    """Return the text as FHIR allows a string to be: not blank, without control characters."""
    cleaned = _CONTROL.sub("\ufffd", text)
    return cleaned if cleaned.strip() else "unknown"


def identified(system: str, value: str) -> dict[str, Json]:
    """Return a reference to something of ours by its identifier."""
    return {"identifier": {"system": f"urn:ragplatform:{system}", "value": clean(value)}}


def person(record: Record, subject: str) -> dict[str, Json]:
    """Return a reference to a person by the digest that stands for it."""
    kind: dict[str, Json] = {"type": "Patient"} if is_health(record) else {}
    return {**kind, **identified("subject", subject)}


def further(record: Record) -> dict[str, str]:
    """Return what a record holds beyond what FHIR has fields for, by name; only what there is."""
    found = {
        "leaf": record.leaf.hex(),
        "tenant": record.tenant,
        "proof": record.proof,
        "trace": record.trace,
        "details": canonical(reading.plain(record.details)).decode(),
        "sealed": " ".join(reading.sealed_parts(record)),
    }
    return {name: value for name, value in found.items() if value}


def policy_uri(record: Record) -> list[Json]:
    """Return the policies in force as a list of one URI, or of none."""
    found = re.fullmatch("[0-9a-f]+", record.policy)
    return [f"urn:ragplatform:policy:{record.policy}"] if found else []
