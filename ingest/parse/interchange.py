"""Records in a healthcare or financial format: read as text, and cut by whom they are about."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

from ingest.parse.cda import parse_cda
from ingest.parse.dicom import parse_dicom
from ingest.parse.document import ParsedDocument, Part, clean
from ingest.parse.fhir import parse_fhir, split_fhir
from ingest.parse.hl7 import parse_hl7, split_hl7
from ingest.parse.iso20022 import parse_iso20022, split_iso20022
from ingest.parse.kind import Kind
from ingest.parse.mt940 import parse_mt940, split_mt940
from ingest.parse.structured import structured_kind
from ingest.parse.x12 import parse_x12, split_x12
from ingest.parse.xbrl import parse_xbrl
from ragplatform.errors import ParseError

_T = TypeVar("_T")


class _Reader(Protocol):
    def __call__(self, data: bytes, *, max_chars: int) -> ParsedDocument: ...


_READERS: Final[Mapping[Kind, _Reader]] = {
    Kind.CDA: parse_cda,
    Kind.DICOM: parse_dicom,
    Kind.FHIR: parse_fhir,
    Kind.HL7: parse_hl7,
    Kind.ISO20022: parse_iso20022,
    Kind.MT940: parse_mt940,
    Kind.X12: parse_x12,
    Kind.XBRL: parse_xbrl,
}
# Of the others each file is about one patient, or about nobody.
_SPLITTERS: Final[Mapping[Kind, Callable[[bytes], tuple[Part, ...]]]] = {
    Kind.FHIR: split_fhir,
    Kind.HL7: split_hl7,
    Kind.ISO20022: split_iso20022,
    Kind.MT940: split_mt940,
    Kind.X12: split_x12,
}
_MAX_KEY: Final = 200


def parse_record(data: bytes, *, kind: Kind, max_chars: int) -> ParsedDocument:
    """Return the text of a file that ``structured_kind`` found to be of this kind.

    Raises ``ParseError`` with one of ``document.REASONS``.
    """
    return _sound(lambda: _READERS[kind](data, max_chars=max_chars))


def split(data: bytes, name: str) -> tuple[Part, ...]:
    """Return the parts of a file about several subjects, none for any other.

    Raises ``ParseError`` with one of ``document.REASONS``.
    """
    kind = structured_kind(data, name)
    cut = _SPLITTERS.get(kind) if kind is not None else None
    parts: dict[str, Part] = {}
    for part in _sound(lambda: cut(data)) if cut else ():
        key = " ".join(clean(part.key).split())[:_MAX_KEY] or "part"
        while key in parts:
            key += "'"
        parts[key] = Part(key, part.ranges)
    return tuple(parts.values()) if len(parts) > 1 else ()


def _sound(read: Callable[[], _T]) -> _T:
    """Return what the reader makes of a file, which may have any shape at any place.

    Raises ``ParseError`` (``malformed``) where a field has another shape than its format's.
    """
    try:
        return read()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ParseError("malformed", "a field is not of its form") from error
