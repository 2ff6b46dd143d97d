"""The one way from bytes to text: find out what they are, then give them to that parser."""

from ingest.parse.document import ParsedDocument
from ingest.parse.docx import parse_docx
from ingest.parse.html import parse_html
from ingest.parse.kind import Kind, kind_of
from ingest.parse.mail import parse_mail
from ingest.parse.markup import parse_xml
from ingest.parse.msg import parse_msg
from ingest.parse.ocr import parse_image
from ingest.parse.odf import parse_odf
from ingest.parse.pdf import parse_pdf
from ingest.parse.records import parse_json
from ingest.parse.rtf import parse_rtf
from ingest.parse.sheet import parse_sheet
from ingest.parse.slides import parse_slides
from ingest.parse.table import parse_table
from ingest.parse.text import parse_text
from ragplatform.errors import ParseError


def parse(data: bytes, name: str, max_chars: int) -> ParsedDocument:
    """Return the document's text and structure. Runs in the caller's process: see ``Sandbox``.

    Raises ``ParseError`` with one of ``document.REASONS``.
    """
    kind = kind_of(data, name)
    match kind:
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
        case Kind.XLSX | Kind.XLSB | Kind.XLS | Kind.ODS:
            return parse_sheet(data, kind=kind, max_chars=max_chars)
        case Kind.PPTX:
            return parse_slides(data, max_chars=max_chars)
        case Kind.ODT | Kind.ODP:
            return parse_odf(data, kind=kind, max_chars=max_chars)
        case Kind.RTF:
            return parse_rtf(data, max_chars=max_chars)
        case Kind.JSON | Kind.NDJSON:
            return parse_json(data, kind=kind, max_chars=max_chars)
        case Kind.XML:
            return parse_xml(data, max_chars=max_chars)
        case Kind.EML:
            return parse_mail(data, max_chars=max_chars)
        case Kind.MSG:
            return parse_msg(data, max_chars=max_chars)
        case Kind.PNG | Kind.JPEG | Kind.TIFF | Kind.WEBP:
            return parse_image(data, kind=kind, max_chars=max_chars)
        case Kind.ZIP | Kind.TAR | Kind.GZIP | Kind.BZIP2 | Kind.XZ | Kind.MBOX:
            # Whoever ingests opens archives first and parses what lies in them.
            raise ParseError("unsupported_type", "an archive is read through its members only")
