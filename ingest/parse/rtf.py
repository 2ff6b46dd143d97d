"""RTF: a stream of groups and control words, read without carrying any of them out."""

import codecs
import re
from dataclasses import dataclass, replace
from typing import Final

from ingest.parse.document import ParsedDocument, TextBuilder
from ingest.parse.kind import Kind
from ragplatform.errors import ParseError

_TOKEN: Final = re.compile(
    rb"\\'([0-9a-fA-F]{2})|\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\(.)|([{}])|([^\\{}\r\n]+)|[\r\n]+",
    re.DOTALL,
)
_MAX_GROUPS: Final = 10_000
# Destinations whose text is no part of the document. Source: RTF 1.9.1, appendix A. Every
# destination marked by \* that is not named in _SHOWN is passed over as well.
_SKIPPED: Final = frozenset(
    "fonttbl colortbl stylesheet info pict object themedata colorschememapping datastore "
    "latentstyles listtable listoverridetable revtbl rsidtbl generator xmlnstbl filetbl fldinst "
    "bkmkstart bkmkend objdata objclass objalias objsect nonshppict panose falt blipuid template "
    "xe tc rxe private listtext pntext pntxta pntxtb ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn "
    "atnid atnicn atndate atnref operator mmathPr".split()
)
_SHOWN: Final = frozenset("shptxt shpinst shp annotation atnauthor nesttableprops".split())
_SIGNS: Final = {
    "tab": "\t", "line": "\n", "emdash": "\u2014", "endash": "\u2013", "lquote": "\u2018",
    "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d", "bullet": "\u2022",
    "emspace": " ", "enspace": " ", "qmspace": " ",
}  # fmt: skip
_SYMBOLS: Final = {b"~": "\u00a0", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}"}
_ENDS: Final = frozenset({"par", "page", "sect", "column"})
# Windows character sets of fonts. Source: RTF 1.9.1, table of \fcharset.
_CHARSETS: Final = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "cp950",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257",
    204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip
_CODE_PAGES: Final = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_HEADING: Final = re.compile(rb"(?:heading|titre|t\xedtulo|berschrift) (\d)", re.IGNORECASE)
_STYLE: Final = re.compile(rb"\{\\s(\d{1,4})\b([^{};]*(?:\{[^{}]*\}[^{};]*)*);\}")


