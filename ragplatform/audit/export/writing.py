"""Writing an export to a file that nobody else can read, one record after the other."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ragplatform.audit.export.formats import Writer
from ragplatform.audit.record import Record
from ragplatform.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Written:
    """What an export came to: how many records, and the SHA-256 of all its bytes."""

    records: int
    sha256: str


def write(records: Iterable[Record], writer: Writer, out: BinaryIO) -> Written:
    """Write the records in a format; no more than one is held in memory.

    Raises ``OSError`` when the file takes no more.
    """
    digest = hashlib.sha256()
    count = 0

    def put(text: str) -> None:
        # A name may hold half a surrogate pair, which no encoding knows.
        block = text.encode("utf-8", "backslashreplace")
        digest.update(block)
        out.write(block)

    if writer.heading:
        put(writer.heading)
    for record in records:
        put(writer.text(record))
        count += 1
    out.flush()
    return Written(count, digest.hexdigest())


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that its owner alone can read; remove it unless all goes well.

    Raises ``InvalidRequestError`` when there is such a file already, when the folder takes none,
    or when its file system cannot keep others out.
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
