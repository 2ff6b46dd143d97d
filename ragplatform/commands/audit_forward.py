"""Commands that send audit records on to a collector (SIEM) inside the network."""

import signal
import threading
from typing import Annotated

import typer

from ragplatform import forwarding
from ragplatform.audit.forward import Forwarder
from ragplatform.commands import console
from ragplatform.errors import AuditLockedError

app = typer.Typer(help="Send audit records on to a collector inside the network.")


@app.callback(invoke_without_command=True)
def forward(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Send what is there, then end.")] = False,
) -> None:
    """Send every record to the targets of the settings, and go on until stopped."""
    if context.invoked_subcommand is not None:
        return
    with console.exits():
        forwarders = _forwarders()
        if once:
            for forwarder in forwarders:
                _send(forwarder)
            return
    stopped = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stopped.set())
    for forwarder in forwarders:
        forwarder.start()
    stopped.wait()
    for forwarder in forwarders:
        forwarder.close()


@app.command("status")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    most: Annotated[
        int | None, typer.Option(min=0, help="Exit code 1 when more records wait for a target.")
    ] = None,
) -> None:
    """Show how many records of each log wait to be sent."""
    with console.exits():
        lags = [lag for forwarder in _forwarders() for lag in forwarder.status()]
    if as_json:
        for lag in lags:
            console.print_json(
                {
                    "log": lag.log,
                    "target": lag.target,
                    "next": lag.next,
                    "records": lag.records,
                    "behind": lag.behind,
                }
            )
    else:
        rows = [
            (lag.log, lag.target, f"{lag.next} of {lag.records}", str(lag.behind)) for lag in lags
        ]
        console.table(("log", "target", "sent", "behind"), rows)
    if most is not None and sum(lag.behind for lag in lags) > most:
        raise typer.Exit(console.EXIT_BAD)


def _send(forwarder: Forwarder) -> None:
    try:
        sent = forwarder.run_once()
    except AuditLockedError:
        console.err.print(
            f"{forwarder.target.name}: another process is sending to it", markup=False
        )
        return
    finally:
        forwarder.close()
    console.out.print(f"{forwarder.target.name}: {sent} records sent", markup=False)


def _forwarders() -> list[Forwarder]:
    found = forwarding.open_forwarders(console.settings())
    console.require(bool(found), "no target is set: give forward_syslog or forward_file")
    return found
