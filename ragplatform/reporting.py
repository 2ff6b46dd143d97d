"""Reports for those who answer for a collection: what became of the personal data in it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
from ragplatform.privacy.transform import IN_CLEAR

# A page of passages of 4 KiB is half a megabyte: far below what the index's socket carries.
_PAGE: Final = 128


@dataclass(frozen=True, slots=True)
class KindState:
    """How a collection stands to one kind of Safe Harbor identifier.

    ``counts`` are values by the mark that they left in the passages, ``treated`` by what was done
    with them at ingest, ``rules`` what the rules do now with each type of the kind. ``complete``
    says that ingest counted every document.
    """

    kind: Kind
    counts: Mapping[Mode, int]
    treated: Mapping[Mode, int]
    rules: Mapping[str, Mode]
    complete: bool

    @property
    def state(self) -> str:
        """``in clear`` where a value stands as it was, else ``transformed``, ``absent``.

        It is ``not counted`` where no passage has a mark of it, and a document was ingested before
        what leaves none was counted: what was dropped, shifted, made coarser or kept.
        """
        if self.counts.get(Mode.TAG) or any(self.treated.get(mode) for mode in IN_CLEAR):
            return "in clear"
        if self.counts or self.treated:
            return "transformed"
        return "absent" if self.complete else "not counted"


@dataclass(slots=True)
class Treated:
    """What ingest counted in the texts of a collection: values by type and method.

    ``counted`` documents are in it; ``not_counted`` were ingested before counts were kept.
    """

    counted: int = 0
    not_counted: int = 0
    values: Counter[tuple[str, Mode]] = field(default_factory=Counter)

    def add(self, entry: DocumentEntry) -> None:
        """Add one document."""
        if entry.treated is None:
            self.not_counted += 1
            return
        self.counted += 1
        self.values.update(entry.treated)


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """One collection of one tenant: as its index holds it now, and as ingest treated it."""

    tenant: str
    collection: str
    tally: Tally
    treated: Treated
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
        tally, treated = Tally(), Treated()
        for entry in entries:
            tally.add(tally_document(self._passages(entry)))
            treated.add(entry)
        kinds = tuple(self._state(kind, name, tally, treated) for kind in KINDS)
        return CollectionReport(tenant, name, tally, treated, kinds)

    def _passages(self, entry: DocumentEntry) -> Iterator[Passage]:
        after = ""
        while page := self._index.passages(
            entry.tenant, entry.document, entry.generation, after=after, limit=_PAGE
        ):
            yield from page
            after = page[-1].chunk.id

    def _state(self, kind: Kind, collection: str, tally: Tally, treated: Treated) -> KindState:
        known = [entity for entity in kind.types if entity in CATEGORY_OF]
        return KindState(
            kind,
            counts=_of_kind(kind, tally.marks),
            treated=_of_kind(kind, treated.values),
            rules={entity: self._rules.mode(entity, collection) for entity in known},
            complete=not treated.not_counted,
        )


def _of_kind(kind: Kind, values: Mapping[tuple[str, Mode], int]) -> dict[Mode, int]:
    counts: dict[Mode, int] = {}
    for (entity, mode), count in values.items():
        if entity in kind.types:
            counts[mode] = counts.get(mode, 0) + count
    return counts
