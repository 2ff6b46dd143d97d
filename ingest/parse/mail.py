"""Mail (RFC 5322 with MIME): its headers and words as text, its attachments as members."""

import email
import email.errors
import email.header
import mimetypes
import re
from collections.abc import Iterator
from email import policy
from email.message import Message
from typing import Final

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.html import parse_html
from ingest.parse.kind import Kind
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

_SHOWN: Final = ("From", "To", "Cc", "Date", "Subject")
# The module's own tables alone: it would read the system's, which lie behind the walls.
_TYPES: Final = mimetypes.MimeTypes()
_MAX_HEADER: Final = 4_000
_MAX_PARTS: Final = 5_000
_HEADER: Final = re.compile(rb"\A\s*(?:>?From [^\n]*\n)?[!-9;-~]{1,100}[ \t]*:")
_ENCRYPTED: Final = frozenset({"multipart/encrypted", "application/pgp-encrypted"})
_FROM: Final = re.compile(rb"(?:\A|(?<=\n))From [^\n]{3,400}\d\d:\d\d[^\n]*\n")


def parse_mail(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the mail's main headers, one a line, then its text; the subject is a heading.

    The plain text is read, or the HTML where there is none. Attachments are named, not read: see
    ``mail_members``. Raises ``ParseError``: ``encrypted``, ``malformed``, ``no_text``,
    ``resource_limit``.
    """
    message = read_message(data)
    builder = TextBuilder(max_chars=max_chars)
    for name in _SHOWN:
        write_header(name, header(message, name), builder)
    bodies = list(_bodies(message))
    if not bodies and _is_encrypted(message):
        raise ParseError("encrypted", "the mail is encrypted")
    for part in bodies:
        write_body(_text(part), html=part.get_content_type() == "text/html", builder=builder)
    names = [name for name, _ in mail_members(data, message)]
    if names:
        builder.add(f"Attachments: {', '.join(names)}", gap="\n\n")
    return builder.finish(Kind.EML.value)


def mail_members(data: bytes, message: Message | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each attachment; a forwarded mail ends in ``.eml``."""
    message = message or read_message(data)
    if _is_encrypted(message):
        return
    shown = set(map(id, _bodies(message)))
    for count, part in enumerate(_leaves(message), start=1):
        if id(part) in shown or _is_decoration(part):
            continue
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                yield f"message-{count}.eml", _written(inner[0])
        elif body := _content(part):
            yield _file_name(part, count), body


def mailbox_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the messages of an mbox, named by their place in it."""
    starts = [found.start() for found in _FROM.finditer(data)]
    if not starts or data[: starts[0]].strip():
        raise ParseError("malformed", "this mailbox does not begin with a message")
    for number, (start, end) in enumerate(
        zip(starts, [*starts[1:], len(data)], strict=True), start=1
    ):
        _, _, message = data[start:end].partition(b"\n")
        # The writer of an mbox hides lines of the text that look like its own.
        yield f"message-{number:06}.eml", re.sub(rb"(?m)^>(>*From )", rb"\1", message)


def read_message(data: bytes) -> Message:
    """Return the mail. Raises ``ParseError`` (``malformed``) when no header begins it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = decode(data)[0].encode("utf-8")
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not _HEADER.match(data[:2000]):
        raise ParseError("malformed", "this does not begin like a mail")
    # The old policy keeps what is wrong as it stands; the new one raises on odd headers.
    return email.message_from_bytes(data, policy=policy.compat32)


def header(message: Message, name: str) -> str:
    """Return a header's decoded text, all its occurrences joined."""
    values = message.get_all(name) or []
    return ", ".join(_decoded(value) for value in values)[:_MAX_HEADER]


def write_header(name: str, value: str, builder: TextBuilder) -> None:
    """Write one header line; the subject's words are a heading."""
    value = " ".join(clean(value).split())
    if value:
        start = builder.add_clean(f"{name}: {value}")
        if name == "Subject":
            builder.mark_heading(start + len("Subject: "), 1, value)


def write_body(text: str, *, html: bool, builder: TextBuilder) -> None:
    """Write a mail's text after an empty line."""
    if html and text.strip():
        try:
            text = parse_html(text.encode("utf-8", "replace"), max_chars=10**9).text
        except ParseError:
            # Pictures alone: the mail still has its headers.
            text = ""
    builder.add(text, gap="\n\n")


def _decoded(value: object) -> str:
    raw = str(value)
    try:
        words = email.header.decode_header(raw)
        return "".join(
            _bytes_text(word, charset) if isinstance(word, bytes) else word
            for word, charset in words
        )
    except (ValueError, LookupError, email.errors.HeaderParseError):
        return raw


def _bytes_text(data: bytes, charset: str | None) -> str:
    if charset and charset.lower() not in {"unknown-8bit", "us-ascii", "ascii"}:
        try:
            return data.decode(charset, "replace")
        except (LookupError, ValueError):
            pass
    return decode(data)[0]


def _leaves(message: Message) -> Iterator[Message]:
    """Yield the parts that hold content; a forwarded mail is one part, whatever it holds."""
    waiting = [message]
    seen = 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if seen > _MAX_PARTS:
            raise ParseError("resource_limit", f"the mail has over {_MAX_PARTS} parts")
        inner = part.get_payload()
        if part.get_content_type() != "message/rfc822" and isinstance(inner, list):
            waiting.extend(item for item in reversed(inner) if isinstance(item, Message))
        elif part.get_content_maintype() != "multipart":
            yield part


def _bodies(message: Message) -> Iterator[Message]:
    """Yield the text parts that a reader would show: of alternatives, the plain one."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        inner = part.get_payload()
        if kind == "multipart/alternative" and isinstance(inner, list):
            waiting.extend(_preferred([item for item in inner if isinstance(item, Message)]))
        elif kind != "message/rfc822" and isinstance(inner, list):
            waiting.extend(item for item in reversed(inner) if isinstance(item, Message))
        elif (kind in {"text/plain", "text/html"} and not _is_attached(part)) or (
            kind.startswith("message/") and kind != "message/rfc822"
        ):
            yield part


def _preferred(parts: list[Message]) -> list[Message]:
    """Return the plain version if it says anything, else the last one, which is the richest."""
    plain = [part for part in parts if part.get_content_type() == "text/plain"]
    if plain and _text(plain[0]).strip():
        return plain[:1] + [part for part in parts if part.get_content_maintype() != "text"]
    return [part for part in parts if part.get_content_type() != "text/plain"][-1:] or plain[:1]


def _written(message: Message) -> bytes:
    """Return a forwarded mail's bytes, with headers that would begin another line made harmless."""
    try:
        return message.as_bytes(policy=policy.compat32)
    except (email.errors.MessageError, LookupError, ValueError):
        headers = [(name, " ".join(str(value).split())) for name, value in message.items()]
        lines = [f"{name}: {value}" for name, value in headers]
        body = _content(message) or str(message.get_payload()).encode("utf-8", "replace")
        return "\n".join(lines).encode("utf-8", "replace") + b"\n\n" + body


def _is_attached(part: Message) -> bool:
    disposition = str(part.get("Content-Disposition") or "").strip().lower()
    return disposition.startswith("attachment") or bool(part.get_filename())


def _is_decoration(part: Message) -> bool:
    """Return whether a part is a picture that the HTML shows in its place, or a signature."""
    inline = not str(part.get("Content-Disposition") or "").lower().startswith("attachment")
    if part.get_content_type() in {"application/pgp-signature", "application/pkcs7-signature"}:
        return True
    if part.get_content_type() == "application/x-pkcs7-signature":
        return True
    is_text = part.get_content_type() in {"text/plain", "text/html"} and not _is_attached(part)
    return is_text or (
        inline and part.get_content_maintype() == "image" and part.get("Content-ID") is not None
    )


def _is_encrypted(message: Message) -> bool:
    kinds = {part.get_content_type() for part in message.walk()}
    if kinds & _ENCRYPTED:
        return True
    return any(
        part.get_content_type() in {"application/pkcs7-mime", "application/x-pkcs7-mime"}
        and part.get_param("smime-type") != "signed-data"
        for part in message.walk()
    )


def _content(part: Message) -> bytes:
    try:
        body = part.get_payload(decode=True)
    except (ValueError, AssertionError):
        body = None
    return body if isinstance(body, bytes) else b""


def _text(part: Message) -> str:
    charset = part.get_content_charset()
    return _bytes_text(_content(part), charset)


def _file_name(part: Message, number: int) -> str:
    try:
        name = part.get_filename() or ""
    except (ValueError, LookupError, TypeError):
        name = ""
    name = " ".join(clean(_decoded(name)).split()).replace("/", "_").replace("\\", "_")
    if not name.strip("."):
        text = part.get_content_maintype() == "text"
        guessed = _TYPES.guess_extension(part.get_content_type()) or (".txt" if text else ".bin")
        name = f"part-{number}{guessed}"
    return name[-200:]
