"""The composition root of ingest."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

from ingest import worker_wiring
from ingest.aside import Aside, Item, entry_of
from ingest.aside_place import AsidePlace
from ingest.aside_run import AsideOfRun
from ingest.certificate import Certifier
from ingest.engine import InProcess
from ingest.engines import EngineChoice, open_engine
from ingest.expand import expand
from ingest.forget import Eraser
from ingest.holding import HoldDesk
from ingest.holds import Holds
from ingest.job import Job
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.places import Place, SealedPlace
from ingest.prepare import Parser, Preparer
from ingest.quarantine import Quarantine
from ingest.quarantine_rules import RULES_FILE, QuarantineRules
from ingest.relabel import Relabeller
from ingest.report import FileResult, Report
from ingest.retention import RETENTION, Retention
from ingest.scan import Scanned, scan
from ingest.sources import SourceFile
from ingest.stages import Stages, pipeline
from ingest.subject_report import SubjectReporter
from ingest.work import Fingerprinter, Target
from ingest.worker_wiring import Recipe
from ragplatform import openers, wiring
from ragplatform.catalog import SqlCatalog
from ragplatform.config import Settings
from ragplatform.model import Principal, Purpose, Sensitivity
from ragplatform.privacy.vault import Vault
from ragplatform.wiring import Store

CERTIFICATES: Final = "certificates"
"""The folder in a deployment's data that keeps copies of all certificates of erasure."""


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
            keeping=closing.enter_context(keeping(settings)),
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
        put_aside = closing.enter_context(aside(settings, store.vault))
        kept = closing.enter_context(keeping(settings))
        yield quarantine_of(store, parser, book, put_aside, kept)


def quarantine_of(
    store: Store, parser: Parser, book: Ledger, put_aside: Aside, kept: Keeping
) -> Quarantine:
    """Return what people decide with about the quarantine, of parts that the caller closes."""
    hours = store.settings.quarantine_approval_hours
    return Quarantine(
        aside=put_aside,
        catalog=store.catalog,
        ledger=book,
        policies=store.policies,
        privacy=store.privacy,
        parser=parser,
        audit=store.audit,
        why_kept=partial(_why_kept, kept),
        take_in=partial(_take_in, store, parser, book, put_aside, kept),
        now=openers.now,
        approval=timedelta(hours=hours),
    )


def _take_in(
    store: Store,
    parser: Parser,
    book: Ledger,
    put_aside: Aside,
    kept: Keeping,
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
        keeping=kept,
        audit=store.audit,
        aside=_aside_of_run(settings, report.run, where, put_aside),
        on_result=results.append,
    ).run(found, report)
    return results


def _why_kept(kept: Keeping, item: Item) -> str | None:
    """Return why what was put aside may not be destroyed; None: it may.

    The minimum of a retention rule is for what was taken in: this was not, and its source has it.
    """
    if held := kept.why_held(entry_of(item), item.labels):
        return held
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


