"""Editions of the index: make the next one, see which there are, delete those that retired."""

import time
from typing import Annotated, Final

import typer
from rich.table import Table

from ingest import upkeep
from ingest.commands import console
from ragplatform.model import Json

# Whoever asks the old edition at the moment of the switch has its answer by then.
_GRACE_S: Final = 5.0


def reindex(
    keep_old: Annotated[
        bool, typer.Option(help="Keep the edition that answered until now, to switch back to.")
    ] = False,
    as_json: console.AsJson = False,
) -> None:
    """Make the index anew for the encoder that the settings name, while the old one answers.

    No source is read. The service follows the switch without a restart. Exit code 0: it answers;
    1: it does, and some documents must be taken in again (the next run does); 2: it could not be
    done, and the old one answers on.
    """
    code = 0
    with console.exits():
        settings = console.settings()
        with upkeep.reindexing(settings) as reindexer:
            if reindexer is None:
                _say({"event": "reindexed", "switched": False}, as_json=as_json)
            else:
                done = reindexer.reindex()
                code = done.exit_code
                _say({"event": "reindexed", **done.summary()}, as_json=as_json)
                time.sleep(0 if keep_old else _GRACE_S)
        if not keep_old:
            for row in upkeep.drop_editions(settings):
                _say({"event": "dropped", "edition": row.name, "model": row.model}, as_json=as_json)
    raise typer.Exit(code)


def editions(as_json: console.AsJson = False) -> None:
    """Say which editions of the index there are, and which one answers."""
    with console.exits():
        rows = upkeep.editions(console.settings())
    table = Table("edition", "state", "model", "encoder", "since")
    for row in rows:
        since = row.since.isoformat(timespec="seconds")
        if as_json:
            console.line(
                {
                    "event": "edition",
                    "edition": row.name,
                    "state": str(row.state),
                    "model": row.model,
                    "encoder": row.encoder,
                    "since": since,
                }
            )
        table.add_row(row.name, str(row.state), row.model, row.encoder, since)
    if not as_json:
        console.show(table)


def _say(said: dict[str, Json], *, as_json: bool) -> None:
    if as_json:
        console.line(said)
    elif said["event"] == "dropped":
        console.out.print(f"deleted edition {said['edition']} of {said['model']}")
    elif not said["switched"]:
        console.out.print("the index answers by the encoder of the settings already")
    else:
        console.out.print(
            f"edition {said['after']} answers: {said['documents']} documents, {said['chunks']} "
            f"passages written, {said['embedded']} of them embedded"
        )
