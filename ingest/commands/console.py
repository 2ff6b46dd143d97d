"""How every command of ingest prints; it reads its settings and ends as every other does."""

import json
import sys
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from ragplatform.commands.console import EXIT_UNABLE, err, exits, settings
from ragplatform.model import Json

__all__ = [
    "EXIT_UNABLE",
    "AsJson",
    "Collection",
    "Tenant",
    "err",
    "exits",
    "line",
    "out",
    "settings",
    "show",
    "tell_ending",
]

out = Console(highlight=False, soft_wrap=True)

Tenant = Annotated[str, typer.Option(help="Tenant that the documents belong to.")]
Collection = Annotated[str, typer.Option(help="Collection that the documents belong to.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]

# Columns of a table in a file or a pipe: room for an id and all that stands beside it.
_WIDEST: Final = 160


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
