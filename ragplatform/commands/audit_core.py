"""Commands that prove records, archive segments, and hand out a log and the means to check it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ragplatform import openers
from ragplatform.audit import prove as proofs
from ragplatform.audit import query
from ragplatform.audit.archive import FEWEST_KEPT, Moved, archive
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.layout import tenant_of
from ragplatform.audit.static_tree import static_files
from ragplatform.audit.storage import Disk
from ragplatform.audit.verify import held_checkpoints
from ragplatform.commands import audit, console
from ragplatform.commands.audit import Archive
from ragplatform.errors import UnavailableError

app = audit.app

Origin = Annotated[str, typer.Argument(help="The log's origin, such as api.mercy, or its folder.")]
Into = Annotated[
    Path | None, typer.Option("--out", help="File to write. Default: standard output.")
]

_VERIFIER = Path(query.__file__).with_name("verify_audit.py")


def add_commands(app: typer.Typer) -> None:
    """Add these commands to those on the audit log."""
    app.command("prove")(prove)
    app.command("archive")(archive_log)
    app.command("tiles")(tiles)
    app.command("verifier")(verifier)


def _log(origin: str) -> Path:
    """Return the folder of a log, named by its origin or by where it is."""
    log = console.settings().audit_dir / origin
    if not (log / "key.pub").is_file():
        log = Path(origin)
    console.require((log / "key.pub").is_file(), f"{origin}: there is no such audit log")
    return log


def _hand_out(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnavailableError(f"{out} cannot be written: {error}") from error


def prove(
    origin: Origin,
    index: Annotated[int | None, typer.Argument(min=0, help="The record's index.")] = None,
    held: Annotated[
        Path | None,
        typer.Option("--from-checkpoint", help="Prove instead that the log grew from this state."),
    ] = None,
    folder: Archive = None,
    out: Into = None,
) -> None:
    """Write a file that proves that a record is in the log, or that the log only grew.

    The file holds the record as it stands in the log, its sealed parts encrypted.
    """
    with console.exits():
        console.require(
            (index is None) != (held is None), "give either a record's index or --from-checkpoint"
        )
        log = _log(origin)
        if index is not None:
            text = proofs.record_proof(log, index, archive=folder)
        else:
            kept = held_checkpoints(_read(held)).get(query.origin_of(log), "")
            console.require(bool(kept), f"{held}: no checkpoint of this log is among those held")
            text = proofs.growth_proof(log, kept)
        _hand_out(text, out)


def _read(path: Path | None) -> str:
    try:
        return path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError(f"{path} cannot be read: {error}") from error


def archive_log(
    origin: Annotated[str, typer.Argument(help="The origin of a log of this deployment.")],
    to: Annotated[Path, typer.Option("--to", help="Folder to move segments to.")],
    keep: Annotated[
        int, typer.Option(min=FEWEST_KEPT, help="How many of the newest segments stay.")
    ] = FEWEST_KEPT,
) -> None:
    """Move old segments of a log elsewhere, once the log verifies. Each move is recorded first.

    The log may be written meanwhile.
    """
    with console.exits():
        settings = console.settings()
        directory = settings.audit_dir / origin
        console.require((directory / "key.pub").is_file(), f"{origin}: there is no such audit log")
        report = openers.verify_audit(settings, directory)
        console.require(report.ok, f"{origin} does not verify, so it stays: {report.problem}")
        with openers.open_audit(settings, "cli") as log:

            def record(moved: Moved) -> str:
                receipt = log.append(
                    AuditEvent(
                        Action.ARCHIVED,
                        Outcome.SUCCESS,
                        tenant_of(origin),
                        console.host_user(),
                        "",
                        details={
                            "origin": origin,
                            "first": moved.first,
                            "count": moved.count,
                            "sha256": moved.sha256,
                            "to": to.name[:200],
                        },
                    )
                )
                return f"{receipt.origin}/{receipt.index}"

            try:
                done = archive(
                    directory,
                    to,
                    keep=keep,
                    signer=openers.log_signer(settings, origin),
                    storage=Disk(),
                    record=record,
                )
            except OSError as error:
                raise UnavailableError(
                    f"archiving {origin} stopped: {error}; run it again"
                ) from error
    for moved in done:
        console.out.print(f"{origin}: records {moved.first} to {moved.first + moved.count - 1}")
    console.out.print(f"{len(done)} segments moved to {to / origin}")


def tiles(
    origin: Origin,
    out: Annotated[Path, typer.Argument(help="Folder to write, new or empty.")],
    folder: Archive = None,
) -> None:
    """Write a log as static C2SP tlog-tiles, which any client of that format reads."""
    with console.exits():
        log = _log(origin)
        empty = not out.exists() or (out.is_dir() and not any(out.iterdir()))
        console.require(empty, f"{out} is not empty: a mix of two states would verify as neither")
        try:
            for path, content in static_files(log, folder):
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                (out / path).write_bytes(content)
        except OSError as error:
            raise UnavailableError(f"{out} cannot be written: {error}") from error
    console.out.print(f"{out}: written")


def verifier(out: Into = None) -> None:
    """Print the second verifier: one file, which needs nothing of this platform."""
    with console.exits():
        _hand_out(_VERIFIER.read_text(encoding="utf-8"), out)
