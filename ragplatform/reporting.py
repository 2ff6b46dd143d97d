"""Reports for those who answer for a collection: what became of the personal data in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from random import SystemRandom
from typing import Final

from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Mode, Passage
from ragplatform.ports import Index
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.safe_harbor import KINDS, Kind
from ragplatform.privacy.tally import Tally, tally_document

# A page of passages of 4 KiB is half a megabyte: far below what the index's socket carries.
_PAGE: Final = 128


@dataclass(frozen=True, slots=True)
class KindState:
    """How a collection stands to one kind of Safe Harbor identifier.

    ``counts`` are values by what was done, ``rules`` what the rules do with each type of the kind.
    """

    kind: Kind
    counts: Mapping[Mode, int]
    rules: Mapping[str, Mode]

    @property
    def state(self) -> str:
        """``in clear`` where a value stands as it was, else ``transformed``, or ``absent``.

        Absent means that no mark of it was found; what a rule drops, shifts or makes coarser
        leaves none.
        """
        if self.counts.get(Mode.TAG):
            return "in clear"
        return "transformed" if self.counts else "absent"


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """One collection of one tenant as its index holds it now."""

    tenant: str
    collection: str
    tally: Tally
    kinds: tuple[KindState, ...]


class Reporter:
    """Counts over whole collections, for the deployment's own people: no reader's scope applies."""

    def __init__(self, *, catalog: SqlCatalog, index: Index, rules: PrivacyRules) -> None:
        self._catalog = catalog
        self._index = index
        self._rules = rules

    def report(self, tenant: str, collection: str | None = None) -> list[CollectionReport]:
        """Return the report of each of the tenant's collections, by name, or of the one named.

        A collection without documents has none. Time grows with the passages, memory with the
        largest document.
        """
        entries = sorted(
            self._catalog.documents(tenant, collection), key=lambda entry: entry.collection
        )
        return [
            self._collection(tenant, name, members)
            for name, members in groupby(entries, key=lambda entry: entry.collection)
        ]

    def sample(self, tenant: str, collection: str, count: int) -> list[str]:
        """Return the ids of up to ``count`` passages by chance, each of another document.

        Whether anybody may read them is for policy to say, passage by passage.
        """
        chance = SystemRandom()
        entries = self._catalog.documents(tenant, collection)
        chosen = chance.sample(entries, min(count, len(entries)))
        held = (list(self._passages(entry)) for entry in chosen)
        return [chance.choice(passages).chunk.id for passages in held if passages]

    def _collection(
        self, tenant: str, name: str, entries: Iterator[DocumentEntry]
    ) -> CollectionReport:
        tally = Tally()
        for entry in entries:
            tally.add(tally_document(self._passages(entry)))
        kinds = tuple(self._state(kind, name, tally) for kind in KINDS)
        return CollectionReport(tenant, name, tally, kinds)

    def _passages(self, entry: DocumentEntry) -> Iterator[Passage]:
        after = ""
        while page := self._index.passages(
            entry.tenant, entry.document, entry.generation, after=after, limit=_PAGE
        ):
            yield from page
            after = page[-1].chunk.id

    def _state(self, kind: Kind, collection: str, tally: Tally) -> KindState:
        counts: dict[Mode, int] = {}
        for (entity, mode), count in tally.marks.items():
            if entity in kind.types:
                counts[mode] = counts.get(mode, 0) + count
        known = [entity for entity in kind.types if entity in CATEGORY_OF]
        rules = {entity: self._rules.mode(entity, collection) for entity in known}
        return KindState(kind, counts, rules)
