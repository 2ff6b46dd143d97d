"""Which healthcare or financial format a file is in, by its content, whatever its suffix says."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

from ingest.parse.kind import Kind

_WINDOW: Final = 64 * 1024
_JSON: Final = frozenset({".json", ".ndjson", ".jsonl", ".fhir", ".txt", ""})
_XML: Final = frozenset({".xml", ".cda", ".ccda", ".ccd", ".txt", ""})
_SUFFIXES: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.FHIR: _JSON,
    Kind.CDA: _XML,
    Kind.XBRL: _XML | {".xbrl"},
    Kind.DICOM: frozenset({".dcm", ".dicom", ".dic", ".ima", ".img", ""}),
    Kind.ISO20022: _XML | {".camt", ".pacs", ".c53", ".c52", ".c54"},
    Kind.MT940: frozenset({".sta", ".mt940", ".940", ".942", ".swi", ".fin", ".dat", ".txt", ""}),
    Kind.X12: frozenset({".x12", ".edi", ".835", ".837", ".dat", ".txt", ""}),
    Kind.HL7: frozenset({".hl7", ".er7", ".bhs", ".fhs", ".dat", ".txt", ".msg", ""}),
}
# What may stand before a root element: declarations, comments, a document type without subset.
_ROOT: Final = re.compile(
    rb"(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>)*"
    rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)(?:\s[^>]*)?>",
    re.DOTALL,
)
_X12: Final = re.compile(rb"ISA([^A-Za-z0-9\s])(?:[^\r\n]{2}\1)[^\r\n]{10}\1")
# A reference first, an account, and a balance or a floor: three of the mandatory fields.
_MT940: Final = (
    re.compile(rb"\A(?:\{[1-4]:[^\r\n]{0,200}|[^:\r\n]{0,40})?\s*:20:"),
    re.compile(rb"^:25P?:", re.MULTILINE),
    re.compile(rb"^:(?:60[FM]|34F):", re.MULTILINE),
)
_ISO20022: Final = re.compile(rb"urn:iso:std:iso:20022:tech:xsd:(?:camt\.05[234]|pacs\.00[248])\.")
# Old objects have no preamble but a first element of group 2 or 8, with or without its type.
_BARE_DICOM: Final = re.compile(rb"[\x02\x08]\x00.\x00(?:[A-Z]{2}|.\x00\x00\x00)", re.DOTALL)
_HL7: Final = re.compile(rb"(?:FHS|BHS|MSH)[^A-Za-z0-9\s]")
_RESOURCE: Final = re.compile(rb'\s*\{[^{}\[\]]{0,4096}?"resourceType"\s*:\s*"[A-Z][A-Za-z]{2,40}"')
_FHIR_KEYS: Final = re.compile(rb'\s*\{\s*"(?:fullUrl|resource|resourceType)"')


def structured_kind(data: bytes, name: str) -> Kind | None:
    """Return the structured format that the content proves, None for any other file."""
    suffix = PurePath(name).suffix.lower()
    head = data[:_WINDOW].removeprefix(b"\xef\xbb\xbf").lstrip()
    for kind, looks in _LOOKS.items():
        if suffix in _SUFFIXES[kind] and looks(head, data):
            return kind
    return None


def _is_fhir(head: bytes, data: bytes) -> bool:
    if not head.startswith(b"{"):
        return False
    if _RESOURCE.match(head):
        return True
    # The type may come last: it is looked for only where the rest looks like a resource.
    return bool(_FHIR_KEYS.match(head) and b'"resourceType"' in data)


def _is_hl7(head: bytes, data: bytes) -> bool:
    del data
    # A segment follows the header: text that begins with the word MSH is no message.
    return bool(
        _HL7.match(head) and re.search(rb"[\r\n]\s*(?:MSH|EVN|PID|[A-Z][A-Z0-9]{2})\W", head)
    )


def _root(head: bytes) -> tuple[str, bytes]:
    """Return the local name and the whole start tag of an XML file's root, "" for other files."""
    if not head.startswith(b"<"):
        return "", b""
    found = _ROOT.match(head)
    return (found[1].decode("ascii"), found[0]) if found else ("", b"")


def _is_cda(head: bytes, data: bytes) -> bool:
    del data
    name, tag = _root(head)
    return name == "ClinicalDocument" and b"urn:hl7-org:v3" in tag


def _is_x12(head: bytes, data: bytes) -> bool:
    del data
    return bool(_X12.match(head))


def _is_mt940(head: bytes, data: bytes) -> bool:
    del data
    return all(pattern.search(head) for pattern in _MT940)


def _is_iso20022(head: bytes, data: bytes) -> bool:
    del data
    name, tag = _root(head)
    return name == "Document" and bool(_ISO20022.search(tag))


def _is_xbrl(head: bytes, data: bytes) -> bool:
    del data
    name, tag = _root(head)
    return name == "xbrl" and b"http://www.xbrl.org/2003/instance" in tag


def _is_dicom(head: bytes, data: bytes) -> bool:
    del head
    # The preamble of 128 bytes may hold anything (DICOM PS3.10, 7.1).
    return data[128:132] == b"DICM" or bool(_BARE_DICOM.match(data[:8]))


_LOOKS: Final = {
    Kind.XBRL: _is_xbrl,
    Kind.DICOM: _is_dicom,
    Kind.MT940: _is_mt940,
    Kind.ISO20022: _is_iso20022,
    Kind.X12: _is_x12,
    Kind.CDA: _is_cda,
    Kind.FHIR: _is_fhir,
    Kind.HL7: _is_hl7,
}
