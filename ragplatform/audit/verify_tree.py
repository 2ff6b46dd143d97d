"""The tree that the verifier grows, and compares with the tiles in the log's folder.

Shares no code with the writer. Source: RFC 9162, section 2.1.1; C2SP tlog-tiles.
"""

import hashlib

from ragplatform.audit.verify_files import TILE_BYTES, Tiles
from ragplatform.audit.verify_notes import fail


class Tree:
    """The tree over the records found good: of each level the hashes that fill no tile yet."""

    def __init__(self, tiles: Tiles) -> None:
        self.size = 0
        self.tiles = tiles
        self._levels = [bytearray()]

    def root(self) -> bytes:
        """Return the root; that of no leaves is SHA-256 of nothing."""
        return _root(self._levels)

    def root_with(self, leaves: bytes) -> bytes:
        """Return the root that the tree would have with more leaves, without growing it."""
        levels = [bytearray(hashes) for hashes in self._levels]
        for at in range(0, len(leaves), 32):
            levels[0] += leaves[at : at + 32]
            _carry(levels)
        return _root(levels)

    def room(self) -> int:
        """Return how many leaves the present tile still takes."""
        return 256 - len(self._levels[0]) // 32

    def grow(self, leaves: bytes) -> None:
        """Add leaf hashes that the present tile has room for. Raises ``BrokenError`` when a tile
        in the folder does not hold them.
        """
        self._levels[0] += leaves
        self.size += len(leaves) // 32
        for level, full in enumerate(_carry(self._levels)):
            self._compare(level, (self.size >> (8 * (level + 1))) - 1, full)

    def finish(self) -> None:
        """Compare the tiles at the right edge. Raises ``BrokenError`` also for one beyond it."""
        for level, hashes in enumerate(self._levels):
            self._compare(level, self.size >> (8 * (level + 1)), bytes(hashes))
        if left := self.tiles.left():
            fail(f"the tile {left.name} holds hashes of records that are missing", self.size)

    def _compare(self, level: int, number: int, hashes: bytes) -> None:
        if not self.tiles:
            return
        for width, path, content in self.tiles.take(level, number):
            expected = hashes[: width * 32]
            if content != expected or len(expected) != width * 32:
                place = number * 256 + first_difference(content, expected)
                fail(
                    f"the tile {path.name} of level {level}, number {number}, does not hold the "
                    "hash of this record (tiles are derived: opening the log to write mends them)",
                    min(place << (8 * level), self.size),
                )


def first_difference(one: bytes, other: bytes) -> int:
    """Return the place of the first hash in which two runs of hashes differ."""
    for at in range(0, max(len(one), len(other)), 32):
        if one[at : at + 32] != other[at : at + 32]:
            return at // 32
    return 0


def root_of(hashes: bytes) -> bytes:
    """Return the root over hashes. Source: RFC 9162, section 2.1.1; an odd one out moves up."""
    sha256 = hashlib.sha256
    row = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    while len(row) > 1:
        odd = row[-1:] if len(row) % 2 else []
        pairs = zip(row[::2], row[1::2], strict=False)
        row = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return row[0]


def _root(levels: list[bytearray]) -> bytes:
    # What is not full stands as the last hash of the level above it.
    last = b""
    for hashes in levels:
        if hashes or last:
            last = root_of(bytes(hashes) + last)
    return last or hashlib.sha256(b"").digest()


def _carry(levels: list[bytearray]) -> list[bytes]:
    """Move the roots of full tiles up, and return those tiles, lowest level first."""
    full: list[bytes] = []
    while len(levels[len(full)]) == TILE_BYTES:
        level = len(full)
        full.append(bytes(levels[level]))
        levels[level].clear()
        if level + 1 == len(levels):
            levels.append(bytearray())
        levels[level + 1] += root_of(full[-1])
    return full
