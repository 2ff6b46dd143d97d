"""How every command of ingest reads its settings, prints, and ends."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from ragplatform import config, openers
from ragplatform.config import Settings
from ragplatform.errors import PlatformError
from ragplatform.model import Json

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Tenant = Annotated[str, typer.Option(help="Tenant that the documents belong to.")]
Collection = Annotated[str, typer.Option(help="Collection that the documents belong to.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]

EXIT_UNABLE: Final = 2
# Columns of a table in a file or a pipe: room for an id and all that stands beside it.
_WIDEST: Final = 160


@contextmanager
def exits() -> Iterator[None]:
    """Turn an error of ours into its line and exit code 2."""
    try:
        yield
    except PlatformError as error:
        err.print(f"[red]error[/red] ({error.code}): ", end="")
        err.print(str(error), markup=False)
        raise typer.Exit(EXIT_UNABLE) from error


def settings(*urls: str) -> Settings:
    """Return the settings, after sealing this process; ``urls`` are services beside them."""
    loaded = config.load()
    openers.seal(loaded, *urls)
    return loaded


def line(value: Json) -> None:
    """Print one JSON line, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def show(table: Table) -> None:
    """Print a table with every cell whole, since somebody may have to copy the id in it.

    What is too long is folded. A file or a pipe, which has no width, gets lines of up to 160.
    """
    for column in table.columns:
        column.overflow = "fold"
    if out.is_terminal:
        out.print(table)
        return
    wanted = out.measure(table, options=out.options.update(max_width=_WIDEST)).maximum
    Console(file=out.file, highlight=False, width=max(out.width, wanted)).print(table)


def tell_ending() -> None:
    """Say that the first signal was heard, and what a second one would do."""
    err.print("ending after the documents in hand; once more to end at once")
