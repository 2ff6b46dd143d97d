"""Sample C-CDA documents and HL7 v2 messages of many vendors, gold by field."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.privacy.examples import Example, Views
from bench.privacy.layouts import in_all_layouts, marked, unmarked
from ingest.parse.hl7 import parse_hl7
from ingest.parse.hl7_types import moment

_CDA = {"v3": "urn:hl7-org:v3"}


def ccda(folder: Path, limit: int | None) -> Views:
    """Return the patients of sample C-CDA documents, each document's header in every layout."""
    examples = list[Example]()
    for path in _files(folder, ".xml"):
        try:
            # Entity bombs would stop the bench, no more: the files are of the reader's choosing.
            root = ET.fromstring(path.read_text(encoding="utf-8-sig", errors="replace"))  # noqa: S314
        except ET.ParseError:
            continue
        if fields := _cda_fields(root):
            examples += in_all_layouts(fields)
    return {"ccda_headers": examples[:limit]}


def hl7v2(folder: Path, limit: int | None) -> Views:
    """Return HL7 v2 messages as they are; people's fields in PID, NK1 and PV1 are gold.

    Other segments name people too, so that precision says little here.
    """
    texts = (
        path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        for path in _files(folder, ".hl7")
    )
    examples = [unmarked("\n".join(_marked_segments(text))) for text in texts if "\nPID|" in text]
    return {"hl7v2": examples[:limit]}


def hl7v2_read(folder: Path, limit: int | None) -> Views:
    """Return the same messages as ingest reads them, with labels in place of delimiters."""
    examples = []
    for path in _files(folder, ".hl7"):
        text = path.read_bytes().decode("utf-8", "replace")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "\nPID|" not in text:
            continue
        # A marked date is no date to the reader, so it is written as one before it is marked.
        spelled = "\n".join(_marked_segments(text, moment))
        examples.append(unmarked(parse_hl7(spelled.encode(), max_chars=1 << 24).text))
    return {"hl7v2_read": examples[:limit]}


def _files(folder: Path, suffix: str) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == suffix)


def _cda_fields(root: ET.Element) -> dict[str, str | date]:
    role = root.find("v3:recordTarget/v3:patientRole", _CDA)
    if role is None or role.find("v3:patient/v3:name/v3:family", _CDA) is None:
        return {}
    fields: dict[str, str | date] = {}
    for field, path in (
        ("given", "v3:patient/v3:name/v3:given"),
        ("family", "v3:patient/v3:name/v3:family"),
        ("line", "v3:addr/v3:streetAddressLine"),
        ("city", "v3:addr/v3:city"),
        ("state", "v3:addr/v3:state"),
        ("zip", "v3:addr/v3:postalCode"),
    ):
        text = " ".join((role.findtext(path, "", _CDA) or "").split())
        if len(text) > 1:
            fields[field] = text
    for one in role.findall("v3:telecom", _CDA):
        value = one.get("value", "")
        if value.startswith("tel:") and "phone" not in fields:
            fields["phone"] = value[4:].strip()
    identifier = role.find("v3:id", _CDA)
    if identifier is not None and len(identifier.get("extension", "")) > 3:
        fields["mrn"] = identifier.get("extension", "")
    sex = role.find("v3:patient/v3:administrativeGenderCode", _CDA)
    fields["sex"] = (sex is not None and sex.get("displayName")) or "unknown"
    born = role.find("v3:patient/v3:birthTime", _CDA)
    if born is not None and re.fullmatch(r"\d{8}.*", born.get("value", "")):
        fields["birth"] = _day(born.get("value", ""))
    author = root.find("v3:author/v3:assignedAuthor/v3:assignedPerson/v3:name", _CDA)
    if author is not None:
        parts = (author.findtext(f"v3:{part}", "", _CDA) for part in ("given", "family"))
        if all(words := [" ".join((part or "").split()) for part in parts]):
            fields["doctor"] = " ".join(words)
    return fields if {"given", "family"} <= fields.keys() else {}


def _day(digits: str) -> date:
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))


# Segment, field: for each component that identifies somebody, the gold's name. Counted from 1.
# Source: HL7 v2.5.1, chapters 3.4.2 (PID), 3.4.5 (NK1) and 3.4.3 (PV1).
_NAME = {1: "family", 2: "given"}
_PLACE = {1: "line", 2: "line", 3: "city", 5: "zip"}
_HL7: Mapping[tuple[str, int], Mapping[int, str]] = {
    ("PID", 3): {1: "mrn"},
    ("PID", 5): _NAME,
    ("PID", 6): _NAME,
    ("PID", 7): {1: "birth"},
    ("PID", 9): _NAME,
    ("PID", 11): _PLACE,
    ("PID", 13): {1: "phone"},
    ("PID", 14): {1: "phone"},
    ("PID", 18): {1: "account"},
    ("PID", 19): {1: "ssn"},
    ("PID", 20): {1: "licence"},
    ("NK1", 2): _NAME,
    ("NK1", 4): _PLACE,
    ("NK1", 5): {1: "phone"},
    ("PV1", 7): {2: "doctor_family", 3: "doctor_given"},
    ("PV1", 8): {2: "doctor_family", 3: "doctor_given"},
    ("PV1", 17): {2: "doctor_family", 3: "doctor_given"},
}
_SHORTEST = 3


def _marked_segments(text: str, date: Callable[[str], str] = str) -> Iterator[str]:
    for line in text.split("\n"):
        segment, *fields = line.split("|")
        yield "|".join(
            [segment]
            + [
                _marked_field(field, _HL7.get((segment, number), {}), date)
                for number, field in enumerate(fields, 1)
            ]
        )


def _marked_field(field: str, names: Mapping[int, str], date: Callable[[str], str]) -> str:
    def component(number: int, value: str) -> str:
        parts = value.split("&")
        if number in names and len(parts[0].strip()) >= _SHORTEST:
            value = date(parts[0]) if names[number] == "birth" else parts[0]
            parts[0] = marked(names[number], value)
        return "&".join(parts)

    return "~".join(
        "^".join(component(number, value) for number, value in enumerate(repeat.split("^"), 1))
        for repeat in field.split("~")
    )
