"""A log as C2SP tlog-tiles serves it: static files that any client of the format can read.

Source: C2SP tlog-tiles (https://c2sp.org/tlog-tiles).
"""

from collections.abc import Iterator
from pathlib import Path

from ragplatform.audit.note import parse_checkpoint
from ragplatform.audit.query import lines_from, newest_checkpoint
from ragplatform.audit.tiles import WIDTH, TreeReader, tile_path, width_at
from ragplatform.errors import AuditError, TamperedError


def static_files(directory: Path, archive: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file of the log as it stands at its newest checkpoint.

    The checkpoint comes last, so that what it is signed over is there before it is. Archived
    records are read from ``archive``.

    Raises ``NotFoundError`` when there is no log, ``TamperedError`` when records or hashes lack.
    """
    note = newest_checkpoint(directory)
    size = parse_checkpoint(note).size
    yield from _bundles(directory, archive, size)
    reader = TreeReader(directory)
    level = 0
    while size >> (8 * level):
        for number in range(((size >> (8 * level)) + WIDTH - 1) // WIDTH):
            width = width_at(level, number, size)
            yield tile_path(level, number, width), reader.hashes(level, number * WIDTH, width)
        level += 1
    yield "checkpoint", note.encode()


def entry_bundle(lines: list[bytes]) -> bytes:
    """Return records as an entry bundle: each after its length, a big-endian 16-bit number.

    Raises ``AuditError`` for a record that is too long for the format.
    """
    if any(len(line) > 0xFFFF for line in lines):
        raise AuditError("a record of more than 65,535 bytes does not fit an entry bundle")
    return b"".join(len(line).to_bytes(2, "big") + line for line in lines)


def _bundles(directory: Path, archive: Path | None, size: int) -> Iterator[tuple[str, bytes]]:
    lines = lines_from(directory, archive)
    for number in range((size + WIDTH - 1) // WIDTH):
        width = width_at(0, number, size)
        bundle = [line for line, _ in zip(lines, range(width), strict=False)]
        if len(bundle) < width or b'"index":%d,' % (number * WIDTH) not in bundle[0]:
            raise TamperedError(
                f"{directory} lacks records from {number * WIDTH} on; if they were archived, give "
                "the folder with --archive"
            )
        yield tile_path("entries", number, width), entry_bundle(bundle)
