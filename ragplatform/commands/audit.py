"""Commands on the audit log."""

import getpass
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ragplatform import openers, witnessing
from ragplatform.audit import query
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.verify import VerifyReport, held_checkpoints, missing, verify
from ragplatform.audit.witness_notes import Note, parse_key, parse_note
from ragplatform.commands import console
from ragplatform.errors import TamperedError, UnavailableError

app = typer.Typer(help="Read and verify the audit log.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Argument(help="One log, or a folder of logs. Default: those of this deployment."),
]
Archive = Annotated[
    Path | None, typer.Option("--archive", help="Folder that segments were archived to.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _logs(folder: Path | None) -> list[Path]:
    settings = console.settings()
    parent = folder or settings.audit_dir
    if (parent / "key.pub").is_file():
        return [parent]
    found = query.find_logs(parent) if parent.is_dir() else []
    console.require(bool(found), f"{parent}: there is no audit log")
    return found


def _verified(
    folder: Path | None,
    held: Mapping[str, str],
    archive: Path | None,
    progress: Callable[[int], None],
) -> list[tuple[Path, VerifyReport]]:
    """Verify with this deployment's keys; logs from elsewhere with the key beside each.

    Of a folder of logs, those that are known by a held checkpoint alone are reported too.
    """
    reports = []
    logs = {log: log.name if folder is None else _origin(log) for log in _logs(folder)}
    for log, origin in logs.items():
        checkpoint = held.get(origin)
        if folder is None:
            report = openers.verify_audit(
                console.settings(), log, checkpoint, archive=archive, progress=progress
            )
        else:
            report = verify(
                log,
                public_key=None,
                held_checkpoint=checkpoint,
                archive=archive,
                progress=progress,
            )
        reports.append((log, report))
    if folder in logs:
        known = not held or held.keys() >= set(logs.values())
        console.require(known, f"{folder}: no checkpoint of this log is among those held")
        return reports
    parent = folder or console.settings().audit_dir
    gone = sorted(held.keys() - set(logs.values()))
    return reports + [(parent / origin, missing(origin)) for origin in gone]


def _kept(
    folder: Path | None, held: Path | None, witness: str | None, key: str | None
) -> Mapping[str, Sequence[Note]]:
    """Return the checkpoints of each log that are kept in a file or by a witness, largest first.

    What a witness holds and did not sign is as bad as an altered log: exit code 1.
    """
    console.require(not (held and witness), "give --from-checkpoint or --witness, not both")
    settings = console.settings()
    trusted = parse_key(key) if key else None
    try:
        if witness:
            trusted = trusted or witnessing.cosigner_at(settings, witness)
            origins = [_origin(log) for log in _logs(folder)]
            found = witnessing.held_elsewhere(settings, witness, trusted, origins)
            console.require(bool(found), f"{witness} holds no checkpoint, so it shows nothing")
            return found
        text = held.read_text(encoding="utf-8") if held else ""
        notes = [parse_note(note) for note in held_checkpoints(text).values()] if held else []
        return witnessing.trusted(str(held), notes, trusted)
    except TamperedError as error:
        console.err.print(f"{console.mark(False)} {witness or held}: ", end="")
        console.err.print(str(error), markup=False)
        raise typer.Exit(console.EXIT_BAD) from error


def _bytes_of(folder: Path | None) -> int:
    logs = _logs(folder)
    return sum(path.stat().st_size for log in logs for path in log.glob("segment-*"))


def _origin(log: Path) -> str:
    try:
        return query.origin_of(log)
    except TamperedError:
        # The verifier will say so.
        return log.name


def _plain(log: Path, report: VerifyReport) -> str:
    verdict = console.mark(report.ok)
    if report.ok:
        unread = sum(count for _, count in report.archived)
        left = f", {unread} of them archived and not read (give --archive)" if unread else ""
        return f"{verdict} {log}: {report.records} records{left}, root {report.root}"
    at = "" if report.first_bad is None else f"first bad record {report.first_bad}: "
    return f"{verdict} {log}: {at}{report.problem} ({report.records} records good before it)"


@app.command("verify")
def verify_logs(
    folder: Folder = None,
    held: Annotated[
        Path | None,
        typer.Option("--from-checkpoint", help="Checkpoints kept elsewhere; finds roll-back."),
    ] = None,
    witness: Annotated[
        str | None,
        typer.Option(help="Folder or URL of a witness; what it holds finds roll-back and forks."),
    ] = None,
    witness_key: Annotated[
        str | None,
        typer.Option(help="Verifier key that must have cosigned. Default: the URL's, if set."),
    ] = None,
    archive: Archive = None,
    as_json: AsJson = False,
) -> None:
    """Check every record of every log. Exit code 0: good, 1: altered, 2: unreadable."""
    with console.exits():
        try:
            history = _kept(folder, held, witness, witness_key)
            kept = {origin: str(notes[0]) for origin, notes in history.items()}
            with console.progress("verifying", _bytes_of(folder)) as advance:
                reports = [
                    (log, witnessing.compared(log, report, history))
                    for log, report in _verified(folder, kept, archive, advance)
                ]
        except (OSError, UnicodeDecodeError) as error:
            raise UnavailableError(f"cannot be read: {error}") from error
    for log, report in reports:
        if as_json:
            console.print_json(
                {
                    "log": str(log),
                    "ok": report.ok,
                    "origin": report.origin,
                    "records": report.records,
                    "checkpoints": report.checkpoints,
                    "root": report.root,
                    "first_bad": report.first_bad,
                    "problem": report.problem,
                    "archived": [list(run) for run in report.archived],
                }
            )
        else:
            console.out.print(_plain(log, report))
    if not all(report.ok for _, report in reports):
        raise typer.Exit(console.EXIT_BAD)


@app.command("checkpoint")
def checkpoint(folder: Folder = None) -> None:
    """Print each log's newest signed checkpoint, to be kept outside this host."""
    with console.exits():
        for log in _logs(folder):
            console.out.print(query.newest_checkpoint(log), markup=False)


@app.command("unseal")
def unseal_record(
    origin: Annotated[str, typer.Argument(help="The log's origin, such as api.mercy.")],
    index: Annotated[int, typer.Argument(min=0, help="The record's index.")],
    reason: Annotated[str, typer.Option(help="Why you look; it is recorded.")],
    as_json: AsJson = False,
) -> None:
    """Open the sealed parts of one record. The look and its reason are recorded first."""
    with console.exits():
        settings = console.settings()
        console.require(bool(reason.strip()), "--reason must say why you look")
        logs = [log for log in query.find_logs(settings.audit_dir) if log.name == origin]
        records = [record for log in logs for record in query.read(log, since=index, limit=1)]
        found = bool(records) and records[0].index == index
        console.require(found, f"{origin}/{index}: no such record")
        with openers.open_audit(settings, "cli") as log:
            log.append(
                AuditEvent(
                    Action.UNSEALED,
                    Outcome.SUCCESS,
                    records[0].tenant,
                    f"host user {getpass.getuser()}"[:64],
                    records[0].request_id,
                    None,
                    details={"origin": origin, "index": index},
                    sealed={"reason": reason},
                )
            )
        parts = openers.unsealed(settings, records[0])
    if as_json:
        console.print_json(dict(parts))
        return
    for name, text in parts.items():
        console.out.print(f"[bold]{name}[/bold]: ", end="")
        console.out.print(text, markup=False)
