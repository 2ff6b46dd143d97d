"""The SSH File Transfer Protocol, version 3, as far as listing and reading need it.

Source: draft-ietf-secsh-filexfer-02. Every OpenSSH and nearly every other server speaks it.
"""

import stat
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ragplatform.errors import SourceError

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _LSTAT, _FSTAT = 1, 2, 3, 4, 5, 7, 8
_OPENDIR, _READDIR, _REALPATH = 11, 12, 16
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS = 101, 102, 103, 104, 105
_EXTENDED, _EXTENDED_REPLY = 200, 201
_OK, _EOF, NO_SUCH_FILE, PERMISSION_DENIED = 0, 1, 2, 3
_SIZE, _OWNERS, _PERMISSIONS, _TIMES, _MORE = 1, 2, 4, 8, 0x80000000
_FOR_READING: Final = 1
# What OpenSSH sends and takes at most.
_LONGEST_PACKET: Final = 256 * 1024
# What every server gives at once; so many are asked for ahead.
_PIECE: Final = 32 * 1024
_AHEAD: Final = 16
_ANSWER_S: Final = 60.0
_NAMES_BY_ID: Final = b"users-groups-by-id@openssh.com"


class Pipe(Protocol):
    """Bytes to and from a server."""

    def send(self, data: bytes, until: float) -> None:
        """Send all of it. Raises ``SourceError``."""

    def receive(self, size: int, until: float) -> bytes:
        """Return exactly so many bytes. Raises ``SourceError``."""


