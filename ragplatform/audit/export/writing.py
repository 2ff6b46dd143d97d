"""Writing an export to a file that nobody else can read, one record after the other."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ragplatform.audit.export.formats import Writer
from ragplatform.audit.record import Record
from ragplatform.errors import InvalidRequestError

_BLOCK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """What an export came to: how many records, and the SHA-256 of all its bytes."""

    records: int
    sha256: str


class Export:
    """The bytes of one export, in blocks, and at its end what it came to.

    No more than a block and a record are held in memory.
    """

    def __init__(self, records: Iterable[Record], writer: Writer) -> None:
        self._records = records
        self._writer = writer
        self._digest = hashlib.sha256()
        self._count = 0

    def blocks(self) -> Iterator[bytes]:
        """Yield the export, once."""
        block = bytearray(_bytes(self._writer.heading))
        for record in self._records:
            block += _bytes(self._writer.text(record))
            self._count += 1
            if len(block) >= _BLOCK:
                yield self._counted(block)
                block.clear()
        yield self._counted(block)

    @property
    def done(self) -> Written:
        """What the blocks so far came to; of the whole export once all were taken."""
        return Written(self._count, self._digest.hexdigest())

    def _counted(self, block: bytearray) -> bytes:
        self._digest.update(block)
        return bytes(block)


def _bytes(text: str) -> bytes:
    # A name may hold half a surrogate pair, which no encoding knows.
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that its owner alone can read; remove it unless all goes well.

    Raises ``InvalidRequestError`` when there is such a file already, when the folder takes none,
    or when its file system cannot keep others out; ``OSError`` when the disk takes no more.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidRequestError(
            f"{path} cannot be made: {error.strerror}; name a new file in a folder of yours"
        ) from error
    with contextlib.ExitStack() as undo:
        undo.callback(path.unlink, missing_ok=True)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) != 0o600:
                raise InvalidRequestError(
                    f"{path} would be open to others: its file system keeps no permissions"
                )
            yield file
            file.flush()
            os.fsync(file.fileno())
        undo.pop_all()
