"""Opens the quarantine's desk."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

from ingest import wiring
from ingest.aside import Aside, Item, entry_of
from ingest.aside_wiring import aside
from ingest.engines import EngineChoice
from ingest.keeping import Keeping
from ingest.life_wiring import keeping
from ingest.quarantine import Quarantine
from ingest.report import FileResult, Report
from ingest.sources import SourceFile
from ingest.wiring import Workshop
from ragplatform import openers
from ragplatform.config import Settings
from ragplatform.model import Purpose


@contextmanager
def quarantine(settings: Settings) -> Iterator[Quarantine]:
    """Open what deciding about the quarantine needs, and close it after."""
    with ExitStack() as closing:
        shop = closing.enter_context(wiring.workshop(settings))
        put_aside = closing.enter_context(aside(settings, shop.store.vault))
        kept = closing.enter_context(keeping(settings))
        yield quarantine_of(settings, shop, put_aside, kept)


def quarantine_of(
    settings: Settings, shop: Workshop, put_aside: Aside, kept: Keeping
) -> Quarantine:
    """Return the desk, of parts that the caller closes."""
    store = shop.store
    return Quarantine(
        aside=put_aside,
        catalog=store.catalog,
        ledger=shop.ledger,
        policies=store.policies,
        privacy=store.privacy,
        parser=shop.parser,
        audit=store.audit,
        why_kept=partial(_why_kept, kept),
        take_in=partial(_take_in, settings, shop),
        now=openers.now,
        approval=timedelta(hours=settings.quarantine_approval_hours),
    )


def _take_in(
    settings: Settings,
    shop: Workshop,
    tenant: str,
    collection: str,
    found: Iterable[SourceFile],
) -> list[FileResult]:
    """Run ingest as its job does: who decides about the quarantine does not fill the index."""
    results: list[FileResult] = []
    report = Report(run=uuid.uuid4().hex)
    where = wiring.target(tenant, collection, Purpose.HOPERAT)
    choice = EngineChoice(workers=1)
    with wiring.job(settings, report, where, results.append, choice, shop=shop) as opened:
        opened.job.run(found, report)
    return results


def _why_kept(kept: Keeping, item: Item) -> str | None:
    return kept.why_aside_kept(entry_of(item), item.labels)
