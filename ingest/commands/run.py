"""Take documents in."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ingest import sources, wiring
from ingest.commands import console
from ingest.engines import EngineChoice, EngineKind
from ingest.report import FileResult, FileState, Report
from ingest.silence import WARNING
from ragplatform.model import Json, Purpose


def _file_line(result: FileResult) -> dict[str, Json]:
    line: dict[str, Json] = {"event": "file", "name": result.name, "state": str(result.state)}
    if result.state is FileState.INDEXED:
        line |= {"document": result.document, "chunks": result.chunks}
    if result.reason:
        line |= {"reason": result.reason, "detail": result.detail}
    return line


def run(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    collection: console.Collection,
    tenant: console.Tenant,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="sensitivity=, department=, restriction=, subject=, retain_until=; repeatable."
        ),
    ] = None,
    purpose: Annotated[Purpose, typer.Option(help="Purpose of use of the job.")] = Purpose.HOPERAT,
    engine: Annotated[
        EngineKind, typer.Option(help="local: processes of this machine; ray: a Ray cluster.")
    ] = EngineKind.LOCAL,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Workers. Default: as the settings say, or as there is room for."),
    ] = None,
    address: Annotated[
        str, typer.Option(help="Of the Ray cluster; default: one of this machine, for this run.")
    ] = "",
    dry_run: Annotated[bool, typer.Option(help="List the files and their labels only.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Take documents in. Running it again changes nothing; a changed file replaces its chunks.

    Labels for single files stand in `labels.toml` in a given folder; they go before --label.
    """
    with console.exits():
        found = list(sources.find(paths, sources.parse_labels(label or [])))
        if dry_run:
            _show_plan(found, as_json=as_json)
            return
        report = Report(run=uuid.uuid4().hex)
        with _progress(len(found), quiet=as_json) as tick:

            def told(result: FileResult) -> None:
                tick()
                if as_json:
                    console.line(_file_line(result))
                elif result.reason:
                    console.err.print(
                        f"{result.state}: {result.name}: {result.reason}", markup=False
                    )

            settings = console.settings()
            target = wiring.target(tenant, collection, purpose)
            choice = EngineChoice(engine, workers or settings.ingest_workers, address)
            with wiring.job(settings, report.run, target, told, choice) as opened:
                if not as_json:
                    console.err.print(opened.note, markup=False)
                opened.job.run(opened.expand(found), report)
    if as_json:
        console.line({"event": "summary", **report.summary()})
    else:
        _show_summary(report)
    raise typer.Exit(report.exit_code)


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    if quiet or not console.err.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console.err, transient=True) as progress:
        task = progress.add_task("ingest", total=total)
        yield lambda: progress.advance(task)


def _show_plan(found: list[sources.SourceFile], *, as_json: bool) -> None:
    for source in found:
        given = source.labels
        if as_json:
            console.line(
                {
                    "event": "plan",
                    "name": source.name,
                    "sensitivity": given.sensitivity.name.lower(),
                    "department": given.department,
                    "restrictions": sorted(given.restrictions),
                    "retain_until": given.retain_until,
                    "subjects": len(given.subjects),
                }
            )
        else:
            labels = f"{given.sensitivity.name.lower()} {given.department}"
            console.out.print(
                f"{source.name}: {labels}, {len(given.subjects)} subjects", markup=False
            )
    if not as_json:
        console.out.print(f"{len(found)} files; nothing was taken in (dry run)")


def _show_summary(report: Report) -> None:
    summary = report.summary()
    table = Table(title="Ingest", title_justify="left", show_header=False)
    rows = (
        *("files", "indexed", "unchanged", "unpacked", "forgotten", "on_hold", "rejected"),
        *("quarantined", "failed", "chunks"),
    )
    for name in rows:
        value = summary[name]
        shown = (
            ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        )
        table.add_row(name, str(shown or 0))
    found = report.personal_data.most_common()
    table.add_row("personal data", ", ".join(f"{entity} {count}" for entity, count in found))
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())
    table.add_row("seconds by stage", seconds)
    console.out.print(table)
    if WARNING in report.warnings:
        console.err.print(
            "[yellow]warning[/yellow] (no_personal_data): this collection holds personal data, and "
            "this run found none: see docs/quarantine.md, Silence"
        )
