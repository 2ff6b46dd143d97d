"""How long documents are kept."""

from typing import Annotated

import typer
from rich.table import Table

from ingest import life_wiring, retiring
from ingest.commands import console
from ingest.retention import Rule
from ragplatform.model import Json

app = typer.Typer(help="Say how long documents are kept, and erase what is past its time.")


@app.command("plan")
def plan(tenant: console.Tenant, as_json: console.AsJson = False) -> None:
    """List what is past its time, and what keeps some of it. Exit code 1: something is due."""
    with console.exits(), life_wiring.life_cycle(console.settings()) as opened:
        found = list(retiring.due(opened.catalog, opened.keeping, tenant))
    _show(found, as_json=as_json)
    raise typer.Exit(1 if any(one.kept is None for one in found) else 0)


@app.command("apply")
def apply(
    tenant: console.Tenant,
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Erase what is past its time, on record and certified. What is on hold stays.

    Exit code 1: some of what is due is kept.
    """
    with console.exits(), life_wiring.erasure(console.settings(), tenant) as opened:
        found = list(retiring.due(opened.catalog, opened.keeping, tenant))
        if not dry_run and any(one.kept is None for one in found):
            erased = retiring.apply(found, opened.eraser)
            opened.certifier.certify(erased)
    _show(found, as_json=as_json)
    gone = sum(one.kept is None for one in found)
    if not as_json:
        console.out.print(f"{'would go' if dry_run else 'erased'}: {gone} documents")
    raise typer.Exit(1 if gone < len(found) else 0)


@app.command("explain")
def explain(
    document: Annotated[str, typer.Argument(help="Id of the document.")],
    tenant: console.Tenant,
    as_json: console.AsJson = False,
) -> None:
    """Say how long a document is kept, by which rule, and whether it could be erased today."""
    with console.exits(), life_wiring.life_cycle(console.settings()) as opened:
        found = retiring.explain(opened.catalog, opened.keeping, tenant, document)
    terms = found.terms
    line: dict[str, Json] = {
        "document": found.entry.document,
        "collection": found.entry.collection,
        "retain_until": found.labels.retain_until,
        "kept_until": terms.kept_until.isoformat() if terms.kept_until else "",
        "kept_by": _named(terms.kept_by),
        "due": terms.due.isoformat() if terms.due else "",
        "due_by": _named(terms.due_by),
        "may_be_erased_today": found.kept is None,
        "why_not": found.kept or "",
    }
    if as_json:
        console.line({"event": "retention", **line})
        return
    table = Table("what", "is", show_header=False)
    for name, value in line.items():
        table.add_row(name.replace("_", " "), str(value))
    console.show(table)


def _named(rule: Rule | None) -> str:
    return f"{rule.id}: {rule.why}" if rule else ""


def _show(found: list[retiring.Due], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            console.line(
                {
                    "event": "due",
                    "document": one.entry.document,
                    "collection": one.entry.collection,
                    "since": one.since.isoformat(),
                    "rule": one.rule,
                    "kept": one.kept or "",
                }
            )
        return
    table = Table("document", "collection", "due since", "rule", "kept by")
    for one in found:
        since = one.since.isoformat()
        table.add_row(one.entry.document, one.entry.collection, since, one.rule, one.kept or "")
    if found:
        console.show(table)
    else:
        console.out.print("nothing is past its time")
