"""DICOM objects: the header's readable fields and a structured report's text, never the pixels."""

import io
import warnings
from collections.abc import Iterator
from typing import Any, Final

import pydicom
from pydicom import config
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from ingest.parse.codes import coded
from ingest.parse.document import Claims, ParsedDocument, SubjectId, TextBuilder
from ingest.parse.embedded import add_embedded
from ingest.parse.hl7_types import moment
from ingest.parse.kind import Kind
from ragplatform.errors import ParseError

# From here on come pixels, waveforms and spectra, or what describes how they are stored.
_FIRST_PIXEL_TAG: Final = 0x7F000000
_MAX_DEPTH: Final = 30
_MAX_VALUE: Final = 100_000
_TEXTS: Final = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT".split())
_LABELS: Final = {
    "PatientID": "MRN",
    "PatientName": "Patient name",
    "PatientBirthDate": "Date of birth",
    "PatientSex": "Sex",
    "PatientAddress": "Address",
    "PatientTelephoneNumbers": "Phone",
    "OtherPatientIDs": "Other patient id",
    "OtherPatientNames": "Other patient name",
}
# Groups of how the image is made and stored, of no use to a reader: image, display, overlay.
_TECHNICAL: Final = frozenset(
    {0x0002, 0x0020, 0x0004, 0x0018, 0x0028, 0x2010, 0x2050, 0x5400, 0x3006}
)
_UNTOLD: Final = frozenset(
    "SpecificCharacterSet ValueType ConceptNameCodeSequence ImageType ContinuityOfContent "
    "CodingSchemeIdentificationSequence ContentSequence".split()
)
_STUDY_PARTS: Final = frozenset({"StudyID", "SeriesNumber", "InstanceNumber", "AcquisitionNumber"})


