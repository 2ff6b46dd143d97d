"""The passages around those that fit best: an answer may need what stands a few lines further."""

from collections.abc import Callable, Iterator, Sequence

from ragplatform.model import Hit, Passage, chunk_id


def beside(hits: Sequence[Hit], most: int, fetch: Callable[[str], Hit | None]) -> list[Hit]:
    """Return up to ``most`` further passages next to the hits, those of the best hit first.

    Only of the hit's own section, and none that is among the hits. ``fetch`` looks under the
    caller's scope; whether each may be shown is still to be decided. Their score is 0.
    """
    if most < 1:
        return []
    known = {hit.passage.chunk.id for hit in hits}
    added: list[Hit] = []
    for hit in hits:
        for name in _names(hit.passage):
            if name in known:
                continue
            known.add(name)
            found = fetch(name)
            if found is not None and _continues(hit.passage, found.passage):
                added.append(Hit(found.passage, 0.0))
            if len(added) == most:
                return added
    return added


def _names(passage: Passage) -> Iterator[str]:
    """Yield the ids that the passages behind and before this one have, if there are any."""
    at = passage.chunk.ordinal
    yield chunk_id(passage.document, passage.generation, at + 1)
    if at:
        yield chunk_id(passage.document, passage.generation, at - 1)


def _continues(passage: Passage, other: Passage) -> bool:
    return (other.document, other.generation, other.chunk.heading) == (
        passage.document,
        passage.generation,
        passage.chunk.heading,
    )
