"""Plain text and Markdown."""

import codecs
import re
from typing import Final

import charset_normalizer

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind, is_wide
from ragplatform.errors import ParseError

_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Without this list, German letters were taken for those of a Baltic code page.
_LEGACY: Final = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "mac_roman", "cp437"),
)
# Detection reads this much: its cost grows faster than its certainty.
_DETECT_BYTES: Final = 256 * 1024
_ATX: Final = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_SETEXT: Final = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def decode(data: bytes) -> tuple[str, str]:
    """Return the text and the name of its encoding.

    In this order: byte-order mark, UTF-8, zero bytes that give UTF-16 away, statistics. Bytes that
    fit nowhere become U+FFFD rather than stop the document.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    if wide := is_wide(data[:65536]):
        return data.decode(wide, "replace"), wide
    encoding = _guess(data[:_DETECT_BYTES])
    return data.decode(encoding, "replace"), encoding


def _guess(data: bytes) -> str:
    """Return the most likely of the encodings that files are found in.

    Between equals windows-1252 wins: it is what unlabelled Western files are (WHATWG Encoding
    Standard, 4.2), and its neighbours turn "é" into letters of other names.
    """
    found = charset_normalizer.from_bytes(data, cp_isolation=list(_LEGACY))
    best = found.best()
    if best is None:
        return "cp1252"
    equals = {match.encoding for match in found if match.chaos <= best.chaos}
    return "cp1252" if "cp1252" in equals.union(best.could_be_from_charset) else best.encoding


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
