"""Personal data in documents of any format that ingest reads; nothing is taken in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.prepare import Parser
from ingest.sources import SourceFile
from ragplatform.errors import InvalidRequestError, PlatformError
from ragplatform.model import Span
from ragplatform.privacy.gate import Inspector


@dataclass(frozen=True, slots=True)
class Place:
    """One finding; offsets are of the parsed text, ``page`` is None where there are no pages."""

    span: Span
    page: int | None


@dataclass(frozen=True, slots=True)
class Scanned:
    """One file: what was found in it, or why it could not be searched."""

    name: str
    characters: int
    found: tuple[Place, ...]
    problem: PlatformError | None = None


def scan(
    sources: Iterable[SourceFile],
    *,
    parser: Parser,
    inspector: Inspector,
    collection: str | None,
    largest_file: int,
) -> Iterator[Scanned]:
    """Yield the result of every file, in order. A file that fails does not hide the others."""
    for source in sources:
        try:
            parsed = parser.parse(_read(source, largest_file), source.path.name)
            [spans] = inspector.inspect([parsed.text])
        except PlatformError as error:
            yield Scanned(source.name, 0, (), error)
            continue
        certain = inspector.certain(spans, collection)
        found = tuple(Place(span, parsed.page_at(span.start)) for span in certain)
        yield Scanned(source.name, len(parsed.text), found)


def _read(source: SourceFile, largest_file: int) -> bytes:
    """Return the file's bytes, one more than allowed at most: the parser refuses those."""
    try:
        with source.path.open("rb") as file:
            return file.read(largest_file + 1)
    except OSError as error:
        raise InvalidRequestError(f"the file cannot be read ({error.strerror})") from error
