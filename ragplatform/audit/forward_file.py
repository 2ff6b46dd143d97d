"""A file that a collector's agent follows: one line for each record, none twice, none torn."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ragplatform.audit.forward import Format
from ragplatform.audit.record import Record
from ragplatform.errors import ForwardError

# The agent is another user, in a group that may read.
_MODE: Final = 0o640


class FileTarget:
    """Appends to a file; past a size it becomes ``FILE.1`` and a new one is begun.

    The agent must follow by name and finish a file that was renamed, as agents do; the last
    ``kept`` files wait for it.
    """

    def __init__(self, path: Path, *, line: Format, largest: int, kept: int) -> None:
        self._path = path
        self._line = line
        self._largest = largest
        self._kept = kept
        self._fd: int | None = None
        self._size = 0

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def take(self, batch: Sequence[Record]) -> None:
        """Append the batch and sync it. Raises ``ForwardError`` when the disk refuses."""
        data = b"".join(self._line(record).encode() + b"\n" for record in batch)
        try:
            if self._fd is None:
                self._open()
                data = self._rest(data)
            elif self._size >= self._largest:
                self._rotate()
            self._append(data)
        except OSError as error:
            self.close()
            raise ForwardError(f"{self._path} takes no more lines: {error}") from error

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, _MODE)
        self._size = os.fstat(self._fd).st_size
        _sync_folder(self._path.parent)

    def _append(self, data: bytes) -> None:
        if self._fd is None:
            raise OSError("the file is not open")
        rest = memoryview(data)
        while rest:
            written = os.write(self._fd, rest)
            self._size += written
            rest = rest[written:]
        os.fsync(self._fd)

    def _rest(self, data: bytes) -> bytes:
        """Return what of the data does not stand at the end of the file already.

        What a killed process wrote of this batch stays, and the rest is added to it. Lines hold
        origin and index, so that none of them can stand there by chance.
        """
        if self._fd is None or not self._size:
            return data
        length = min(self._size, len(data))
        tail = os.pread(self._fd, length, self._size - length)
        starts = [0, *(place + 1 for place, byte in enumerate(tail) if byte == ord("\n"))]
        for start in starts:
            if start < len(tail) and data.startswith(tail[start:]):
                return data[len(tail) - start :]
        # The torn line is none of this batch: as when another format was chosen meanwhile.
        return data if tail.endswith(b"\n") else b"\n" + data

    def _rotate(self) -> None:
        """Move each file one number up, the oldest over the edge, and begin a new one."""
        self.close()
        numbered = [
            self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._kept + 1)
        ]
        # A crash may have left a number free: then none needs to be given up.
        free = next((n for n, path in enumerate(numbered) if not path.exists()), self._kept - 1)
        for place in range(free, 0, -1):
            numbered[place - 1].replace(numbered[place])
        self._path.replace(numbered[0])
        self._open()


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
