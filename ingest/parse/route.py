"""The one way from bytes to text: find out what they are, then give them to that parser."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from ingest.parse.document import MIXED_SUBJECTS, ParsedDocument
from ingest.parse.docx import parse_docx
from ingest.parse.html import parse_html
from ingest.parse.interchange import parse_record
from ingest.parse.kind import ARCHIVES, Kind, kind_of
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
from ingest.parse.structured import structured_kind
from ingest.parse.table import parse_table
from ingest.parse.text import parse_text
from ingest.parse.xbrl import is_inline, with_facts
from ragplatform.errors import ParseError


def _parse_page(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return a page's text, and the facts that a filing marks in it."""
    document = parse_html(data, max_chars=max_chars)
    return with_facts(document, data, max_chars=max_chars) if is_inline(data) else document


_PARSERS: Final[Mapping[Kind, Callable[..., ParsedDocument]]] = {
    Kind.PDF: parse_pdf,
    Kind.DOCX: parse_docx,
    Kind.HTML: _parse_page,
    Kind.PPTX: parse_slides,
    Kind.RTF: parse_rtf,
    Kind.XML: parse_xml,
    Kind.EML: parse_mail,
    Kind.MSG: parse_msg,
    **{kind: partial(parse_table, kind=kind) for kind in (Kind.CSV, Kind.TSV)},
    **{kind: partial(parse_text, kind=kind) for kind in (Kind.TEXT, Kind.MARKDOWN)},
    **{
        kind: partial(parse_sheet, kind=kind) for kind in (Kind.XLSX, Kind.XLSB, Kind.XLS, Kind.ODS)
    },
    **{kind: partial(parse_odf, kind=kind) for kind in (Kind.ODT, Kind.ODP)},
    **{kind: partial(parse_json, kind=kind) for kind in (Kind.JSON, Kind.NDJSON)},
    **{
        kind: partial(parse_image, kind=kind)
        for kind in (Kind.PNG, Kind.JPEG, Kind.TIFF, Kind.WEBP)
    },
}


# Records of people that no parser of records took, such as a list of FHIR resources or FHIR as XML:
# read as plain JSON or XML they would be about nobody, and open to whoever may read the collection.
_GENERIC: Final = frozenset({Kind.JSON, Kind.NDJSON, Kind.XML, Kind.TEXT})
_RECORDS: Final = re.compile(
    rb'"resourceType"\s*:|http://hl7\.org/fhir["\']|urn:hl7-org:v3["\']|^(?:PID|MSH)\|',
    re.MULTILINE,
)


def parse(data: bytes, name: str, max_chars: int) -> ParsedDocument:
    """Return the document's text and structure. Runs in the caller's process: see ``Sandbox``.

    Raises ``ParseError`` with one of ``document.REASONS``.
    """
    if (record := structured_kind(data, name)) is not None:
        return parse_record(data, kind=record, max_chars=max_chars)
    kind = kind_of(data, name)
    if kind in ARCHIVES:
        # Whoever ingests opens archives first and parses what lies in them.
        raise ParseError("unsupported_type", "an archive is read through its members only")
    if kind not in _PARSERS:
        raise ParseError("unsupported_type", f"no parser for {kind} under this name")
    document = _PARSERS[kind](data, max_chars=max_chars)
    if kind in _GENERIC and _RECORDS.search(data.replace(b"\x00", b"")):
        claims = replace(document.claims, markings=document.claims.markings | {MIXED_SUBJECTS})
        document = replace(document, claims=claims)
    return document
