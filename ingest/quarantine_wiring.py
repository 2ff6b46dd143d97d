"""Opens the quarantine's desk."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ingest import wiring
from ingest.aside import Aside, Item, entry_of
from ingest.aside_wiring import aside
from ingest.engines import EngineChoice, EngineKind
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.life_wiring import keeping
from ingest.prepare import Parser
from ingest.quarantine import Quarantine, TakeIn
from ingest.report import FileResult, Report
from ingest.wiring import Workshop
from ingest.work import Target
from ragplatform import openers
from ragplatform.config import Settings
from ragplatform.model import Purpose
from ragplatform.wiring import Store


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
    return desk_of(
        shop.store,
        Parts(put_aside, shop.ledger, shop.parser, kept),
        partial(_take_in, settings, shop, put_aside),
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """What a desk needs beside the store."""

    aside: Aside
    ledger: Ledger
    parser: Parser
    keeping: Keeping


def desk_of(store: Store, parts: Parts, take_in: TakeIn) -> Quarantine:
    """Return the desk, of parts that the caller closes, with what takes documents in."""
    return Quarantine(
        aside=parts.aside,
        catalog=store.catalog,
        ledger=parts.ledger,
        policies=store.policies,
        privacy=store.privacy,
        parser=parts.parser,
        audit=store.audit,
        why_kept=partial(_why_kept, parts.keeping),
        take_in=take_in,
        now=openers.now,
        approval=timedelta(hours=store.settings.quarantine_approval_hours),
    )


def _take_in(
    settings: Settings, shop: Workshop, put_aside: Aside, items: Sequence[Item]
) -> list[FileResult]:
    """Run ingest as its job does over what is put aside of one collection."""
    results: list[FileResult] = []
    report = Report(run=uuid.uuid4().hex)
    where = where_to(items[0])
    choice = EngineChoice(EngineKind.HERE)
    # One after the other: all at once would not fit into memory.
    found = (put_aside.contents(one).source(again=True) for one in items)
    with wiring.job(settings, report, where, results.append, choice, shop=shop) as opened:
        opened.job.run(found, report)
    return results


def where_to(item: Item) -> Target:
    """Return where an item goes, and as whom: who decides about it does not fill the index."""
    return wiring.target(item.tenant, item.collection, Purpose.HOPERAT)


def _why_kept(kept: Keeping, item: Item) -> str | None:
    return kept.why_aside_kept(entry_of(item), item.labels)
