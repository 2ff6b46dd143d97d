"""The composition root of what ingest adds to the query service's interface."""

from contextlib import ExitStack
from functools import partial

from ingest.api.extension import IngestRoutes
from ingest.aside_wiring import aside
from ingest.erasure_orders import ErasureOrders
from ingest.erasures import LifeDesk
from ingest.holds import Holds
from ingest.intake import Intake, Uploads
from ingest.ledger import Ledger
from ingest.life_wiring import certifier_of, eraser_of, keeping_of, relabeller_of
from ingest.quarantine_orders import QuarantineOrders
from ingest.quarantine_wiring import Parts, desk_of
from ingest.queue import RunQueue
from ingest.worker_wiring import sandbox
from ingest.working import collection_of
from ragplatform import openers
from ragplatform.wiring import Platform


def extension(platform: Platform) -> IngestRoutes:
    """Return what ingest adds to a service: the entry point ``ragplatform.api``."""
    settings, store = platform.settings, platform.store
    book, queue = Ledger(settings.catalog_url), RunQueue(settings.catalog_url)
    erasures = ErasureOrders(settings.catalog_url)
    holds = Holds(settings.catalog_url, derive=openers.deriver(settings))
    kept = keeping_of(settings, holds)
    files = openers.open_sealed_files(settings, store.vault)
    largest = settings.max_file_mb * 1024 * 1024

    lives = LifeDesk(
        catalog=store.catalog,
        orders=erasures,
        queue=queue,
        is_small=lambda: store.index.count() <= settings.erasure_at_once_passages,
        eraser=lambda one, run: eraser_of(store, book, kept, one.principal, one.purpose, run),
        take_back=lambda one: eraser_of(
            store, book, kept, one.principal, one.purpose, may_return=True
        ),
        certifier=lambda one: certifier_of(store, book, kept, one.principal, one.purpose),
        relabeller=lambda one: relabeller_of(store, kept, one.principal, one.purpose),
    )

    closing = ExitStack()
    for one in (queue, holds, book, erasures):
        closing.callback(one.close)
    desk = partial(
        desk_of,
        store,
        Parts(
            aside=closing.enter_context(aside(settings, store.vault)),
            ledger=book,
            # What is shown is parsed behind the walls of ingest, in a process that no other file
            # comes into; none is started before somebody looks.
            parser=closing.enter_context(sandbox(settings)),
            keeping=kept,
        ),
    )
    intake = Intake(
        policies=store.policies,
        audit=store.audit,
        queue=queue,
        uploads=Uploads(files=files, privacy=store.privacy),
        collection_of=partial(collection_of, settings),
        erase=lives.erase_documents,
        attempts=book.runs.attempts,
        largest_file=largest,
    )
    return IngestRoutes(
        intake=intake,
        lives=lives,
        orders=QuarantineOrders(desk=desk, queue=queue),
        batches=platform.batches,
        largest_file=largest,
        close=closing.close,
    )