@contextmanager
def holds(settings: Settings) -> Iterator[Holds]:
    """Open the legal holds alone."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    book = Holds(settings.catalog_url, derive=openers.deriver(settings))
    try:
        yield book
    finally:
        book.close()


@contextmanager
def keeping(settings: Settings) -> Iterator[Keeping]:
    """Open what says whether a document may go. Raises ``PolicyError`` for wrong rules."""
    with holds(settings) as book:
        yield keeping_of(settings, book)


def keeping_of(settings: Settings, book: Holds) -> Keeping:
    """Return what says whether a document may go. Raises ``PolicyError`` for wrong rules."""
    rules = Retention.load(settings.policies_dir / RETENTION)
    return Keeping(holds=book, retention=rules, today=_today)


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """What says how long documents are kept."""

    catalog: SqlCatalog
    keeping: Keeping


@contextmanager
def life_cycle(settings: Settings) -> Iterator[LifeCycle]:
    """Open what says how long documents are kept: no model and no index."""
    with keeping(settings) as kept, closing(openers.open_catalog(settings)) as catalog:
        yield LifeCycle(catalog, kept)


@contextmanager
def relabeller(settings: Settings, tenant: str, role: str) -> Iterator[Relabeller]:
    """Open what gives documents other labels."""
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with keeping(settings) as kept:
            yield Relabeller(
                principal=_officer(role, tenant),
                purpose=Purpose.COMPLIANCE,
                policies=store.policies,
                index=store.index,
                catalog=store.catalog,
                keeping=kept,
                audit=store.audit,
            )
    finally:
        store.close()


@contextmanager
def subject_reporter(
    settings: Settings, tenant: str, role: str, purpose: Purpose
) -> Iterator[SubjectReporter]:
    """Open what reports on a person."""
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with keeping(settings) as kept, holds(settings) as book:
            yield SubjectReporter(
                principal=_officer(role, tenant),
                purpose=purpose,
                policies=store.policies,
                privacy=store.privacy,
                index=store.index,
                catalog=store.catalog,
                register=store.register,
                holds=book,
                keeping=kept,
                audit=store.audit,
                audit_index=store.audit_index,
                logs=settings.audit_dir,
            )
    finally:
        store.close()


@contextmanager
def hold_desk(settings: Settings, tenant: str) -> Iterator[HoldDesk]:
    """Open what placing and releasing legal holds needs: no model and no index."""
    with (
        openers.open_audit(settings, "ingest") as audit,
        closing(openers.open_vault(settings)) as vault,
        closing(openers.open_catalog(settings)) as catalog,
        ledger(settings) as book,
        holds(settings) as kept,
    ):
        yield HoldDesk(
            principal=_officer("legal", tenant),
            purpose=Purpose.COMPLIANCE,
            policies=openers.open_policies_in_force(settings),
            people=vault,
            catalog=catalog,
            ledger=book,
            holds=kept,
            audit=audit,
        )


def _officer(role: str, tenant: str) -> Principal:
    """Return as whom a command acts: policy decides by role, whoever may run the command."""
    return Principal(
        id=f"{role}-{tenant}",
        tenant=tenant,
        roles=frozenset({role}),
        clearance=Sensitivity.RESTRICTED,
    )


def _today() -> date:
    return datetime.now().astimezone().date()


def eraser_of(
    store: Store, book: Ledger, kept: Keeping, principal: Principal, purpose: Purpose
) -> Eraser:
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
        keeping=kept,
        places=_places(store, book),
    )


def certifier_of(store: Store, book: Ledger, principal: Principal, purpose: Purpose) -> Certifier:
    """Return what certifies erasures of a principal."""
    return Certifier(
        principal=principal,
        purpose=purpose,
        policies=store.policies,
        privacy=store.privacy,
        index=store.index,
        catalog=store.catalog,
        ledger=book,
        audit=store.audit,
        logs=store.settings.audit_dir,
        signer=partial(openers.log_signer, store.settings),
        folder=store.settings.data_dir / CERTIFICATES,
        places=_places(store, book),
    )


def _places(store: Store, book: Ledger) -> tuple[Place, ...]:
    """Return where else something of a document may lie."""
    put_aside = AsidePlace(
        opened=partial(aside, store.settings, store.vault), ledger=book, privacy=store.privacy
    )
    # The quarantine's rows say which documents those are: its files go with them, not before.
    return (put_aside, SealedPlace(openers.open_sealed_files(store.settings, store.vault)))


@dataclass(frozen=True, slots=True)
class OpenErasure:
    """What erases, what certifies that, and what both look at."""

    eraser: Eraser
    certifier: Certifier
    catalog: SqlCatalog
    keeping: Keeping


@contextmanager
def erasure(settings: Settings, tenant: str) -> Iterator[OpenErasure]:
    """Open what erasure needs."""
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with ledger(settings) as book, keeping(settings) as kept:
            officer = _officer("erasure", tenant)
            yield OpenErasure(
                eraser_of(store, book, kept, officer, Purpose.COMPLIANCE),
                certifier_of(store, book, officer, Purpose.COMPLIANCE),
                store.catalog,
                kept,
            )
    finally:
        store.close()
