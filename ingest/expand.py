"""Files about many people become one source for each of them, before anything else looks at them.

A bulk export as one document would be a page about a thousand people, which no relation may open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from ingest.parse.document import Part
from ingest.sources import SourceFile
from ragplatform.errors import QuarantinedError

# Nothing else holds a format that can be cut, so nothing else is read twice.
_SUFFIXES: Final = frozenset(
    ". .txt .dat .json .ndjson .jsonl .xml .hl7 .er7 .bhs .fhs .x12 .edi .835 .837 .sta .mt940 "
    ".940 .swi .camt .pacs".split()
)


class Splitter(Protocol):
    """Tells where a file about several people is to be cut, somewhere it can do no harm."""

    def split(self, data: bytes, name: str) -> tuple[Part, ...]:
        """Return the parts, none for a file that stays whole. Raises ``QuarantinedError``."""


def expand(
    sources: Iterable[SourceFile], *, splitter: Splitter, largest_file: int
) -> Iterator[SourceFile]:
    """Yield every source, in order, or in its place its parts.

    A file that cannot be read or cut is yielded whole: whoever parses it will find the reason.
    """
    for source in sources:
        data = _read(source, largest_file)
        parts = _parts(data, source, splitter) if data else ()
        if not parts or not data:
            yield source
        for part in parts:
            yield replace(source, name=f"{source.name}#{part.key}", content=part.cut(data or b""))


def _read(source: SourceFile, largest_file: int) -> bytes:
    if (source.path.suffix.lower() or ".") not in _SUFFIXES or source.content is not None:
        return source.content or b""
    try:
        if not source.path.is_file() or source.path.stat().st_size > largest_file:
            return b""
        return source.path.read_bytes()
    except OSError:
        return b""


def _parts(data: bytes, source: SourceFile, splitter: Splitter) -> tuple[Part, ...]:
    try:
        return splitter.split(data, Path(source.path).name)
    except QuarantinedError:
        return ()
