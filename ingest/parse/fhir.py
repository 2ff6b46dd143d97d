"""FHIR R4 and R5 in JSON: a resource, a Bundle, or one resource a line (bulk export)."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from ingest.parse.document import Claims, ParsedDocument, Part, SubjectId, TextBuilder
from ingest.parse.fhir_text import Writer
from ingest.parse.kind import Kind
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

_DECODER: Final = json.JSONDecoder(parse_float=str, parse_int=str)
_SPACE: Final = " \t\r\n"
_MAX_RESOURCES: Final = 500_000
_MAX_NESTED: Final = 3
# Whose data a resource is, the first that is there. Source: the Patient compartment of FHIR R4/R5.
_WHOSE: Final = ("subject", "patient", "beneficiary", "individual", "candidate", "for")
_PEOPLE: Final = ("Patient/", "Group/")
_DATES: Final = (
    *("effectiveDateTime", "performedDateTime", "occurrenceDateTime", "onsetDateTime", "date"),
    *("authoredOn", "issued", "recordedDate", "created", "dateTime", "timestamp", "start"),
)
_PERIODS: Final = ("effectivePeriod", "performedPeriod", "occurrencePeriod", "billablePeriod")
# Source: terminology.hl7.org, v3-Confidentiality and v3-ActCode (sensitivity policies).
_SECURITY: Final[Mapping[str, str]] = {
    **dict.fromkeys(("R", "V"), "restricted"),
    **dict.fromkeys(("PSY", "PSYTHPN"), "psychotherapy"),
    **dict.fromkeys(("ETH", "SUD", "ETHUD", "OPIOIDUD", "42CFRPart2"), "part2"),
    **dict.fromkeys(("CEL", "PRS"), "vip"),
}
# The kinds of identifier by which people are known, the best first (HL7 v2 table 0203).
_ID_KINDS: Final[Mapping[str, str]] = {
    "MR": "mrn",
    "PI": "patient",
    "PT": "patient",
    "MB": "member",
    "SN": "member",
    "NH": "national",
    "SS": "ssn",
}

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")

Resource = Mapping[str, Any]


def parse_fhir(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return each resource as a section of readable lines, its references resolved in the file.

    The patients are the claimed subjects. Raises ``ParseError`` (``malformed``, ``no_text``,
    ``resource_limit``).
    """
    text, _ = decode(data)
    read = islice(_entries(text), _MAX_RESOURCES)
    entries = [one for _, _, entry in read for one in _flat(_unwrapped(entry), 0)]
    known = _Known(entries)
    builder = TextBuilder(max_chars=max_chars)
    writer = Writer(builder, known.resolve)
    for _, resource in entries:
        writer.resource(resource)
    builder.claim(known.claims())
    return builder.finish(Kind.FHIR.value)


def split_fhir(data: bytes) -> tuple[Part, ...]:
    """Return one part for each patient of a file about several; what all share goes with each.

    What is about nobody (organizations, practitioners) also makes a part of its own.
    """
    text, encoding = decode(data)
    if encoding != "utf-8":
        return ()
    spans = list(islice(_entries(text), _MAX_RESOURCES))
    entries = [_unwrapped(entry) for _, _, entry in spans]
    if any(resource["resourceType"] == "Bundle" for _, resource in entries):
        return ()  # a bundle inside a bundle: not to be cut, and closed as mixed if it is
    known = _Known(entries)
    owners = [known.owner(url, resource) for url, resource in entries]
    if len({owner for owner in owners if owner}) < 2:
        return ()
    places = _byte_ranges(text, [(start, end) for start, end, _ in spans])
    mine: dict[str, list[int]] = {}
    for number, owner in enumerate(owners):
        mine.setdefault(owner, []).append(number)
    nobodys = frozenset(mine.get("", ()))
    shared = dict[int, list[int]]()
    return tuple(
        Part(
            owner or "about-nobody",
            tuple(
                places[at] for at in sorted({*numbers, *known.referred(numbers, nobodys, shared)})
            ),
        )
        for owner, numbers in mine.items()
    )


