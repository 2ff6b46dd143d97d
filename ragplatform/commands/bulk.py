"""Many texts as JSON lines: read in bounded memory, searched in batches, answered in order.

One line in is ``{"id": ..., "text": ...}``, one line out ``{"id": ..., "spans": [...]}``.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ragplatform.errors import InvalidRequestError
from ragplatform.model import Json, Span

# Large enough that texts of like length are read together, small enough for any machine.
BATCH_TEXTS: Final = 256
BATCH_CHARACTERS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One text of the input, with the id that its answer carries."""

    id: str | int
    text: str = field(repr=False)


def read_items(lines: Iterable[bytes]) -> Iterator[Item]:
    """Yield the text of every line. Lines of white space alone hold none and are passed over.

    Offsets that are told later count code points of the text as JSON means it: an escaped pair of
    surrogates is one, half a pair is one by itself.

    Raises ``InvalidRequestError`` that names the line, never its content, at the first line that
    is not an object with an ``id`` (text or whole number) and a ``text``. Other keys are ignored.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _item(line, "utf-8-sig" if number == 1 else "utf-8")
            except (ValueError, RecursionError) as error:
                raise InvalidRequestError(f"line {number}: {_problem(error)}") from None


def _item(line: bytes, encoding: str) -> Item:
    # Decoded here: given bytes, the parser would guess among UTF-8, UTF-16 and UTF-32.
    document = json.loads(line.decode(encoding))
    if not isinstance(document, dict):
        raise _WrongShapeError('wanted an object with "id" and "text"')
    name, text = document.get("id"), document.get("text")
    # True is an int in Python, and no id.
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise _WrongShapeError('wanted text or a whole number as "id"')
    if not isinstance(text, str):
        raise _WrongShapeError('wanted text as "text"')
    return Item(name, text)


class _WrongShapeError(ValueError):
    """JSON, but not what a line should hold; its message is safe to show."""


def _problem(error: Exception) -> str:
    # The parser's own messages may quote the line.
    if isinstance(error, _WrongShapeError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 at byte {error.start}"
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON at character {error.pos}"
    return "is not JSON that can be read"


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the items in order, up to ``BATCH_TEXTS`` or ``BATCH_CHARACTERS`` at once."""
    batch: list[Item] = []
    size = 0
    for item in items:
        if batch and (len(batch) == BATCH_TEXTS or size + len(item.text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.text)
    if batch:
        yield batch


def answers(
    lines: Iterable[bytes],
    find: Callable[[Sequence[str]], list[list[Span]]],
    told: Callable[[int], None] = lambda done: None,
) -> Iterator[str]:
    """Yield one JSON line for every text, in order; ``told`` learns how many are done.

    What was yielded before an error is right and complete up to its last line. Raises as
    ``read_items`` and ``find`` do.
    """
    done = 0
    read = _Held(read_items(lines))
    for batch in batches(read):
        for item, spans in zip(batch, find([item.text for item in batch]), strict=True):
            yield json.dumps({"id": item.id, "spans": [span_json(s) for s in spans]}) + "\n"
        done += len(batch)
        told(done)
    if read.error is not None:
        raise read.error


class _Held:
    """An iterator that ends where its source fails and keeps the error: good lines go first."""

    def __init__(self, source: Iterator[Item]) -> None:
        self._source = source
        self.error: InvalidRequestError | None = None

    def __iter__(self) -> Iterator[Item]:
        try:
            yield from self._source
        except InvalidRequestError as error:
            self.error = error


def span_json(span: Span) -> dict[str, Json]:
    """Return what is told of a span: offsets in code points, half-open; never its value."""
    return {
        "start": span.start,
        "end": span.end,
        "type": span.entity,
        "category": str(span.category),
        "score": round(span.score, 4),
    }
