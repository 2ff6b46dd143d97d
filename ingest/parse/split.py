"""Where a file about several people is cut, so that each gets a document of their own."""

from collections.abc import Callable, Mapping
from typing import Final

from ingest.parse.document import Part, clean
from ingest.parse.fhir import split_fhir
from ingest.parse.hl7 import split_hl7
from ingest.parse.iso20022 import split_iso20022
from ingest.parse.kind import Kind
from ingest.parse.mt940 import split_mt940
from ingest.parse.structured import structured_kind
from ingest.parse.x12 import split_x12

_SPLITTERS: Final[Mapping[Kind, Callable[[bytes], tuple[Part, ...]]]] = {
    Kind.FHIR: split_fhir,
    Kind.HL7: split_hl7,
    Kind.ISO20022: split_iso20022,
    Kind.MT940: split_mt940,
    Kind.X12: split_x12,
}
_MAX_KEY: Final = 200


def split(data: bytes, name: str) -> tuple[Part, ...]:
    """Return the parts of a file about several subjects, none for any other.

    Raises ``ParseError`` with one of ``document.REASONS``.
    """
    kind = structured_kind(data, name)
    cut = _SPLITTERS.get(kind) if kind is not None else None
    parts: dict[str, Part] = {}
    for part in cut(data) if cut else ():
        key = " ".join(clean(part.key).split())[:_MAX_KEY] or "part"
        while key in parts:
            key += "'"
        parts[key] = Part(key, part.ranges)
    return tuple(parts.values()) if len(parts) > 1 else ()
