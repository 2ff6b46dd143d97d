"""Personal data in documents of any format that ingest reads; nothing is taken in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.members import Budget, Members
from ingest.prepare import Parser
from ingest.sources import SourceFile
from ragplatform.errors import InvalidRequestError, PlatformError, QuarantinedError
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
    members = Members(parser=parser)
    for source in sources:
        yield from _scan(source, members, Budget(), parser, inspector, collection, largest_file)


def _scan(
    source: SourceFile,
    members: Members,
    budget: Budget,
    parser: Parser,
    inspector: Inspector,
    collection: str | None,
    largest_file: int,
) -> Iterator[Scanned]:
    """Yield the results of the documents inside the file, then its own if it is one."""
    try:
        data = _read(source, largest_file)
        contents = members.contents(source, data, budget)
    except PlatformError as error:
        yield Scanned(source.name, 0, (), error)
        return
    budget.depth -= contents.nests
    for inner in contents.sources:
        yield from _scan(inner, members, budget, parser, inspector, collection, largest_file)
    budget.depth += contents.nests
    if not contents.is_document:
        return
    try:
        parsed = parser.parse(data, source.path.name)
        [spans] = inspector.inspect([parsed.text])
    except PlatformError as error:
        yield Scanned(source.name, 0, (), error)
        return
    certain = inspector.certain(spans, collection)
    found = tuple(Place(span, parsed.page_at(span.start)) for span in certain)
    yield Scanned(source.name, len(parsed.text), found)


def _read(source: SourceFile, largest_file: int) -> bytes:
    """Return the file's bytes, one more than allowed at most: the parser refuses those."""
    if source.refused:
        raise QuarantinedError(source.refused, "what it lies in keeps this out of reach")
    if source.content is not None:
        return source.content
    try:
        with source.path.open("rb") as file:
            return file.read(largest_file + 1)
    except OSError as error:
        raise InvalidRequestError(f"the file cannot be read ({error.strerror})") from error