def parse_dicom(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the header's fields as lines and a structured report's tree as sections.

    Private elements, unique ids and technical groups are left out. The patient is the claimed
    subject. Raises ``ParseError`` (``malformed``, ``no_text``, ``resource_limit``).
    """
    config.settings.reading_validation_mode = config.IGNORE
    builder = TextBuilder(max_chars=max_chars)
    with warnings.catch_warnings():
        # The library warns about each odd value, with the value.
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, force=True)
            claims = _write(dataset, builder)
        except (ParseError, RecursionError, MemoryError):
            raise
        except Exception as error:
            # The library fails in any way on damaged objects; its messages may hold values.
            raise ParseError("malformed", "this DICOM object is damaged") from error
    builder.claim(claims)
    return builder.finish(Kind.DICOM.value)


def _write(dataset: Dataset, builder: TextBuilder) -> Claims:
    kind = _plain(dataset.get("Modality"))
    title = _plain(dataset.get("StudyDescription")) or "study"
    lines = list(_lines(dataset, 0))
    if lines:
        # A title of ours alone would make a text of an object that holds none.
        builder.heading(f"DICOM {kind} {title}".replace("  ", " "), 1)
    for line in lines:
        builder.add(line)
    if "EncapsulatedDocument" in dataset:
        media = _plain(dataset.get("MIMETypeOfEncapsulatedDocument"))
        add_embedded(builder, bytes(dataset.EncapsulatedDocument), media)
    if "ContentSequence" in dataset:
        builder.heading("Report", 2)
        for item in dataset.ContentSequence:
            _content(item, builder, 3)
    return _claims(dataset, kind)


def _lines(dataset: Dataset, depth: int) -> Iterator[str]:
    """Yield a line for each field that says something to a reader."""
    if depth > _MAX_DEPTH:
        raise ParseError("resource_limit", "the object's sequences are nested too deeply")
    for element in dataset:
        keyword = keyword_for_tag(element.tag)
        if element.tag.is_private or element.tag >= _FIRST_PIXEL_TAG or not keyword:
            continue
        if keyword in _UNTOLD or (element.tag.group in _TECHNICAL and keyword not in _STUDY_PARTS):
            continue
        label = _LABELS.get(keyword, str(element.name))
        if element.VR == "SQ":
            for item in element.value or ():
                text = _item(item, depth + 1)
                if text:
                    yield f"{label}: {text}"
        elif element.VR in _TEXTS and (value := _value(element.value, element.VR)):
            yield f"{label}: {value}"


def _item(item: Dataset, depth: int) -> str:
    return _code(item) if "CodeValue" in item else "; ".join(_lines(item, depth))


def _code(item: Dataset) -> str:
    """Return a code sequence's item. Source: DICOM PS3.3, 8.8."""
    words = [_plain(item.get(name)) for name in ("CodeMeaning", "CodeValue")]
    return coded(words[0], words[1], _plain(item.get("CodingSchemeDesignator")))


def _value(value: Any, kind: str) -> str:
    if value is None:
        return ""
    rows = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    texts = []
    for row in rows:
        text = str(row)[:_MAX_VALUE].strip("\x00 ")
        if kind == "PN":
            text = _name(text)
        elif kind in {"DA", "DT"}:
            text = moment(text)
        elif kind == "TM":
            text = _time(text)
        texts.append(text)
    return ", ".join(filter(None, texts))


def _name(text: str) -> str:
    """Return a person's name as it is spoken. Source: DICOM PS3.5, 6.2.1.2."""
    spoken = []
    for group in text.split("="):
        family, given, middle, prefix, suffix = [*group.split("^"), *[""] * 5][:5]
        spoken.append(" ".join(filter(None, (prefix, given, middle, family, suffix))))
    return ", ".join(filter(None, spoken))


def _time(text: str) -> str:
    digits = text.replace(":", "")
    return f"{digits[:2]}:{digits[2:4]}" if digits[:4].isdigit() and len(digits) >= 4 else text


def _plain(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def _content(item: Dataset, builder: TextBuilder, level: int) -> None:
    """Write one node of a report's tree. Source: DICOM PS3.3, C.17.3."""
    if level > _MAX_DEPTH:
        raise ParseError("resource_limit", "the report is nested too deeply")
    names = item.get("ConceptNameCodeSequence")
    name = _code(names[0]) if names else ""
    kind = _plain(item.get("ValueType"))
    if kind == "CONTAINER":
        builder.heading(name, min(level, 6))
    else:
        value = _content_value(item, kind)
        if value:
            builder.add(f"{name}: {value}" if name else value)
    for inner in item.get("ContentSequence") or ():
        _content(inner, builder, level + 1)


def _content_value(item: Dataset, kind: str) -> str:
    if kind == "NUM":
        measured = (item.get("MeasuredValueSequence") or [Dataset()])[0]
        units = measured.get("MeasurementUnitsCodeSequence")
        unit = _plain(units[0].get("CodeValue")) if units else ""
        return f"{_value(measured.get('NumericValue'), 'DS')} {unit}".strip()
    if kind == "CODE":
        codes = item.get("ConceptCodeSequence")
        return _code(codes[0]) if codes else ""
    texts = {"TEXT": "TextValue", "PNAME": "PersonName", "DATE": "Date", "TIME": "Time"}
    shapes = {"PNAME": "PN", "DATE": "DA", "TIME": "TM"}
    if kind in texts:
        return _value(item.get(texts[kind]), shapes.get(kind, "LT"))
    return _value(item.get("DateTime"), "DT") if kind == "DATETIME" else ""


def _claims(dataset: Dataset, kind: str) -> Claims:
    number = _plain(dataset.get("PatientID"))
    issuer = _plain(dataset.get("IssuerOfPatientID"))
    name = _value(dataset.get("PatientName"), "PN")
    known = SubjectId("mrn", number, issuer) if number else SubjectId("unknown", name)
    day = _value(dataset.get("StudyDate") or dataset.get("ContentDate"), "DA")[:10]
    author = _value(dataset.get("PerformingPhysicianName"), "PN")
    # A DICOMDIR and the like hold records of several patients and name none at the top.
    inner = {
        _plain(one.get("PatientID"))
        for one in dataset.get("DirectoryRecordSequence") or ()
        if one.get("PatientID")
    }
    people = [(known,)] if known.value else [(SubjectId("mrn", one),) for one in sorted(inner)]
    return Claims(tuple(people), day, author, f"DICOM {kind}".strip())
