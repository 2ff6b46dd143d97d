"""Commands on the databases: at which revision each is, and bringing them up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from ragplatform.commands import console
from ragplatform.config import Settings
from ragplatform.migrations import PARTS, Standing, bring_up, newest, standing
from ragplatform.tables import open_engine, transaction

app = typer.Typer(help="See and bring up the databases' tables.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one line for each part.")]


@app.command("current")
def current(as_json: AsJson = False) -> None:
    """Say at which revision each part's database is. Nothing is changed. Exit code 1: one is not.

    A database of a newer program ends it with exit code 2.
    """
    with console.exits():
        found = _of_all(console.settings(), standing)
    _print(found, as_json=as_json)
    if not all(one.current for one in found):
        raise typer.Exit(console.EXIT_BAD)


@app.command("upgrade")
def upgrade(as_json: AsJson = False) -> None:
    """Run the revisions that the databases lack. Each part does so too when it opens its own."""
    with console.exits():
        settings = console.settings()
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _of_all(settings, bring_up)
        found = _of_all(settings, standing)
    _print(found, as_json=as_json)


def _of_all(settings: Settings, ask: Callable[[sa.Connection, str], Standing]) -> list[Standing]:
    """Return what is said of each part, in its own database and transaction."""
    urls = dict.fromkeys(PARTS, settings.catalog_url)
    urls["vault"] = settings.effective_vault_url
    urls["audit_index"] = settings.effective_audit_index_url
    found = []
    for part, url in urls.items():
        if ask is standing and _is_absent(url):
            # Opening a file of SQLite's makes it.
            found.append(Standing(part, "", newest(part)))
            continue
        engine = open_engine(url, begin_immediate=False)
        try:
            with transaction(engine, f"the database of the {part}") as connection:
                found.append(ask(connection, part))
        finally:
            engine.dispose()
    return found


def _is_absent(url: str) -> bool:
    made = sa.make_url(url)
    return made.get_backend_name() == "sqlite" and not Path(made.database or "").exists()


def _print(found: Sequence[Standing], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            console.print_json(
                {"part": one.part, "at": one.at, "newest": one.newest, "current": one.current}
            )
        return
    rows = [(one.part, one.at or "none", one.newest, console.mark(one.current)) for one in found]
    console.table(("part", "at", "newest", "current"), rows)
