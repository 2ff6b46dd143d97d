"""The composition root of ingest."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from ingest.engine import InProcess
from ingest.expand import expand
from ingest.forget import Eraser
from ingest.job import Job
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.parse.sandbox import Limits, Sandbox
from ingest.prepare import Parser, Preparer
from ingest.report import FileResult
from ingest.scan import Scanned, scan
from ingest.sources import SourceFile
from ingest.stages import Stages, pipeline
from ingest.work import Fingerprinter, Target
from ragplatform import openers, wiring
from ragplatform.config import Settings
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


def _today() -> date:
    return datetime.now().astimezone().date()


def eraser_of(store: wiring.Store, book: Ledger, principal: Principal, purpose: Purpose) -> Eraser:
    """Return what erases for a principal."""
    return Eraser(
        principal=principal,
        purpose=purpose,
        policies=store.policies,
        privacy=store.privacy,
        index=store.every_edition(),
        archive=openers.open_archive(store.settings, store.vault),
        catalog=store.catalog,
        ledger=book,
        register=store.register,
        audit=store.audit,
        seals=openers.open_sealed_texts(store.settings),
        today=_today,
    )


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
        with ledger(settings) as book:
            yield eraser_of(store, book, principal, Purpose.COMPLIANCE)
    finally:
        store.close()