class StatusError(Exception):
    """The server answers a request with a status that is no success."""

    def __init__(self, code: int) -> None:
        super().__init__(f"status {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a server says of a file; None where it does not."""

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    mtime: int | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, by its mode: no link, no pipe."""
        return self.mode is not None and stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, and no link to one."""
        return self.mode is not None and stat.S_ISDIR(self.mode)


@dataclass(frozen=True, slots=True)
class Named:
    """One entry of a folder."""

    name: bytes = field(repr=False)
    attributes: Attributes


class _Reader:
    """Takes the fields of one packet apart."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        return int(struct.unpack(">I", self._take(4))[0])

    def long(self) -> int:
        return int(struct.unpack(">Q", self._take(8))[0])

    def text(self) -> bytes:
        return self._take(self.number())

    def byte(self) -> int:
        return self._take(1)[0]

    @property
    def rest(self) -> bool:
        return self._at < len(self._data)

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise _malformed()
        self._at += size
        return self._data[self._at - size : self._at]

    def attributes(self) -> Attributes:
        flags = self.number()
        size = self.long() if flags & _SIZE else None
        uid, gid = (self.number(), self.number()) if flags & _OWNERS else (None, None)
        mode = self.number() if flags & _PERMISSIONS else None
        _, mtime = (self.number(), self.number()) if flags & _TIMES else (None, None)
        if flags & _MORE:
            for _ in range(self.number()):
                self.text()
                self.text()
        return Attributes(size, uid, gid, mode, mtime)


class Sftp:
    """One session."""

    def __init__(self, pipe: Pipe) -> None:
        """Raises ``SourceError`` when nobody speaks the protocol there."""
        self._pipe = pipe
        self._number = 0
        self._put(_INIT, struct.pack(">I", 3))
        kind, reader = self._packet()
        if kind != _VERSION or reader.number() < 3:
            raise _malformed()
        extensions: set[bytes] = set()
        while reader.rest:
            extensions.add(reader.text())
            reader.text()
        self.tells_names = _NAMES_BY_ID in extensions

    def real_path(self, path: bytes) -> bytes:
        """Return the path with no link in it. Raises ``StatusError``."""
        reader = self._asked(_REALPATH, _text(path), _NAME)
        if reader.number() != 1:
            raise _malformed()
        return reader.text()

    def look(self, path: bytes) -> Attributes:
        """Return what lies at a path, not what it links to. Raises ``StatusError``."""
        return self._asked(_LSTAT, _text(path), _ATTRS).attributes()

    def folder(self, path: bytes, most: int) -> Sequence[Named]:
        """Return the entries of a folder, but itself and its parent.

        Raises ``StatusError``, ``SourceError`` for more than ``most``.
        """
        handle = self._asked(_OPENDIR, _text(path), _HANDLE).text()
        found: list[Named] = []
        try:
            while rows := self._entries(handle):
                found += [one for one in rows if one.name not in {b".", b".."}]
                if len(found) > most:
                    raise SourceError("the SFTP server lists more than any folder holds")
        except StatusError:
            self._close(handle)
            raise
        self._close(handle)
        return found

    def _entries(self, handle: bytes) -> Sequence[Named]:
        """Return the next entries of a folder, none at its end."""
        try:
            reader = self._asked(_READDIR, _text(handle), _NAME)
        except StatusError as error:
            if error.code == _EOF:
                return ()
            raise
        found = []
        for _ in range(reader.number()):
            name, _ = reader.text(), reader.text()
            found.append(Named(name, reader.attributes()))
        return found

    def open(self, path: bytes) -> bytes:
        """Return a handle for reading. Raises ``StatusError``."""
        return self._asked(_OPEN, _text(path) + struct.pack(">II", _FOR_READING, 0), _HANDLE).text()

    def look_at(self, handle: bytes) -> Attributes:
        """Return what the handle is open on. Raises ``StatusError``."""
        return self._asked(_FSTAT, _text(handle), _ATTRS).attributes()

    def close_handle(self, handle: bytes) -> None:
        """Close a handle."""
        self._close(handle)

    def pieces(self, handle: bytes, most: int) -> Iterator[bytes]:
        """Yield the content from its beginning, up to ``most`` bytes. Raises ``StatusError``.

        Several pieces are asked for ahead, so that the way there and back is waited for once.
        """
        waiting: dict[int, tuple[int, int]] = {}
        done: dict[int, bytes] = {}
        asked = given = 0
        failed: StatusError | None = None
        ended = False
        while True:
            while not ended and asked < most and len(waiting) < _AHEAD:
                size = min(_PIECE, most - asked)
                waiting[self._ask_for(handle, asked, size)] = (asked, size)
                asked += size
            if not waiting:
                break
            number, kind, reader = self._answer()
            offset, size = waiting.pop(number, (-1, 0))
            try:
                data = self._piece(kind, reader, size)
            except StatusError as error:
                # The answers that are on their way are taken in first: they belong to no other.
                failed, data = error, b""
            ended = ended or not data
            if data and len(data) < size:
                # Less than was asked for may come in the middle of a file too.
                more = (offset + len(data), size - len(data))
                waiting[self._ask_for(handle, *more)] = more
            done[offset] = data
            while piece := done.pop(given, b""):
                given += len(piece)
                yield piece
        if failed:
            raise failed

    def _piece(self, kind: int, reader: _Reader, size: int) -> bytes:
        """Return one answer's data, none at the end of the file."""
        if kind == _STATUS:
            code = reader.number()
            if code == _EOF:
                return b""
            raise StatusError(code)
        data = reader.text()
        # An answer to nothing that was asked has no size at all.
        if kind != _DATA or not 0 < len(data) <= size:
            raise _malformed()
        return data

    def _ask_for(self, handle: bytes, offset: int, size: int) -> int:
        return self._request(_READ, _text(handle) + struct.pack(">QI", offset, size))

    def owner_and_group(self, uid: int, gid: int) -> tuple[bytes, bytes]:
        """Return the names of a user and a group on the server, empty where it knows none.

        Source: OpenSSH, PROTOCOL, 4.14: users-groups-by-id@openssh.com. Raises ``StatusError``.
        """
        one = struct.pack(">I", 4)
        body = one + struct.pack(">I", uid) + one + struct.pack(">I", gid)
        reader = self._asked(_EXTENDED, _text(_NAMES_BY_ID) + body, _EXTENDED_REPLY)
        users, groups = _Reader(reader.text()), _Reader(reader.text())
        return users.text(), groups.text()

    def _close(self, handle: bytes) -> None:
        try:
            self._asked(_CLOSE, _text(handle), _STATUS)
        except StatusError:
            # The server has forgotten the handle already.
            return

    def _asked(self, kind: int, body: bytes, wanted: int) -> _Reader:
        """Send one request and return its answer's fields. Raises ``StatusError``."""
        number = self._request(kind, body)
        answered, found, reader = self._answer()
        if answered != number:
            raise _malformed()
        if found == _STATUS:
            code = reader.number()
            if code != _OK or wanted != _STATUS:
                raise StatusError(code)
        elif found != wanted:
            raise _malformed()
        return reader

    def _request(self, kind: int, body: bytes) -> int:
        self._number = (self._number + 1) % 2**32
        self._put(kind, struct.pack(">I", self._number) + body)
        return self._number

    def _put(self, kind: int, body: bytes) -> None:
        packet = struct.pack(">IB", len(body) + 1, kind) + body
        self._pipe.send(packet, time.monotonic() + _ANSWER_S)

    def _answer(self) -> tuple[int, int, _Reader]:
        kind, reader = self._packet()
        return reader.number(), kind, reader

    def _packet(self) -> tuple[int, _Reader]:
        until = time.monotonic() + _ANSWER_S
        length = int(struct.unpack(">I", self._pipe.receive(4, until))[0])
        if not 1 <= length <= _LONGEST_PACKET:
            raise _malformed()
        reader = _Reader(self._pipe.receive(length, until))
        return reader.byte(), reader


def _text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _malformed() -> SourceError:
    return SourceError("the SFTP server's answer cannot be understood")
