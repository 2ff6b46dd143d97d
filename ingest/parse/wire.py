"""How a parsed document crosses from the parser's process: JSON, every field checked on arrival.

The sender may have been taken over by the document it parsed. Nothing here evaluates, imports or
constructs anything but the types below.
"""

import json
from typing import Any, Final

from ingest.parse.document import REASONS, Heading, PageBreak, ParsedDocument, clean
from ingest.parse.kind import Kind
from ingest.parse.unpack import Member, Opened
from ragplatform.errors import ParseError, QuarantinedError

_MAX_MESSAGE: Final = 200
_MAX_ITEMS: Final = 1_000_000


def encode_document(document: ParsedDocument) -> bytes:
    """Return the document as one JSON object."""
    return json.dumps(
        {
            "text": document.text,
            "media_type": document.media_type,
            "pages": [[page.offset, page.number] for page in document.pages],
            "headings": [[h.offset, h.level, len(h.title)] for h in document.headings],
            "warnings": list(document.warnings),
        },
        ensure_ascii=False,
    ).encode("utf-8")


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
        pages=tuple(PageBreak(*_numbers(row, 2)) for row in body["pages"][:_MAX_ITEMS]),
        headings=tuple(_heading(text, row) for row in body["headings"][:_MAX_ITEMS]),
        warnings=tuple(warnings[:100]),
    )


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
