"""The composition root of ingest."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from ingest.aside import Aside, Item
from ingest.expand import expand
from ingest.forget import Eraser
from ingest.job import Job
from ingest.ledger import Ledger
from ingest.parse.sandbox import Limits, Sandbox
from ingest.prepare import Target
from ingest.quarantine import Quarantine
from ingest.quarantine_rules import RULES_FILE, QuarantineRules
from ingest.report import FileResult, Report
from ingest.scan import Scanned, scan
from ingest.sources import SourceFile
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
            aside(settings, store.vault) as kept,
        ):
            parts = _Parts(store, sandbox, book, kept, quarantine_rules(settings))
            made = _made(parts, run, where, on_result)
            walls = sandbox.isolation
            confined = f"network {walls.network}, files {walls.files}, calls {walls.syscalls}"
            note = f"{store.index_note}parser walls: {confined}"
            yield OpenJob(made, note, partial(expand, splitter=sandbox, largest_file=largest))
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What jobs of one process share."""

    store: Store
    sandbox: Sandbox
    ledger: Ledger
    aside: Aside
    rules: QuarantineRules


def _made(parts: _Parts, run: str, where: Target, on_result: Callable[[FileResult], None]) -> Job:
    store = parts.store
    settings = store.settings
    return Job(
        run=run,
        target=where,
        parser=parts.sandbox,
        privacy=store.privacy,
        policies=store.policies,
        embedder=store.embedder,
        weigher=store.weigher,
        index=store.index,
        catalog=store.catalog,
        ledger=parts.ledger,
        audit=store.audit,
        aside=parts.aside,
        rules=parts.rules,
        silence_documents=settings.silence_documents,
        name_key=openers.derive(settings, "source-name", where.principal.tenant),
        largest_file=settings.max_file_mb * 1024 * 1024,
        on_result=on_result,
    )


@contextmanager
def quarantine(settings: Settings) -> Iterator[Quarantine]:
    """Open what deciding about the quarantine needs, and close it after."""
    largest = settings.max_file_mb * 1024 * 1024
    limits = Limits(max_bytes=largest, timeout_s=settings.parse_timeout_s)
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with (
            Sandbox(limits=limits) as sandbox,
            ledger(settings) as book,
            aside(settings, store.vault) as kept,
        ):
            parts = _Parts(store, sandbox, book, kept, quarantine_rules(settings))
            yield Quarantine(
                aside=kept,
                ledger=book,
                policies=store.policies,
                privacy=store.privacy,
                parser=sandbox,
                audit=store.audit,
                rules=parts.rules,
                why_kept=_why_kept,
                take_in=partial(_take_in, parts),
                now=openers.now,
                approval=timedelta(hours=settings.quarantine_approval_hours),
            )
    finally:
        store.close()


def _take_in(
    parts: _Parts, tenant: str, collection: str, found: Iterable[SourceFile]
) -> list[FileResult]:
    """Run ingest as its job does: who decided about the quarantine does not fill the index."""
    results: list[FileResult] = []
    report = Report(run=uuid.uuid4().hex)
    where = target(tenant, collection, Purpose.HOPERAT)
    _made(parts, report.run, where, results.append).run(found, report)
    return results


def _why_kept(item: Item) -> str | None:
    """Return why what was put aside may not be destroyed, by its labels; None: it may."""
    if "legal-hold" in item.labels.restrictions:
        return "its labels put it on legal hold"
    if item.labels.retain_until >= _today().isoformat():
        return f"it has to be kept until {item.labels.retain_until}"
    return None


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
