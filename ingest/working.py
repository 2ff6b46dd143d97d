"""The composition root of the worker that does what was asked for over REST."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ingest import life_wiring, source_wiring, wiring
from ingest.aside import Aside
from ingest.aside_wiring import aside
from ingest.engines import EngineChoice, EngineKind
from ingest.erasure_orders import ErasureOrders, Named, Standing
from ingest.intake import Uploads
from ingest.many_erasures import ManyErasures
from ingest.quarantine_wiring import where_to
from ingest.queue import QueuedRun, RunQueue, What
from ingest.report import FileResult, Report
from ingest.sources import SourceFile
from ingest.sources.config import SourceConfig
from ingest.sweep import Sweep
from ingest.wiring import Workshop
from ingest.work import Target
from ingest.worker import Outcome, Worker
from ragplatform import openers
from ragplatform.config import Settings
from ragplatform.errors import NotFoundError


class RunsInWorkshop:
    """Does runs one after the other with what stays open between them; fulfils ``worker.Runs``."""

    def __init__(
        self, *, settings: Settings, shop: Workshop, uploads: Uploads, put_aside: Aside
    ) -> None:
        self._aside = put_aside
        self._settings = settings
        self._shop = shop
        self._uploads = uploads

    def run(
        self,
        asked: QueuedRun,
        *,
        told: Callable[[FileResult | Named], None],
        stopped: Callable[[], bool],
    ) -> Outcome:
        """Take in the upload or the source, or erase, as who asked for it."""
        if asked.kind is What.ERASURE:
            return self._erase(asked, told, stopped)
        report = Report(run=self._attempt(asked.run))
        take = {
            What.FILE: self._take_file,
            What.SOURCE: self._take_source,
            What.QUARANTINE: self._take_back,
        }[asked.kind]
        take(asked, report, told, stopped)
        return report

    def _erase(
        self,
        asked: QueuedRun,
        told: Callable[[Named], None],
        stopped: Callable[[], bool],
    ) -> Standing:
        store, book = self._shop.store, self._shop.ledger
        with (
            closing(ErasureOrders(self._settings.catalog_url)) as orders,
            life_wiring.keeping(self._settings) as kept,
        ):
            who, purpose = asked.principal, asked.purpose
            many = ManyErasures(
                orders=orders,
                tenant=asked.tenant,
                eraser=life_wiring.eraser_of(store, book, kept, who, purpose, asked.run),
                certifier=life_wiring.certifier_of(store, book, kept, who, purpose),
                told=told,
                stopped=stopped,
            )
            return many.run(asked.what)

    def _take_file(
        self,
        asked: QueuedRun,
        report: Report,
        told: Callable[[FileResult], None],
        stopped: Callable[[], bool],
    ) -> None:
        upload = self._uploads.about(asked.tenant, asked.run)
        source = SourceFile(
            # The run tells two files of one name apart: each upload is a document of its own.
            path=Path(upload.name),
            name=f"{asked.run}/{upload.name}",
            labels=upload.labels,
            content=self._uploads.content(asked.tenant, asked.run),
        )
        # One file is not worth a pool of processes.
        choice = EngineChoice(EngineKind.HERE)
        where = Target(asked.principal, asked.purpose, asked.collection)
        with wiring.job(
            self._settings, report, where, told, choice, stopped=stopped, shop=self._shop
        ) as opened:
            opened.job.run([source], report)

    def _take_source(
        self,
        asked: QueuedRun,
        report: Report,
        told: Callable[[FileResult], None],
        stopped: Callable[[], bool],
    ) -> None:
        config = _sources(self._settings).get(asked.what)
        # The file may have changed since it was asked for: whose source it was counts then as now.
        if config is None or (config.tenant, config.collection) != (asked.tenant, asked.collection):
            raise NotFoundError("no source of this tenant has that name: see sources.toml")
        where = Target(asked.principal, asked.purpose, asked.collection)
        with (
            wiring.job(
                *(self._settings, report, where, told),
                source=config.name,
                stopped=stopped,
                shop=self._shop,
            ) as opened,
            source_wiring.intake(self._settings, config, opened) as intake,
        ):
            opened.job.run(
                intake.files(), report, sweep=Sweep(config.name, intake.names, intake.gone)
            )
            intake.settled(all_well=report.all_well)

    def _take_back(
        self,
        asked: QueuedRun,
        report: Report,
        told: Callable[[FileResult], None],
        stopped: Callable[[], bool],
    ) -> None:
        """Take in what was put aside, as its desk does: people have decided that it be tried."""
        item = self._aside.item(asked.tenant, asked.what)
        if item is None:
            raise NotFoundError("the document is not put aside any more")
        source = self._aside.contents(item).source(again=True)
        choice = EngineChoice(EngineKind.HERE)
        where = where_to(item)
        with wiring.job(
            self._settings, report, where, told, choice, stopped=stopped, shop=self._shop
        ) as opened:
            opened.job.run([source], report)

    def _attempt(self, run: str) -> str:
        """Return the id of this attempt at a run: the ledger knows each by one of its own."""
        before = len(self._shop.ledger.runs.attempts(run))
        return f"{run}-{before + 1}" if before else run


@contextmanager
def worker(settings: Settings, ending: threading.Event) -> Iterator[Worker]:
    """Open a worker. From when ``ending`` is set it gives back the run in hand."""
    queue = RunQueue(settings.catalog_url)
    configs = _sources(settings).values()
    urls = [url for config in configs for url in source_wiring.urls_of(config)]
    try:
        with wiring.workshop(settings, urls) as shop, aside(settings, shop.store.vault) as kept:
            store = shop.store
            files = openers.open_sealed_files(settings, store.vault)
            uploads = Uploads(files=files, privacy=store.privacy)
            runs = RunsInWorkshop(settings=settings, shop=shop, uploads=uploads, put_aside=kept)
            yield Worker(queue=queue, uploads=uploads, runs=runs, ending=ending)
    finally:
        queue.close()


def collection_of(settings: Settings, tenant: str, source: str) -> str | None:
    """Return where a tenant's source goes; None for a source that is another's or nobody's."""
    config = _sources(settings).get(source)
    return config.collection if config is not None and config.tenant == tenant else None


def _sources(settings: Settings) -> dict[str, SourceConfig]:
    return {} if settings.sources_file is None else source_wiring.configured(settings)
