"""How a parsed document crosses from the parser's process: JSON, every field checked on arrival.

The sender may have been taken over by the document it parsed. Nothing here evaluates, imports or
constructs anything but the types below.
"""

import json
import re
from typing import Any, Final

from ingest.parse.document import (
    MARKINGS,
    REASONS,
    Claims,
    Heading,
    PageBreak,
    ParsedDocument,
    Part,
    SubjectId,
    clean,
)
from ingest.parse.kind import Kind
from ingest.parse.unpack import Member, Opened
from ragplatform.errors import ParseError, QuarantinedError
from ragplatform.page_labels import page_label

_MAX_MESSAGE: Final = 200
_MAX_ITEMS: Final = 1_000_000
# The longest identifier, name or type that a claim may hold.
_MAX_WORD: Final = 512
_DAY: Final = re.compile(r"(?:\d{4}-\d{2}-\d{2})?")


def encode_document(document: ParsedDocument) -> bytes:
    """Return the document as one JSON object."""
    return json.dumps(
        {
            "text": document.text,
            "media_type": document.media_type,
            "pages": [[page.offset, page.number, page.label] for page in document.pages],
            "headings": [[h.offset, h.level, len(h.title)] for h in document.headings],
            "warnings": list(document.warnings),
            "claims": _claims_row(document.claims),
        },
        ensure_ascii=False,
    ).encode("utf-8")


def _claims_row(claims: Claims) -> dict[str, Any]:
    people = [[[i.kind, i.value, i.system] for i in ids] for ids in claims.subjects]
    return {
        "subjects": people,
        "date": claims.date,
        "author": claims.author,
        "type": claims.type,
        "markings": sorted(claims.markings),
    }


def encode_parts(parts: tuple[Part, ...]) -> bytes:
    """Return how a file is to be cut as one JSON object."""
    rows = [[part.key, part.ranges] for part in parts]
    return json.dumps({"parts": rows}, ensure_ascii=False).encode("utf-8", "replace")


def encode_failure(reason: str, message: str) -> bytes:
    """Return a failure as one JSON object."""
    return json.dumps({"reason": reason, "message": message[:_MAX_MESSAGE]}).encode("ascii")


def encode_opened(opened: Opened) -> bytes:
    """Return what lies in a file: its list as one line of JSON, then all content one by one."""
    head = {
        "members": [[m.path, len(m.data), m.refused] for m in opened.members],
        "is_document": opened.is_document,
    }
    line = json.dumps(head).encode("ascii")
    return b"".join((line, b"\n", *(member.data for member in opened.members)))


def decode_opened(answer: bytes) -> Opened:
    """Return the members that the answer holds.

    Raises the ``ParseError`` that the answer holds instead, or one with reason ``crashed`` when the
    answer is not of this form.
    """
    try:
        return _decode_opened(answer)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ParseError("crashed", "the parser's answer is not of its form") from error


def _decode_opened(answer: bytes) -> Opened:
    line, _, content = answer.partition(b"\n")
    body = json.loads(line.decode("ascii"))
    if not isinstance(body, dict):
        raise TypeError("not an object")
    if "reason" in body:
        raise _failure(body)
    members: list[Member] = []
    offset = 0
    for row in body["members"]:
        path, size, refused = row
        sound = isinstance(path, str) and type(size) is int and 0 <= size <= len(content) - offset
        if not sound or (refused != "" and refused not in REASONS):
            raise ValueError("not a member")
        members.append(Member(_path(path), content[offset : offset + size], refused))
        offset += size
    if offset != len(content) or len({member.path for member in members}) != len(members):
        raise ValueError("the members are not those of the list")
    return Opened(tuple(members), body["is_document"] is True)


def _path(path: str) -> str:
    """Return the path if it leads nowhere but down."""
    parts = path.split("/")
    if path != clean(path) or len(path) > 600 or not all(parts) or {".", ".."} & set(parts):
        raise ValueError("not a safe path")
    return path


