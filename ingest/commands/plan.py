"""Say what a run would do."""

from pathlib import Path
from typing import Annotated

import typer

from ingest import source_wiring, wiring
from ingest.commands import console, foreseen, run_source
from ingest.commands.run import DeleteMissing, GivenLabel, RemoveMany, given
from ingest.sweep import Sweep
from ragplatform.model import Purpose


def plan(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders.")] = None,
    collection: run_source.Collection = "",
    tenant: run_source.Tenant = "",
    source: run_source.Name = "",
    whole: run_source.Whole = False,
    label: GivenLabel = None,
    purpose: Annotated[Purpose, typer.Option(help="Purpose of use of the job.")] = Purpose.HOPERAT,
    delete_missing: DeleteMissing = False,
    remove_many: RemoveMany = False,
    as_json: console.AsJson = False,
) -> None:
    """Say what `run` would do: what is new, changed and gone, and how long. Nothing is done.

    Exit codes: 0 all can go in, 1 some are or would be put aside, 2 unable, or so much is gone
    that a run would take out nothing.
    """
    with console.exits():
        if source:
            code = _of_source(source, purpose, whole=whole, many=remove_many, as_json=as_json)
            raise typer.Exit(code)
        found, sweep = given(
            paths, collection, tenant, label, delete_missing=delete_missing, many=remove_many
        )
        where = wiring.target(tenant, collection, purpose)
        code = foreseen.show(console.settings(), where, found, sweep, as_json=as_json)
    raise typer.Exit(code)


def _of_source(name: str, purpose: Purpose, *, whole: bool, many: bool, as_json: bool) -> int:
    """Go through what the source lists and compare it; its cursor stays where it is."""
    settings, config = run_source.open_source(name)
    where = wiring.target(config.tenant, config.collection, purpose)
    with (
        wiring.planner(settings, where, urls=source_wiring.urls_of(config)) as opened,
        source_wiring.intake(settings, config, opened) as intake,
    ):
        sweep = Sweep(config.name, intake.names, intake.gone, many=many)
        files = intake.files(whole=whole)
        return foreseen.tell(opened, where, files, sweep, as_json=as_json)
