"""The hashes of the tree as C2SP tlog-tiles: how tiles are named, and how they are read.

A tile holds 256 consecutive hashes of one level, 8,192 bytes; a partial one, at the right edge of
the tree, fewer. Tiles are derived from the segments and prove nothing by themselves: whoever reads
one compares the root with a signed checkpoint. They spare reading a log of gigabytes for a proof of
some hundred bytes.

Source: C2SP tlog-tiles (https://c2sp.org/tlog-tiles).
"""

import re
from pathlib import Path
from typing import Final

from ragplatform.audit.layout import COMMIT_START, lines_from_end, segments
from ragplatform.audit.merkle import node_hash, perfect_root
from ragplatform.errors import TamperedError

TILES: Final = "tile"
WIDTH: Final = 256
HASH_BYTES: Final = 32

# A tile spans 2**8 hashes of its level.
_HEIGHT: Final = 8

_WIDTH_NAME: Final = re.compile(r"[1-9][0-9]{0,2}")


def tile_path(kind: int | str, number: int, width: int = WIDTH) -> str:
    """Return where a tile lies in a log's folder or below a URL.

    ``kind`` is the level of a tile of hashes, or ``"entries"`` for a bundle of records. The number
    is written in groups of three digits, so that no folder holds more than 1,000 names.
    """
    last = f"{number % 1000:03d}"
    path = last
    while number >= 1000:
        number //= 1000
        path = f"x{number % 1000:03d}/{path}"
    suffix = "" if width == WIDTH else f".p/{width}"
    return f"{TILES}/{kind}/{path}{suffix}"


def width_at(level: int, number: int, size: int) -> int:
    """Return how many hashes a tile of a level holds in a tree of so many leaves; 0 for none."""
    return max(0, min(WIDTH, (size >> (_HEIGHT * level)) - number * WIDTH))


def stored_tile(directory: Path, level: int, number: int, width: int) -> bytes | None:
    """Return the first ``width`` hashes of a tile, from the full tile or any partial one that
    holds so many; None when the folder has none. They are not checked against anything here.
    """
    partials = partial_tiles(directory, level, number)
    wide = [path for its_width, path in partials if its_width >= width]
    for candidate in [directory / tile_path(level, number), *wide]:
        try:
            found = candidate.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if len(found) >= width * HASH_BYTES:
            return found[: width * HASH_BYTES]
    return None


def partial_tiles(directory: Path, level: int, number: int) -> list[tuple[int, Path]]:
    """Return the partial tiles of this place that the folder has, narrowest first, with the width
    that their names say.
    """
    folder = directory / (tile_path(level, number) + ".p")
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if _WIDTH_NAME.fullmatch(path.name)]
    return [(width, folder / str(width)) for width in sorted(map(int, names)) if width < WIDTH]


class TreeReader:
    """The hashes of a log's tree, from its tiles, and from its segments where tiles are lacking.

    Serves for a few proofs over one state of the log: what was read is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tiles: dict[tuple[int, int], bytes] = {}

    def hashes(self, level: int, first: int, count: int) -> bytes:
        """Return consecutive hashes of a level of tiles; of level 0, the records' leaf hashes.

        They may span tiles. Raises ``TamperedError`` when neither tiles nor segments hold them.
        """
        found = []
        while count > 0:
            number, offset = divmod(first, WIDTH)
            taken = min(count, WIDTH - offset)
            found.append(self._within(level, number, offset, taken))
            first, count = first + taken, count - taken
        return b"".join(found)

    def root(self, start: int, end: int) -> bytes:
        """Return the root over the leaves from ``start`` to before ``end``, at least one.

        They are a subtree as RFC 9162 splits trees: ``start`` is a multiple of the smallest power
        of two that is no less than their count. Source: RFC 9162, section 2.1.1.
        """
        count = end - start
        half = 1 << (count - 1).bit_length() - 1 if count > 1 else 0
        if count == half * 2 or count == 1:
            return self._node((count - 1).bit_length(), start)
        return node_hash(self.root(start, start + half), self.root(start + half, end))

    def _node(self, height: int, start: int) -> bytes:
        """Return the root of the perfect subtree of a height whose first leaf is ``start``."""
        level, rest = divmod(height, _HEIGHT)
        return perfect_root(self.hashes(level, start >> (_HEIGHT * level), 1 << rest))

    def _within(self, level: int, number: int, offset: int, count: int) -> bytes:
        end = (offset + count) * HASH_BYTES
        tile = self._tiles.get((level, number), b"")
        if len(tile) < end:
            tile = stored_tile(self._directory, level, number, offset + count) or b""
            self._tiles[level, number] = tile
        if len(tile) >= end:
            return tile[offset * HASH_BYTES : end]
        first = number * WIDTH + offset
        if level == 0:
            tile = self._tiles[0, number] = _growing_tile(self._directory, number)
            if len(tile) < end:
                raise TamperedError(
                    f"the hashes of the records {first} to {first + count - 1} of the audit log "
                    f"{self._directory} are not there: its segments were archived or removed, and "
                    "its tiles with them"
                )
            return tile[offset * HASH_BYTES : end]
        below = [self.hashes(level - 1, at * WIDTH, WIDTH) for at in range(first, first + count)]
        return b"".join(map(perfect_root, below))


def _growing_tile(directory: Path, number: int) -> bytes:
    """Return the leaf hashes of a tile that is not full yet, as far as there are any.

    The newest stand in commit lines. Where the segments with the first of them were archived, the
    partial tile that was written when those ended has these.
    """
    first = number * WIDTH
    begins, leaves = _leaves_in_segments(directory, first)
    before = stored_tile(directory, 0, number, begins - first) if begins > first else b""
    return b"" if before is None else before + leaves


def _leaves_in_segments(directory: Path, first: int) -> tuple[int, bytes]:
    """Return the leaf hashes from ``first`` on that fall into its tile, as commit lines list them,
    and the index of the first of them: a later one where segments were archived.

    Read from the end, since what has no tile yet stands there.
    """
    begins = first
    found: list[bytes] = []
    for start, path in reversed(segments(directory)):
        if start >= first + WIDTH:
            continue
        for line in lines_from_end(path):
            if not line.startswith(COMMIT_START):
                continue
            begins, leaves = _parsed(line)
            if begins < first + WIDTH:
                found.append(leaves[: (first + WIDTH - begins) * HASH_BYTES])
            if begins <= first:
                return first, b"".join(reversed(found))[(first - begins) * HASH_BYTES :]
    return begins, b"".join(reversed(found))


def _parsed(line: bytes) -> tuple[int, bytes]:
    """Return the index of a group's first record and its leaf hashes, from its commit line."""
    try:
        size = int(line.split(b"\\n", 2)[1])
        listed = line[line.rindex(b'"leaves":["') + 11 : -3]
        leaves = bytes.fromhex(listed.replace(b'","', b"").decode())
    except (ValueError, IndexError) as error:
        raise TamperedError("a commit line of the audit log is damaged") from error
    return size - len(leaves) // HASH_BYTES, leaves
