"""Texts that commands are given: files as they lie on disk, or standard input."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import typer

from ragplatform.encodings import decode, looks_binary
from ragplatform.errors import InvalidRequestError

STANDARD_INPUT: Final = "-"
# PDF, ZIP with the formats of Office, OLE, PNG, JPEG, GIF, gzip: texts are inside, not on top.
_DOCUMENTS: Final = (
    *(b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff", b"GIF8"),
    b"\x1f\x8b",
)


def read_lines(name: str) -> Iterator[bytes]:
    """Yield the lines of a file, or of standard input for ``-``, each with its line feed.

    Raises ``InvalidRequestError`` that names the file when it cannot be read.
    """
    with _opened(name) as file:
        while line := file.readline():
            yield line


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """Open for reading; every failure of it, up to the last byte, names the file."""
    try:
        if name == STANDARD_INPUT:
            yield typer.get_binary_stream("stdin")
            return
        with Path(name).open("rb") as file:
            yield file
    except OSError as error:
        raise InvalidRequestError(f"{name}: cannot be read ({error.strerror})") from error


def read_text(name: str) -> str:
    """Return the text of a file, or of standard input for ``-``; see ``encodings.decode``.

    Line ends stay as they are. Raises ``InvalidRequestError`` for what cannot be read or is no
    text: a search of a PDF's bytes would find nothing and say that it is clean.
    """
    with _opened(name) as file:
        data = file.read()
    if data.startswith(_DOCUMENTS) or looks_binary(data):
        raise InvalidRequestError(
            f"{name}: is no text; `ragplatform-ingest scan` reads other formats"
        )
    return decode(data)[0]


class Places:
    """Where offsets of a text stand as people count: lines and columns from 1."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def at(self, offset: int) -> tuple[int, int]:
        """Return the line and the column, in code points, of an offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
