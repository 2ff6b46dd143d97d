"""Legal holds."""

from typing import Annotated

import typer
from rich.table import Table

from ingest import life_wiring
from ingest.commands import console
from ingest.holding import Target
from ingest.holds import Held, Hold
from ragplatform.errors import InvalidRequestError
from ragplatform.model import Json

app = typer.Typer(help="Put documents on legal hold for a case, and release them.")

Case = Annotated[str, typer.Option(help="The case, by whatever name people know it.")]
Reason = Annotated[str, typer.Option(help="Why; kept sealed, on record.")]
Document = Annotated[str | None, typer.Option(help="Id of one document.")]
Subject = Annotated[str | None, typer.Option(help="Raw id of a person: all about them.")]
HeldCollection = Annotated[
    str | None, typer.Option("--collection", help="A whole collection, also what comes later.")
]


def _target(document: str | None, subject: str | None, collection: str | None) -> Target | None:
    given = {Held.DOCUMENT: document, Held.SUBJECT: subject, Held.COLLECTION: collection}
    named = [Target(kind, name) for kind, name in given.items() if name]
    if len(named) > 1:
        raise InvalidRequestError("give one of --document, --subject and --collection")
    return named[0] if named else None


@app.command("place")
def place(
    tenant: console.Tenant,
    case: Case,
    reason: Reason,
    document: Document = None,
    subject: Subject = None,
    collection: HeldCollection = None,
    as_json: console.AsJson = False,
) -> None:
    """Put a document, all about a person, or a collection on hold. It goes when all cases end."""
    with console.exits():
        target = _target(document, subject, collection)
        if target is None:
            raise InvalidRequestError("give one of --document, --subject and --collection")
        with life_wiring.hold_desk(console.settings(), tenant) as desk:
            placed = desk.place(case, target, reason=reason)
    if as_json:
        line = {"event": "held", "documents": placed.documents, **_line(placed.hold)}
        console.line(line)
    else:
        console.out.print(f"on hold: {placed.documents} documents now, case {placed.hold.case}")


@app.command("release")
def release(
    tenant: console.Tenant,
    case: Case,
    reason: Reason,
    document: Document = None,
    subject: Subject = None,
    collection: HeldCollection = None,
    as_json: console.AsJson = False,
) -> None:
    """End a case's hold on one thing, or without any named, all its holds.

    Exit code 1 when there was none.
    """
    with console.exits():
        target = _target(document, subject, collection)
        with life_wiring.hold_desk(console.settings(), tenant) as desk:
            ended = desk.release(case, target, reason=reason)
    if as_json:
        console.line({"event": "released", "holds": ended})
    else:
        console.out.print(f"released: {ended} holds; what other cases hold stays held")
    raise typer.Exit(0 if ended else 1)


@app.command("list")
def list_holds(
    tenant: console.Tenant,
    case: Annotated[str | None, typer.Option(help="Only of this case.")] = None,
    as_json: console.AsJson = False,
) -> None:
    """List the holds in force. That somebody looked is on record."""
    with console.exits(), life_wiring.hold_desk(console.settings(), tenant) as desk:
        found = desk.list(case)
    if as_json:
        for hold in found:
            console.line({"event": "hold", **_line(hold), "name": hold.name, "reason": hold.reason})
        return
    table = Table("case", "on", "what", "since", "by", "reason")
    for hold in found:
        since = hold.placed_at.isoformat(timespec="minutes")
        table.add_row(hold.name, hold.kind, hold.target, since, hold.placed_by, hold.reason)
    console.show(table)


def _line(hold: Hold) -> dict[str, Json]:
    return {
        "case": hold.case,
        "on": hold.kind.value,
        "target": hold.target,
        "placed_by": hold.placed_by,
        "placed_at": hold.placed_at.isoformat(),
    }
