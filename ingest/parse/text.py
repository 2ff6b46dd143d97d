"""Plain text and Markdown."""

import re
from typing import Final

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

_ATX: Final = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_SETEXT: Final = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def parse_text(data: bytes, *, kind: Kind, max_chars: int) -> ParsedDocument:
    """Return plain text or Markdown as it stands; Markdown's headings are noted.

    Raises ``ParseError`` (``no_text``, ``resource_limit``).
    """
    raw, encoding = decode(data)
    if len(raw) > max_chars:
        raise ParseError("resource_limit", f"the text exceeds {max_chars} characters")
    text = clean(raw)
    builder = TextBuilder(max_chars=max_chars)
    lead = len(text) - len(text.lstrip("\n"))
    builder.add_clean(text)
    if encoding not in {"utf-8", "utf-8-sig", "utf-16", "utf-32"}:
        builder.warn("encoding_guessed")
    if kind is Kind.MARKDOWN:
        _mark_headings(text[lead:], builder)
    return builder.finish(kind.value)


def _mark_headings(text: str, builder: TextBuilder) -> None:
    """Note ATX and setext headings outside fenced code (CommonMark 0.31, 4.2 and 4.3)."""
    fence = ""
    offset = 0
    before, before_offset = "", 0
    for line in text.split("\n"):
        if found := _FENCE.match(line):
            mark = found[1]
            if not fence:
                fence = mark
            elif mark[0] == fence[0] and len(mark) >= len(fence):
                fence = ""
        elif not fence and (atx := _ATX.match(line)):
            builder.mark_heading(offset + atx.start(2), len(atx[1]), atx[2])
        elif not fence and (under := _SETEXT.match(line)) and before.strip():
            title = before.strip()
            start = before_offset + before.index(title)
            builder.mark_heading(start, 1 if under[1][0] == "=" else 2, title)
        is_title = not fence and not _ATX.match(line) and not _SETEXT.match(line)
        before, before_offset = (line, offset) if is_title else ("", offset)
        offset += len(line) + 1
