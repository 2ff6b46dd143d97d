"""What every parser returns, and the builder that keeps its offsets true.

All offsets count code points of the final text, which is clean (see ``clean``): nothing downstream
may normalise it again, or pages, headings and spans would drift.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from ragplatform.errors import ParseError
from ragplatform.page_labels import page_label

REASONS: Final = frozenset(
    {
        "active_content",
        "archive_bomb",
        "crashed",
        "empty",
        "encrypted",
        "malformed",
        "needs_ocr",
        "no_text",
        "not_a_file",
        "resource_limit",
        "timeout",
        "too_large",
        "type_mismatch",
        "unsafe_path",
        "unsupported_type",
    }
)
"""Every word that a failed parse may give as its reason."""

# What nobody sees but every recogniser stumbles over: a zero-width space inside "Jo\u200bhn" hides
# a name from the search for personal data, bidi controls reorder digits, tag characters smuggle
# instructions to a model. Joiners are kept only between letters of scripts that need them.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180b-\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e0fff]"
    "|(?<=[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f])"
)
_LINE_END: Final = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SPACE: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
# Longer than any identifier or name that is one.
_MAX_WORD: Final = 400
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    r"""Return the text in NFC with ``\n`` line ends and nothing invisible in it.

    Control, zero-width, bidi and tag characters are removed, Unicode spaces become plain ones,
    lone surrogates become U+FFFD. Cleaning twice changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_END.sub("\n", text)
    text = _SURROGATE.sub("\ufffd", text)
    # Removing an invisible character may put a joiner beside ASCII, or a combining mark beside its
    # letter, so the removal runs until it finds nothing and the normal form comes last.
    while True:
        thinner = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
        if thinner == text:
            return _SPACE.sub(" ", text)
        text = thinner


