"""The command line of batch ingest. Exit codes of a run: 0 all in, 1 some quarantined, 2 failed."""

import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ingest import forget as forgetting
from ingest import sources, wiring
from ingest.ledger import State
from ingest.report import FileResult, FileState, Report
from ingest.scan import Scanned
from ragplatform import config, openers
from ragplatform.config import Settings
from ragplatform.errors import PlatformError
from ragplatform.model import Json, Purpose

app = typer.Typer(
    help="Take documents in, see what is there, and forget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Tenant = Annotated[str, typer.Option(help="Tenant that the documents belong to.")]
Collection = Annotated[str, typer.Option(help="Collection that the documents belong to.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
Reason = Annotated[str, typer.Option(help="Purpose of use under which the job runs.")]

_UNABLE = 2


@contextmanager
def _exits() -> Iterator[None]:
    try:
        yield
    except PlatformError as error:
        err.print(f"[red]error[/red] ({error.code}): ", end="")
        err.print(str(error), markup=False)
        raise typer.Exit(_UNABLE) from error


def _settings() -> Settings:
    """Return the settings, after sealing this process."""
    settings = config.load()
    openers.seal(settings)
    return settings


def _line(value: Json) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _file_line(result: FileResult) -> dict[str, Json]:
    line: dict[str, Json] = {"event": "file", "name": result.name, "state": str(result.state)}
    if result.state is FileState.INDEXED:
        line |= {"document": result.document, "chunks": result.chunks}
    if result.reason:
        line |= {"reason": result.reason, "detail": result.detail}
    return line


@app.command("run")
def run(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    collection: Collection,
    tenant: Tenant,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="sensitivity=, department=, restriction=, subject=, retain_until=; repeatable."
        ),
    ] = None,
    purpose: Annotated[Purpose, typer.Option(help="Purpose of use of the job.")] = Purpose.HOPERAT,
    dry_run: Annotated[bool, typer.Option(help="List the files and their labels only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take documents in. Running it again changes nothing; a changed file replaces its chunks.

    Labels for single files stand in `labels.toml` in a given folder; they go before --label.
    """
    with _exits():
        found = list(sources.find(paths, sources.parse_labels(label or [])))
        if dry_run:
            _show_plan(found, as_json=as_json)
            return
        report = Report(run=uuid.uuid4().hex)
        with _progress(len(found), quiet=as_json) as tick:

            def told(result: FileResult) -> None:
                tick()
                if as_json:
                    _line(_file_line(result))
                elif result.reason:
                    err.print(f"{result.state}: {result.name}: {result.reason}", markup=False)

            settings = _settings()
            target = wiring.target(tenant, collection, purpose)
            with wiring.job(settings, report.run, target, told) as opened:
                if not as_json:
                    err.print(opened.note, markup=False)
                opened.job.run(opened.expand(found), report)
    if as_json:
        _line({"event": "summary", **report.summary()})
    else:
        _show_summary(report)
    raise typer.Exit(report.exit_code)


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    if quiet or not err.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("ingest", total=total)
        yield lambda: progress.advance(task)


def _show_plan(found: list[sources.SourceFile], *, as_json: bool) -> None:
    for source in found:
        given = source.labels
        if as_json:
            _line(
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
            out.print(f"{source.name}: {labels}, {len(given.subjects)} subjects", markup=False)
    if not as_json:
        out.print(f"{len(found)} files; nothing was taken in (dry run)")


def _show_summary(report: Report) -> None:
    summary = report.summary()
    table = Table(title="Ingest", title_justify="left", show_header=False)
    rows = (
        *("files", "indexed", "unchanged", "unpacked", "forgotten"),
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
    out.print(table)


@app.command("status")
def status(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many documents are in each state, and which are in quarantine and why."""
    with _exits(), wiring.ledger(_settings()) as ledger:
        counts = ledger.counts(tenant)
        held = ledger.entries(tenant=tenant, state=State.QUARANTINED)
    if as_json:
        for (owner, collection, state), count in sorted(counts.items()):
            _line(
                {
                    "event": "state",
                    "tenant": owner,
                    "collection": collection,
                    "state": str(state),
                    "documents": count,
                }
            )
        for entry in held:
            _line(
                {
                    "event": "quarantined",
                    "tenant": entry.tenant,
                    "collection": entry.collection,
                    "document": entry.document,
                    "name": entry.display_name,
                    "reason": entry.reason,
                }
            )
        return
    table = Table("tenant", "collection", "state", "documents")
    for (owner, collection, state), count in sorted(counts.items()):
        table.add_row(owner, collection, str(state), str(count))
    out.print(table)
    for entry in held:
        out.print(f"quarantined: {entry.display_name}: {entry.reason}", markup=False)


@app.command("scan")
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    collection: Annotated[
        str | None, typer.Option(help="Apply the rules of this collection.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find personal data in documents of any format. Nothing is taken in; no deployment needed.

    Exit code 0: none found, 1: some found, 2: a file could not be read or searched.
    """
    code = 0
    table = Table("file", "page", "type", "category", "score", "recogniser")
    with _exits():
        found = list(sources.find(paths, sources.parse_labels([])))
        with wiring.scanner(_settings(), found, collection) as results:
            for result in results:
                code = max(code, _told(result, table, as_json=as_json))
    if not as_json:
        out.print(table if table.row_count else "no personal data found")
    raise typer.Exit(code)


def _told(result: Scanned, table: Table, *, as_json: bool) -> int:
    """Show one file's result; return its exit code."""
    if result.problem is not None:
        err.print(f"error: {result.name}: {result.problem}", markup=False)
        return _UNABLE
    spans: list[Json] = []
    for place in result.found:
        span = place.span
        page = "" if place.page is None else str(place.page)
        row = (result.name, page, span.entity, span.category, f"{span.score:.2f}", span.source)
        table.add_row(*map(escape, row))
        spans.append(
            {
                "start": span.start,
                "end": span.end,
                "page": place.page,
                "type": span.entity,
                "category": str(span.category),
                "score": round(span.score, 4),
                "recogniser": span.source,
            }
        )
    if as_json:
        _line({"file": result.name, "characters": result.characters, "spans": spans})
    return 1 if result.found else 0


@app.command("forget")
def forget(
    tenant: Tenant,
    document: Annotated[str | None, typer.Option(help="Id of one document.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="Raw id of a person: every document about them.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase one document, or all about one person with the values kept of them."""
    with _exits(), wiring.eraser(_settings(), tenant) as eraser:
        erased = forgetting.forget(eraser, document=document, subject=subject, dry_run=dry_run)
    if as_json:
        _line({"event": "forgotten", **erased.summary()})
    else:
        word = "would go" if dry_run else "erased"
        out.print(
            f"{word}: {erased.documents} documents, {erased.chunks} chunks, "
            f"{erased.values} kept values"
        )


if __name__ == "__main__":
    app()
