"""The resources of one listing, in a file without a name: it goes with this process."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

# Of a line that is too long this much is kept, which is no whole resource.
_BEGINNING: Final = 1024
_STEP: Final = 1024 * 1024


class Lines:
    """The lines of one range of a spool, to be gone through as often as is needed."""

    def __init__(self, file: IO[bytes], start: int, end: int, longest: int) -> None:
        self._file = file
        self._start = start
        self._end = end
        self._longest = longest

    def __iter__(self) -> Iterator[bytes]:
        for line, _ in self.placed():
            yield line

    def placed(self) -> Iterator[tuple[bytes, int]]:
        """Yield each line that is not empty and where it stands; of one too long, its beginning."""
        at = self._start
        while at < self._end:
            # Whoever takes the lines may move the file's position in between.
            self._file.seek(at)
            line, length = self._line(self._end - at)
            if text := line.strip():
                yield text, at + len(line) - len(line.lstrip())
            at += length

    def _line(self, room: int) -> tuple[bytes, int]:
        """Return the next line and its length in the file."""
        line = self._file.readline(min(room, self._longest + 1))
        length = len(line)
        if line.endswith(b"\n") or length == room:
            return line, length
        while length < room:
            more = self._file.readline(min(room - length, _STEP))
            length += len(more)
            if more.endswith(b"\n") or not more:
                break
        return line[:_BEGINNING], length


class Spool:
    """Keeps what was listed until it is read."""

    def __init__(self, scratch: Path | None) -> None:
        # Nothing of it is left after a crash, and nobody can open it by a path.
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115
        self._places: dict[str, tuple[int, int]] = {}
        self._patients: dict[str, tuple[int, int, str]] = {}

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._file.seek(0, 2)

    def lines_of(self, save: Callable[[IO[bytes]], int], *, longest: int) -> Lines:
        """Return the lines that ``save`` writes."""
        start = self.size
        size = save(self._file)
        return Lines(self._file, start, start + size, longest)

    def keep(self, name: str, line: bytes, place: int | None) -> None:
        """Keep a resource that stands at ``place``, or is to be written now."""
        self._places[name] = (self._written(line) if place is None else place, len(line))

    def knows(self, name: str) -> bool:
        """Return whether the resource is kept."""
        return name in self._places

    def line(self, name: str) -> bytes | None:
        """Return the resource, None when it is not kept."""
        place = self._places.get(name)
        return None if place is None else self._at(*place)

    def keep_patient(self, identity: str, stub: bytes) -> tuple[bytes, str]:
        """Keep by what a patient is known, nothing for one whom the server does not know.

        Returns what ``patient`` will return.
        """
        digest = hashlib.sha256(stub).hexdigest()[:16] if stub else ""
        self._patients[identity] = (self._written(stub), len(stub), digest)
        return stub, digest

    def patient(self, identity: str) -> tuple[bytes, str] | None:
        """Return by what a patient is known and its digest, None when that was not kept."""
        kept = self._patients.get(identity)
        return None if kept is None else (self._at(*kept[:2]), kept[2])

    def close(self) -> None:
        """Forget everything. Calling it again does nothing."""
        self._file.close()
        self._places.clear()
        self._patients.clear()

    def _written(self, data: bytes) -> int:
        place = self.size
        self._file.write(data)
        return place

    def _at(self, place: int, length: int) -> bytes:
        self._file.seek(place)
        return self._file.read(length)
