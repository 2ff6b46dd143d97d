"""IMAP over TLS with every answer bounded in size and time; mailboxes are opened for reading only.

The protocol is the standard library's; what it lacks are bounds. Its own messages quote what the
server sent, which may be mail: none of them is passed on.
"""

import base64
import binascii
import imaplib
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ragplatform.egress import Allowed, tls_connection
from ragplatform.errors import EgressBlockedError, SourceError

_CONNECT_S: Final = 20.0
_SILENCE_S: Final = 60.0
_ANSWER_S: Final = 600.0
_SMALL: Final = 16 * 1024 * 1024
# Source: RFC 2683, section 3.2.1.5 names 8,000 bytes; lists of numbers grow far longer.
_LONGEST_LINE: Final = 1_000_000
_FOLDER: Final = re.compile(
    rb'\((?P<flags>[^)]*)\) (?P<mark>"(?:\\.|[^"\\])"|NIL) (?P<name>.+)', re.S
)
_QUOTED: Final = re.compile(rb'"((?:\\.|[^"\\])*)"')
_NUMBERS: Final = re.compile(rb"(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d{1,20})")
_UID: Final = re.compile(rb"(?:\A|[ (])UID (\d{1,10})")
_SIZE: Final = re.compile(rb"RFC822\.SIZE (\d{1,15})")
_DATE: Final = re.compile(rb'INTERNALDATE "([^"]{1,40})"')
_FLAGS: Final = re.compile(rb"FLAGS \(([^)]*)\)")
_VANISHED: Final = re.compile(rb"\(EARLIER\) ([\d:,]+)\Z")


class ImapLogin:
    """Who we are: a user with a password, or with a token that is asked for at each login."""

    def __init__(
        self, user: str, *, password: Callable[[], str] | None, token: Callable[[], str] | None
    ) -> None:
        self.user = user
        self._password = password
        self._token = token

    def prove(self, imap: "BoundedImap") -> None:
        """Log in. Raises what ``imaplib`` raises when the server refuses."""
        if self._token is not None:
            # Source: Gmail and Exchange, "XOAUTH2";
            words = f"user={self.user}\x01auth=Bearer {self._token().strip()}\x01\x01"
            imap.authenticate("XOAUTH2", _once(words.encode()))
        elif self._password is not None:
            # Source: RFC 4616. LOGIN would take ASCII alone.
            words = f"\0{self.user}\0{self._password()}"
            imap.authenticate("PLAIN", _once(words.encode()))


def _once(words: bytes) -> Callable[[bytes], bytes]:
    """Return what answers the first challenge; one that follows is a refusal's details."""
    left = [words]
    return lambda _: left.pop() if left else b""