class _Known:
    """The resources of one file, by every name that a reference may use."""

    def __init__(self, entries: list[tuple[str, Resource]]) -> None:
        self._entries = entries
        self._by_name: dict[str, int] = {}
        for number, (url, resource) in enumerate(entries):
            kind, identity = resource.get("resourceType"), resource.get("id")
            for name in (url, f"{kind}/{identity}", f"urn:uuid:{identity}"):
                if name and (identity or name == url):
                    self._by_name.setdefault(name, number)

    def resolve(self, reference: str) -> Resource | None:
        """Return the resource that a reference names, or None when it is not in the file."""
        number = self._number(reference)
        return None if number is None else self._entries[number][1]

    def _number(self, reference: str) -> int | None:
        name = reference.split("/_history/", maxsplit=1)[0]
        if name not in self._by_name and name.count("/") > 1:
            name = "/".join(name.split("/")[-2:])
        return self._by_name.get(name)

    def owner(self, url: str, resource: Resource) -> str:
        """Return one name for the patient whose data the resource is, "" for nobody's."""
        if resource.get("resourceType") == "Patient":
            return self._canonical(f"Patient/{resource.get('id') or url}")
        for reference in _whose(resource):
            if name := str(reference.get("reference") or ""):
                found = self.resolve(name)
                # A device or a place may be the subject as well: that is nobody's data.
                people = found is None or found.get("resourceType") in {"Patient", "Group"}
                if people and (found is not None or _names_a_person(name)):
                    return self._canonical(name)
            if value := (reference.get("identifier") or {}).get("value"):
                return f"id/{value}"
        return ""

    def _canonical(self, name: str) -> str:
        found = self.resolve(name)
        if found is not None and found.get("id"):
            return f"{found.get('resourceType')}/{found['id']}"
        return name.split("/_history/", maxsplit=1)[0]

    def referred(
        self, numbers: list[int], among: frozenset[int], memory: dict[int, list[int]]
    ) -> set[int]:
        """Return which of the resources about nobody these refer to."""
        found: set[int] = set()
        for number in numbers:
            if number not in memory:
                names = _references(self._entries[number][1])
                places = (self._number(name) for name in names)
                memory[number] = [place for place in places if place in among]
            found.update(memory[number])
        return found

    def claims(self) -> Claims:
        """Return what the resources say of their subjects, dates and protection."""
        people: dict[str, tuple[SubjectId, ...]] = {}
        dates: list[str] = []
        types: dict[str, None] = {}
        markings: set[str] = set()
        for url, resource in self._entries:
            if owner := self.owner(url, resource):
                people.setdefault(owner, self._ids(owner, resource))
            dates += [str(resource[name])[:10] for name in _DATES if name in resource]
            dates += [_end(resource[name]) for name in _PERIODS if name in resource]
            types[str(resource.get("resourceType"))] = None
            for label in (resource.get("meta") or {}).get("security") or ():
                if mark := _SECURITY.get(str(label.get("code"))):
                    markings.add(mark)
        days = [day for day in dates if _DAY.fullmatch(day)]
        return Claims(
            subjects=tuple(people.values()),
            date=max(days, default=""),
            type=next(iter(types)) if len(types) == 1 else "Bundle",
            markings=frozenset(markings),
        )

    def _ids(self, owner: str, resource: Resource) -> tuple[SubjectId, ...]:
        patient = self.resolve(owner)
        ids = list(_identifiers(patient.get("identifier") or ())) if patient is not None else []
        if patient is None:
            for reference in _whose(resource):
                ids += _identifiers([reference.get("identifier") or {}])
        logical = owner.rsplit("/", maxsplit=1)[-1].removeprefix("urn:uuid:")[:400]
        return (*ids, SubjectId("patient", logical, ""))


def _identifiers(rows: Any) -> Iterator[SubjectId]:
    """Yield identifiers, medical record numbers first, those without a known type last."""
    found = []
    # Some resources have one identifier, others a list of them.
    for row in [rows] if isinstance(rows, dict) else rows:
        codes = [str(one.get("code")) for one in (row.get("type") or {}).get("coding") or ()]
        kind = next((_ID_KINDS[code] for code in codes if code in _ID_KINDS), "id")
        if value := str(row.get("value") or "").strip()[:400]:
            found.append(SubjectId(kind, value, str(row.get("system") or "")[:400]))
    order = [*_ID_KINDS.values(), "id"]
    yield from sorted(found, key=lambda one: order.index(one.kind))


def _whose(resource: Resource) -> Iterator[Mapping[str, Any]]:
    for name in _WHOSE:
        value = resource.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield one


