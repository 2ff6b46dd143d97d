"""Find personal data in files."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ingest import sources, wiring
from ingest.commands import console
from ingest.scan import Scanned
from ragplatform.model import Json


def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    collection: Annotated[
        str | None, typer.Option(help="Apply the rules of this collection.")
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Find personal data in documents of any format. Nothing is taken in; no deployment needed.

    Exit code 0: none found, 1: some found, 2: a file could not be read or searched.
    """
    code = 0
    table = Table("file", "page", "type", "category", "score", "recogniser")
    with console.exits():
        found = list(sources.find(paths, sources.parse_labels([])))
        with wiring.scanner(console.settings(), found, collection) as results:
            for result in results:
                code = max(code, _told(result, table, as_json=as_json))
    if not as_json:
        if table.row_count:
            console.show(table)
        else:
            console.out.print("no personal data found")
    raise typer.Exit(code)


def _told(result: Scanned, table: Table, *, as_json: bool) -> int:
    """Show one file's result; return its exit code."""
    if result.problem is not None:
        console.err.print(f"error: {result.name}: {result.problem}", markup=False)
        return console.EXIT_UNABLE
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
        console.line({"file": result.name, "characters": result.characters, "spans": spans})
    return 1 if result.found else 0
