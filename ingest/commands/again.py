"""Take up a run that was cut off or cancelled, and try again what did not go in."""

from typing import Annotated, NoReturn

import typer

from ingest import calls, wiring
from ingest.commands import console
from ingest.commands import run as running
from ingest.commands.status import RunId, find
from ragplatform.errors import HeldError


def resume(run: RunId, as_json: console.AsJson = False) -> None:
    """Go on with a run that was killed, failed or cancelled, as it was called then.

    What it finished is passed over. Exit codes as of `run`; the new run has an id of its own.
    """
    _call(run, [], takes_up=True, as_json=as_json)


def retry(
    run: RunId,
    quarantined: Annotated[
        bool, typer.Option(help="Try also what is in quarantine: after an upgrade.")
    ] = False,
    reason: Annotated[
        str, typer.Option(help="Only what is in quarantine for this reason; with --quarantined.")
    ] = "",
    as_json: console.AsJson = False,
) -> None:
    """Try again what failed in a run, from where it came from then.

    The source has to be there still. A configured source is listed as in every run. Exit codes as
    of `run`.
    """
    words = ["--retry", "quarantined" if quarantined else "failed"]
    _call(run, [*words, *(["--reason", reason] if reason else [])], takes_up=False, as_json=as_json)


def _call(name: str, more: list[str], *, takes_up: bool, as_json: bool) -> NoReturn:
    with console.exits():
        settings = console.settings()
        with wiring.ledger(settings) as ledger:
            found = find(ledger, name)
            if found.alive:
                raise HeldError(f"run {found.run} is at work: wait for its end, or `cancel` it")
            words = calls.unsealed(settings, found)
    if takes_up:
        more = [*more, "--taken-up", found.run]
    if as_json:
        more = [*more, "--json"]
    # The options go first: behind `--` stand paths alone.
    command = typer.main.get_command(_app())
    code = command.main([*more, *words], "run", standalone_mode=False)
    raise typer.Exit(int(code or 0))


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(running.run)
    return app
