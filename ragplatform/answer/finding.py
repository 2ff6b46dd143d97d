"""The candidates for a question: a search that is kept to the documents which the question names.

What the question says of itself may be wrong or say more than any document does. So a search that
finds nothing where it was kept to is made again without that, and the record says so.

Whom a question names stands in every row of a statement, and once in a letter. So the papers about
them are searched once more by the question's other words alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ragplatform.answer import routing
from ragplatform.answer.rank import Sought, text_of
from ragplatform.model import Facts, Hit, Json, Narrow, Passage, Scope, TermWeights
from ragplatform.ports import Index, TermWeigher
from ragplatform.privacy.tokens import TOKEN, tokens_in
from ragplatform.reports import COVER

# Covers of more documents of one organisation than these tell nothing apart.
_MOST_COVERS: Final = 300
# How many passages of the part that is asked for are candidates in any case.
_OF_THE_PART: Final = 8
# What standing in the part that is asked for is worth, as a share of the best score. How little the
# exact share matters is in docs/measurements.md.
_LIFT: Final = 0.5
DATES: Final = "DATE_TIME"
"""The type that a reader must be allowed to see for a document's own date to choose it."""
# A word that the question does not say itself counts less than one that it does.
_MEANT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates, best first, and by which facts the search was kept to some documents.

    ``about`` are those of the papers about whom the question names, ordered by its other words;
    none of them is among ``hits``. ``alone`` says that nothing was found where the search was kept
    to, so that all of the scope was searched.
    """

    hits: list[Hit] = field(repr=False)
    by: tuple[str, ...] = ()
    alone: bool = False
    about: list[Hit] = field(default_factory=list, repr=False)

    @property
    def all(self) -> list[Hit]:
        """Every candidate, those about whom the question names first."""
        return [*self.about, *self.hits]

    def said(self) -> dict[str, Json]:
        """Return what a record says of it."""
        said: dict[str, Json] = {"found": len(self.all)}
        by = ["names"] if self.about else list(self.by)
        if by:
            said |= {"kept_to": by, "nothing_there": self.alone}
        return said


class Finder:
    """Searches one index for one reader, with what the question says of where to look."""

    def __init__(
        self,
        *,
        index: Index,
        weigher: TermWeigher,
        scope: Scope,
        readable: Callable[[Sequence[Passage]], list[Passage]],
    ) -> None:
        """``readable`` leaves of passages in the scope those that policy lets be read."""
        self._index = index
        self._weigher = weigher
        self._scope = scope
        self._readable = readable

    def find(self, sought: Sought, vector: Sequence[float], given: Narrow | None = None) -> Found:
        """Return the candidates for a question with this vector, ``sought.depth`` or a few more.

        1. Ask which documents in the scope the question may name. 2. Search those that it names,
        and in them the part that it asks for. 3. Where that finds nothing, or it names none, search
        all that is in the scope, 4. and the papers about whom it names by its other words.
        ``given`` is what the reader narrowed it to, and always holds.
        """
        # What the question may mean is searched for and goes nowhere else.
        others = self._weigher.weigh_query(" ".join(sorted(sought.spelt | sought.meant)))
        terms = self._weigher.weigh_query(sought.text).with_aside(others)
        asked = routing.understood(sought.text)
        if DATES not in self._scope.reveals:
            asked = replace(asked, dates=frozenset())
        route = self._route(asked, given)  # 1
        if route.documents:  # 2
            narrow = replace(given or Narrow(), documents=frozenset(route.documents))
            more = self._with_words(terms, asked.words)
            hits = self._index.search(vector, more, self._scope, sought.depth, narrow)
            if hits and route.parts:
                narrow = replace(narrow, parts=route.parts)
                hits = _lifted(
                    hits, self._index.search(vector, more, self._scope, _OF_THE_PART, narrow)
                )
            if hits:
                return Found(hits, route.by)
        hits = self._index.search(vector, terms, self._scope, sought.depth, given)  # 3
        about = self._about(sought, vector, hits, given or Narrow())  # 4
        brought = {hit.passage.chunk.id for hit in about}
        rest = [hit for hit in hits if hit.passage.chunk.id not in brought]
        return Found(rest, route.by, alone=bool(route.documents), about=about)

    def _about(
        self, sought: Sought, vector: Sequence[float], hits: Sequence[Hit], given: Narrow
    ) -> list[Hit]:
        """Return candidates of the papers about whom the question names, by its other words.

        The surest pseudonyms of which any hit that may be read holds one count. None for a name by
        itself, and where the reader has said whose papers to search.
        """
        whom = [some for some in (sought.spelt, sought.named) if some]
        if not whom or given.documents or given.subjects:
            return []
        others = self._weigher.weigh_query(TOKEN.sub(" ", sought.text))
        if not others.indices:
            return []
        for some in whom:
            naming = [hit.passage for hit in hits if some & tokens_in(text_of(hit.passage))]
            # What policy withholds says nothing of where to look.
            if readable := self._readable(naming):
                narrow = _papers_of(readable, given)
                return self._index.search(vector, others, self._scope, sought.depth, narrow)
        return []

    def _route(self, asked: routing.Asked, given: Narrow | None) -> routing.Route:
        if given is not None and (given.documents or given.organisations or given.parts):
            # Whoever says that much says where to look.
            return routing.Route()
        if not asked.organisations:
            return routing.Route()
        wanted = replace(
            given or Narrow(),
            organisations=asked.organisations,
            parts=frozenset({COVER}),
        )
        covers = self._readable(self._index.browse(self._scope, wanted, _MOST_COVERS))
        documents: dict[str, Facts] = {cover.document: cover.facts for cover in covers}
        return routing.routed(asked, documents)

    def _with_words(self, terms: TermWeights, words: str) -> TermWeights:
        meant = self._weigher.weigh_query(words).indices
        return terms.with_more(TermWeights(meant, (_MEANT,) * len(meant)))


def _papers_of(naming: Sequence[Passage], given: Narrow) -> Narrow:
    """Return what keeps a search to the papers about whom these passages name.

    Where all of them are about the same one subject, it is all that is about that subject: a letter
    to a patient often says "you".
    """
    [first, *others] = {passage.subjects for passage in naming}
    if not others and len(first) == 1:
        return replace(given, subjects=first)
    return replace(given, documents=frozenset(passage.document for passage in naming))


def _lifted(hits: Sequence[Hit], of_the_part: Sequence[Hit]) -> list[Hit]:
    """Return all hits, those of the part moved up."""
    wanted = {hit.passage.chunk.id for hit in of_the_part}
    every = {hit.passage.chunk.id: hit for hit in (*of_the_part, *hits)}
    bonus = _LIFT * max(hit.score for hit in hits)
    moved = [
        replace(hit, score=hit.score + bonus) if chunk in wanted else hit
        for chunk, hit in every.items()
    ]
    return sorted(moved, key=lambda hit: (-hit.score, hit.passage.chunk.id))
