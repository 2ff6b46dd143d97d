"""C-CDA documents: the header's people and dates, each section with its narrative and its codes."""

from collections.abc import Iterator
from typing import Final

from ingest.parse.cda_entries import coded_lines, concept
from ingest.parse.document import Claims, ParsedDocument, SubjectId, TextBuilder, clean
from ingest.parse.embedded import add_embedded, decode_base64
from ingest.parse.hl7_types import moment
from ingest.parse.kind import Kind
from ingest.parse.safe_xml import (
    Element,
    children,
    find,
    find_all,
    local,
    read_xml,
    text_at,
    text_of,
)
from ragplatform.errors import ParseError

_SSN: Final = "2.16.840.1.113883.4.1"
_MAX_SECTIONS: Final = 12
_BLOCKS: Final = frozenset({"paragraph", "item", "tr", "caption", "br", "list", "table"})
_CONFIDENTIAL: Final = frozenset({"R", "V"})


def parse_cda(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the document's header and sections; a table row is one line with its headers.

    Raises ``ParseError``: ``active_content`` for a document type, ``malformed``, ``no_text``,
    ``resource_limit``.
    """
    root = read_xml(data)
    if local(root) != "ClinicalDocument":
        raise ParseError("malformed", "the root element is no ClinicalDocument")
    builder = TextBuilder(max_chars=max_chars)
    title = text_at(root, "title") or concept(find(root, "code"))
    builder.heading(title or "Clinical document", 1)
    for label, value in _header(root):
        if value:
            builder.add(f"{label}: {value}")
    named = {e.get("ID"): e for e in root.iter() if e.get("ID")}
    for section in find_all(root, "component/structuredBody/component/section"):
        _section(section, builder, named, 2)
    for body in find_all(root, "component/nonXMLBody/text"):
        _attachment(body, builder)
    builder.claim(_claims(root))
    return builder.finish(Kind.CDA.value)


def _header(root: Element) -> Iterator[tuple[str, str]]:
    yield "Document type", concept(find(root, "code"))
    yield "Date", _time(find(root, "effectiveTime"))
    for role in find_all(root, "recordTarget/patientRole"):
        yield from _patient(role)
    for author in children(root, "author"):
        person = find(author, "assignedAuthor")
        yield "Author", _someone(person, "assignedPerson")
        yield "Written", _time(find(author, "time"))
    yield (
        "Custodian",
        text_at(root, "custodian/assignedCustodian/representedCustodianOrganization/name"),
    )
    yield "Signed by", _someone(find(root, "legalAuthenticator/assignedEntity"), "assignedPerson")
    for other in children(root, "participant"):
        who = find(other, "associatedEntity")
        kind = concept(find(who, "code")) if who is not None else ""
        name = _someone(who, "associatedPerson")
        yield "Participant", f"{name} ({kind})" if name and kind else name
    for event in find_all(root, "documentationOf/serviceEvent"):
        yield "Care", _period(find(event, "effectiveTime"))
        for performer in find_all(event, "performer/assignedEntity"):
            yield "Care provider", _someone(performer, "assignedPerson")
    visit = find(root, "componentOf/encompassingEncounter")
    if visit is not None:
        yield "Encounter", concept(find(visit, "code"))
        yield "Encounter time", _period(find(visit, "effectiveTime"))
        yield "Location", text_at(visit, "location/healthCareFacility/location/name")


def _patient(role: Element) -> Iterator[tuple[str, str]]:
    for one in _ids(role):
        yield ("SSN" if one.kind == "ssn" else "MRN"), one.value
    patient = find(role, "patient")
    for name in children(patient, "name"):
        yield "Patient name", _name(name)
    yield "Date of birth", _time(find(patient, "birthTime"))
    yield "Sex", concept(find(patient, "administrativeGenderCode"))
    for address in children(role, "addr"):
        yield "Address", _address(address)
    for contact in children(role, "telecom"):
        yield _contact(contact)
    for label, path in _ABOUT:
        yield label, concept(find(patient, path))
    yield "Place of birth", _address(find(patient, "birthplace/place/addr"))
    for guardian in children(patient, "guardian"):
        yield "Guardian", _someone(guardian, "guardianPerson")


_ABOUT: Final = (
    ("Marital status", "maritalStatusCode"),
    ("Religion", "religiousAffiliationCode"),
    ("Race", "raceCode"),
    ("Ethnic group", "ethnicGroupCode"),
    ("Language", "languageCommunication/languageCode"),
)


def _contact(contact: Element) -> tuple[str, str]:
    value = clean(contact.get("value") or "")
    label = "Email" if value.startswith("mailto:") else "Phone"
    return label, value.removeprefix("tel:").removeprefix("mailto:").strip()


def _someone(role: Element | None, person: str) -> str:
    """Return a person's name, organization, address and telephone on one line."""
    if role is None:
        return ""
    name = _name(find(role, f"{person}/name"))
    work = text_at(role, "representedOrganization/name") or text_at(
        role, "scopingOrganization/name"
    )
    phone = next((_contact(one)[1] for one in children(role, "telecom")), "")
    parts = (name, work, _address(find(role, "addr")), phone)
    return ", ".join(filter(None, parts)) if name or work else ""


def _name(name: Element | None) -> str:
    if name is None:
        return ""
    parts = {"prefix": "", "given": "", "family": "", "suffix": ""}
    for child in name:
        if (kind := local(child)) in parts:
            parts[kind] = f"{parts[kind]} {text_of(child)}".strip()
    return " ".join(filter(None, parts.values())) or text_of(name)


def _address(address: Element | None) -> str:
    if address is None:
        return ""
    lines = [text_of(one) for one in children(address, "streetAddressLine")]
    place = f"{text_at(address, 'state')} {text_at(address, 'postalCode')}".strip()
    parts = (*lines, text_at(address, "city"), place, text_at(address, "country"))
    return ", ".join(filter(None, parts)) or text_of(address)


def _time(element: Element | None) -> str:
    return moment(clean(element.get("value") or "")) if element is not None else ""


def _period(element: Element | None) -> str:
    if element is None:
        return ""
    ends = (_time(find(element, "low")), _time(find(element, "high")))
    return _time(element) or " to ".join(filter(None, ends))


def _section(section: Element, builder: TextBuilder, named: dict[str, Element], level: int) -> None:
    """Write one section: title, narrative, what is coded in it, and the sections inside."""
    if level > _MAX_SECTIONS:
        raise ParseError("resource_limit", "the document's sections are nested too deeply")
    title = text_at(section, "title") or concept(find(section, "code"))
    builder.heading(title, level)
    narrative = find(section, "text")
    if narrative is not None:
        for line in _narrative(narrative):
            builder.add(line)
    for line in dict.fromkeys(coded_lines(section, named)):
        builder.add(line)
    for inner in find_all(section, "component/section"):
        _section(inner, builder, named, level + 1)


def _narrative(block: Element) -> Iterator[str]:
    """Yield a narrative block's lines. Source: CDA R2, 4.3.5 (section.text)."""
    line = [block.text or ""]
    for child in block:
        kind = local(child)
        if kind == "table":
            yield _joined(line)
            line = []
            yield from _table(child)
        elif kind in _BLOCKS:
            yield _joined(line)
            line = []
            inner = _narrative(child)
            first = next((one for one in inner if one), "")
            yield f"- {first}" if kind == "item" and first else first
            yield from inner
        elif kind and any(local(one) in _BLOCKS for one in child.iter()):
            yield _joined(line)
            line = []
            yield from _narrative(child)
        elif kind:
            line.append("".join(child.itertext()))
        line.append(child.tail or "")
    yield _joined(line)


def _joined(line: list[str]) -> str:
    return " ".join(clean("".join(line)).split())


def _table(table: Element) -> Iterator[str]:
    """Yield one line for each row: ``Substance: Codeine; Reaction: Hives``."""
    yield text_at(table, "caption")
    heads = [_cells(row) for row in find_all(table, "thead/tr")]
    names = heads[-1] if heads else []
    for row in (*find_all(table, "tbody/tr"), *children(table, "tr"), *find_all(table, "tfoot/tr")):
        cells = _cells(row)
        if len(cells) == len(names):
            pairs = zip(names, cells, strict=True)
            yield "; ".join(f"{n}: {c}" if n else c for n, c in pairs if c)
        else:
            yield " | ".join(filter(None, cells))
    if not any(True for _ in table.iter("{*}td")):
        yield " | ".join(names)


def _cells(row: Element) -> list[str]:
    return [" ".join(filter(None, _narrative(cell))) for cell in children(row, "td", "th")]


def _attachment(body: Element, builder: TextBuilder) -> None:
    media = body.get("mediaType") or "text/plain"
    text = "".join(body.itertext())
    if (body.get("representation") or "").upper() == "B64":
        add_embedded(builder, decode_base64(text), media)
    elif text.strip():
        builder.add(text)
    else:
        builder.warn("attachment_not_read")


def _ids(role: Element) -> list[SubjectId]:
    """Return a patient's identifiers, the social security number last."""
    found = []
    for one in children(role, "id"):
        root, extension = clean(one.get("root") or ""), clean(one.get("extension") or "")
        if root == _SSN:
            found.append(SubjectId("ssn", extension, root))
        elif extension or root:
            # Without an extension the root itself is the identifier (HL7 v3, data type II).
            found.append(SubjectId("mrn", extension or root, root if extension else ""))
    return sorted((one for one in found if one.value), key=lambda one: one.kind == "ssn")


def _claims(root: Element) -> Claims:
    people = []
    for role in find_all(root, "recordTarget/patientRole"):
        unknown = SubjectId("unknown", _name(find(role, "patient/name")) or "?")
        people.append(tuple(_ids(role)) or (unknown,))
    codes = {one.get("code") for one in root.iter("{*}confidentialityCode")}
    author = find(root, "author/assignedAuthor/assignedPerson/name")
    return Claims(
        subjects=tuple(people),
        date=_time(find(root, "effectiveTime"))[:10],
        author=_name(author),
        type=concept(find(root, "code")),
        markings=frozenset({"restricted"} if codes & _CONFIDENTIAL else ()),
    )
