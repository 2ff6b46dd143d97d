"""What a source looks at in a FHIR resource: name, version, patient, marks; and its document."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Resource = Mapping[str, Any]

_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_PATIENT: Final = re.compile(r"(?:^|/)Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]*)?$")
# Whose data a resource is. Source: the Patient compartment of FHIR R4 and R5.
_WHOSE: Final = ("subject", "patient", "beneficiary", "individual", "candidate", "for")
# By what a person is known, and what a question would name them by: nothing else of the patient
# belongs into every document about them.
_KNOWN_BY: Final = ("resourceType", "id", "identifier", "name", "gender", "birthDate")
_MOST_FACTS: Final = 64
_LONGEST_FACT: Final = 400


def json_map(line: bytes) -> Resource:
    """Return the JSON object that a line holds, an empty one when it holds none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def parsed(line: bytes) -> Resource | None:
    """Return the resource that a line holds, or None when it is no resource with an id."""
    value = json_map(line)
    kind, identity = value.get("resourceType"), value.get("id")
    if not isinstance(kind, str) or not isinstance(identity, str):
        return None
    return value if _TYPE.fullmatch(kind) and _ID.fullmatch(identity) else None


def name_of(kind: str, identity: str) -> str:
    """Return under which name a resource is a document."""
    return f"{kind}/{identity}.json"


def name_of_reference(reference: object) -> str | None:
    """Return the name of what a relative reference points at, None when it is none."""
    kind, slash, identity = str(reference).partition("/")
    if slash and _TYPE.fullmatch(kind) and _ID.fullmatch(identity):
        return name_of(kind, identity)
    return None


def reference_of_name(name: str) -> str:
    """Return the relative reference of a document's name."""
    return name.removesuffix(".json")


def patient_of(resource: Resource) -> str:
    """Return the id of the patient whose data the resource is, ``""`` for nobody's."""
    for field in _WHOSE:
        value = resource.get(field)
        for one in value if isinstance(value, list) else [value]:
            reference = one.get("reference") if isinstance(one, dict) else None
            if isinstance(reference, str) and (found := _PATIENT.search(reference)):
                return found[1]
    return ""


def version_of(resource: Resource, line: bytes, patient: str) -> str:
    """Return a word that changes with the resource, or with what its document says of its patient.

    ``patient`` is a digest of the latter. Where the server tells no version, the bytes do.
    """
    meta = resource.get("meta")
    fields = meta if isinstance(meta, dict) else {}
    told = [str(fields.get(key) or "") for key in ("versionId", "lastUpdated")]
    parts = told if any(told) else [hashlib.sha256(line).hexdigest()]
    return hashlib.sha256("\0".join([*parts, patient]).encode()).hexdigest()[:32]


def modified_of(resource: Resource) -> str:
    """Return when the server says that the resource last changed, ``""`` if it does not."""
    meta = resource.get("meta")
    return str(meta.get("lastUpdated") or "")[:40] if isinstance(meta, dict) else ""


def facts_of(resource: Resource) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return what mapping rules may look at, and why that is not all, ``""`` where it is.

    Marks (``security``, ``tag``, ``category``) stand twice: with their system as ``system|code``,
    and alone.
    """
    facts = [("type", str(resource.get("resourceType")))]
    meta = resource.get("meta", {})
    if not isinstance(meta, dict):
        return tuple(facts), "its meta is not of its form"
    try:
        for field in ("security", "tag"):
            facts += _codings(field, meta.get(field) or [])
        facts += [("profile", _text(one)) for one in _list(meta.get("profile") or [])]
        categories = resource.get("category") or []
        for one in categories if isinstance(categories, list) else [categories]:
            facts += _codings("category", one.get("coding") or []) if isinstance(one, dict) else []
    except TypeError:
        # A mark that cannot be read may be the one that closes the document.
        return tuple(facts), "its marks are not of their form"
    if patient := patient_of(resource):
        facts.append(("patient", patient))
    if len(facts) > _MOST_FACTS or any(len(value) > _LONGEST_FACT for _, value in facts):
        return tuple(facts[:1]), "its marks are too many or too long"
    return tuple(facts), ""


def _codings(field: str, rows: object) -> Iterator[tuple[str, str]]:
    """Yield each coding twice. Raises ``TypeError`` for what is none."""
    for row in _list(rows):
        if not isinstance(row, dict):
            raise TypeError
        code, system = _text(row.get("code", "")), _text(row.get("system", ""))
        if system:
            yield field, f"{system}|{code}"
        yield field, code


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def stub_of(patient: Resource) -> bytes:
    """Return the patient with nothing but what a document about them needs to be found by."""
    known = {key: patient[key] for key in _KNOWN_BY if key in patient}
    return json.dumps(known, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")


def document_of(line: bytes, stub: bytes) -> bytes:
    """Return a document of one resource: with its patient beside it, where that is known.

    An observation alone is about ``Patient/123``: no question by a name or a record number would
    ever find it, and no relation that knows people by those would open it.
    """
    if not stub:
        return line
    parts = (b'{"resource":' + one + b"}" for one in (stub, line))
    return b'{"resourceType":"Bundle","type":"collection","entry":[' + b",".join(parts) + b"]}"


def linked_attachments(resource: Resource) -> Iterator[dict[str, Any]]:
    """Yield the attachments of a DocumentReference or DiagnosticReport that lie elsewhere."""
    rows = [
        *_maps(resource.get("content")),
        *({"attachment": one} for one in _maps(resource.get("presentedForm"))),
    ]
    for row in rows:
        found = row.get("attachment")
        if isinstance(found, dict) and isinstance(found.get("url"), str) and "data" not in found:
            yield found


def _maps(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
