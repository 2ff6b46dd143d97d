"""Make the index again, and say what differs between it and what it is made from."""

from typing import Annotated, Final

import typer
from rich.table import Table

from ingest import upkeep
from ingest.commands import console
from ingest.rebuild import Rebuilt

OneTenant = Annotated[str | None, typer.Option(help="Only this tenant. Default: all.")]
Quick = Annotated[
    bool, typer.Option("--quick", help="Compare numbers of passages, not the passages.")
]


def rebuild(
    tenant: OneTenant = None,
    quick: Quick = False,
    dry_run: Annotated[bool, typer.Option(help="Say what differs; change nothing.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Make the index again from ledger, catalog and archive, without any source.

    Ids and payloads are those that were there. What is whole already stays as it is, so it can be
    stopped and run again. Exit code 0: all is whole; 1: something is left, such as documents that
    must be taken in again (the next run does); 2: it could not be done.
    """
    _for_each(tenant, deep=not quick, dry_run=dry_run, as_json=as_json)


def check(tenant: OneTenant = None, quick: Quick = False, as_json: console.AsJson = False) -> None:
    """Say what differs between ledger, catalog, archive and index. Nothing is changed.

    Exit code 0: nothing, 1: something does, 2: it could not be found out.
    """
    _for_each(tenant, deep=not quick, dry_run=True, as_json=as_json)


def _for_each(tenant: str | None, *, deep: bool, dry_run: bool, as_json: bool) -> None:
    code = 0
    with console.exits():
        settings = console.settings()
        names = [tenant] if tenant else upkeep.tenants(settings)
        with upkeep.rebuilding(settings) as rebuilder:
            for name in names:
                done = rebuilder(name).rebuild(deep=deep, dry_run=dry_run)
                code = max(code, done.exit_code)
                _tell(name, done, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(code)


# What these count is what was done: a check of a whole index has none of them.
_WORDS: Final = {"documents": "documents written", "chunks": "chunks written"}


def _tell(tenant: str, done: Rebuilt, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        event = "checked" if dry_run else "rebuilt"
        console.line({"event": event, "tenant": tenant, **done.summary()})
        return
    table = Table(title=f"Index of {tenant}", title_justify="left", show_header=False)
    for name, value in done.summary().items():
        shown = (
            ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        )
        if name != "exit_code":
            table.add_row(_WORDS.get(name, name), str(shown or 0))
    console.show(table)
