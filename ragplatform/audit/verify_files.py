"""How the verifier reads a log's files: segments piece by piece, and the tiles beside them.

Shares no code with the writer. Source: the layout in the package's docstring; C2SP tlog-tiles.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# How long a group may stay unfinished at the end of a log that someone is writing. A sync takes
# milliseconds; past this, no writer is at work on it.
PATIENCE_S: Final = 1.0

COMMIT: Final = b'{"checkpoint":'
TILE_BYTES: Final = 256 * 32

# Large enough that reading costs nothing beside hashing, small enough to show progress.
_PIECE: Final = 4 * 1024 * 1024

_TILE: Final = re.compile(
    r"(?P<level>0|[1-9][0-9]?)/(?P<folders>(?:x[0-9]{3}/)*)(?P<last>[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


def segment_pieces(path: Path, *, growing: bool, patience_s: float) -> Iterator[bytes]:
    """Yield a segment in pieces that end with a commit line; what is left over comes last.

    ``growing`` is said of the last one, which somebody may be writing: it is read up to the first
    commit at or past the end that it had at the start, and waited for a moment for that.
    """
    with path.open("rb") as file:
        wanted = os.fstat(file.fileno()).st_size
        given = 0
        rest = b""
        deadline = time.monotonic() + patience_s
        while True:
            block = file.read(_PIECE)
            rest += block
            if cut := _end_of_last_commit(rest):
                yield rest[:cut]
                given, rest = given + cut, rest[cut:]
            if block:
                deadline = time.monotonic() + patience_s
            elif (growing and given >= wanted) or not rest:
                return
            elif not growing or time.monotonic() > deadline:
                yield rest
                return
            else:
                time.sleep(0.01)


def _end_of_last_commit(lines: bytes) -> int:
    """Return where the last complete commit line ends; 0 if there is none."""
    before = len(lines)
    while (at := lines.rfind(b"\n" + COMMIT, 0, before)) >= 0:
        end = lines.find(b"\n", at + 1)
        if end >= 0:
            return end + 1
        before = at
    return 0


class Tiles:
    """The tiles that lay beside a log when it was begun to be checked.

    Only those of that moment: a writer adds others meanwhile, of records that are not read.
    """

    def __init__(self, directory: Path | None) -> None:
        self._found: dict[tuple[int, int], dict[int, Path]] = {}
        if directory is not None:
            self._find(directory / "tile")

    def _find(self, root: Path) -> None:
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder, name)
                match = _TILE.fullmatch(path.relative_to(root).as_posix())
                if match is None or int(match["width"] or 256) > 256:
                    continue
                number = int(match["folders"].replace("x", "").replace("/", "") + match["last"])
                place = self._found.setdefault((int(match["level"]), number), {})
                place[int(match["width"] or 256)] = path

    def __bool__(self) -> bool:
        return bool(self._found)

    def take(self, level: int, number: int) -> Iterator[tuple[int, Path, bytes]]:
        """Yield width, path and content of a tile and its partial ones; each is given once."""
        for width, path in sorted(self._found.pop((level, number), {}).items()):
            try:
                yield width, path, path.read_bytes()
            except FileNotFoundError:
                # The writer takes away partial tiles that it has outgrown.
                continue

    def left(self) -> Path | None:
        """Return a tile that was not taken, if there is one."""
        for place in self._found.values():
            for path in place.values():
                if path.exists():
                    return path
        return None

    def hashes(self, number: int, width: int) -> bytes | None:
        """Return the first hashes of a tile of level 0; None when none holds so many."""
        for _, path in sorted(self._found.get((0, number), {}).items(), reverse=True):
            content = path.read_bytes()
            if len(content) >= width * 32:
                return content[: width * 32]
        return None
