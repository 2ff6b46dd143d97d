"""The composition root of the life cycle: holds, retention, erasure, reports, other labels."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Final

from ingest.aside_place import AsidePlace
from ingest.aside_wiring import aside
from ingest.calls import CallsPlace, unsealed
from ingest.certificate import Certifier
from ingest.erasure_orders import ErasureOrders, Named
from ingest.forget import Eraser
from ingest.holding import HoldDesk
from ingest.holds import Holds
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.many_erasures import ManyErasures
from ingest.orphan_keys import OrphanKeys
from ingest.places import Place, SealedPlace
from ingest.relabel import Relabeller
from ingest.retention import RETENTION, Retention
from ingest.subject_report import SubjectReporter
from ragplatform import openers, wiring
from ragplatform.catalog import SqlCatalog
from ragplatform.config import Settings
from ragplatform.model import Principal, Purpose, Sensitivity
from ragplatform.wiring import Store

CERTIFICATES: Final = "certificates"
"""The folder in a deployment's data that keeps copies of all certificates of erasure."""


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
            yield relabeller_of(store, kept, _officer(role, tenant), Purpose.COMPLIANCE)
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
        closing(Ledger(settings.catalog_url)) as book,
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


def eraser_of(
    store: Store,
    book: Ledger,
    kept: Keeping,
    principal: Principal,
    purpose: Purpose,
    run: str | None = None,
    *,
    may_return: bool = False,
) -> Eraser:
    """Return what erases for a principal; ``run`` is the id that its records bear."""
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
        keeping=kept,
        places=places_of(store, book, kept),
        run=run,
        may_return=may_return,
    )


def certifier_of(
    store: Store, book: Ledger, kept: Keeping, principal: Principal, purpose: Purpose
) -> Certifier:
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
        places=places_of(store, book, kept),
    )


def relabeller_of(
    store: Store, kept: Keeping, principal: Principal, purpose: Purpose
) -> Relabeller:
    """Return what gives documents other labels for a principal."""
    return Relabeller(
        principal=principal,
        purpose=purpose,
        policies=store.policies,
        index=store.every_edition(),
        catalog=store.catalog,
        keeping=kept,
        audit=store.audit,
    )


def places_of(store: Store, book: Ledger, kept: Keeping) -> tuple[Place, ...]:
    """Return where else something of a document may lie."""
    put_aside = AsidePlace(
        opened=partial(aside, store.settings, store.vault),
        ledger=book,
        privacy=store.privacy,
        keeping=kept,
    )
    calls = CallsPlace(
        runs=book.runs,
        opened=partial(unsealed, store.settings),
        subject_ref=store.privacy.subject_ref,
    )
    sealed_files = SealedPlace(openers.open_sealed_files(store.settings, store.vault))
    # The quarantine's rows say which documents those are: its files go with them, not before.
    return (put_aside, sealed_files, calls)


@dataclass(frozen=True, slots=True)
class OpenErasure:
    """What erases, what certifies that, and what both look at; ``run`` is the id of its records."""

    run: str
    principal: Principal
    eraser: Eraser
    certifier: Certifier
    orders: ErasureOrders
    catalog: SqlCatalog
    keeping: Keeping

    def many(self, *, told: Callable[[Named], None], stopped: Callable[[], bool]) -> ManyErasures:
        """Return what does orders to erase many people."""
        return ManyErasures(
            orders=self.orders,
            tenant=self.principal.tenant,
            eraser=self.eraser,
            certifier=self.certifier,
            told=told,
            stopped=stopped,
        )


@contextmanager
def erasure(settings: Settings, tenant: str) -> Iterator[OpenErasure]:
    """Open what erasure needs."""
    store = wiring.open_store(settings, "ingest")
    try:
        store.record_start()
        with (
            closing(Ledger(settings.catalog_url)) as book,
            closing(ErasureOrders(settings.catalog_url)) as orders,
            keeping(settings) as kept,
        ):
            officer, run = _officer("erasure", tenant), uuid.uuid4().hex
            yield OpenErasure(
                run,
                officer,
                eraser_of(store, book, kept, officer, Purpose.COMPLIANCE, run),
                certifier_of(store, book, kept, officer, Purpose.COMPLIANCE),
                orders,
                store.catalog,
                kept,
            )
    finally:
        store.close()


@contextmanager
def orphan_keys(settings: Settings, tenant: str) -> Iterator[OrphanKeys]:
    """Open what retires keys: no model and no index."""
    with (
        openers.open_audit(settings, "ingest") as audit,
        closing(openers.open_vault(settings)) as vault,
        closing(openers.open_catalog(settings)) as catalog,
        closing(Ledger(settings.catalog_url)) as book,
        keeping(settings) as kept,
    ):
        yield OrphanKeys(
            principal=_officer("erasure", tenant),
            purpose=Purpose.COMPLIANCE,
            policies=openers.open_policies_in_force(settings),
            vault=vault,
            catalog=catalog,
            ledger=book,
            files=openers.open_sealed_files(settings, vault),
            aside=partial(aside, settings, vault),
            keeping=kept,
            audit=audit,
        )


def _today() -> date:
    return datetime.now().astimezone().date()
