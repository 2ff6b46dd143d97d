"""Say what is there, and how far a run is."""

import time
from collections.abc import Mapping
from typing import Annotated, Final

import typer
from rich.table import Table

from ingest import wiring
from ingest.commands import console
from ingest.ledger import Entry, Ledger, State
from ingest.runs import Run
from ragplatform.errors import NotFoundError
from ragplatform.model import Json

_FOLLOW_S: Final = 2.0

RunId = Annotated[str, typer.Argument(help="Id of a run, or how it begins.")]


def status(
    run: Annotated[str | None, typer.Argument(help="Id of a run, or how it begins.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    follow: Annotated[bool, typer.Option(help="Show the run until it ends.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Say how many documents are in each state, and which are in quarantine and why.

    With a run: how far it is, and its rates by stage. Exit code 0; of a run as its own would be
    known: 1 when it was cut off or failed, 3 when it was cancelled.
    """
    with console.exits(), wiring.ledger(console.settings()) as ledger:
        if run is not None:
            raise typer.Exit(_one(ledger, run, follow=follow, as_json=as_json))
        counts = ledger.counts(tenant)
        held = ledger.entries(tenant=tenant, state=State.QUARANTINED)
        working = [one for one in ledger.runs.latest(tenant) if one.alive]
        older = ledger.of_older_pipelines(tenant)
    if as_json:
        _print_lines(counts, held, working)
    else:
        _print_table(counts, held, working)
    _print_older(older, as_json=as_json)


def runs(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: console.AsJson = False,
) -> None:
    """List the latest runs: working, done, cancelled, failed, or killed."""
    with console.exits(), wiring.ledger(console.settings()) as ledger:
        found = ledger.runs.latest(tenant, limit=limit)
    if as_json:
        for one in found:
            console.line(run_line(one))
        return
    table = Table("run", "tenant", "collection", "source", "standing", "started", "files", "bytes")
    for one in found:
        started = one.started_at.isoformat(timespec="seconds")
        done = one.progress
        row = (one.run, one.tenant, one.collection, one.source, one.standing, started)
        table.add_row(*row, str(done.files), f"{done.bytes:,}")
    console.show(table)


def cancel(
    run: RunId,
    as_json: console.AsJson = False,
) -> None:
    """Ask a run to end after the documents in hand. It says so with exit code 3.

    Exit code 0: asked, 1: it had ended before.
    """
    with console.exits(), wiring.ledger(console.settings()) as ledger:
        found = find(ledger, run)
        asked = found.alive and ledger.runs.cancel(found.run)
    if as_json:
        console.line({"event": "cancel", "run": found.run, "asked": asked})
    else:
        word = "asked to end" if asked else f"had ended before: {found.standing}"
        console.out.print(f"{found.run}: {word}", markup=False)
    raise typer.Exit(0 if asked else 1)


def find(ledger: Ledger, run: str) -> Run:
    """Return the run. Raises ``NotFoundError`` when there is none, or more than one begins so."""
    found = ledger.runs.find(run)
    if found is None:
        raise NotFoundError(f"no run, or more than one, has an id that begins with {run!r}")
    return found


def run_line(run: Run) -> dict[str, Json]:
    """Return a run for machines."""
    return {
        "event": "run",
        "run": run.run,
        "tenant": run.tenant,
        "collection": run.collection,
        "source": run.source,
        "may_resume": bool(run.arguments) and not run.alive,
        **run.standing_json(),
    }


def _one(ledger: Ledger, name: str, *, follow: bool, as_json: bool) -> int:
    run = find(ledger, name)
    while True:
        if as_json:
            console.line(run_line(run))
        else:
            _print_run(run)
        if not (follow and run.alive):
            break
        time.sleep(_FOLLOW_S)
        run = find(ledger, run.run)
    return {"cancelled": 3, "failed": 1, "killed": 1}.get(run.standing, 0)


def _print_run(run: Run) -> None:
    done = run.progress
    table = Table(title=f"Run {run.run}", title_justify="left", show_header=False)
    of = f" of {done.total:,}" if done.total else ""
    table.add_row("standing", run.standing)
    table.add_row("last heard", run.heard_at.isoformat(timespec="seconds"))
    table.add_row("files", f"{done.files:,}{of}")
    table.add_row("documents", f"{done.documents:,}, {done.bytes:,} bytes, {done.chunks:,} chunks")
    table.add_row("states", ", ".join(f"{name} {count}" for name, count in done.states.items()))
    table.add_row("elapsed", f"{done.elapsed_s:,.0f} s")
    if run.remaining_s is not None:
        table.add_row("remaining", f"about {run.remaining_s:,.0f} s")
    for name, seconds in sorted(done.seconds.items(), key=lambda one: -one[1]):
        rate = f", {done.bytes / seconds / 1000:,.1f} kB/s" if seconds and done.bytes else ""
        table.add_row(f"in {name}", f"{seconds:,.1f} s{rate}")
    console.show(table)


def _print_lines(
    counts: dict[tuple[str, str, State], int], held: list[Entry], working: list[Run]
) -> None:
    for (owner, collection, state), count in sorted(counts.items()):
        console.line(
            {
                "event": "state",
                "tenant": owner,
                "collection": collection,
                "state": str(state),
                "documents": count,
            }
        )
    for entry in held:
        console.line(
            {
                "event": "quarantined",
                "tenant": entry.tenant,
                "collection": entry.collection,
                "document": entry.document,
                "name": entry.display_name,
                "reason": entry.reason,
            }
        )
    for run in working:
        console.line(run_line(run))


def _print_older(older: Mapping[tuple[str, str], int], *, as_json: bool) -> None:
    for (owner, collection), count in sorted(older.items()):
        if as_json:
            place = {"tenant": owner, "collection": collection}
            console.line({"event": "older_pipeline", **place, "documents": count})
        else:
            console.out.print(
                f"older pipeline: {owner}: {collection}: {count} documents; the next run over "
                "their sources takes them in anew",
                markup=False,
            )


def _print_table(
    counts: dict[tuple[str, str, State], int], held: list[Entry], working: list[Run]
) -> None:
    table = Table("tenant", "collection", "state", "documents")
    for (owner, collection, state), count in sorted(counts.items()):
        table.add_row(owner, collection, str(state), str(count))
    console.show(table)
    for entry in held:
        line = f"quarantined: {entry.document}: {entry.display_name}: {entry.reason}"
        console.out.print(line, markup=False)
    for run in working:
        console.out.print(f"{run.standing}: {run.run}: {run.progress.files} files", markup=False)
