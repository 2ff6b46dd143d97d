"""The seam between the log and the disk: every write, sync and rename that durability hangs on.

Tests put a disk behind it that loses whatever was not synced, or that fails on demand.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final, Protocol

from ragplatform.errors import AuditLockedError

# The log is for the service and its auditors alone.
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class File(Protocol):
    """A file that is open for writing. Every method raises ``OSError`` when the disk refuses."""

    def write(self, data: bytes, offset: int) -> None:
        """Write all of the data at the offset; it is durable only after ``sync``."""

    def truncate(self, size: int) -> None:
        """Cut the file to a size; durable only after ``sync``."""

    def sync(self) -> None:
        """Return when everything written to the file so far is durable."""

    def close(self) -> None:
        """Release the file, without a sync."""


class Storage(Protocol):
    """What the log needs of a file system. Every method raises ``OSError`` on failure."""

    def open(self, path: Path) -> File:
        """Open a file for writing, creating it if need be; its name is durable after
        ``sync_folder``.
        """

    def make_folder(self, path: Path) -> None:
        """Create a folder in one that exists; durable after ``sync_folder`` of that one."""

    def rename(self, source: Path, target: Path) -> None:
        """Move a file over another, all at once; durable after ``sync_folder``."""

    def remove(self, path: Path) -> None:
        """Take a file's name out of its folder; durable after ``sync_folder``."""

    def sync_folder(self, path: Path) -> None:
        """Return when the names in the folder are durable."""


class DiskFile:
    """A file on a local disk."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)

    def write(self, data: bytes, offset: int) -> None:
        """Write all of the data at the offset, however many calls the kernel makes of it."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._fd, rest, offset)
            rest = rest[written:]
            offset += written

    def truncate(self, size: int) -> None:
        """Cut the file to a size."""
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        """Return when data and size are on the disk; times of access may lag behind."""
        if sys.platform == "darwin":
            import fcntl  # noqa: PLC0415  # the constant exists there alone

            # There, fsync leaves the data in the drive's own cache.
            fcntl.fcntl(self._fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._fd)


class Disk:
    """The local file system. Network file systems are not supported: their locks and syncs lie."""

    def open(self, path: Path) -> DiskFile:
        """Open a file for writing, creating it if need be."""
        return DiskFile(path)

    def make_folder(self, path: Path) -> None:
        """Create a folder that only this user may enter."""
        path.mkdir(mode=_FOLDER_MODE, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        """Move a file over another, all at once."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Take a file's name out of its folder."""
        path.unlink()

    def sync_folder(self, path: Path) -> None:
        """Return when the names in the folder are on the disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def put(storage: Storage, path: Path, data: bytes) -> None:
    """Give the file this content, durably and all at once: a crash leaves the old or the new."""
    draft = path.with_name(path.name + ".tmp")
    file = storage.open(draft)
    try:
        file.truncate(0)
        file.write(data, 0)
        file.sync()
    finally:
        file.close()
    storage.rename(draft, path)
    storage.sync_folder(path.parent)


class WriterLock:
    """The exclusive right of one process to write a log; it ends with the process at the latest.

    Raises ``AuditLockedError``, naming the holder's process, when another writer holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = _locked(path)

    def renew(self) -> None:
        """Take the lock again if another file lies in its place: that one keeps no writer out.

        Raises as the constructor.
        """
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._fd), self._path.stat()):
                return
        taken = _locked(self._path)
        os.close(self._fd)
        self._fd = taken

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._fd)


def _locked(path: Path) -> int:
    import fcntl  # noqa: PLC0415  # absent on Windows, where reading a log must still work

    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise AuditLockedError(
            f"the audit log {path.parent} is being written by process {holder}: one writer "
            "for each log; stop that process or give this one an origin of its own"
        ) from error
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        # Whose lock it is helps whoever looks for the holder; a full disk must not leave it held.
        os.close(fd)
        raise
    return fd
