"""Files about many people become one source for each of them, before anything else looks at them.

A bulk export as one document would be a page about a thousand people, which no relation may open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
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


def cut(source: SourceFile, data: bytes, *, splitter: Splitter) -> tuple[Part, ...]:
    """Return where the file is to be cut; nothing for one that stays whole.

    A file that cannot be cut stays whole: whoever parses it will find the reason.
    """
    if source.is_part or (source.path.suffix.lower() or ".") not in _SUFFIXES:
        return ()
    try:
        return splitter.split(data, source.path.name)
    except QuarantinedError:
        return ()


def pieces(source: SourceFile, data: bytes, parts: Iterable[Part]) -> Iterator[SourceFile]:
    """Yield the parts of a file as sources of their own, in order."""
    for part in parts:
        name = f"{source.name}#{part.key}"
        yield replace(source, name=name, content=part.cut(data), is_part=True)
