"""Take documents in."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ingest import sources, wiring
from ingest.changes import Retry
from ingest.commands import calling, console, foreseen, run_source
from ingest.commands.calling import Call
from ingest.commands.interrupts import interrupts
from ingest.commands.run_source import Asked
from ingest.engines import EngineChoice, EngineKind
from ingest.report import FileResult, FileState, Report
from ingest.silence import WARNING
from ingest.sweep import Sweep
from ingest.work import Target
from ragplatform.errors import InvalidRequestError
from ragplatform.model import Json, Purpose

Engine = Annotated[
    EngineKind,
    typer.Option(help="here: this process; local: processes of this machine; ray: a cluster."),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Workers. Default: as the settings say, or as there is room for."),
]
Address = Annotated[
    str, typer.Option(help="Of the Ray cluster; default: one of this machine, for this run.")
]
GivenLabel = Annotated[
    list[str] | None,
    typer.Option(
        help="sensitivity=, department=, restriction=, subject=, retain_until=; repeatable."
    ),
]
DeleteMissing = Annotated[
    bool,
    typer.Option(
        help="The folders are all there is of what was given by hand to this collection: "
        "what is not in them any more is taken out."
    ),
]
RemoveMany = Annotated[
    bool, typer.Option(help="Take out also when a large share is gone at once; see the docs.")
]


class Tried(StrEnum):
    """What is tried again."""

    FAILED = "failed"
    QUARANTINED = "quarantined"


def _tried(what: Tried | None, reason: str) -> Retry | None:
    return None if what is None else Retry(what is Tried.QUARANTINED, reason)


def _sweep(
    paths: list[Path], found: list[sources.SourceFile], unread: list[str], *, many: bool
) -> Sweep:
    """Return what is to go: nothing where a folder could not be read.

    Raises ``InvalidRequestError`` when something other than whole folders was given.
    """
    if not all(path.is_dir() for path in paths):
        raise InvalidRequestError("--delete-missing: give whole folders, no single files")
    names = None if unread else [one.name for one in found]
    return Sweep("", lambda: names, many=many)


def _file_line(result: FileResult) -> dict[str, Json]:
    line: dict[str, Json] = {"event": "file", "name": result.name, "state": str(result.state)}
    if result.state is FileState.INDEXED:
        line |= {"document": result.document, "chunks": result.chunks}
    if result.state in {FileState.REMOVED, FileState.KEPT}:
        line |= {"document": result.document, "detail": result.detail}
    if result.reason:
        line |= {"reason": result.reason, "detail": result.detail}
    return line


def run(
    context: typer.Context,
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders.")] = None,
    collection: run_source.Collection = "",
    tenant: run_source.Tenant = "",
    source: run_source.Name = "",
    whole: run_source.Whole = False,
    watch: run_source.Watch = False,
    watch_poll: run_source.WatchPoll = 0.0,
    every: run_source.EverySeconds = 0.0,
    label: GivenLabel = None,
    purpose: Annotated[Purpose, typer.Option(help="Purpose of use of the job.")] = Purpose.HOPERAT,
    engine: Engine = EngineKind.LOCAL,
    workers: Workers = None,
    address: Address = "",
    dry_run: Annotated[bool, typer.Option(help="Say what would be done: see `plan`.")] = False,
    delete_missing: DeleteMissing = False,
    remove_many: RemoveMany = False,
    retry: Annotated[Tried | None, typer.Option(hidden=True)] = None,
    reason: Annotated[str, typer.Option(hidden=True)] = "",
    taken_up: Annotated[str, typer.Option(hidden=True)] = "",
    as_json: console.AsJson = False,
) -> None:
    """Take documents in. Running it again changes nothing; a changed file replaces its chunks.

    Labels for single files stand in `labels.toml` in a given folder; they go before --label. Exit
    codes: 0 all in, 1 some in quarantine, 2 something failed, 3 cancelled.
    """
    call = Call(calling.words_of(context), _tried(retry, reason), taken_up)
    with console.exits():
        choice = EngineChoice(engine, workers or 0, address)
        again = run_source.Again(watch or watch_poll > 0, watch_poll, every)
        if source:
            by_hand = bool(paths or collection or tenant or label or delete_missing or dry_run)
            asked = Asked(source, purpose, choice, whole, remove_many, again)
            _run_source(asked, call, given=by_hand, as_json=as_json)
        if whole or again.asked_for:
            raise InvalidRequestError(
                "--watch, --watch-poll, --every and --whole are for a configured source: write the "
                "folder into sources.toml, and give --source"
            )
        found, sweep = given(
            paths, collection, tenant, label, delete_missing=delete_missing, many=remove_many
        )
        if dry_run:
            where = wiring.target(tenant, collection, purpose)
            code = foreseen.show(console.settings(), where, found, sweep, as_json=as_json)
            raise typer.Exit(code)
        target = wiring.target(tenant, collection, purpose)
        report = _take(found, sweep, target, choice, call, as_json=as_json)
    _end(report, as_json=as_json)
    raise typer.Exit(report.exit_code)


def _take(
    found: list[sources.SourceFile],
    sweep: Sweep | None,
    target: Target,
    choice: EngineChoice,
    call: Call,
    *,
    as_json: bool,
) -> Report:
    report = Report(run=uuid.uuid4().hex)
    report.total = len(found)
    with _progress(len(found), quiet=as_json) as tick:

        def told(result: FileResult) -> None:
            tick()
            _tell(result, as_json=as_json)

        settings = console.settings()
        with (
            interrupts(console.tell_ending) as interrupted,
            wiring.job(
                settings,
                report,
                target,
                told,
                choice.or_usual(settings.ingest_workers),
                arguments=call.sealed(settings, target.principal.tenant, report.run),
                retry=call.retry,
                stopped=interrupted,
            ) as opened,
        ):
            call.take_up(opened.ledger)
            if opened.note and not as_json:
                console.err.print(opened.note, markup=False)
            opened.job.run(found, report, sweep=sweep)
    return report


def _run_source(asked: Asked, call: Call, *, given: bool, as_json: bool) -> NoReturn:
    if given:
        raise InvalidRequestError(
            "--source says what is taken and where it goes: give no path, tenant, collection, "
            "label, --delete-missing or --dry-run beside it"
        )
    code = run_source.take(
        asked,
        call,
        told=partial(_tell, as_json=as_json),
        ended=partial(_end, as_json=as_json),
        noted=lambda note: None if as_json else console.err.print(note, markup=False),
    )
    raise typer.Exit(code)


def given(
    paths: list[Path] | None,
    collection: str,
    tenant: str,
    label: list[str] | None,
    *,
    delete_missing: bool,
    many: bool,
) -> tuple[list[sources.SourceFile], Sweep | None]:
    """Return the files at paths given by hand, and what is to go of what was given before."""
    paths = _required(paths, collection, tenant)
    unread: list[str] = []
    labels = sources.parse_labels(label or [])
    found = list(sources.find(paths, labels, unread=unread.append))
    if not found:
        console.err.print("nothing to take in: there is no file at what was given", markup=False)
    return found, _sweep(paths, found, unread, many=many) if delete_missing else None


def _required(paths: list[Path] | None, collection: str, tenant: str) -> list[Path]:
    if not (paths and collection and tenant):
        raise InvalidRequestError("give paths, --tenant and --collection, or --source")
    return paths


def _tell(result: FileResult, *, as_json: bool) -> None:
    if as_json:
        console.line(_file_line(result))
    elif result.reason:
        console.err.print(f"{result.state}: {result.name}: {result.reason}", markup=False)


def _end(report: Report, *, as_json: bool) -> None:
    if as_json:
        console.line({"event": "summary", **report.summary()})
    else:
        _show_summary(report)


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    if quiet or not console.err.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console.err, transient=True) as progress:
        task = progress.add_task("ingest", total=total)
        yield lambda: progress.advance(task)


def _show_summary(report: Report) -> None:
    summary = report.summary()
    table = Table(title="Ingest", title_justify="left", show_header=False)
    rows = (
        *("files", "indexed", "unchanged", "unpacked", "removed", "kept", "forgotten", "rejected"),
        *("deferred", "on_hold", "quarantined", "failed", "chunks"),
    )
    for name in rows:
        value = summary[name]
        shown = (
            ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        )
        table.add_row(name, str(shown or 0))
    found = report.personal_data.most_common()
    table.add_row("personal data", ", ".join(f"{entity} {count}" for entity, count in found))
    if report.refused:
        console.err.print(str(report.refused["detail"]), markup=False)
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())
    table.add_row("seconds by stage", seconds)
    table.add_row("parser walls", "; ".join(sorted(report.walls)))
    console.show(table)
    if WARNING in report.warnings:
        console.err.print(
            "[yellow]warning[/yellow] (no_personal_data): this collection holds personal data, and "
            "this run found none: see docs/quarantine.md, Silence"
        )
