"""Commands on witnesses: hand checkpoints over, show how far each is, and run one for others."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
import uvicorn

from ragplatform import openers, witnessing
from ragplatform.api.witness import create_witness_app
from ragplatform.audit.events import AuditEvent
from ragplatform.audit.query import find_logs
from ragplatform.audit.storage import Disk
from ragplatform.audit.witness_book import LOGS_FILE, found_witness
from ragplatform.audit.witness_publisher import Lag, Publisher
from ragplatform.commands import console
from ragplatform.config import Settings

app = typer.Typer(
    help="Hand audit checkpoints to witnesses outside this host.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@app.command("push")
def push(as_json: AsJson = False) -> None:
    """Offer each log's newest checkpoint to every witness now. Exit code 1: one is behind."""
    with console.exits():
        settings = console.settings()
        with _publisher(settings) as publisher:
            lags = publisher.push()
    _show(lags, as_json=as_json)
    if not all(lag.good and not lag.standing.problem for lag in lags):
        raise typer.Exit(console.EXIT_BAD)


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Show how far each witness is. Exit code 1: one is late or holds another history."""
    with console.exits():
        settings = console.settings()
        with _publisher(settings) as publisher:
            lags = publisher.status()
    _show(lags, as_json=as_json)
    if not all(lag.good for lag in lags):
        raise typer.Exit(console.EXIT_BAD)


@app.command("verify")
def verify(as_json: AsJson = False) -> None:
    """Check the time-stamps that are kept beside the logs. Exit code 1: one does not hold."""
    good = True
    with console.exits():
        settings = console.settings()
        found = [
            (log.name, stamp)
            for log in find_logs(settings.audit_dir)
            for stamp in witnessing.check_tokens(settings, log)
        ]
    for name, stamp in found:
        good = good and not stamp.problem
        at = stamp.at.isoformat() if stamp.at else ""
        if as_json:
            console.print_json(
                {"log": name, "size": stamp.note.size, "time": at, "problem": stamp.problem}
            )
        else:
            verdict = console.mark(not stamp.problem)
            console.out.print(f"{verdict} {name}: {stamp.note.size} records, {stamp.problem or at}")
    if not good:
        raise typer.Exit(console.EXIT_BAD)


@app.command("keys")
def keys() -> None:
    """Print the verifier key of each log, for the file `logs` of a witness."""
    with console.exits():
        for key in witnessing.verifier_keys(console.settings()):
            console.out.print(str(key), markup=False)


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="The witness's own folder, on the other host.")],
    name: Annotated[str, typer.Option(help="Its name, such as witness.example/w1.")],
) -> None:
    """Make the key of a new witness and print its public part, for the platform's settings."""
    with console.exits():
        key = found_witness(folder, name, storage=Disk())
    console.out.print(str(key), markup=False)
    console.err.print(f"Put the keys of the logs to watch, one a line, into {folder / LOGS_FILE}.")


@app.command("serve")
def serve(
    folder: Annotated[Path, typer.Argument(help="The folder that `audit witness init` made.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8443,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate (PEM).")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="Authorities (PEM) that clients must be known to.")
    ] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="Speak HTTP: a proxy before this speaks TLS.")
    ] = False,
) -> None:
    """Run a witness: cosign what continues, refuse what rolls back or forks."""
    with console.exits():
        console.settings()
        console.require(
            behind_proxy or tls_cert is not None or host in _LOOPBACK,
            f"{host}: give --tls-cert and --tls-key, or --behind-proxy when a proxy speaks TLS",
        )
        witness = witnessing.open_own_witness(folder)
    with contextlib.closing(witness):
        uvicorn.run(
            create_witness_app(witness),
            host=host,
            port=port,
            # Under uvloop the seal sees no connection; see ragplatform.egress.
            loop="asyncio",
            server_header=False,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=5,
            ssl_certfile=tls_cert,
            ssl_keyfile=tls_key,
            ssl_ca_certs=None if client_ca is None else str(client_ca),
            ssl_cert_reqs=ssl.CERT_NONE if client_ca is None else ssl.CERT_REQUIRED,
        )


@contextlib.contextmanager
def _publisher(settings: Settings) -> Iterator[Publisher]:
    """Give the publisher of this deployment; its log is opened only when there is something to
    record.
    """

    def record(event: AuditEvent) -> None:
        with openers.open_audit(settings, "cli") as log:
            log.append(event)

    publisher = witnessing.open_publisher(settings, record)
    console.require(
        bool(publisher.witnesses),
        "no witness is set: give witness_folders, witness_urls or timestamp_url",
    )
    yield publisher


def _show(lags: list[Lag], *, as_json: bool) -> None:
    if as_json:
        for lag in lags:
            console.print_json(
                {
                    "log": lag.log,
                    "witness": lag.standing.witness,
                    "held": lag.standing.size,
                    "records": lag.newest,
                    "lag_records": lag.records,
                    "behind_s": round(lag.behind_s, 1),
                    "ok": lag.good,
                    "conflict": lag.standing.conflict,
                    "problem": lag.standing.problem,
                }
            )
        return
    rows = [
        (
            lag.log,
            lag.standing.witness,
            f"{lag.standing.size} of {lag.newest}",
            f"{lag.behind_s:.0f} s" if lag.behind_s else "",
            console.mark(lag.good),
            lag.standing.problem,
        )
        for lag in lags
    ]
    console.table(("log", "witness", "held", "behind", "state", "problem"), rows)
