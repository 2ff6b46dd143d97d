"""The composition root of ingest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from ingest import worker_wiring
from ingest.aside_wiring import aside_of_run
from ingest.attendance import attended
from ingest.changes import Retry
from ingest.engine import Engine
from ingest.engines import EngineChoice, open_engine
from ingest.job import Job
from ingest.ledger import Ledger
from ingest.life_wiring import keeping
from ingest.members import Members
from ingest.parse.sandbox import Sandbox
from ingest.plan import Planner, planner_of
from ingest.prepare import Parser, Preparer
from ingest.report import FileResult, Report
from ingest.scan import Scanned, scan
from ingest.sources import SourceFile
from ingest.stages import Stages, pipeline
from ingest.sweep import Guard
from ingest.work import Fingerprinter, Target
from ingest.worker_wiring import Recipe
from ragplatform import openers, wiring
from ragplatform.config import Settings
from ragplatform.model import Principal, Purpose, Sensitivity
from ragplatform.ports import Edition
from ragplatform.wiring import Store


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job with what people should know of it: who holds the index, how many workers there are.

    ``fingerprint`` and ``ledger`` are those of the job, for who asks what it knows of sources.
    """

    job: Job
    note: str
    fingerprint: Fingerprinter
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class OpenPlanner:
    """A planner, with what else it knows of sources."""

    planner: Planner
    fingerprint: Fingerprinter
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Workshop:
    """What runs share that follow each other in one process: models, index, parser, databases."""

    store: Store
    parser: Sandbox
    ledger: Ledger


@contextmanager
def workshop(settings: Settings, urls: Sequence[str] = ()) -> Iterator[Workshop]:
    """Open what runs share, and close it after; ``urls`` are further services to be reached."""
    store = wiring.open_store(settings, "ingest", *urls)
    try:
        store.record_start()
        with worker_wiring.sandbox(settings) as parser, ledger(settings) as book:
            yield Workshop(store, parser, book)
    finally:
        store.close()


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
    choice: EngineChoice | None = None,
    *,
    source: str = "",
    arguments: str = "",
    retry: Retry | None = None,
    stopped: Callable[[], bool] = lambda: False,
    urls: Sequence[str] = (),
    shop: Workshop | None = None,
) -> Iterator[OpenJob]:
    """Open everything that a run needs, and close it after; the ledger says that it works.

    ``source`` is the configured source, ``arguments`` are what the run was called with, sealed.
    ``retry`` narrows it to what did not go in. Without a choice the engine is the local one, as the
    settings say. ``urls`` are services to be reached beside those of the settings. The run ends
    early when the ledger or ``stopped`` says so. A ``shop`` that is given stays open.
    """
    choice = choice or EngineChoice(workers=settings.ingest_workers)
    with ExitStack() as closing:
        shop = shop or closing.enter_context(workshop(settings, urls))
        store, parser, book = shop.store, shop.parser, shop.ledger
        version = pipeline(parser=parser, privacy=store.privacy)
        edition = store.for_writing()
        engine, told = _engine(settings, shop, edition, where, version, choice)
        closing.callback(engine.close)
        attendance = closing.enter_context(
            attended(book, report, where, source=source, arguments=arguments)
        )
        fingerprint = _fingerprinter(settings, store, where, version)
        made = Job(
            run=report.run,
            target=where,
            fingerprint=fingerprint,
            members=Members(parser=parser),
            engine=engine,
            privacy=store.privacy,
            policies=store.policies,
            index=edition.index,
            encoder=edition.embedder.version,
            archive=openers.open_archive(settings, store.vault),
            catalog=store.catalog,
            ledger=book,
            audit=store.audit,
            on_result=on_result,
            aside=closing.enter_context(aside_of_run(settings, store.vault, report.run, where)),
            keeping=closing.enter_context(keeping(settings)),
            guard=_guard(settings),
            stop=lambda: attendance.asked_to_end() or stopped(),
            retry=retry,
        )
        yield OpenJob(made, f"{store.index_note}{told}".removesuffix("; "), fingerprint, book)


def _engine(
    settings: Settings,
    shop: Workshop,
    edition: Edition,
    where: Target,
    version: str,
    choice: EngineChoice,
) -> tuple[Engine, str]:
    """Return what works on documents, and what people should know of it."""
    recipe = _recipe(settings, shop.store, edition, where, version)
    return open_engine(
        choice,
        here=lambda: _stages(settings, shop.store, edition, where, shop.parser),
        elsewhere=partial(worker_wiring.make_stages, recipe),
        ray_without_tls=settings.ray_without_tls,
    )


def _recipe(
    settings: Settings, store: Store, edition: Edition, where: Target, version: str
) -> Recipe:
    return Recipe(
        # Workers share the cores of a machine: more threads would only wait for each other.
        settings=settings.model_copy(update={"model_threads": settings.model_threads or 1}),
        target=where,
        keys=openers.document_keys(settings, where.principal.tenant),
        pipeline=version,
        model=edition.model,
        encoder=edition.embedder.version,
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


def _stages(
    settings: Settings, store: Store, edition: Edition, where: Target, parser: Parser
) -> Stages:
    preparer = Preparer(
        target=where,
        parser=parser,
        privacy=store.privacy,
        policies=store.policies,
        largest_file=worker_wiring.largest_file(settings),
    )
    return Stages(
        preparer=preparer,
        privacy=store.privacy,
        embedder=edition.embedder,
        weigher=edition.weigher,
    )


@contextmanager
def planner(
    settings: Settings, where: Target, *, retry: Retry | None = None, urls: Sequence[str] = ()
) -> Iterator[OpenPlanner]:
    """Open what a plan needs: it reads files and ledger, and changes nothing."""
    with ExitStack() as closing:
        store = wiring.open_store(settings, "ingest", *urls)
        closing.callback(store.close)
        store.record_start()
        parser = closing.enter_context(worker_wiring.sandbox(settings))
        version = pipeline(parser=parser, privacy=store.privacy)
        fingerprint = _fingerprinter(settings, store, where, version)
        book = closing.enter_context(ledger(settings))
        made = planner_of(
            aside=closing.enter_context(aside_of_run(settings, store.vault, "", where)),
            target=where,
            fingerprint=fingerprint,
            members=Members(parser=parser),
            privacy=store.privacy,
            index=store.index,
            archive=openers.open_archive(settings, store.vault),
            catalog=store.catalog,
            ledger=book,
            keeping=closing.enter_context(keeping(settings)),
            guard=_guard(settings),
            retry=retry,
        )
        yield OpenPlanner(made, fingerprint, book)


def _guard(settings: Settings) -> Guard:
    return Guard(
        percent=settings.ingest_removed_percent, documents=settings.ingest_removed_documents
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
