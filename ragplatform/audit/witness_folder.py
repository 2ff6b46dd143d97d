"""Checkpoints that are held in a folder: each in a file of its own that is never written again.

    FOLDER/api.mercy/000000000001/checkpoint-000000012345      a signed note
    FOLDER/api.mercy/000000000001/checkpoint-000000012345.tsr  a time-stamp over it, if there is one

Files that are written once can lie on storage that lets nothing be overwritten. The newest is the
one with the largest number, so no pointer to it can be turned back.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ragplatform.audit.recovery import make_folders
from ragplatform.audit.storage import Storage, put
from ragplatform.audit.witness_notes import Note, parse_note
from ragplatform.errors import TamperedError

# Records per folder, so that no folder holds more files than can be listed in a moment.
_SHARD: Final = 10_000

_CHECKPOINT: Final = re.compile(r"checkpoint-(\d{12})")
_NUMBER: Final = re.compile(r"\d{12}")


class HeldCheckpoints:
    """The checkpoints in one folder, by origin and size. It refuses nothing: who writes decides."""

    def __init__(self, folder: Path, *, storage: Storage) -> None:
        self.folder: Final = folder
        self._storage = storage

    def origins(self) -> list[str]:
        """Return the origins of which a checkpoint is held."""
        if not self.folder.is_dir():
            return []
        names = (p.name for p in self.folder.iterdir() if p.is_dir() and any(_shards(p)))
        return sorted(name.replace("+", "/") for name in names)

    def newest(self, origin: str) -> Note | None:
        """Return the largest checkpoint that is held of a log; None without any.

        Raises ``TamperedError`` when its file is not what was written.
        """
        for shard in _shards(self._of(origin)):
            if found := sorted(_checkpoints(shard)):
                return _read(found[-1], origin)
        return None

    def held(self, origin: str) -> Iterator[Note]:
        """Yield every checkpoint that is held of a log, the largest first.

        Raises ``TamperedError`` at a file that is not what was written.
        """
        for shard in _shards(self._of(origin)):
            for path in sorted(_checkpoints(shard), reverse=True):
                yield _read(path, origin)

    def add(self, note: Note) -> None:
        """Keep a checkpoint, durably. One of that size that is there already stays as it is."""
        path = self._path(note.origin, note.size)
        if not path.exists():
            make_folders(path.parent, self._storage)
            put(self._storage, path, str(note).encode())

    def add_token(self, note: Note, token: bytes) -> None:
        """Keep a time-stamp token over a checkpoint, and the checkpoint itself, durably."""
        self.add(note)
        path = self._path(note.origin, note.size)
        put(self._storage, path.with_name(path.name + ".tsr"), token)

    def tokens(self, origin: str) -> Iterator[tuple[Note, bytes]]:
        """Yield the checkpoints that bear a time-stamp, with their tokens, the largest first."""
        for shard in _shards(self._of(origin)):
            for path in sorted(_checkpoints(shard), reverse=True):
                token = path.with_name(path.name + ".tsr")
                if token.exists():
                    yield _read(path, origin), token.read_bytes()

    def _of(self, origin: str) -> Path:
        # A name holds no "+", so no two origins share a folder; and none may lead out of this one.
        if origin in {"", ".", ".."} or "\x00" in origin:
            raise TamperedError("a log's origin is not usable as a folder's name")
        return self.folder / origin.replace("/", "+")

    def _path(self, origin: str, size: int) -> Path:
        return self._of(origin) / f"{size // _SHARD:012d}" / f"checkpoint-{size:012d}"


def _shards(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if _NUMBER.fullmatch(p.name)), reverse=True)


def _checkpoints(shard: Path) -> Iterator[Path]:
    return (path for path in shard.iterdir() if _CHECKPOINT.fullmatch(path.name))


def _read(path: Path, origin: str) -> Note:
    try:
        note = parse_note(path.read_text("utf-8"))
    except (TamperedError, UnicodeDecodeError) as error:
        raise TamperedError(f"the held checkpoint {path} is damaged") from error
    if note.origin != origin or f"checkpoint-{note.size:012d}" != path.name:
        raise TamperedError(f"the held checkpoint {path} is that of another log or size")
    return note
