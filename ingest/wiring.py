"""The composition root of ingest."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from ingest.expand import expand
from ingest.forget import Eraser
from ingest.holding import HoldDesk
from ingest.holds import Holds
from ingest.job import Job
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.parse.sandbox import Limits, Sandbox
from ingest.prepare import Target
from ingest.report import FileResult
from ingest.retention import RETENTION, Retention
from ingest.scan import Scanned, scan
from ingest.sources import SourceFile
from ragplatform import openers, wiring
from ragplatform.config import Settings
from ragplatform.model import Principal, Purpose, Sensitivity


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
            keeping(settings) as kept,
        ):
            made = Job(
                run=run,
                target=where,
                parser=sandbox,
                privacy=store.privacy,
                policies=store.policies,
                embedder=store.embedder,
                weigher=store.weigher,
                index=store.index,
                catalog=store.catalog,
                ledger=book,
                keeping=kept,
                audit=store.audit,
                name_key=openers.derive(settings, "source-name", where.principal.tenant),
                largest_file=largest,
                on_result=on_result,
            )
            walls = sandbox.isolation
            confined = f"network {walls.network}, files {walls.files}, calls {walls.syscalls}"
            note = f"{store.index_note}parser walls: {confined}"
            yield OpenJob(made, note, partial(expand, splitter=sandbox, largest_file=largest))
    finally:
        store.close()


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
    rules = Retention.load(settings.policies_dir / RETENTION)
    with holds(settings) as book:
        yield Keeping(holds=book, retention=rules, today=_today)


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


@contextmanager
def eraser(settings: Settings, tenant: str) -> Iterator[Eraser]:
    """Open what erasure needs."""
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with ledger(settings) as book, keeping(settings) as kept:
            yield Eraser(
                principal=_officer("erasure", tenant),
                purpose=Purpose.COMPLIANCE,
                policies=store.policies,
                privacy=store.privacy,
                index=store.index,
                catalog=store.catalog,
                ledger=book,
                register=store.register,
                audit=store.audit,
                seals=openers.open_sealed_texts(settings),
                keeping=kept,
            )
    finally:
        store.close()
