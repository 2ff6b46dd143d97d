"""A folder on an SFTP server as a source."""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from ingest.sources.port import Entries, Found, Listing, too_large
from ingest.sources.sftp_wire import NO_SUCH_FILE, Attributes, Named, Sftp, StatusError
from ragplatform.errors import MovedOnError, SourceError, UnreadableError

# Deeper trees were only ever loops of mounts, or made to do harm.
_DEEPEST: Final = 64
_MOST_ENTRIES: Final = 5_000_000
# The protocol tells times in seconds: what is younger than this may change again within the second
# that it shows, by a clock that is not ours.
_YOUNG_S: Final = 120
_LARGEST_HASHED: Final = 32 * 1024 * 1024


class SftpFolder:
    """Files at and below a folder. Links are not followed, hidden files and folders passed over."""

    def __init__(
        self,
        *,
        connect: Callable[[], tuple[Sftp, Callable[[], None]]],
        root: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``connect`` opens a session and says how to end it."""
        self._connect = connect
        self._root = root.encode("utf-8", "surrogateescape")
        self._now = now
        self._session: tuple[Sftp, Callable[[], None]] | None = None
        self._real_root = b""
        self._left = 0
        self._names: dict[tuple[int, int], tuple[str, str]] = {}

    def list(self, cursor: str) -> Listing:
        """Return every regular file, sorted within its folder. Facts: owner, group, uid, gid, mode.

        Owner and group are names where the server tells names, else their numbers.
        """
        del cursor  # a folder keeps none
        self.close()
        self._sftp()
        return Listing(self._walk(), complete=True)

    def _sftp(self) -> Sftp:
        if self._session is None:
            self._session = self._connect()
            self._real_root = self._opened_root(self._session[0])
        return self._session[0]

    def _opened_root(self, sftp: Sftp) -> bytes:
        try:
            root = sftp.real_path(self._root)
            if not sftp.look(root).is_folder:
                raise SourceError("the SFTP source's place is no folder: mend `place`")
        except StatusError as error:
            raise SourceError(
                f"the SFTP source's place cannot be opened (status {error.code}): mend `place`"
            ) from error
        return root

    def _path(self, name: bytes) -> bytes:
        return self._real_root.rstrip(b"/") + b"/" + name if name else self._real_root

    def _walk(self) -> Entries:
        self._left = _MOST_ENTRIES
        yield from self._below(b"", 0)
        return ""

    def _below(self, folder: bytes, depth: int) -> Iterator[Found]:
        """Yield what lies in one folder. One that cannot be read breaks the listing off."""
        if depth > _DEEPEST:
            raise SourceError(f"folders lie deeper than {_DEEPEST} on the server: is it a loop?")
        for one in self._inside(folder):
            name = folder + b"/" + one.name if folder else one.name
            if one.name.startswith(b"."):
                continue
            if one.attributes.is_folder:
                yield from self._below(name, depth + 1)
            elif one.attributes.is_file:
                yield from self._file(name, one.attributes)

    def _inside(self, folder: bytes) -> Sequence[Named]:
        found: dict[bytes, Named] = {}
        try:
            for one in self._sftp().folder(self._path(folder), self._left):
                self._left -= 1
                if b"/" in one.name or one.name in found:
                    raise SourceError("the SFTP server lists what no folder can hold")
                found[one.name] = one
        except StatusError as error:
            if error.code == NO_SUCH_FILE:
                return []  # It went while we looked.
            raise SourceError(
                f"a folder on the SFTP server cannot be read (status {error.code})"
            ) from error
        return sorted(found.values(), key=lambda one: one.name)

    def _file(self, name: bytes, attributes: Attributes) -> Iterator[Found]:
        version = version_of(attributes)
        if attributes.mtime is None or self._now() - attributes.mtime < _YOUNG_S:
            try:
                version += f"-{self._digest(name, attributes)}"
            except StatusError as error:
                if error.code == NO_SUCH_FILE:
                    return
                # Whoever reads it will meet the same, and say so.
                version += "-unread"
        facts = self._facts(attributes)
        yield Found(
            name=name.decode("utf-8", "surrogateescape"),
            version=version,
            size=attributes.size,
            modified=_when(attributes.mtime),
            facts=facts,
            unread="" if facts else "the server does not tell whose it is",
        )

    def _digest(self, name: bytes, attributes: Attributes) -> str:
        """Return a digest of a young file's content; a word used once for one too large for it."""
        if (attributes.size or 0) > _LARGEST_HASHED:
            return secrets.token_hex(8)
        sftp = self._sftp()
        handle = sftp.open(self._path(name))
        try:
            digest = hashlib.sha256()
            for piece in sftp.pieces(handle, _LARGEST_HASHED):
                digest.update(piece)
        finally:
            sftp.close_handle(handle)
        return digest.hexdigest()[:32]

    def _facts(self, attributes: Attributes) -> tuple[tuple[str, str], ...]:
        uid, gid, mode = attributes.uid, attributes.gid, attributes.mode
        if uid is None or gid is None or mode is None:
            return ()
        if (uid, gid) not in self._names:
            self._names[uid, gid] = self._looked_up(uid, gid)
        owner, group = self._names[uid, gid]
        return (
            ("owner", owner or str(uid)),
            ("group", group or str(gid)),
            ("uid", str(uid)),
            ("gid", str(gid)),
            ("mode", f"{mode & 0o7777:04o}"),
        )

    def _looked_up(self, uid: int, gid: int) -> tuple[str, str]:
        sftp = self._sftp()
        if not sftp.tells_names:
            return "", ""
        try:
            owner, group = sftp.owner_and_group(uid, gid)
        except StatusError:
            return "", ""
        return owner.decode("utf-8", "replace"), group.decode("utf-8", "replace")

    def read(self, found: Found, limit: int) -> bytes:
        """Return the file's bytes, if they did not change since the listing or while reading."""
        try:
            return self._read(found, limit)
        except StatusError as error:
            if error.code == NO_SUCH_FILE:
                raise MovedOnError("the file went after it was listed") from error
            raise UnreadableError(
                f"the SFTP server does not let us read the file (status {error.code})"
            ) from error

    def _read(self, found: Found, limit: int) -> bytes:
        sftp = self._sftp()
        path = self._path(found.name.encode("utf-8", "surrogateescape"))
        if sftp.real_path(path) != path:
            raise MovedOnError("the file's path leads elsewhere by now")
        handle = sftp.open(path)
        try:
            before = sftp.look_at(handle)
            if not before.is_file or not found.version.startswith(version_of(before)):
                raise MovedOnError("the file changed after it was listed")
            if (before.size or 0) > limit:
                raise too_large(limit)
            # One byte more than it says it has: it may lie, or have grown.
            most = min(limit, before.size or 0) + 1
            data = b"".join(sftp.pieces(handle, most))
            after = sftp.look_at(handle)
        finally:
            sftp.close_handle(handle)
        if len(data) > limit:
            raise too_large(limit)
        if version_of(after) != version_of(before) or len(data) != after.size:
            raise MovedOnError("the file changed while it was read")
        _require_digest(found, data)
        return data

    def close(self) -> None:
        """End the session; the next call opens another."""
        if self._session is not None:
            self._session[1]()
            self._session = None


def version_of(attributes: Attributes) -> str:
    """Return a word of the time of change, the size, the owner, the group and the mode."""
    parts = (attributes.mtime, attributes.size, attributes.uid, attributes.gid, attributes.mode)
    return ".".join("" if part is None else f"{part:x}" for part in parts)


def _require_digest(found: Found, data: bytes) -> None:
    """Raise ``MovedOnError`` when the listing knew other content."""
    _, _, digest = found.version.partition("-")
    if len(digest) == 32 and hashlib.sha256(data).hexdigest()[:32] != digest:
        raise MovedOnError("the file changed after it was listed")


def _when(mtime: int | None) -> str:
    return "" if mtime is None else datetime.fromtimestamp(mtime, UTC).isoformat()
