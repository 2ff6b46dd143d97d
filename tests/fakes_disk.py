"""A disk that remembers what was really on it, and shows what a power cut would have left.

Every write goes to real files, so that the log can read what it wrote, and into a journal. From any
point of the journal an image can be drawn: what was synced is there, and of the rest, sector by
sector and name by name, as much as chance wants.
"""

import errno
import math
import os
import random
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ragplatform.audit.storage import Disk, File

_OURS = re.compile(r"/audit/|/sealed_files\.py$")
# The unit that a drive writes whole or not at all.
SECTOR = 512


class KilledError(BaseException):
    """Stands for kill -9: nothing that the process does from here on has any effect."""


@dataclass(slots=True)
class Op:
    """One thing that was done to the disk. ``inode`` is a file or folder, by number."""

    kind: str  # write, cut, sync, name, rename, sync_folder, failed_sync, note
    inode: int = 0
    offset: int = 0
    data: bytes = b""
    name: str = ""
    target: int = 0
    old_name: str = ""
    note: object = None


@dataclass(slots=True)
class _Inode:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)


class QuickDisk(Disk):
    """The local disk without its syncs: for logs whose power is not cut."""

    def open(self, path: Path) -> File:
        return _QuickFile(super().open(path))

    def sync_folder(self, path: Path) -> None:
        pass


class _QuickFile:
    def __init__(self, file: File) -> None:
        self._file = file
        self.write = file.write
        self.truncate = file.truncate
        self.close = file.close

    def sync(self) -> None:
        pass


class PickyDisk(QuickDisk):
    """A disk that refuses to write some paths until it is mended."""

    def __init__(self, refused: str, number: int = errno.ENOSPC) -> None:
        self.refused = refused
        self.number = number

    def open(self, path: Path) -> File:
        self.refuse(path)
        return _PickyFile(super().open(path), path, self)

    def make_folder(self, path: Path) -> None:
        self.refuse(path)
        super().make_folder(path)

    def refuse(self, path: Path) -> None:
        if self.refused and self.refused in str(path):
            raise OSError(self.number, os.strerror(self.number))


class _PickyFile:
    def __init__(self, file: File, path: Path, disk: PickyDisk) -> None:
        self.truncate, self.sync, self.close = file.truncate, file.sync, file.close
        self._file, self._path, self._disk = file, path, disk

    def write(self, data: bytes, offset: int) -> None:
        self._disk.refuse(self._path)
        self._file.write(data, offset)


class FillingDisk(QuickDisk):
    """A disk that takes so many more writes to segments, and then none of anything until it may.

    One writer alone writes its segments once for each record.
    """

    def __init__(self) -> None:
        self.room: float = math.inf
        self.written = 0

    def open(self, path: Path) -> File:
        return _FillingFile(super().open(path), path, self)

    def take(self, path: Path) -> None:
        segment = path.name.startswith("segment-")
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= segment
        self.written += segment


class _FillingFile:
    def __init__(self, file: File, path: Path, disk: FillingDisk) -> None:
        self.truncate, self.sync, self.close = file.truncate, file.sync, file.close
        self._file, self._path, self._disk = file, path, disk

    def write(self, data: bytes, offset: int) -> None:
        self._disk.take(self._path)
        self._file.write(data, offset)


@dataclass(frozen=True, slots=True)
class Fault:
    """How a disk fails: at the ``at``-th operation of these kinds and ``times`` times in a row.

    What a write that fails had written stays there by half. With ``forgets`` a sync that fails
    takes back what was written since the last one, as a kernel does that drops dirty pages.
    """

    number: int
    kinds: frozenset[str]
    at: int
    times: float
    forgets: bool = False