def parse_rtf(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return headings, paragraphs and table rows in order, in the encodings that its fonts name.

    Hidden text, fields' code, pictures and embedded objects are left out. Raises ``ParseError``
    (``malformed``, ``no_text``, ``resource_limit``).
    """
    builder = TextBuilder(max_chars=max_chars)
    _Reader(data, builder, max_chars).read()
    return builder.finish(Kind.RTF.value)


@dataclass(slots=True)
class _State:
    """What a group may change and its end gives back."""

    skipped: bool = False
    hidden: bool = False
    unicode_skip: int = 1
    code_page: str = "cp1252"
    in_fonts: bool = False


class _Reader:
    """One pass over the tokens; text gathers in a line, cells in a row."""

    def __init__(self, data: bytes, builder: TextBuilder, max_chars: int) -> None:
        self._data = data
        self._builder = builder
        self._max_chars = max_chars
        self._state = _State()
        self._stack: list[_State] = []
        self._line: list[str] = []
        self._bytes = bytearray()
        self._cells: list[str] = []
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._page = "cp1252"
        self._level = 0
        self._levels = _heading_styles(data)
        self._starred = False
        self._pass_over = 0
        self._size = 0

    def read(self) -> None:
        """Read all tokens; a document that ends too early keeps what it had."""
        position = 0
        while position < len(self._data):
            found = _TOKEN.match(self._data, position)
            if found is None:
                # A backslash at the very end.
                break
            position = found.end()
            if found[2] == b"bin" and found[3]:
                # Raw bytes follow, in which braces mean nothing.
                position += max(int(found[3]), 0)
                continue
            self._take(found)
        self._end_line()
        self._end_row()

    def _take(self, found: re.Match[bytes]) -> None:
        if found[5]:
            self._group(opening=found[5] == b"{")
        elif found[2]:
            self._word(found[2].decode("ascii"), int(found[3]) if found[3] else None)
        elif found[1]:
            self._raw(bytes([int(found[1], 16)]))
        elif found[4]:
            self._symbol(found[4])
        elif found[6]:
            self._raw(found[6])

    def _group(self, *, opening: bool) -> None:
        self._settle()
        self._pass_over = 0
        self._starred = False
        if opening:
            if len(self._stack) >= _MAX_GROUPS:
                raise ParseError("resource_limit", f"nested deeper than {_MAX_GROUPS}")
            self._stack.append(self._state)
            self._state = replace(self._state)
        elif self._stack:
            self._state = self._stack.pop()

    def _word(self, word: str, number: int | None) -> None:
        starred, self._starred = self._starred, False
        state = self._state
        if word == "u" and number is not None:
            self._settle()
            self._add(_character(number))
            self._pass_over = state.unicode_skip
            return
        self._settle()
        if word == "fonttbl":
            state.skipped = state.in_fonts = True
        elif word in _SKIPPED or (starred and word not in _SHOWN):
            state.skipped = True
        elif word in _SIGNS:
            self._add(_SIGNS[word])
        elif word in _ENDS or word in {"cell", "nestcell", "row", "nestrow"}:
            if not state.skipped:
                self._end(word)
        elif word == "pard":
            self._level = 0
        elif word == "s":
            self._level = self._levels.get(number or 0, 0)
        else:
            self._format(word, number)

    def _format(self, word: str, number: int | None) -> None:
        state = self._state
        if word == "v":
            state.hidden = number != 0
        elif word == "plain":
            state.hidden = False
            state.code_page = self._page
        elif word == "uc" and number is not None:
            state.unicode_skip = max(0, min(number, 16))
        elif word in _CODE_PAGES:
            self._page = state.code_page = _CODE_PAGES[word]
        elif word == "ansicpg" and number:
            self._page = state.code_page = _known(f"cp{number}" if number != 65001 else "utf-8")
        elif word == "f" and number is not None:
            self._font = number
            if not state.in_fonts:
                state.code_page = self._fonts.get(number, self._page)
        elif word == "fcharset" and state.in_fonts and number in _CHARSETS and number:
            # The default of a font (1) and symbols (2) say nothing about letters.
            self._fonts[self._font] = _CHARSETS[number]

    def _end(self, word: str) -> None:
        if word in {"cell", "nestcell"}:
            self._cells.append(" ".join(_whole(self._line).split()))
            self._line.clear()
        elif word in {"row", "nestrow"}:
            self._end_row()
        elif self._cells:
            # A paragraph inside a table stays on its row's line.
            self._line.append(" ")
        else:
            self._end_line()

    def _end_line(self) -> None:
        self._settle()
        text = _whole(self._line)
        self._line.clear()
        if self._level and text.strip():
            self._builder.heading(text, self._level)
        else:
            self._builder.add(text)

    def _end_row(self) -> None:
        if any(self._cells):
            self._builder.add(" | ".join(self._cells))
        self._cells.clear()

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._starred = True
        elif symbol in b"\r\n":
            self._word("par", None)
        else:
            self._settle()
            self._add(_SYMBOLS.get(symbol, ""))

    def _raw(self, data: bytes) -> None:
        if self._pass_over:
            # What older readers show in place of the character just read.
            passed = min(self._pass_over, len(data))
            self._pass_over -= passed
            data = data[passed:]
        if not self._state.skipped and not self._state.hidden:
            self._bytes += data

    def _settle(self) -> None:
        """Decode the bytes gathered so far: a letter may take two of them."""
        if self._bytes:
            text = self._bytes.decode(self._state.code_page, "replace")
            self._bytes.clear()
            self._add(text)

    def _add(self, text: str) -> None:
        if not self._state.skipped and not self._state.hidden:
            self._line.append(text)
            self._size += len(text)
            if self._size > self._max_chars:
                raise ParseError("resource_limit", f"the text exceeds {self._max_chars} characters")


def _whole(parts: list[str]) -> str:
    """Return the joined parts; letters beyond U+FFFF arrive as two halves of UTF-16."""
    return "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(number: int) -> str:
    code = number % 65536
    # Symbol fonts put their signs at U+F000 and above: there is no letter to read.
    return "" if 0xF000 <= code <= 0xF0FF else chr(code)


def _known(encoding: str) -> str:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return "cp1252"
    return encoding


def _heading_styles(data: bytes) -> dict[int, int]:
    """Return the heading level of each style that is named as one."""
    start = data.find(b"\\stylesheet")
    if start < 0:
        return {}
    found = _STYLE.findall(data[start : start + 512 * 1024])
    named = ((int(number), _HEADING.search(body)) for number, body in found)
    return {number: int(level[1]) for number, level in named if level}
