"""Whether ledger, catalog, archive and index say the same of every document.

The ledger is the truth about which version of a document is in, the catalog about its labels, the
archive about its passages. The index is what can be made again from them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ingest.ledger import Entry as Row
from ingest.ledger import Ledger, State
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.errors import TamperedError
from ragplatform.model import Labels, Passage
from ragplatform.ports import Archive, Archived, Index

_PAGE: Final = 512


class Fault(StrEnum):
    """In what the stores differ about one document."""

    MISSING = "missing"
    """The index lacks passages that the ledger says it has."""
    CHANGED = "changed"
    """The index holds other passages under this generation than were taken in."""
    ORPHAN = "orphan"
    """The index holds a document that the ledger does not call indexed."""
    STALE = "stale"
    """Beside the generation in force the index holds others."""
    UNARCHIVED = "unarchived"
    """The index holds it and the archive does not: it could not be made again."""
    LOST = "lost"
    """Neither index nor archive has it whole: it must be taken in again."""
    DAMAGED = "damaged"
    """What the archive keeps of it is not what was written."""
    LEFTOVER = "leftover"
    """The archive keeps what is no longer in force."""
    UNLISTED = "unlisted"
    """The catalog says something else of it than the ledger does."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. ``row`` is the ledger's, None where it knows nothing of the document."""

    fault: Fault
    tenant: str
    document: str
    generation: str
    row: Row | None


@dataclass(frozen=True, slots=True)
class Stock:
    """What the stores say of one tenant, read in an order in which nothing in work looks wrong.

    The index first, the ledger after it: whoever writes to the index is in the ledger before.
    """

    tenant: str
    held: Mapping[str, Mapping[str, int]]
    archived: Mapping[str, frozenset[str]]
    rows: Mapping[str, Row]
    listed: Mapping[str, DocumentEntry]
    classes: Mapping[str, Labels]

    @property
    def indexed(self) -> list[Row]:
        """The rows of the documents that are in."""
        return [row for row in self.rows.values() if row.state is State.INDEXED]

    @property
    def pending(self) -> int:
        """How many documents are in work, or were when a run was cut off."""
        return sum(row.state is State.PENDING for row in self.rows.values())


class Survey:
    """Compares the stores. Changes nothing."""

    def __init__(
        self, *, ledger: Ledger, catalog: SqlCatalog, archive: Archive, index: Index
    ) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._archive = archive
        self._index = index

    def stock(self, tenant: str) -> Stock:
        """Read what each store says of the tenant's documents."""
        held = self._index.generations(tenant)
        archived = self._archive.generations(tenant)
        return Stock(
            tenant=tenant,
            held=held,
            archived=archived,
            rows={row.document: row for row in self._ledger.entries(tenant=tenant)},
            listed={entry.document: entry for entry in self._catalog.documents(tenant)},
            classes=self._catalog.classes(tenant),
        )

    def findings(self, stock: Stock, *, deep: bool) -> Iterator[Finding]:
        """Yield every difference, document by document; with ``deep`` passages are compared too.

        What a run has in work, or left when it was cut off, is no difference: the next run mends
        it.
        """
        for row in stock.indexed:
            yield from self._of_indexed(stock, row, deep=deep)
        yield from _of_others(stock)

    def _of_indexed(self, stock: Stock, row: Row, *, deep: bool) -> Iterator[Finding]:
        document, generation = row.document, row.generation

        def finding(fault: Fault) -> Finding:
            return Finding(fault, stock.tenant, document, generation, row)

        counts = stock.held.get(document, {})
        kept = stock.archived.get(document, frozenset())
        listed = stock.listed.get(document)
        whole = counts.get(generation, 0) == row.chunks
        if listed is None or (listed.generation, listed.chunks) != (generation, row.chunks):
            yield finding(Fault.UNLISTED)
        elif generation not in kept:
            yield finding(Fault.UNARCHIVED if whole else Fault.LOST)
        elif not whole:
            yield finding(Fault.MISSING)
        elif deep and (fault := self._compared(stock, listed)) is not None:
            yield finding(fault)
        if counts.keys() - {generation}:
            yield finding(Fault.STALE)
        if kept - {generation}:
            yield finding(Fault.LEFTOVER)

    def _compared(self, stock: Stock, listed: DocumentEntry) -> Fault | None:
        """Return what is wrong with a document whose passages are all there by number."""
        try:
            archived = self._archive.read(stock.tenant, listed.document, listed.generation)
        except TamperedError:
            return Fault.DAMAGED
        if archived is None or len(archived.passages) != listed.chunks:
            return Fault.DAMAGED
        wanted = {one.chunk.id: one for one in as_labelled(archived, listed, stock.classes)}
        try:
            same = self._indexed(listed) == wanted
        except TamperedError:
            same = False
        return None if same else Fault.CHANGED

    def _indexed(self, listed: DocumentEntry) -> dict[str, Passage]:
        found = indexed_passages(self._index, listed.tenant, listed.document, listed.generation)
        return {one.chunk.id: one for one in found}


def _of_others(stock: Stock) -> Iterator[Finding]:
    """Yield what the stores hold of documents that should not be there."""
    stores = (
        (Fault.ORPHAN, stock.held),
        (Fault.LEFTOVER, stock.archived),
        (Fault.UNLISTED, stock.listed),
    )
    for fault, documents in stores:
        for document in documents:
            row = stock.rows.get(document)
            if not may_be_there(row, listed=document in stock.listed):
                yield Finding(fault, stock.tenant, document, "", row)


def may_be_there(row: Row | None, *, listed: bool) -> bool:
    """Return whether passages of the document may be in the index.

    One in work is in the catalog before a passage of it can be found. One that could not be taken
    in is taken out of both, and stays pending in the ledger alone, to be tried again.
    """
    if row is None:
        return False
    return row.state is State.INDEXED or (row.state is State.PENDING and listed)


def indexed_passages(
    index: Index, tenant: str, document: str, generation: str
) -> Iterator[Passage]:
    """Yield the passages of one generation as the index holds them, by chunk id."""
    after = ""
    while page := index.passages(tenant, document, generation, after=after, limit=_PAGE):
        yield from page
        after = page[-1].chunk.id


def as_labelled(
    archived: Archived, listed: DocumentEntry, classes: Mapping[str, Labels]
) -> tuple[Passage, ...]:
    """Return the archived passages with the labels that the catalog has for the document now.

    A document that was labelled anew is not archived again: its text is the same.
    """
    labels = classes[listed.access_class]
    return tuple(
        replace(one, labels=labels, access_class=listed.access_class) for one in archived.passages
    )