class FaultyDisk(QuickDisk):
    """A disk with one fault at a time. ``fired`` counts the operations that failed by it."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.fired = 0
        self._seen = 0

    def set(self, fault: Fault | None) -> None:
        self.fault, self.fired, self._seen = fault, 0, 0

    def step(self, kind: str) -> None:
        if self.fault is None or kind not in self.fault.kinds:
            return
        self._seen += 1
        if 0 <= self._seen - 1 - self.fault.at < self.fault.times:
            self.fired += 1
            raise OSError(self.fault.number, os.strerror(self.fault.number))

    def open(self, path: Path) -> File:
        self.step("open")
        return _FaultyFile(super().open(path), path, self)

    def make_folder(self, path: Path) -> None:
        self.step("make_folder")
        super().make_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        self.step("rename")
        super().rename(source, target)

    def sync_folder(self, path: Path) -> None:
        self.step("sync")


class _FaultyFile:
    def __init__(self, file: File, path: Path, disk: FaultyDisk) -> None:
        self.close = file.close
        self._file, self._path, self._disk = file, path, disk
        self._durable = path.read_bytes()

    def write(self, data: bytes, offset: int) -> None:
        try:
            self._disk.step("write")
        except OSError:
            self._file.write(data[: len(data) // 2], offset)
            raise
        self._file.write(data, offset)

    def truncate(self, size: int) -> None:
        self._disk.step("truncate")
        self._file.truncate(size)

    def sync(self) -> None:
        try:
            self._disk.step("sync")
        except OSError:
            if self._disk.fault and self._disk.fault.forgets:
                self._file.truncate(0)
                self._file.write(self._durable, 0)
            raise
        self._durable = self._path.read_bytes()


class JournalDisk(QuickDisk):
    """A real folder with a journal. ``root``, with all that is in it now, is durable.

    ``deaf`` names the places in the code whose syncs do nothing, ``before`` is called with each
    operation's kind before it is done and may raise.
    """

    def __init__(
        self,
        root: Path,
        *,
        deaf: frozenset[str] = frozenset(),
        before: Callable[[str], None] = lambda kind: None,
    ) -> None:
        self.root = root
        self.journal: list[Op] = []
        self.sites: set[str] = set()
        self.deaf = deaf
        self.before = before
        self.inodes: dict[Path, int] = {root: 0}
        self.folders = {0}
        self.count = 1
        for path in sorted(root.rglob("*")):
            self._adopt(path)
        self.base = self.journal
        self.journal = []

    def _adopt(self, path: Path) -> None:
        number = self._created(path)
        if path.is_dir():
            self.folders.add(number)
        else:
            self.record(Op("write", number, 0, path.read_bytes()))

    def note(self, note: object) -> None:
        """Put into the journal what the writer's caller knew at this moment."""
        self.journal.append(Op("note", note=note))

    def record(self, op: Op) -> None:
        self.journal.append(op)

    def heard(self, op: Op, path: Path) -> None:
        what = "folder of tiles" if "tile" in path.parts and path.is_dir() else ""
        what = what or ("tile" if "tile" in path.parts else re.split("[-.]", path.name)[0])
        site = f"{caller_of_sync()} syncs {what}"
        self.sites.add(site)
        if site not in self.deaf:
            self.record(op)

    def _created(self, path: Path) -> int:
        if path not in self.inodes:
            self.inodes[path] = self.count
            self.count += 1
            parent = self.inodes[path.parent]
            self.record(Op("name", parent, name=path.name, target=self.inodes[path]))
        return self.inodes[path]

    def open(self, path: Path) -> File:
        self.before("open")
        file = super().open(path)
        return _JournalFile(self, path, self._created(path), file)

    def make_folder(self, path: Path) -> None:
        self.before("make_folder")
        super().make_folder(path)
        self.folders.add(self._created(path))

    def rename(self, source: Path, target: Path) -> None:
        self.before("rename")
        super().rename(source, target)
        inode = self.inodes.pop(source)
        self.inodes[target] = inode
        folder = self.inodes[source.parent]
        self.record(Op("rename", folder, name=target.name, target=inode, old_name=source.name))

    def remove(self, path: Path) -> None:
        self.before("remove")
        super().remove(path)
        self.inodes.pop(path)
        self.record(Op("remove", self.inodes[path.parent], name=path.name))

    def sync_folder(self, path: Path) -> None:
        self.before("sync_folder")
        if path in self.inodes:
            self.heard(Op("sync_folder", self.inodes[path]), path)

    def image(self, at: int, chance: random.Random, into: Path) -> list[object]:
        """Draw what a power cut after ``at`` operations may leave, into an empty folder.

        Returns the notes made before that moment.
        """
        keep = chance.choice([0.0, 0.3, 0.7, 1.0])
        inodes = {number: _Inode() for number in range(self.count)}
        notes = []
        for op in self.base:
            _apply(inodes[op.inode], op, lambda: True)
        for op in self.journal[:at]:
            inode = inodes[op.inode]
            if op.kind == "note":
                notes.append(op.note)
            elif op.kind in {"sync", "sync_folder"}:
                for pending in inode.pending:
                    _apply(inode, pending, lambda: True)
                inode.pending.clear()
            elif op.kind == "failed_sync":
                inode.pending.clear()  # the kernel calls the pages clean and forgets them
            else:
                inode.pending.append(op)
        for inode in inodes.values():
            for op in inode.pending:
                _apply(inode, op, lambda: chance.random() < keep)
        self._draw(inodes, 0, into)
        return notes

    def _draw(self, inodes: dict[int, _Inode], folder: int, into: Path) -> None:
        into.mkdir(exist_ok=True)
        for name, number in inodes[folder].names.items():
            if number in self.folders:
                self._draw(inodes, number, into / name)
            else:
                (into / name).write_bytes(inodes[number].durable)


