"""The composition root of what keeps an index whole: rebuilding it, its editions, restored data."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from ingest.consistency import Survey
from ingest.ledger import Ledger
from ingest.life_wiring import keeping, places_of
from ingest.rebuild import Rebuilder
from ingest.reindex import Reindexer
from ingest.replay import ErasureReplay, Erasures, erasures_in
from ingest.wiring import ledger
from ragplatform import index_openers, openers, wiring
from ragplatform.audit import query
from ragplatform.config import Settings
from ragplatform.editions import EditionBook, EditionRow, EditionState, OneEdition, edition_name
from ragplatform.errors import TamperedError
from ragplatform.model import Principal
from ragplatform.ports import Edition
from ragplatform.wiring import Store


@contextmanager
def rebuilding(settings: Settings) -> Iterator[Callable[[str], Rebuilder]]:
    """Open what a rebuild of the index needs; the function yielded gives one for each tenant."""
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with ledger(settings) as book, openers.alone(settings, "rebuild"):
            edition = store.for_writing()
            yield partial(_rebuilder, store, book, edition, uuid.uuid4().hex)
    finally:
        store.close()


def _rebuilder(store: Store, book: Ledger, edition: Edition, run: str, tenant: str) -> Rebuilder:
    archive = openers.open_archive(store.settings, store.vault)
    return Rebuilder(
        principal=Principal(f"rebuild-{tenant}", tenant, frozenset({"operator"})),
        run=run,
        policy=store.policies.digest,
        survey=Survey(ledger=book, catalog=store.catalog, archive=archive, index=edition.index),
        embed_view=store.privacy.embed_view,
        embedder=edition.embedder,
        weigher=edition.weigher,
        index=edition.index,
        catalog=store.catalog,
        ledger=book,
        archive=archive,
        audit=store.audit,
    )


@contextmanager
def reindexing(settings: Settings) -> Iterator[Reindexer | None]:
    """Open what the next edition of the index needs; None when the right one answers already."""
    editions = index_openers.open_edition_book(settings)
    try:
        before = editions.answering()
        embedder, weigher = index_openers.open_embedder(settings), index_openers.open_weigher()
        if before is None or before.name == edition_name(embedder.version, weigher.version):
            yield None
            return
        after = editions.add(
            model=settings.embedding_model,
            encoder=embedder.version,
            weigher=weigher.version,
            dim=embedder.dim,
        )
        index = index_openers.open_index(settings, before.dim, before.place)
        # Its own encoder may be gone with an older program, and nothing is embedded for it here.
        old = Edition(before.name, before.model, embedder, weigher, index)
        index = index_openers.open_index(settings, after.dim, after.place)
        new = Edition(after.name, after.model, embedder, weigher, index)
        with (
            closing(new.index),
            _reindexer(settings, editions, (before, old), (after, new)) as made,
        ):
            yield made
    finally:
        editions.close()


@contextmanager
def _reindexer(
    settings: Settings,
    editions: EditionBook,
    before: tuple[EditionRow, Edition],
    after: tuple[EditionRow, Edition],
) -> Iterator[Reindexer]:
    store = wiring.open_store(settings, "ingest", editions=OneEdition(before[1]))
    run = uuid.uuid4().hex
    try:
        store.record_start()
        new = wiring.patient(settings, after[1])
        with ledger(settings) as book, openers.alone(settings, "rebuild"):
            names = sorted({tenant for tenant, _, _ in book.counts()})
            yield Reindexer(
                run=run,
                policy=store.policies.digest,
                book=editions,
                before=before[0],
                after=after[0],
                old={name: _rebuilder(store, book, before[1], run, name) for name in names},
                new={name: _rebuilder(store, book, new, run, name) for name in names},
                index=new.index,
                ledger=book,
                audit=store.audit,
            )
    finally:
        store.close()


def drop_editions(settings: Settings) -> list[EditionRow]:
    """Delete every edition that has retired; return them."""
    book = index_openers.open_edition_book(settings)
    try:
        gone = [row for row in book.all() if row.state is EditionState.RETIRED]
        for row in gone:
            # The place first: what is not in the book any more nobody erases from.
            index_openers.drop_index(settings, row.place)
            book.drop(row.name)
        return gone
    finally:
        book.close()


def editions(settings: Settings) -> list[EditionRow]:
    """Return every edition of the index."""
    book = index_openers.open_edition_book(settings)
    try:
        return book.all()
    finally:
        book.close()


@contextmanager
def replay(settings: Settings, folder: Path) -> Iterator[tuple[ErasureReplay, Erasures]]:
    """Open what erases again what the logs in a folder say was erased.

    Raises ``TamperedError`` when one of them is not what this deployment wrote: an erasure that was
    made up would be obeyed.
    """
    logs = query.find_logs(folder)
    for log in logs:
        report = openers.verify_audit(settings, log)
        if not report.ok:
            raise TamperedError(f"log {log.name} does not verify: {report.problem}")
    found = erasures_in(logs)
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with ledger(settings) as book, keeping(settings) as kept:
            made = ErasureReplay(
                privacy=store.privacy,
                index=store.every_edition(),
                archive=openers.open_archive(settings, store.vault),
                catalog=store.catalog,
                ledger=book,
                register=store.register,
                audit=store.audit,
                places=places_of(store, book, kept),
            )
            yield made, found
    finally:
        store.close()


def tenants(settings: Settings) -> list[str]:
    """Return the tenants that the ledger knows."""
    with ledger(settings) as book:
        return sorted({tenant for tenant, _, _ in book.counts()})
