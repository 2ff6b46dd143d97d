"""Take in what a configured source has, once or again and again."""

import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from ingest import source_wiring, wiring
from ingest.commands import console
from ingest.commands.calling import Call
from ingest.engines import EngineChoice
from ingest.report import FileResult, FileState, Report
from ingest.sources import SourceFile
from ingest.sources.config import SourceConfig
from ingest.sources.watching import SETTLE_S, Every, FolderWatch, Once, Rhythm
from ingest.sweep import Sweep
from ragplatform import config as configuration
from ragplatform.config import Settings
from ragplatform.errors import InvalidRequestError, SourceError
from ragplatform.model import Purpose

Collection = Annotated[
    str, typer.Option(help="Collection that the documents belong to; not with --source.")
]
Tenant = Annotated[
    str, typer.Option(help="Tenant that the documents belong to; not with --source.")
]
Name = Annotated[
    str, typer.Option(help="Take in what this configured source has, in place of paths.")
]
Whole = Annotated[
    bool, typer.Option(help="List the source as a whole, not only what changed in it.")
]
Watch = Annotated[
    bool, typer.Option(help="Go on, and take in what changes in the source, a folder.")
]
WatchPoll = Annotated[
    float, typer.Option(min=0, help="Watch by looking every so many seconds (network disks).")
]
EverySeconds = Annotated[
    float, typer.Option(min=0, help="Go on, and look again so many seconds after each run.")
]


@dataclass(frozen=True, slots=True)
class Again:
    """When to run again: on changes in a folder, every so many seconds, or never."""

    watch: bool
    poll_s: float
    every_s: float

    @property
    def asked_for(self) -> bool:
        """Whether there is to be more than one run."""
        return self.watch or self.every_s > 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line."""

    source: str
    purpose: Purpose
    engine: EngineChoice
    whole: bool
    remove_many: bool
    again: Again


def open_source(name: str) -> tuple[Settings, SourceConfig]:
    """Return the settings and a configured source, after sealing the process to its host too."""
    loaded = configuration.load()
    config = source_wiring.source_config(loaded, name)
    return console.settings(*source_wiring.urls_of(config)), config


def take(
    asked: Asked,
    call: Call,
    told: Callable[[FileResult], None],
    ended: Callable[[Report], None],
    noted: Callable[[str], None],
) -> int:
    """Run once, or until SIGTERM; return the exit code of the last run.

    ``told`` hears of every file, ``ended`` of every run, ``noted`` what people should know.
    """
    settings, config = open_source(asked.source)
    with _stopped() as stop:
        rhythm = _rhythm(asked, config, stop)
        try:
            while True:
                report = Report(run=uuid.uuid4().hex)
                unfinished = _run(settings, config, asked, call, report, stop, told, noted)
                ended(report)
                if not rhythm.wait(unfinished=unfinished):
                    return report.exit_code
        finally:
            rhythm.close()


def _run(
    settings: Settings,
    config: SourceConfig,
    asked: Asked,
    call: Call,
    report: Report,
    stop: threading.Event,
    told: Callable[[FileResult], None],
    noted: Callable[[str], None],
) -> bool:
    """Run once; return whether something is left for the next run."""
    target = wiring.target(config.tenant, config.collection, asked.purpose)
    settle_s = SETTLE_S if asked.again.watch else 0.0
    engine = asked.engine.or_usual(settings.ingest_workers)
    try:
        with (
            wiring.job(
                settings,
                report,
                target,
                told,
                engine,
                source=config.name,
                arguments=call.sealed(settings, config.tenant, report.run),
                # A listing that tells only of changes must be taken whole, or they are lost.
                retry=call.retry and replace(call.retry, narrow=False),
                urls=source_wiring.urls_of(config),
            ) as opened,
            source_wiring.intake(settings, config, opened, settle_s=settle_s) as intake,
        ):
            call.take_up(opened.ledger)
            if opened.note:
                noted(opened.note)
            sweep = Sweep(config.name, intake.names, intake.gone, many=asked.remove_many)
            files = _until(stop, report, intake.files(whole=asked.whole))
            opened.job.run(files, report, sweep=sweep)
            intake.settled(all_well=report.all_well)
    except SourceError as error:
        if not asked.again.asked_for or stop.is_set():
            raise
        # A place that is away tonight is asked again next time: that is what was asked for.
        report.failed[error.code] += 1
        noted(str(error))
        return False
    return bool(report.states[FileState.DEFERRED])


def _until(
    stop: threading.Event, report: Report, files: Iterator[SourceFile]
) -> Iterator[SourceFile]:
    """Yield the files until told to stop: what is in hand is finished, and nothing swept."""
    for file in files:
        if stop.is_set():
            report.cancelled = True
            return
        yield file


def _rhythm(asked: Asked, config: SourceConfig, stop: threading.Event) -> Rhythm:
    """Return when there is to be another run. Raises ``InvalidRequestError``."""
    if asked.again.watch and config.kind != "folder":
        raise InvalidRequestError("--watch is for folders; another kind is looked at --every S")
    if asked.again.watch:
        return FolderWatch(Path(config.place), stop, poll_s=asked.again.poll_s)
    if asked.again.every_s > 0:
        return Every(asked.again.every_s, stop)
    return Once()


@contextmanager
def _stopped() -> Iterator[threading.Event]:
    """Give what is set when this process is asked to end, and let it end by itself."""
    stop = threading.Event()
    kinds = (signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.signal(kind, lambda *_: stop.set()) for kind in kinds}
    try:
        yield stop
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
