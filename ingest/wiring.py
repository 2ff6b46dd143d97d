"""The composition root of ingest."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path

from ingest.consistency import Survey
from ingest.engine import InProcess
from ingest.expand import expand
from ingest.forget import Eraser
from ingest.job import Job
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.parse.sandbox import Limits, Sandbox
from ingest.prepare import Parser, Preparer
from ingest.rebuild import Rebuilder
from ingest.reindex import Reindexer
from ingest.replay import ErasureReplay, Erasures, erasures_in
from ingest.report import FileResult
from ingest.scan import Scanned, scan
from ingest.sources import SourceFile
from ingest.stages import Stages, pipeline
from ingest.work import Fingerprinter, Target
from ragplatform import openers, wiring
from ragplatform.audit import query
from ragplatform.config import Settings
from ragplatform.editions import EditionBook, EditionRow, EditionState, OneEdition, edition_name
from ragplatform.errors import TamperedError
from ragplatform.model import Principal, Purpose, Sensitivity
from ragplatform.ports import Edition
from ragplatform.wiring import Store


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job with what people should know of it: who holds the index, how parsing is confined.

    ``expand`` puts each subject's part in the place of a file about several.
    """

    job: Job
    note: str
    expand: Callable[[Iterable[SourceFile]], Iterator[SourceFile]]


def target(tenant: str, collection: str, purpose: Purpose) -> Target:
    """Return where a run from the command line writes, and as whom.

    Who may run the command holds the deployment's keys already; policy still decides by role.
    """
    principal = Principal(
        id=f"ingest-{tenant}",
        tenant=tenant,
        roles=frozenset({"ingest"}),
        clearance=Sensitivity.RESTRICTED,
    )
    return Target(principal, purpose, collection)


@contextmanager
def job(
    settings: Settings, run: str, where: Target, on_result: Callable[[FileResult], None]
) -> Iterator[OpenJob]:
    """Open everything that a run needs, and close it after."""
    largest = settings.max_file_mb * 1024 * 1024
    limits = Limits(max_bytes=largest, timeout_s=settings.parse_timeout_s)
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with (
            Sandbox(limits=limits) as sandbox,
            ledger(settings) as book,
        ):
            edition = store.for_writing()
            stages = _stages(settings, store, edition, where, sandbox)
            made = Job(
                run=run,
                target=where,
                fingerprint=_fingerprinter(settings, store, where, sandbox),
                members=Members(parser=sandbox),
                engine=InProcess(make=lambda: stages),
                privacy=store.privacy,
                policies=store.policies,
                index=edition.index,
                encoder=edition.embedder.version,
                archive=openers.open_archive(settings, store.vault),
                catalog=store.catalog,
                ledger=book,
                audit=store.audit,
                on_result=on_result,
            )
            walls = sandbox.isolation
            confined = f"network {walls.network}, files {walls.files}, calls {walls.syscalls}"
            note = f"{store.index_note}parser walls: {confined}"
            yield OpenJob(made, note, partial(expand, splitter=sandbox, largest_file=largest))
    finally:
        store.close()


def _fingerprinter(
    settings: Settings, store: Store, where: Target, parser: Parser
) -> Fingerprinter:
    return Fingerprinter(
        target=where,
        subject_ref=store.privacy.subject_ref,
        pipeline=pipeline(parser=parser, privacy=store.privacy),
        name_key=openers.derive(settings, "source-name", where.principal.tenant),
        largest_file=settings.max_file_mb * 1024 * 1024,
    )


def _stages(
    settings: Settings, store: Store, edition: Edition, where: Target, parser: Parser
) -> Stages:
    preparer = Preparer(
        target=where,
        parser=parser,
        privacy=store.privacy,
        policies=store.policies,
        largest_file=settings.max_file_mb * 1024 * 1024,
    )
    return Stages(
        preparer=preparer,
        privacy=store.privacy,
        embedder=edition.embedder,
        weigher=edition.weigher,
    )


@contextmanager
def scanner(
    settings: Settings, found: Iterable[SourceFile], collection: str | None
) -> Iterator[Iterator[Scanned]]:
    """Open what a scan needs, which is no deployment: parsers and detector alone."""
    largest = settings.max_file_mb * 1024 * 1024
    inspector = openers.open_inspector(settings)
    with Sandbox(limits=Limits(max_bytes=largest, timeout_s=settings.parse_timeout_s)) as sandbox:
        yield scan(
            found,
            parser=sandbox,
            inspector=inspector,
            collection=collection,
            largest_file=largest,
        )


@contextmanager
def ledger(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger alone."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    book = Ledger(settings.catalog_url)
    try:
        yield book
    finally:
        book.close()


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
    editions = openers.open_edition_book(settings)
    try:
        before = editions.answering()
        embedder, weigher = openers.open_embedder(settings), openers.open_weigher()
        if before is None or before.name == edition_name(embedder.version, weigher.version):
            yield None
            return
        after = editions.add(
            model=settings.embedding_model,
            encoder=embedder.version,
            weigher=weigher.version,
            dim=embedder.dim,
        )
        index = openers.open_index(settings, before.dim, before.place)
        # Its own encoder may be gone with an older program, and nothing is embedded for it here.
        old = Edition(before.name, before.model, embedder, weigher, index)
        index = openers.open_index(settings, after.dim, after.place)
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
    store = wiring.open_store(settings, "ingest", OneEdition(before[1]))
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
    book = openers.open_edition_book(settings)
    try:
        gone = [row for row in book.all() if row.state is EditionState.RETIRED]
        for row in gone:
            # The place first: what is not in the book any more nobody erases from.
            openers.drop_index(settings, row.place)
            book.drop(row.name)
        return gone
    finally:
        book.close()


def editions(settings: Settings) -> list[EditionRow]:
    """Return every edition of the index."""
    book = openers.open_edition_book(settings)
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
        with ledger(settings) as book, closing(store.every_edition()) as index:
            made = ErasureReplay(
                privacy=store.privacy,
                index=index,
                archive=openers.open_archive(settings, store.vault),
                catalog=store.catalog,
                ledger=book,
                register=store.register,
                audit=store.audit,
            )
            yield made, found
    finally:
        store.close()


def tenants(settings: Settings) -> list[str]:
    """Return the tenants that the ledger knows."""
    with ledger(settings) as book:
        return sorted({tenant for tenant, _, _ in book.counts()})


def _today() -> date:
    return datetime.now().astimezone().date()


@contextmanager
def eraser(settings: Settings, tenant: str) -> Iterator[Eraser]:
    """Open what erasure needs."""
    principal = Principal(
        id=f"erasure-{tenant}",
        tenant=tenant,
        roles=frozenset({"erasure"}),
        clearance=Sensitivity.RESTRICTED,
    )
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with ledger(settings) as book, closing(store.every_edition()) as index:
            yield Eraser(
                principal=principal,
                purpose=Purpose.COMPLIANCE,
                policies=store.policies,
                privacy=store.privacy,
                index=index,
                archive=openers.open_archive(settings, store.vault),
                catalog=store.catalog,
                ledger=book,
                register=store.register,
                audit=store.audit,
                seals=openers.open_sealed_texts(settings),
                today=_today,
            )
    finally:
        store.close()