@dataclass(frozen=True, slots=True)
class PageBreak:
    """Where page ``number`` (from 1) begins in the text.

    ``label`` is what the document itself calls it, as ``page_label`` lets it pass; "" without one.
    """

    offset: int
    number: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that stands in the text: ``text[offset : offset + len(title)] == title``."""

    offset: int
    level: int
    title: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SubjectId:
    """One identifier of a person or account, as a format's own field gives it.

    ``kind`` is a word (``mrn``, ``patient``, ``member``, ``account``, ...), ``system`` names who
    gave the identifier out (a URI, an OID, an authority), or is ``""``.
    """

    kind: str
    value: str = field(repr=False)
    system: str = ""


MIXED_SUBJECTS: Final = "mixed-subjects"
MARKINGS: Final = frozenset({MIXED_SUBJECTS, "part2", "psychotherapy", "restricted", "vip"})
"""Every word by which a document may ask to be kept closer than its source's labels say."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a document says of itself in fields of its format; what people say outranks it.

    ``subjects`` holds one entry for each person or account that it is about: that one's
    identifiers, the best first. ``date`` is an ISO 8601 day or ``""``. ``markings`` are of
    ``MARKINGS``.
    """

    subjects: tuple[tuple[SubjectId, ...], ...] = field(default=(), repr=False)
    date: str = ""
    author: str = field(default="", repr=False)
    type: str = ""
    markings: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """One subject's share of a file about many: ranges ``data[start:end]``, joined by line ends.

    ``key`` names the share among those of its file and may hold an identifier.
    """

    key: str = field(repr=False)
    ranges: tuple[tuple[int, int], ...]

    def cut(self, data: bytes) -> bytes:
        """Return the share's bytes."""
        return b"\n".join(data[start:end] for start, end in self.ranges)


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document's text and structure. ``pages`` is empty for formats that have no pages.

    ``warnings`` are stable words for what was left out (``pages_without_text``), never content.
    """

    text: str = field(repr=False)
    media_type: str
    pages: tuple[PageBreak, ...] = ()
    headings: tuple[Heading, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()
    claims: Claims = Claims()

    def __post_init__(self) -> None:
        size = len(self.text)
        starts = [page.offset for page in self.pages]
        places = [heading.offset for heading in self.headings]
        for offsets in (starts, places):
            if any(not 0 <= offset <= size for offset in offsets):
                raise ValueError("an offset lies outside the text")
            if any(left > right for left, right in pairwise(offsets)):
                raise ValueError("offsets must ascend")
        if any(not self.text.startswith(h.title, h.offset) for h in self.headings):
            raise ValueError("a heading does not stand where it says")

    def page_at(self, offset: int) -> int | None:
        """Return the number of the page that holds the offset, or None without pages."""
        if not self.pages:
            return None
        index = bisect_right(self.pages, offset, key=lambda page: page.offset)
        return self.pages[max(index - 1, 0)].number

    def moved(self, text: str, position: Callable[[int], int]) -> "ParsedDocument":
        """Return this document after its text was transformed into ``text``.

        ``position`` maps an offset of the old text to the new one and never decreases. Pages move
        along, and titles are read again from the new text, so that none keeps what was masked.
        """
        pages = tuple(replace(page, offset=position(page.offset)) for page in self.pages)
        headings = []
        for heading in self.headings:
            start = position(heading.offset)
            end = position(heading.offset + len(heading.title))
            if title := text[start:end].strip():
                headings.append(Heading(text.index(title, start), heading.level, title))
        return replace(self, text=text, pages=pages, headings=tuple(headings))


def _word(text: str) -> str:
    return " ".join(clean(text).split())[:_MAX_WORD]


class TextBuilder:
    """Collects cleaned blocks into one text and notes where pages and headings begin.

    Raises ``ParseError`` (``resource_limit``) when the text outgrows ``max_chars``.
    """

    def __init__(self, *, max_chars: int) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._max_chars = max_chars
        self._pages: list[PageBreak] = []
        self._headings: list[Heading] = []
        self._warnings: dict[str, None] = {}
        self._claims = Claims()

    @property
    def blank(self) -> bool:
        """Whether nothing but white space was added so far."""
        return not any(part.strip() for part in self._parts)

    def add(self, block: str, *, gap: str = "\n") -> int:
        """Append a block on a line of its own, ``gap`` after what is there; return its offset.

        A block that is blank after cleaning adds nothing.
        """
        return self.add_clean(clean(block), gap=gap)

    def add_clean(self, block: str, *, gap: str = "\n") -> int:
        """Append a block that ``clean`` has already been through."""
        block = block.strip("\n")
        if not block.strip():
            return self._size
        if self._size:
            self._append(gap)
        start = self._size
        self._append(block)
        return start

    def heading(self, title: str, level: int) -> None:
        """Append a heading on a line of its own, its white space folded."""
        title = " ".join(clean(title).split())
        if title:
            offset = self.add_clean(title, gap="\n\n")
            self._headings.append(Heading(offset, level, title))

    def mark_heading(self, offset: int, level: int, title: str) -> None:
        """Note a heading that already stands in the text at the offset."""
        if title:
            self._headings.append(Heading(offset, level, title))

    def page(self, text: str, number: int, label: str = "") -> int:
        """Begin a page with its cleaned text; return the offset at which it begins.

        ``label`` is the document's own for the page, as it is written there.
        """
        if self._size:
            self._append("\n\n")
        start = self._size
        self._pages.append(PageBreak(start, number, page_label(label)))
        self._append(text.strip("\n"))
        return start

    def warn(self, word: str) -> None:
        """Note once, by a stable word, that something was left out."""
        self._warnings[word] = None

    def claim(self, claims: Claims) -> None:
        """Note what the document says of itself, each word cleaned; what is blank is left out."""
        people = (
            tuple(
                SubjectId(one.kind, value, _word(one.system))
                for one in ids
                if (value := _word(one.value))
            )
            for ids in claims.subjects
        )
        self._claims = Claims(
            # One person may come under the same identifiers many times.
            subjects=tuple(dict.fromkeys(ids for ids in people if ids)),
            date=claims.date if _DAY.fullmatch(claims.date) else "",
            author=_word(claims.author),
            type=_word(claims.type),
            markings=claims.markings & MARKINGS,
        )

    def finish(self, media_type: str) -> ParsedDocument:
        """Return the document. Raises ``ParseError`` (``no_text``) when there is no text."""
        if self.blank:
            raise ParseError("no_text", f"no text could be read from this {media_type}")
        return ParsedDocument(
            text="".join(self._parts),
            media_type=media_type,
            pages=tuple(self._pages),
            headings=tuple(sorted(self._headings, key=lambda heading: heading.offset)),
            warnings=tuple(self._warnings),
            claims=self._claims,
        )

    def _append(self, part: str) -> None:
        self._size += len(part)
        if self._size > self._max_chars:
            raise ParseError("resource_limit", f"the text exceeds {self._max_chars} characters")
        self._parts.append(part)
