"""The seeds of one log's sealed parts: each record's can be destroyed, and no other with it.

One random seed gives those of all records by a tree of hashes: a node gives its two children, and
nothing leads back up. To destroy a record's seed, the node above it in the file is replaced by the
siblings along the way down. So writing a record costs no write here, and destroying one costs one.

Source: O. Goldreich, S. Goldwasser, S. Micali, How to construct random functions (1986); deleting a
point of it: M. D. Green, I. Miers, Forward secure asynchronous messaging (2015), section 4.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ragplatform.audit.storage import Disk, put
from ragplatform.errors import ForgottenError, TamperedError

# Four thousand million records a log.
_BITS: Final = 32
_SEED_BYTES: Final = 32
# Records come one after another: the way down to here is the same for the next 256.
_CACHED_BITS: Final = 24


class SealSeeds:
    """The seeds of one log, in a file of their own that is never among the evidence.

    Safe to use from several processes. Alone the seeds open nothing: the tenant's sealing key is
    needed as well. Whoever copies the file keeps what is destroyed in it later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._nodes: dict[str, bytes] | None = None
        self._near: tuple[str, bytes] | None = None
        self._version = (0, 0)

    def seed(self, index: int) -> bytes:
        """Return the seed of a record; the first call makes the file, durably, where there is none.

        Raises ``ForgottenError`` when it was destroyed, ``TamperedError`` for a file that is none,
        ``OSError``.
        """
        if self._nodes is not None and self._version != self._version_now():
            # Another process destroyed some: what this one remembers must not bring them back.
            self._nodes, self._near = None, None
        way = _way(index)
        block = way[:_CACHED_BITS]
        near = self._near
        if near is not None and near[0] == block:
            return _down(near[1], way[_CACHED_BITS:])
        nodes = self._loaded()
        for depth in range(_BITS + 1):
            node = nodes.get(way[:depth])
            if node is None:
                continue
            if depth > _CACHED_BITS:
                return _down(node, way[depth:])
            node = _down(node, way[depth:_CACHED_BITS])
            self._near = (block, node)
            return _down(node, way[_CACHED_BITS:])
        raise ForgottenError("what was sealed in this record was destroyed")

    def destroy(self, indexes: Iterable[int]) -> int:
        """Destroy the seeds of these records for good; return how many there still were.

        When it returns, the file holds nothing that leads to them, and its former bytes are
        overwritten where they stood. A file system that writes elsewhere, and copies, keep them.
        """
        with self._locked():
            nodes = self._read()
            gone = sum(_puncture(nodes, _way(index)) for index in set(indexes))
            if gone:
                self._write(nodes)
            self._nodes, self._near = None, None
        return gone

    def _loaded(self) -> dict[str, bytes]:
        if self._nodes is None:
            with self._locked():
                if not self._path.exists():
                    self._write({"": os.urandom(_SEED_BYTES)})
                self._nodes = self._read()
                self._version = self._version_now()
        return self._nodes

    def _version_now(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_mtime_ns

    def _read(self) -> dict[str, bytes]:
        try:
            kept = json.loads(self._path.read_bytes())
            return {str(way): bytes.fromhex(seed) for way, seed in kept.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError) as error:
            raise TamperedError(f"{self._path} is damaged: restore it from its copy") from error

    def _write(self, nodes: dict[str, bytes]) -> None:
        data = json.dumps({way: seed.hex() for way, seed in sorted(nodes.items())}).encode()
        # An empty file in the place of the first one would read as damaged after a full disk.
        old = os.open(self._path, os.O_RDWR) if self._path.exists() else None
        try:
            put(Disk(), self._path, data)
            # Nobody reads the old bytes any more; the disk would keep them until it needs the room.
            if old is not None:
                os.pwrite(old, bytes(os.fstat(old).st_size), 0)
                os.fsync(old)
        finally:
            if old is not None:
                os.close(old)
        self._path.chmod(0o600)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _way(index: int) -> str:
    if not 0 <= index < 1 << _BITS:
        raise ValueError("a log seals at most 2**32 records")
    return format(index, f"0{_BITS}b")


def _child(node: bytes, bit: str) -> bytes:
    # Every input has the same length, so no hash can be extended to another node's.
    return hashlib.sha256(node + bit.encode()).digest()


def _down(node: bytes, way: str) -> bytes:
    for bit in way:
        node = _child(node, bit)
    return node


def _puncture(nodes: dict[str, bytes], way: str) -> bool:
    """Replace the node above a leaf by those that lead to every other leaf beneath it."""
    for depth in range(_BITS + 1):
        node = nodes.pop(way[:depth], None)
        if node is None:
            continue
        for at in range(depth, _BITS):
            other = "1" if way[at] == "0" else "0"
            nodes[way[:at] + other] = _child(node, other)
            node = _child(node, way[at])
        return True
    return False
