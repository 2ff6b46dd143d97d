"""Say what is there."""

from typing import Annotated

import typer
from rich.table import Table

from ingest import wiring
from ingest.commands import console
from ingest.ledger import State


def status(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    as_json: console.AsJson = False,
) -> None:
    """Say how many documents are in each state, and which are in quarantine and why."""
    with console.exits(), wiring.ledger(console.settings()) as ledger:
        counts = ledger.counts(tenant)
        held = ledger.entries(tenant=tenant, state=State.QUARANTINED)
    if as_json:
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
        return
    table = Table("tenant", "collection", "state", "documents")
    for (owner, collection, state), count in sorted(counts.items()):
        table.add_row(owner, collection, str(state), str(count))
    console.out.print(table)
    for entry in held:
        console.out.print(f"quarantined: {entry.display_name}: {entry.reason}", markup=False)
