"""Erase."""

from typing import Annotated

import typer

from ingest import forget as forgetting
from ingest import wiring
from ingest.commands import console


def forget(
    tenant: console.Tenant,
    document: Annotated[str | None, typer.Option(help="Id of one document.")] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(help="Raw id of a person: every document about them; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would go.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Erase one document, or all about one person with the values kept of them."""
    with console.exits(), wiring.eraser(console.settings(), tenant) as eraser:
        erased = forgetting.forget(
            eraser, document=document, subjects=subject or [], dry_run=dry_run
        )
    if as_json:
        console.line({"event": "forgotten", **erased.summary()})
    else:
        word = "would go" if dry_run else "erased"
        console.out.print(
            f"{word}: {len(erased.documents)} documents, {erased.chunks} chunks, "
            f"{erased.values} kept values"
        )
