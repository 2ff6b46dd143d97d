"""The composition root of what ingest adds to the query service's interface."""

from functools import partial

from ingest.api.extension import IngestRoutes
from ingest.holds import Holds
from ingest.intake import Caller, Intake, Uploads
from ingest.ledger import Ledger
from ingest.life_wiring import certifier_of, eraser_of, keeping_of
from ingest.queue import RunQueue
from ingest.working import collection_of
from ragplatform import openers
from ragplatform.wiring import Platform


def extension(platform: Platform) -> IngestRoutes:
    """Return what ingest adds to a service: the entry point ``ragplatform.api``."""
    settings, store = platform.settings, platform.store
    book, queue = Ledger(settings.catalog_url), RunQueue(settings.catalog_url)
    holds = Holds(settings.catalog_url, derive=openers.deriver(settings))
    kept = keeping_of(settings, holds)
    files = openers.open_sealed_files(settings, store.vault)
    largest = settings.max_file_mb * 1024 * 1024

    def erase(caller: Caller, document: str) -> None:
        one = eraser_of(store, book, kept, caller.principal, caller.purpose)
        gone = one.document(document, dry_run=False)
        certifier_of(store, book, kept, caller.principal, caller.purpose).certify(gone)

    def close() -> None:
        queue.close()
        holds.close()
        book.close()

    intake = Intake(
        policies=store.policies,
        audit=store.audit,
        queue=queue,
        uploads=Uploads(files=files, privacy=store.privacy),
        collection_of=partial(collection_of, settings),
        erase=erase,
        largest_file=largest,
    )
    return IngestRoutes(intake=intake, largest_file=largest, close=close)
