"""Documents inside records: notes and reports that a structured format carries as an attachment."""

import base64
import binascii
from typing import Final

from ingest.parse.document import TextBuilder
from ingest.parse.html import parse_html
from ingest.parse.kind import Kind
from ingest.parse.pdf import parse_pdf
from ingest.parse.text import parse_text
from ragplatform.errors import ParseError

_MAX_EMBEDDED: Final = 64 * 1024 * 1024


def decode_base64(text: str) -> bytes:
    """Return the bytes, or none where the text is not base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def visible_text(markup: str) -> str:
    """Return what a reader would see of an (X)HTML fragment."""
    try:
        return parse_html(markup.encode("utf-8", "replace"), max_chars=_MAX_EMBEDDED).text
    except ParseError:
        return ""


def add_embedded(builder: TextBuilder, data: bytes, media_type: str) -> None:
    """Append an attachment's text; one that cannot be read is noted by a warning."""
    try:
        text = _text(data, media_type.split(";", maxsplit=1)[0].strip().lower())
    except ParseError as error:
        if error.reason == "resource_limit":
            raise
        text = ""
    if text.strip():
        builder.add(text)
    else:
        builder.warn("attachment_not_read")


def _text(data: bytes, media_type: str) -> str:
    if not data or len(data) > _MAX_EMBEDDED:
        return ""
    if data.startswith(b"%PDF-"):
        return parse_pdf(data, max_chars=_MAX_EMBEDDED).text
    if media_type in {"text/html", "application/xhtml+xml"}:
        return parse_html(data, max_chars=_MAX_EMBEDDED).text
    if media_type in {"text/plain", "text/markdown"}:
        return parse_text(data, kind=Kind.TEXT, max_chars=_MAX_EMBEDDED).text
    return ""