def decode(answer: bytes) -> ParsedDocument:
    """Return the document that the answer holds.

    Raises the ``ParseError`` that the answer holds instead, or one with reason ``crashed`` when the
    answer is not of this form.
    """
    try:
        return _decode(answer)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ParseError("crashed", "the parser's answer is not of its form") from error


def decode_parts(answer: bytes, size: int) -> tuple[Part, ...]:
    """Return how a file of that many bytes is to be cut; raises as ``decode`` does."""
    try:
        body = json.loads(answer.decode("utf-8"))
        if "reason" in body:
            raise _failure(body)
        parts = tuple(
            Part(_words([key])[0], tuple(_range(row, size) for row in ranges))
            for key, ranges in body["parts"][:_MAX_ITEMS]
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ParseError("crashed", "the parser's answer is not of its form") from error
    # Ranges may be shared, but not without end: a small file must not become a large one.
    if sum(end - start for part in parts for start, end in part.ranges) > 4 * size + (1 << 20):
        raise ParseError("crashed", "the parts of the file exceed the file")
    return parts


def _range(row: Any, size: int) -> tuple[int, int]:
    start, end = _numbers(row, 2)
    if not start <= end <= size:
        raise ValueError("not a range of the file")
    return start, end


def _claims(body: Any) -> Claims:
    people = []
    for row in body["subjects"][:_MAX_ITEMS]:
        if not row:
            raise ValueError("a subject without an identifier")
        ids = [_words(one) for one in row]
        people.append(tuple(SubjectId(kind, value, system) for kind, value, system in ids))
    date, author, kind = _words([body["date"], body["author"], body["type"]])
    markings = frozenset(_words(body["markings"]))
    if not markings <= MARKINGS or not _DAY.fullmatch(date):
        raise ValueError("a claim is not of its form")
    return Claims(tuple(people), date, author, kind, markings)


def _words(row: Any) -> list[str]:
    if not isinstance(row, list) or not all(isinstance(w, str) and w == clean(w) for w in row):
        raise ValueError("not a row of words")
    if any(len(word) > _MAX_WORD for word in row):
        raise ValueError("a word is too long")
    return row


def _decode(answer: bytes) -> ParsedDocument:
    body = json.loads(answer.decode("utf-8"))
    if not isinstance(body, dict):
        raise TypeError("not an object")
    if "reason" in body:
        raise _failure(body)
    text = body["text"]
    if not isinstance(text, str) or text != clean(text):
        raise ValueError("the text is not clean")
    warnings = body["warnings"]
    if not all(isinstance(word, str) and word.isidentifier() for word in warnings[:100]):
        raise ValueError("a warning is not a word")
    return ParsedDocument(
        text=text,
        media_type=Kind(body["media_type"]).value,
        pages=tuple(_page(row) for row in body["pages"][:_MAX_ITEMS]),
        headings=tuple(_heading(text, row) for row in body["headings"][:_MAX_ITEMS]),
        warnings=tuple(warnings[:100]),
        claims=_claims(body["claims"]),
    )


def _page(row: Any) -> PageBreak:
    if not isinstance(row, list) or len(row) != 3 or not isinstance(row[2], str):
        raise ValueError("not a page")
    if row[2] != page_label(row[2]):
        raise ValueError("a page's label holds more than one")
    offset, number = _numbers(row[:2], 2)
    return PageBreak(offset, number, row[2])


def _heading(text: str, row: Any) -> Heading:
    offset, level, length = _numbers(row, 3)
    return Heading(offset, level, text[offset : offset + length])


def _numbers(row: Any, count: int) -> list[int]:
    if not isinstance(row, list) or len(row) != count:
        raise ValueError("not a row of numbers")
    if not all(type(number) is int and 0 <= number < 2**40 for number in row):
        raise ValueError("not a row of numbers")
    return row


def _failure(body: dict[str, Any]) -> QuarantinedError:
    reason, message = body["reason"], body["message"]
    if reason not in REASONS or not isinstance(message, str):
        raise ValueError("not a known reason")
    # The words come from a process that saw the document: only plain ones are passed on.
    plain = "".join(c for c in message[:_MAX_MESSAGE] if c.isascii() and c.isprintable())
    return ParseError(reason, plain)
