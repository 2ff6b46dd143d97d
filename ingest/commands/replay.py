"""After a restore: erase again."""

from pathlib import Path
from typing import Annotated

import typer

from ingest import upkeep
from ingest.commands import console


def replay_erasures(
    audit: Annotated[
        Path | None,
        typer.Argument(help="Folder of audit logs. Default: those of the deployment."),
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Erase again what audit logs say was erased, after a restore brought it back.

    Give the newest logs that there are: a backup's own know nothing of what came after it. They are
    verified first. Running it again changes nothing.
    """
    with console.exits():
        settings = console.settings()
        with upkeep.replay(settings, audit or settings.audit_dir) as (eraser, found):
            done = eraser.replay(found)
    if as_json:
        console.line({"event": "erasures_replayed", **done.summary()})
    else:
        console.out.print(
            f"erased again: {done.documents} documents, {done.subjects} subjects, "
            f"{done.chunks} chunks, {done.values} kept values"
        )
