"""The one way from bytes to text: find out what they are, then give them to that parser."""

from ingest.parse.cda import parse_cda
from ingest.parse.document import ParsedDocument
from ingest.parse.docx import parse_docx
from ingest.parse.fhir import parse_fhir
from ingest.parse.hl7 import parse_hl7
from ingest.parse.html import parse_html
from ingest.parse.iso20022 import parse_iso20022
from ingest.parse.kind import Kind, kind_of
from ingest.parse.mt940 import parse_mt940
from ingest.parse.pdf import parse_pdf
from ingest.parse.structured import structured_kind
from ingest.parse.table import parse_table
from ingest.parse.text import parse_text
from ingest.parse.x12 import parse_x12


def parse(data: bytes, name: str, max_chars: int) -> ParsedDocument:
    """Return the document's text and structure. Runs in the caller's process: see ``Sandbox``.

    Raises ``ParseError`` with one of ``document.REASONS``.
    """
    kind = structured_kind(data, name) or kind_of(data, name)
    match kind:
        case Kind.CDA:
            return parse_cda(data, max_chars=max_chars)
        case Kind.X12:
            return parse_x12(data, max_chars=max_chars)
        case Kind.MT940:
            return parse_mt940(data, max_chars=max_chars)
        case Kind.ISO20022:
            return parse_iso20022(data, max_chars=max_chars)
        case Kind.HL7:
            return parse_hl7(data, max_chars=max_chars)
        case Kind.FHIR:
            return parse_fhir(data, kind=kind, max_chars=max_chars)
        case Kind.PDF:
            return parse_pdf(data, max_chars=max_chars)
        case Kind.DOCX:
            return parse_docx(data, max_chars=max_chars)
        case Kind.HTML:
            return parse_html(data, max_chars=max_chars)
        case Kind.CSV | Kind.TSV:
            return parse_table(data, kind=kind, max_chars=max_chars)
        case Kind.TEXT | Kind.MARKDOWN:
            return parse_text(data, kind=kind, max_chars=max_chars)
