"""The one way from bytes to text: find out what they are, then give them to that parser."""

from ingest.parse.document import ParsedDocument
from ingest.parse.docx import parse_docx
from ingest.parse.html import parse_html
from ingest.parse.interchange import parse_record
from ingest.parse.kind import Kind, kind_of
from ingest.parse.pdf import parse_pdf
from ingest.parse.structured import structured_kind
from ingest.parse.table import parse_table
from ingest.parse.text import parse_text
from ingest.parse.xbrl import is_inline, with_facts
from ragplatform.errors import ParseError


def parse(data: bytes, name: str, max_chars: int) -> ParsedDocument:
    """Return the document's text and structure. Runs in the caller's process: see ``Sandbox``.

    Raises ``ParseError`` with one of ``document.REASONS``.
    """
    if (record := structured_kind(data, name)) is not None:
        return parse_record(data, kind=record, max_chars=max_chars)
    kind = kind_of(data, name)
    match kind:
        case Kind.PDF:
            return parse_pdf(data, max_chars=max_chars)
        case Kind.DOCX:
            return parse_docx(data, max_chars=max_chars)
        case Kind.HTML:
            document = parse_html(data, max_chars=max_chars)
            return with_facts(document, data, max_chars=max_chars) if is_inline(data) else document
        case Kind.CSV | Kind.TSV:
            return parse_table(data, kind=kind, max_chars=max_chars)
        case Kind.TEXT | Kind.MARKDOWN:
            return parse_text(data, kind=kind, max_chars=max_chars)
        case _:
            raise ParseError("unsupported_type", f"no parser for {kind} under this name")