class _Wire(io.RawIOBase):
    """A connection that gives so many bytes, and no longer than till then."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.allow(_SMALL, _CONNECT_S)

    def allow(self, room: int, seconds: float) -> None:
        """Begin another answer."""
        self.room = room
        self._until = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(min(left, _SILENCE_S))
        size = self._connection.recv_into(buffer)
        self.room -= size
        if self.room < 0:
            raise OSError("too much")
        return size


class BoundedImap(imaplib.IMAP4):
    """The standard library's client over a connection that was made inside the seal."""

    def __init__(self, *, allowed: Allowed, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._allowed = allowed
        self._tls = tls
        super().__init__(host, port, timeout=_CONNECT_S)

    def open(self, host: str = "", port: int = 993, timeout: float | None = None) -> None:
        """Connect, by TLS from the first byte. Source: RFC 8314, section 3.2."""
        super().open(host, port, timeout)
        self._wire = _Wire(self.sock)
        self._reader = io.BufferedReader(self._wire)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return tls_connection(
            self._allowed, self.host, self.port, tls=self._tls, timeout_s=timeout or _CONNECT_S
        )

    def allow(self, room: int, seconds: float) -> None:
        """Say how much and how long the next answer may be."""
        self._wire.allow(room, seconds)

    def read(self, size: int) -> bytes:
        """Return a literal of so many bytes, if there is room for it."""
        if size > self._wire.room + len(self._reader.peek()):
            raise self.abort("a literal is too long")
        return self._reader.read(size)

    def readline(self) -> bytes:
        """Return a line."""
        line = self._reader.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise self.abort("a line is too long")
        return line


@dataclass(frozen=True, slots=True)
class MailFolder:
    """A mailbox: as the server writes it, and as we name it, its levels divided by ``/``."""

    raw: bytes = field(repr=False)
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FolderState:
    """Where a mailbox stands; ``modseq`` is 0 where it does not count changes."""

    uidvalidity: int
    uidnext: int
    modseq: int = 0


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as a listing tells of it. ``headers`` is None where they were not given."""

    uid: int
    size: int | None
    date: str
    keywords: tuple[str, ...]
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mails:
    """An answer about messages: those there are, and ranges of numbers that are no more."""

    found: tuple[Mail, ...]
    vanished: tuple[tuple[int, int], ...]


class Imap:
    """One session, logged in."""

    def __init__(
        self, *, allowed: Allowed, host: str, port: int, tls: ssl.SSLContext, login: ImapLogin
    ) -> None:
        """Raises ``SourceError`` when the server is away, not the right one, or refuses us."""
        try:
            self._imap = BoundedImap(allowed=allowed, host=host, port=port, tls=tls)
        except ssl.SSLError as error:
            raise SourceError(
                "the IMAP server does not prove to be the right one by TLS: see `ca_file`"
            ) from error
        except (OSError, imaplib.IMAP4.error, ValueError) as error:
            raise SourceError(f"the IMAP server does not answer ({type(error).__name__})") from None
        try:
            self._imap.allow(_SMALL, _ANSWER_S)
            login.prove(self._imap)
            self._imap.capabilities = tuple(self._words("CAPABILITY"))
        except SourceError:
            self.close()
            raise
        except (OSError, imaplib.IMAP4.error, ValueError) as error:
            self.close()
            raise SourceError(
                f"the IMAP server does not let us in ({type(error).__name__}): is the password or "
                "token still the right one?"
            ) from None
        self.counts_changes = "CONDSTORE" in self._imap.capabilities or self._tells_vanished
        self.tells_vanished = self._tells_vanished and self._enabled()

    @property
    def _tells_vanished(self) -> bool:
        return {"QRESYNC", "ENABLE"} <= set(self._imap.capabilities)

    def _enabled(self) -> bool:
        self._command(lambda: self._imap.enable("QRESYNC"))
        return True

    def _words(self, name: str) -> Iterator[str]:
        _, lines = self._imap.capability()
        for line in lines:
            yield from str(line, "ascii", "replace").upper().split()

    def folders(self) -> Iterator[MailFolder]:
        """Yield the mailboxes that can be opened. Raises ``SourceError``."""
        lines = self._command(lambda: self._imap.list('""', "*"))
        for line in lines:
            literal = bytes(line[1]) if isinstance(line, tuple) else None
            if not (found := _FOLDER.match(_flat(line))):
                continue
            flags = found["flags"].lower().split()
            raw = _string(found["name"]) if literal is None else literal
            if b"\\noselect" in flags or b"\\nonexistent" in flags or not _is_sound(raw):
                continue
            mark = b"" if found["mark"] == b"NIL" else _string(found["mark"])
            yield MailFolder(raw, _shown(raw, mark))

    def state(self, folder: MailFolder) -> FolderState | None:
        """Return where a mailbox stands, None when it is no more. Raises ``SourceError``."""
        wanted = (
            "(UIDVALIDITY UIDNEXT HIGHESTMODSEQ)"
            if self.counts_changes
            else "(UIDVALIDITY UIDNEXT)"
        )
        try:
            lines = self._command(lambda: self._imap.status(_mailbox(folder), wanted))
        except _RefusedError:
            return None
        told = {key: int(value) for key, value in _NUMBERS.findall(b" ".join(map(_flat, lines)))}
        try:
            modseq = told.get(b"HIGHESTMODSEQ", 0)
            return FolderState(told[b"UIDVALIDITY"], told[b"UIDNEXT"], modseq)
        except KeyError:
            raise _malformed() from None

    def open(self, folder: MailFolder) -> int | None:
        """Open a mailbox for reading only, and return its validity, None when it is no more."""
        try:
            self._command(lambda: self._imap.select(_mailbox(folder), readonly=True))
        except _RefusedError:
            return None
        told = _flat((self._imap.untagged_responses.get("UIDVALIDITY") or [b""])[-1])
        if not told.isdigit():
            raise _malformed()
        return int(told)

    def refresh(self) -> None:
        """Let the server tell what changed in the open mailbox. Raises ``SourceError``.

        Until then it may give messages that somebody else has deleted.
        """
        self._command(self._imap.noop)

    def fetch(self, numbers: str, what: str, *, room: int, since: int = 0) -> Mails:
        """Return what is asked of messages of the open mailbox. Raises ``SourceError``.

        With ``since`` only those that changed after that count, and which are no more.
        """
        more = (f"(CHANGEDSINCE {since} VANISHED)",) if since else ()
        self._imap.untagged_responses.pop("VANISHED", None)
        lines = self._command(lambda: self._imap.uid("FETCH", numbers, what, *more), room=room)
        told = self._imap.untagged_responses.pop("VANISHED", None) or []
        ranges = [one for line in told for one in _ranges(_flat(line))]
        return Mails(tuple(_mails(lines)), tuple(ranges))

    def _command(
        self, act: Callable[[], tuple[str, Sequence[object]]], *, room: int = _SMALL
    ) -> Sequence[object]:
        """Return the answer's lines. Raises ``SourceError``, ``_RefusedError`` for a plain no."""
        self._imap.allow(room, _ANSWER_S)
        try:
            status, lines = act()
        except EgressBlockedError:
            raise
        except (OSError, imaplib.IMAP4.error, ValueError) as error:
            self.close()
            raise SourceError(
                f"the IMAP server stopped answering, or answered too much ({type(error).__name__})"
            ) from None
        if status != "OK":
            raise _RefusedError("the IMAP server refuses what was asked of it")
        return lines

    def close(self) -> None:
        """End the session. Calling it again does nothing."""
        try:
            self._imap.allow(_SMALL, 5.0)
            self._imap.logout()
        except (OSError, imaplib.IMAP4.error, ValueError):
            # It is gone already, or says what it likes.
            with suppress(OSError):
                self._imap.shutdown()


class _RefusedError(SourceError):
    """The server says no, and goes on."""


def _mails(lines: Sequence[object]) -> Iterator[Mail]:
    """Yield the messages of an answer. A literal belongs to the line that it stands in."""
    head, body = b"", None
    for line in lines:
        if isinstance(line, tuple):
            if body is not None:
                raise _malformed()
            head, body = bytes(line[0]), bytes(line[1])
            continue
        head += _flat(line)
        if found := _UID.search(head):
            yield _mail(int(found[1]), head, body)
        head, body = b"", None


def _mail(uid: int, head: bytes, body: bytes | None) -> Mail:
    size, date, flags = _SIZE.search(head), _DATE.search(head), _FLAGS.search(head)
    words = str(flags[1], "ascii", "replace").split() if flags else []
    return Mail(
        uid=uid,
        size=int(size[1]) if size else None,
        date=str(date[1], "ascii", "replace") if date else "",
        # What begins with a backslash changes when somebody looks at the message.
        keywords=tuple(word for word in words if not word.startswith("\\")),
        body=body if body is not None else _short_body(head),
    )


def _short_body(head: bytes) -> bytes | None:
    """Return a body that is given in quotes: a server may do so for a short one."""
    _, bracket, rest = head.partition(b"BODY[")
    found = _QUOTED.search(rest) if bracket else None
    return None if found is None else re.sub(rb"\\(.)", rb"\1", found[1])


def _ranges(line: bytes) -> Iterator[tuple[int, int]]:
    found = _VANISHED.match(line.strip())
    for part in found[1].split(b",") if found else ():
        first, _, last = part.partition(b":")
        if not first or len(first) > 10 or len(last) > 10:
            raise _malformed()
        ends = sorted((int(first), int(last or first)))
        yield ends[0], ends[1]


def _flat(line: object) -> bytes:
    if isinstance(line, tuple):
        return b"".join(part for part in line if isinstance(part, bytes))
    return line if isinstance(line, bytes) else b""


def _string(text: bytes) -> bytes:
    found = _QUOTED.fullmatch(text)
    return re.sub(rb"\\(.)", rb"\1", found[1]) if found else text


def _is_sound(raw: bytes) -> bool:
    """Return whether a mailbox's name can be sent back in quotes."""
    return bool(raw) and all(0x20 <= one < 0x7F for one in raw)


def _mailbox(folder: MailFolder) -> str:
    text = folder.raw.decode("ascii")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shown(raw: bytes, mark: bytes) -> str:
    """Return a mailbox's name with ``/`` between its levels; one inside a level is written out."""
    levels = raw.split(mark) if mark else [raw]
    return "/".join(_decoded(one).replace("%", "%25").replace("/", "%2F") for one in levels)


def _decoded(text: bytes) -> str:
    """Return text of modified UTF-7. Source: RFC 3501, section 5.1.3."""
    plain = []
    for number, part in enumerate(re.split(rb"&([^-]*)-", text)):
        if number % 2 == 0:
            plain.append(part.decode("ascii", "replace"))
        elif not part:
            plain.append("&")
        else:
            padded = part.replace(b",", b"/") + b"=" * (-len(part) % 4)
            try:
                plain.append(base64.b64decode(padded, validate=True).decode("utf-16-be"))
            except (binascii.Error, UnicodeDecodeError):
                plain.append(f"&{part.decode('ascii', 'replace')}-")
    return "".join(plain)


def _malformed() -> SourceError:
    return SourceError("the IMAP server's answer cannot be understood")