def _names_a_person(reference: str) -> bool:
    return reference.startswith("urn:") or any(f"/{p}" in f"/{reference}" for p in _PEOPLE)


def _references(node: Any) -> Iterator[str]:
    stack = [node]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            if isinstance(top.get("reference"), str):
                yield top["reference"]
            stack += top.values()
        elif isinstance(top, list):
            stack += top


def _unwrapped(entry: Any) -> tuple[str, Resource]:
    """Return an entry's full URL and resource. Raises ``ParseError`` when there is none."""
    url = ""
    if isinstance(entry, dict) and "resourceType" not in entry:
        url = str(entry.get("fullUrl") or "")
        entry = entry.get("resource")
    if not isinstance(entry, dict) or not isinstance(entry.get("resourceType"), str):
        raise ParseError("malformed", "an entry holds no FHIR resource")
    if not _is_sound(entry):
        raise ParseError("malformed", "a FHIR resource's shared fields are not of their form")
    return url, entry


def _flat(entry: tuple[str, Resource], depth: int) -> Iterator[tuple[str, Resource]]:
    """Yield the entry, or in its place those of the Bundle that it is."""
    _, resource = entry
    rows = resource.get("entry")
    if resource["resourceType"] != "Bundle" or not isinstance(rows, list):
        yield entry
        return
    if depth > _MAX_NESTED:
        raise ParseError("resource_limit", "Bundles are nested too deeply")
    for row in rows:
        if isinstance(row, dict) and "resource" in row:
            yield from _flat(_unwrapped(row), depth + 1)


def _is_sound(resource: Resource) -> bool:
    """Return whether the fields that claims are read from have their shapes."""
    meta, ids = resource.get("meta"), resource.get("identifier")
    rows = ids if isinstance(ids, list) else [ids]
    security = meta.get("security") or [] if isinstance(meta, dict) else []
    references = list(_whose(resource))
    owned = [one.get("identifier") for one in references]
    shapes: list[tuple[Any, type]] = [(meta, dict), (security, list)]
    shapes += [(row, dict) for row in (*rows, *security, *owned)]
    types = [row.get("type") for row in (*rows, *owned) if isinstance(row, dict)]
    shapes += [(one, dict) for one in types]
    codings = [one.get("coding") for one in types if isinstance(one, dict)]
    shapes += [(one, list) for one in codings]
    shapes += [(row, dict) for one in codings if isinstance(one, list) for row in one]
    return all(value is None or isinstance(value, shape) for value, shape in shapes)


def _entries(text: str) -> Iterator[tuple[int, int, Any]]:
    """Yield the resources or Bundle entries of a file, with where each stands in the text.

    Raises ``ParseError`` (``malformed``) for what is no JSON.
    """
    at = _skip(text, int(text.startswith("\ufeff")))
    try:
        while at < len(text):
            value, end = _DECODER.raw_decode(text, at)
            if isinstance(value, dict) and value.get("resourceType") == "Bundle":
                yield from _bundle_entries(text, at)
            else:
                yield at, end, value
            at = _skip(text, end)
    except ValueError as error:
        # The decoder's own message holds no value, but its position is all that helps.
        raise ParseError("malformed", f"no JSON at character {at}") from error


def _bundle_entries(text: str, at: int) -> Iterator[tuple[int, int, Any]]:
    """Yield the entries of the sound Bundle that begins there."""
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        if key == "entry" and text[at] == "[":
            at = _skip(text, at + 1)
            while text[at] != "]":
                value, end = _DECODER.raw_decode(text, at)
                if isinstance(value, dict) and isinstance(value.get("resource"), dict):
                    yield at, end, value
                at = _past_comma(text, end)
            at += 1
        else:
            _, at = _DECODER.raw_decode(text, at)
        at = _past_comma(text, at)


def _end(period: object) -> str:
    """Return the day on which a period ends, or begins where no end is given."""
    given = period if isinstance(period, dict) else {}
    return str(given.get("end") or given.get("start") or "")[:10]


def _past_comma(text: str, at: int) -> int:
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _byte_ranges(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return where ascending ranges of characters stand in the text's UTF-8."""
    ranges = []
    char = byte = 0
    for start, end in spans:
        first = byte + len(text[char:start].encode("utf-8"))
        char, byte = end, first + len(text[start:end].encode("utf-8"))
        ranges.append((first, byte))
    return ranges
