"""The composition root of ingest."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from ingest import worker_wiring
from ingest.aside import Aside, Item
from ingest.aside_run import AsideOfRun
from ingest.engine import InProcess
from ingest.engines import EngineChoice, open_engine
from ingest.expand import expand
from ingest.forget import Eraser
from ingest.job import Job
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.prepare import Parser, Preparer
from ingest.quarantine import Quarantine
from ingest.quarantine_rules import RULES_FILE, QuarantineRules
from ingest.report import FileResult, Report
from ingest.scan import Scanned, scan
from ingest.sources import SourceFile
from ingest.stages import Stages, pipeline
from ingest.work import Fingerprinter, Target
from ingest.worker_wiring import Recipe
from ragplatform import openers, wiring
from ragplatform.config import Settings
from ragplatform.model import Principal, Purpose, Sensitivity
from ragplatform.privacy.vault import Vault
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
    settings: Settings,
    run: str,
    where: Target,
    on_result: Callable[[FileResult], None],
    choice: EngineChoice | None = None,
) -> Iterator[OpenJob]:
    """Open everything that a run needs, and close it after.

    Without a choice the engine is the local one, with the workers that the settings name.
    """
    choice = choice or EngineChoice(workers=settings.ingest_workers)
    with ExitStack() as closing:
        store = wiring.open_store(settings, "ingest")
        closing.callback(store.close)
        store.record_start()
        parser = closing.enter_context(worker_wiring.sandbox(settings))
        version = pipeline(
            parser=parser, privacy=store.privacy, embedder=store.embedder, weigher=store.weigher
        )
        kept = closing.enter_context(aside(settings, store.vault))
        engine, told = open_engine(
            choice,
            here=lambda: _stages(settings, store, where, parser),
            elsewhere=partial(worker_wiring.make_stages, _recipe(settings, store, where, version)),
            ray_without_tls=settings.ray_without_tls,
        )
        closing.callback(engine.close)
        made = Job(
            run=run,
            target=where,
            fingerprint=_fingerprinter(settings, store, where, version),
            members=Members(parser=parser),
            engine=engine,
            privacy=store.privacy,
            policies=store.policies,
            index=store.index,
            catalog=store.catalog,
            ledger=closing.enter_context(ledger(settings)),
            audit=store.audit,
            aside=_aside_of_run(settings, run, where, kept),
            on_result=on_result,
        )
        walls = parser.isolation
        confined = f"network {walls.network}, files {walls.files}, calls {walls.syscalls}"
        note = f"{store.index_note}{told}parser walls: {confined}"
        largest = worker_wiring.largest_file(settings)
        yield OpenJob(made, note, partial(expand, splitter=parser, largest_file=largest))


def _aside_of_run(settings: Settings, run: str, where: Target, kept: Aside) -> AsideOfRun:
    return AsideOfRun(
        run=run,
        target=where,
        aside=kept,
        rules=quarantine_rules(settings),
        silence_documents=settings.silence_documents,
    )


@contextmanager
def aside(settings: Settings, vault: Vault) -> Iterator[Aside]:
    """Open what was put aside."""
    kept = Aside(
        settings.catalog_url,
        files=openers.open_sealed_files(settings, vault),
        most_bytes=settings.quarantine_keep_mb * 1024 * 1024,
    )
    try:
        yield kept
    finally:
        kept.close()


def quarantine_rules(settings: Settings) -> QuarantineRules:
    """Return the rules for what is put aside. Raises ``PolicyError`` when they are not right."""
    return QuarantineRules.load(settings.policies_dir / RULES_FILE, today=_today)


@contextmanager
def quarantine(settings: Settings) -> Iterator[Quarantine]:
    """Open what deciding about the quarantine needs, and close it after."""
    with ExitStack() as closing:
        store = wiring.open_store(settings, "ingest")
        closing.callback(store.close)
        store.record_start()
        parser = closing.enter_context(worker_wiring.sandbox(settings))
        book = closing.enter_context(ledger(settings))
        kept = closing.enter_context(aside(settings, store.vault))
        yield quarantine_of(store, parser, book, kept)


def quarantine_of(store: Store, parser: Parser, book: Ledger, kept: Aside) -> Quarantine:
    """Return what people decide with about the quarantine, of parts that the caller closes."""
    hours = store.settings.quarantine_approval_hours
    return Quarantine(
        aside=kept,
        ledger=book,
        policies=store.policies,
        privacy=store.privacy,
        parser=parser,
        audit=store.audit,
        why_kept=_why_kept,
        take_in=partial(_take_in, store, parser, book, kept),
        now=openers.now,
        approval=timedelta(hours=hours),
    )


def _take_in(
    store: Store,
    parser: Parser,
    book: Ledger,
    kept: Aside,
    tenant: str,
    collection: str,
    found: Iterable[SourceFile],
) -> list[FileResult]:
    """Run ingest as its job does: who decides about the quarantine does not fill the index."""
    results: list[FileResult] = []
    settings, report = store.settings, Report(run=uuid.uuid4().hex)
    where = target(tenant, collection, Purpose.HOPERAT)
    version = pipeline(
        parser=parser, privacy=store.privacy, embedder=store.embedder, weigher=store.weigher
    )
    Job(
        run=report.run,
        target=where,
        fingerprint=_fingerprinter(settings, store, where, version),
        members=Members(parser=parser),
        engine=InProcess(make=lambda: _stages(settings, store, where, parser)),
        privacy=store.privacy,
        policies=store.policies,
        index=store.index,
        catalog=store.catalog,
        ledger=book,
        audit=store.audit,
        aside=_aside_of_run(settings, report.run, where, kept),
        on_result=results.append,
    ).run(found, report)
    return results


def _why_kept(item: Item) -> str | None:
    """Return why what was put aside may not be destroyed, by its labels; None: it may."""
    if "legal-hold" in item.labels.restrictions:
        return "its labels put it on legal hold"
    if item.labels.retain_until >= _today().isoformat():
        return f"it has to be kept until {item.labels.retain_until}"
    return None


def _recipe(settings: Settings, store: Store, where: Target, version: str) -> Recipe:
    return Recipe(
        # Workers share the cores of a machine: more threads would only wait for each other.
        settings=settings.model_copy(update={"model_threads": settings.model_threads or 1}),
        target=where,
        keys=openers.document_keys(settings, where.principal.tenant),
        pipeline=version,
        policies=store.policies.digest,
    )


def _fingerprinter(settings: Settings, store: Store, where: Target, version: str) -> Fingerprinter:
    return Fingerprinter(
        target=where,
        subject_ref=store.privacy.subject_ref,
        pipeline=version,
        name_key=openers.derive(settings, "source-name", where.principal.tenant),
        largest_file=worker_wiring.largest_file(settings),
    )


def _stages(settings: Settings, store: Store, where: Target, parser: Parser) -> Stages:
    preparer = Preparer(
        target=where,
        parser=parser,
        privacy=store.privacy,
        policies=store.policies,
        largest_file=worker_wiring.largest_file(settings),
    )
    return Stages(
        preparer=preparer, privacy=store.privacy, embedder=store.embedder, weigher=store.weigher
    )


@contextmanager
def scanner(
    settings: Settings, found: Iterable[SourceFile], collection: str | None
) -> Iterator[Iterator[Scanned]]:
    """Open what a scan needs, which is no deployment: parsers and detector alone."""
    inspector = openers.open_inspector(settings)
    with worker_wiring.sandbox(settings) as sandbox:
        yield scan(
            found,
            parser=sandbox,
            inspector=inspector,
            collection=collection,
            largest_file=worker_wiring.largest_file(settings),
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
        index=store.index,
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
