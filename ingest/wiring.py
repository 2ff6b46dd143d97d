"""The composition root of ingest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from ingest.attendance import attended
from ingest.engine import InProcess
from ingest.forget import Eraser
from ingest.job import Job
from ingest.ledger import Entry, Ledger
from ingest.members import Members
from ingest.parse.sandbox import Limits, Sandbox
from ingest.prepare import Parser, Preparer, Target
from ingest.removal import kept_by_labels
from ingest.report import FileResult, Report
from ingest.scan import Scanned, scan
from ingest.sources import SourceFile
from ingest.stages import Stages, pipeline
from ingest.sweep import Guard
from ragplatform import openers, wiring
from ragplatform.config import Settings
from ragplatform.model import Principal, Purpose, Sensitivity
from ragplatform.wiring import Store


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job with what people should know of it: who holds the index, how parsing is confined.

    ``preparer`` and ``ledger`` are those of the job, for who asks what it knows of sources.
    """

    job: Job
    note: str
    preparer: Preparer
    ledger: Ledger


def _never(entry: Entry) -> bool:
    return False


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
    settings: Settings,
    report: Report,
    where: Target,
    on_result: Callable[[FileResult], None],
    *,
    source: str = "",
    arguments: str = "",
    again: Callable[[Entry], bool] = _never,
    urls: Sequence[str] = (),
) -> Iterator[OpenJob]:
    """Open everything that a run needs, and close it after; the ledger says that it works.

    ``source`` is the configured source that it takes, ``arguments`` are what it was called with,
    sealed. ``again`` says what of the quarantine is tried once more. ``urls`` are services that
    this process is sealed to beside those of the settings.
    """
    largest = settings.max_file_mb * 1024 * 1024
    limits = Limits(max_bytes=largest, timeout_s=settings.parse_timeout_s)
    store = wiring.open_store(settings, "ingest", *urls)
    try:
        store.record_start()
        with (
            Sandbox(limits=limits) as sandbox,
            ledger(settings) as book,
            attended(book, report, where, source=source, arguments=arguments) as attendance,
        ):
            stages = _stages(settings, store, where, sandbox)
            made = Job(
                run=report.run,
                target=where,
                preparer=stages.preparer,
                members=Members(parser=sandbox),
                engine=InProcess(make=lambda: stages),
                privacy=store.privacy,
                policies=store.policies,
                index=store.index,
                catalog=store.catalog,
                ledger=book,
                audit=store.audit,
                on_result=on_result,
                why_kept=kept_by_labels(_today),
                guard=Guard(
                    percent=settings.ingest_removed_percent,
                    documents=settings.ingest_removed_documents,
                ),
                stop=attendance.asked_to_end,
                again=again,
            )
            walls = sandbox.isolation
            confined = f"network {walls.network}, files {walls.files}, calls {walls.syscalls}"
            note = f"{store.index_note}parser walls: {confined}"
            yield OpenJob(made, note, stages.preparer, book)
    finally:
        store.close()


def _stages(settings: Settings, store: Store, where: Target, parser: Parser) -> Stages:
    preparer = Preparer(
        target=where,
        parser=parser,
        privacy=store.privacy,
        policies=store.policies,
        pipeline=pipeline(
            parser=parser, privacy=store.privacy, embedder=store.embedder, weigher=store.weigher
        ),
        name_key=openers.derive(settings, "source-name", where.principal.tenant),
        largest_file=settings.max_file_mb * 1024 * 1024,
    )
    return Stages(
        preparer=preparer, privacy=store.privacy, embedder=store.embedder, weigher=store.weigher
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
            yield Eraser(
                principal=principal,
                purpose=Purpose.COMPLIANCE,
                policies=store.policies,
                privacy=store.privacy,
                index=store.index,
                catalog=store.catalog,
                ledger=book,
                register=store.register,
                audit=store.audit,
                seals=openers.open_sealed_texts(settings),
                today=_today,
            )
    finally:
        store.close()
