"""The Merkle tree of the writer: grows by one leaf at a time and keeps only its right edge."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Self


def leaf_hash(record: bytes) -> bytes:
    """Return the 32-byte Merkle leaf hash of one audit record.

    Source: RFC 9162, section 2.1.1: SHA-256(0x00 || record). The prefix keeps a leaf from being
    passed off as an inner node.
    """
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node. Source: RFC 9162, section 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: bytes) -> bytes:
    """Return the root over the hashes of a perfect subtree, given one after the other.

    There are 2**n of them, 32 bytes each; one alone is its own root.
    """
    row = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    sha256 = hashlib.sha256
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=True)
        row = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return row[0]


class Tree:
    """An append-only Merkle tree whose root can be had at any time in O(log n)."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        # The roots of the perfect subtrees that the leaves so far fall into, widest first: one for
        # each 1 bit of the size.
        self._peaks: list[bytes] = []

    @classmethod
    def of(cls, size: int, peaks: Sequence[bytes]) -> Self:
        """Return a tree of so many leaves from the roots of its perfect subtrees, widest first."""
        tree = cls()
        tree.size = size
        tree._peaks = list(peaks)
        return tree

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the right."""
        peaks = self._peaks
        peaks.append(leaf)
        full = self.size
        while full & 1:
            right = peaks.pop()
            peaks.append(node_hash(peaks.pop(), right))
            full >>= 1
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Return the root hash; that of no leaves at all is SHA-256 of nothing."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> "Tree":
        """Return a tree of the same leaves that grows independently."""
        twin = Tree()
        twin.size = self.size
        twin._peaks = self._peaks.copy()
        return twin
