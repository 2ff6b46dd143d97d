"""A folder of this machine, or one mounted here, as a source."""

import errno
import grp
import os
import pwd
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from ingest.sources.port import Entries, Found, Gone, Listing, too_large
from ragplatform.errors import ConfigurationError, MovedOnError, SourceError, UnreadableError

# Deeper trees were only ever loops of mounts, or made to do harm.
_DEEPEST: Final = 64


class Folder:
    """Files at and below a folder. Links are not followed, hidden files and folders passed over."""

    def __init__(self, root: Path, *, settle_s: float = 0.0) -> None:
        """``settle_s`` is for how long a file has to be left alone before it is read.

        Raises ``ConfigurationError`` for a path that could never be a folder of documents.
        """
        if not root.is_absolute():
            raise ConfigurationError(f"{root}: the place of a folder source is an absolute path")
        self._root = root
        self._settle_s = settle_s

    def list(self, cursor: str) -> Listing:  # a folder keeps none
        """Return every regular file, sorted within its folder. Facts: owner, group, mode."""
        # What is not there now was unmounted: it is away, not empty.
        handle = self._open_root()
        os.close(handle)
        return Listing(self._walk(), complete=True)

    def _open_root(self) -> int:
        try:
            return os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceError(
                f"{self._root}: cannot be opened as a folder ({error.strerror}): mount it, or "
                "mend `place`"
            ) from error

    def _walk(self) -> Entries:
        yield from self._below("", 0)
        return ""

    def _below(self, name: str, depth: int) -> Iterator[Found | Gone]:
        """Yield what lies in one folder. One that cannot be read breaks the listing off."""
        if depth > _DEEPEST:
            raise SourceError(f"{self._root}: folders lie deeper than {_DEEPEST}: is it a loop?")
        try:
            with os.scandir(self._root / name) as opened:
                inside = sorted(opened, key=lambda one: one.name)
        except OSError as error:
            raise SourceError(
                f"{self._root}: a folder in it cannot be read ({error.strerror})"
            ) from error
        for one in inside:
            if one.name.startswith("."):
                continue
            below = f"{name}/{one.name}" if name else one.name
            if one.is_dir(follow_symlinks=False):
                yield from self._below(below, depth + 1)
            elif one.is_file(follow_symlinks=False):
                try:
                    yield _found(below, one.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue  # It went while we looked.

    def read(self, found: Found, limit: int) -> bytes:
        """Return the file's bytes, if they did not change since the listing or while reading."""
        handle = self._open(found)
        with os.fdopen(handle, "rb") as file:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode) or version_of(before) != found.version:
                raise MovedOnError("the file changed after it was listed")
            if 0 <= time.time() - before.st_mtime < self._settle_s:
                raise MovedOnError("the file may still be written")
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise UnreadableError(f"the file cannot be read: {error.strerror}") from error
            if len(data) > limit:
                raise too_large(limit)
            if version_of(os.fstat(handle)) != found.version:
                raise MovedOnError("the file changed while it was read")
        return data

    def _open(self, found: Found) -> int:
        """Open the file below the root; no part of its path may be a link by now."""
        folder = self._open_root()
        *folders, last = found.name.split("/")
        try:
            for part in folders:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                deeper = os.open(part, flags, dir_fd=folder)
                os.close(folder)
                folder = deeper
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            return os.open(last, flags, dir_fd=folder)
        except OSError as error:
            moved = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
            if error.errno in moved:
                raise MovedOnError("the file went, or is another by now") from error
            raise UnreadableError(f"the file cannot be opened: {error.strerror}") from error
        finally:
            os.close(folder)

    def close(self) -> None:
        """Do nothing: no file stays open."""


def version_of(status: os.stat_result) -> str:
    """Return a word that changes with the content: time of change, size and which file it is.

    The time of the last change of the inode is in it too: content can be put back to an older
    time of modification, and a change of owner or mode matters to whoever maps them.
    """
    parts = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
    return "-".join(f"{part:x}" for part in parts)


def _found(name: str, status: os.stat_result) -> Found:
    return Found(
        name=name,
        version=version_of(status),
        size=status.st_size,
        modified=datetime.fromtimestamp(status.st_mtime, UTC).isoformat(),
        facts=(
            ("owner", _owner(status.st_uid)),
            ("group", _group(status.st_gid)),
            ("mode", f"{stat.S_IMODE(status.st_mode):04o}"),
        ),
    )


# A folder has few owners, and each look-up reads a file or asks a directory service.
@lru_cache(maxsize=1024)
def _owner(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@lru_cache(maxsize=1024)
def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
