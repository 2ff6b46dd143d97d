"""How the writer of a log keeps its tiles: each is written as it fills, and durable by rotation.

Tiles are derived, so they cost an append no sync, and a disk that refuses one does not keep a
record from being acknowledged. By the time a segment is closed all its tiles are on the disk: from
then on the log is opened, and its records are proven, without reading that segment.
"""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ragplatform.audit.merkle import Tree, perfect_root
from ragplatform.audit.storage import Storage
from ragplatform.audit.tiles import (
    HASH_BYTES,
    WIDTH,
    partial_tiles,
    stored_tile,
    tile_path,
    width_at,
)
from ragplatform.errors import TamperedError

_TILE_BYTES = WIDTH * HASH_BYTES


class Edge:
    """The right edge of the tree: of each level the hashes that do not fill a tile yet."""

    __slots__ = ("levels", "size")

    def __init__(self) -> None:
        self.size = 0
        self.levels: list[bytes] = []

    @classmethod
    def stored(cls, directory: Path, size: int) -> "Edge | None":
        """Return the edge of the tree over so many records as the tiles tell, unchecked.

        None when a tile is lacking or too short.
        """
        edge = cls()
        edge.size = size
        level = 0
        while size >> (8 * level):
            number = size >> (8 * (level + 1))
            width = width_at(level, number, size)
            hashes = stored_tile(directory, level, number, width) if width else b""
            if hashes is None:
                return None
            edge.levels.append(hashes)
            level += 1
        return edge

    def tree(self) -> Tree:
        """Return the tree that has this edge."""
        peaks = []
        for hashes in reversed(self.levels):
            at, count = 0, len(hashes) // HASH_BYTES
            for bit in range(7, -1, -1):
                if count & 1 << bit:
                    end = at + (HASH_BYTES << bit)
                    peaks.append(perfect_root(hashes[at:end]))
                    at = end
        return Tree.of(self.size, peaks)


class TileWriter:
    """Writes the tiles of one log. Owned by whoever leads."""

    def __init__(self, directory: Path, storage: Storage, edge: Edge) -> None:
        self._directory = directory
        self._storage = storage
        self._edge = edge
        # By path, what is still to be written; and what may not be durable: with its content where
        # an earlier writer wrote it, since after a sync of its own that failed the kernel shows
        # what it will never write.
        self._waiting: dict[Path, bytes] = {}
        self._loose: dict[Path, bytes | None] = {}
        self._folders: set[Path] = set()
        self._grown: dict[int, Path] = {}
        # While the log is opened, what each tile must hold that is looked at.
        self._mending = True
        self._known: dict[tuple[int, int], bytes] = {}

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Take the leaf hashes that come next."""
        edge = self._edge
        for leaf in leaves:
            edge.size += 1
            self._add(0, leaf)

    def write(self) -> None:
        """Write the tiles that are full, without a sync. Those the disk refuses wait for the next
        time: the records themselves are durable already.
        """
        with contextlib.suppress(OSError):
            self._write_waiting()

    def secure(self) -> None:
        """Make all tiles durable, and the partial ones at the right edge as well.

        Raises ``OSError`` when the disk refuses.
        """
        self.take_edge()
        self._write_waiting()
        for path, doubtful in self._loose.items():
            file = self._storage.open(path)
            try:
                if doubtful is not None:
                    file.write(doubtful, 0)
                file.sync()
            finally:
                file.close()
        for folder in _folders_of(self._loose, self._directory):
            self._storage.sync_folder(folder)
        self._loose.clear()

    def mend_partials(self) -> None:
        """Have the partial tiles written anew that a crash tore, as far as their hashes are known.

        A tile is written once its records are durable. So raises ``TamperedError`` for one that
        holds more than there is.
        """
        for level, hashes in enumerate(self._edge.levels):
            self._known[level, self._edge.size >> (8 * (level + 1))] = hashes
        for (level, number), hashes in self._known.items():
            for width, path in partial_tiles(self._directory, level, number):
                if width * HASH_BYTES > len(hashes):
                    raise TamperedError(
                        f"{path} holds hashes of records that the log lacks: its end was cut off; "
                        "do not restart it, keep it as evidence"
                    )
                self._waiting[path] = hashes[: width * HASH_BYTES]
        self._known.clear()
        self._mending = False

    def take_edge(self) -> None:
        """Have the partial tiles of the present size written too: here a segment ends."""
        for level, hashes in enumerate(self._edge.levels):
            self._keep(level, self._edge.size >> (8 * (level + 1)), hashes)

    def mend_edge(self) -> None:
        """Have those partial tiles at the right edge written anew that a crash may have torn.

        They were being written for a rotation that did not come to be.
        """
        for level, hashes in enumerate(self._edge.levels):
            full = self._directory / tile_path(level, self._edge.size >> (8 * (level + 1)))
            folder = full.with_name(full.name + ".p")
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
            for width in (int(name) * HASH_BYTES for name in names if name.isdecimal()):
                if width <= len(hashes):
                    self._waiting[folder / str(width // HASH_BYTES)] = hashes[:width]

    def _add(self, level: int, entry: bytes) -> None:
        levels = self._edge.levels
        if level == len(levels):
            levels.append(b"")
        levels[level] += entry
        number = (self._edge.size - 1) >> (8 * (level + 1))
        if len(levels[level]) == _TILE_BYTES:
            full, levels[level] = levels[level], b""
            self._keep(level, number, full)
            self._add(level + 1, perfect_root(full))
        elif level > 0:
            # Without it a proof near the end would hash up to 255 tiles of the level below.
            self._keep(level, number, levels[level])

    def _keep(self, level: int, number: int, hashes: bytes) -> None:
        if not hashes:
            return
        if self._mending:
            self._known[level, number] = hashes
        path = self._directory / tile_path(level, number, len(hashes) // HASH_BYTES)
        self._waiting[path] = hashes
        if level > 0:
            # What a tile held when it was narrower is the beginning of what it holds now.
            outgrown = self._grown.pop(level, path)
            if outgrown != path:
                self._drop(outgrown)
            if len(hashes) < _TILE_BYTES:
                self._grown[level] = path

    def _drop(self, path: Path) -> None:
        if self._waiting.pop(path, None) is None and path in self._loose:
            del self._loose[path]
            with contextlib.suppress(OSError):
                self._storage.remove(path)

    def _write_waiting(self) -> None:
        for path, hashes in list(self._waiting.items()):
            held = _holds(path, hashes)
            if not held:
                self._make_folders(path.parent)
                draft = path.with_name(path.name + ".tmp")
                file = self._storage.open(draft)
                try:
                    file.truncate(0)
                    file.write(hashes, 0)
                finally:
                    file.close()
                self._storage.rename(draft, path)
            del self._waiting[path]
            if not held:
                self._loose[path] = None
            else:
                self._loose.setdefault(path, hashes)

    def _make_folders(self, folder: Path) -> None:
        if folder not in self._folders and folder != self._directory:
            self._make_folders(folder.parent)
            self._storage.make_folder(folder)
            self._folders.add(folder)


def _holds(path: Path, hashes: bytes) -> bool:
    try:
        return path.read_bytes() == hashes
    except FileNotFoundError:
        return False


def _folders_of(paths: Iterable[Path], top: Path) -> Sequence[Path]:
    """Return the folders below the log's own that hold the paths, deepest first.

    The log's own is synced with the checkpoint that is set aside; until then, without the name of
    the folder of tiles, there are no tiles, and the whole log is hashed.
    """
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(top)}
    return sorted(folders - {top}, key=lambda folder: -len(folder.parts))
