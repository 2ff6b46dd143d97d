"""What is done with documents where no state is shared: here, in a pool, on another machine.

Stages take some documents at once, since the models work best on many texts together, and change
nothing outside themselves: whatever they did may be thrown away and done again elsewhere.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from ingest.prepare import Found, Parsed, Parser, Preparer, Ready
from ingest.refusals import Refusal, guarded
from ingest.report import Tally
from ingest.work import Work
from ragplatform.model import Passage
from ragplatform.ports import Embedder, Entry, TermWeigher, embedded_text
from ragplatform.privacy.gate import Treatment

# Changes whenever this package would make other chunks from the same text.
PIPELINE: Final = "2"

_T = TypeVar("_T")
_U = TypeVar("_U")


@dataclass(frozen=True, slots=True)
class Prepared:
    """One document that may be written: nothing is left to be computed."""

    ready: Ready
    entries: tuple[Entry, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Processed:
    """What became of some documents, in their order, and what that took."""

    outcomes: tuple[Prepared | Refusal, ...]
    tally: Tally


class Stages:
    """Parses, finds personal data, decides, transforms, chunks, embeds and weighs terms."""

    def __init__(
        self, *, preparer: Preparer, privacy: Treatment, embedder: Embedder, weigher: TermWeigher
    ) -> None:
        self._preparer = preparer
        self._privacy = privacy
        self._embedder = embedder
        self._weigher = weigher

    def __call__(self, works: Sequence[Work]) -> Processed:
        """Return what became of each document; one that cannot go in takes no other with it.

        Raises ``UnavailableError`` when a part is away that every document needs.
        """
        tally = Tally()
        parsed = [guarded(partial(self._preparer.parse, work, tally)) for work in works]
        searched = _together(parsed, lambda some: self._search(some, tally))
        ready = [
            one if isinstance(one, Refusal) else guarded(partial(self._finish, one, tally))
            for one in searched
        ]
        done = _together(ready, lambda some: self._embed(some, tally))
        return Processed(tuple(map(_about, done, parsed)), tally)

    def _search(
        self, parsed: Sequence[Parsed], tally: Tally
    ) -> list[tuple[Parsed, tuple[Found, Found, Found]]]:
        return list(zip(parsed, self._preparer.inspect(parsed, tally), strict=True))

    def _finish(self, searched: tuple[Parsed, tuple[Found, Found, Found]], tally: Tally) -> Ready:
        return self._preparer.finish(*searched, tally)

    def _embed(self, ready: Sequence[Ready], tally: Tally) -> list[Prepared]:
        texts = [self._privacy.embed_view(embedded_text(p)) for one in ready for p in one.passages]
        with tally.stage("embed"):
            vectors = iter(self._embedder.embed(texts))
        with tally.stage("weigh"):
            return [
                Prepared(one, tuple(self._entry(p, next(vectors)) for p in one.passages))
                for one in ready
            ]

    def _entry(self, passage: Passage, vector: Sequence[float]) -> Entry:
        terms = self._weigher.weigh_document(passage.chunk.text, passage.context)
        return Entry(passage, vector, terms)


def pipeline(*, parser: Parser, privacy: Treatment) -> str:
    """Return a word that changes whenever the same file could give other passages.

    Encoder and weigher are no part of it: the same passages under another encoder are another
    edition of the index, for which no source is read again.
    """
    versions = (PIPELINE, parser.version, privacy.version)
    return hashlib.sha256("\0".join(versions).encode()).hexdigest()[:16]


def _about(outcome: Prepared | Refusal, parsed: Parsed | Refusal) -> Prepared | Refusal:
    """Return the outcome; of a document that was read, a refusal says whom it is about."""
    if isinstance(outcome, Refusal) and not isinstance(parsed, Refusal):
        work = parsed.work
        return replace(outcome, labels=work.labels, subjects=work.subjects)
    return outcome


def _together(
    items: Sequence[_T | Refusal], act: Callable[[Sequence[_T]], Sequence[_U]]
) -> list[_U | Refusal]:
    """Act on all that were not refused at once, or on each alone when one of them stops it."""
    good = [item for item in items if not isinstance(item, Refusal)]
    done = guarded(lambda: act(good))
    rest = iter([_alone(item, act) for item in good] if isinstance(done, Refusal) else done)
    return [item if isinstance(item, Refusal) else next(rest) for item in items]


def _alone(item: _T, act: Callable[[Sequence[_T]], Sequence[_U]]) -> _U | Refusal:
    return guarded(lambda: act([item])[0])