class _JournalFile:
    def __init__(self, disk: JournalDisk, path: Path, inode: int, file: File) -> None:
        self._disk = disk
        self._path = path
        self._inode = inode
        self._file = file

    def write(self, data: bytes, offset: int) -> None:
        try:
            self._disk.before("write")
        except BaseException:
            half = data[: len(data) // 2]
            self._file.write(half, offset)
            self._disk.record(Op("write", self._inode, offset, half))
            raise
        self._file.write(data, offset)
        self._disk.record(Op("write", self._inode, offset, data))

    def truncate(self, size: int) -> None:
        self._disk.before("truncate")
        self._file.truncate(size)
        self._disk.record(Op("cut", self._inode, size))

    def sync(self) -> None:
        try:
            self._disk.before("sync")
        except OSError:
            self._disk.record(Op("failed_sync", self._inode))
            raise
        self._disk.heard(Op("sync", self._inode), self._path)

    def close(self) -> None:
        self._file.close()


def _apply(inode: _Inode, op: Op, lucky: Callable[[], bool]) -> None:
    if op.kind == "name" and lucky():
        inode.names[op.name] = op.target
    elif op.kind == "remove" and lucky():
        inode.names.pop(op.name, None)
    elif op.kind == "rename" and lucky():
        inode.names.pop(op.old_name, None)
        inode.names[op.name] = op.target
    elif op.kind == "cut" and lucky():
        del inode.durable[op.offset :]
        inode.durable.extend(bytes(op.offset - len(inode.durable)))
    elif op.kind == "write":
        start = op.offset
        end = op.offset + len(op.data)
        while start < end:
            stop = min(end, (start // SECTOR + 1) * SECTOR)
            if lucky():
                if len(inode.durable) < stop:
                    inode.durable.extend(bytes(stop - len(inode.durable)))
                inode.durable[start:stop] = op.data[start - op.offset : stop - op.offset]
            start = stop


def caller_of_sync() -> str:
    """Return the function of ours, of no test and no context, that asked for a sync."""
    frame = sys._getframe(1)
    while not _OURS.search(frame.f_code.co_filename) or "tests" in frame.f_code.co_filename:
        assert frame.f_back is not None
        frame = frame.f_back
    return frame.f_code.co_name


def copy_log(source: Path, target: Path) -> Path:
    """Copy a log's folder, for a test to tamper with."""
    return Path(shutil.copytree(source, target))
