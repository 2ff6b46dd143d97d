"""Files that decide who is who: read only while no other may write them, anew at each change."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from ragplatform.errors import ConfigurationError

T = TypeVar("T")


def read_trusted(path: Path) -> bytes:
    """Return the content of a file that only this user and root may write.

    Raises ``ConfigurationError``.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022:
                raise ConfigurationError(f"{path}: others may write it; run chmod go-w {path}")
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error


class TrustedFile(Generic[T]):
    """The meaning of such a file. ``read`` gives it, or raises ``ConfigurationError``.

    What it said before is never used in its place: a file that vanished or was broken must not
    leave revoked keys alive.
    """

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self._path = path
        self._read = read
        self._held: tuple[tuple[int, int, int], T] | None = None

    def value(self) -> T:
        """Return what the file says now. Raises ``ConfigurationError``."""
        try:
            found = self._path.stat()
        except OSError as error:
            raise ConfigurationError(f"{self._path}: cannot be read ({error.strerror})") from error
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        # Threads may meet here: each takes the pair whole.
        held = self._held
        if held is None or held[0] != stamp:
            held = self._held = (stamp, self._read(self._path))
        return held[1]
