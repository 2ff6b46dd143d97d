"""Commands that take the audit log out of the house: exports and evidence packages."""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.progress import Progress

from ragplatform import openers
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.export.formats import WRITERS, Format
from ragplatform.audit.export.selection import Entry, Selection, entries, logs_of
from ragplatform.audit.export.writing import Export, private_file
from ragplatform.audit.layout import tenant_of, tenant_origin
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.query import first_index, newest_checkpoint, read
from ragplatform.commands import console
from ragplatform.commands.audit import Archive
from ragplatform.errors import ConfigurationError, UnavailableError
from ragplatform.model import Json

Tenant = Annotated[str | None, typer.Option(help="Only the records of one tenant.")]
Origin = Annotated[str | None, typer.Option(help="Only one log, such as api.mercy.")]
Since = Annotated[str | None, typer.Option(help="Only of this time or later, as 2026-11-26T08:00.")]
Until = Annotated[str | None, typer.Option(help="Only of before this time; default: now.")]
Actions = Annotated[list[Action] | None, typer.Option("--action", help="Only these kinds of act.")]
Request = Annotated[str | None, typer.Option(help="Only the records of one request.")]


def export(
    form: Annotated[Format, typer.Argument(metavar="FORMAT", help="In which format.")],
    out: Annotated[Path | None, typer.Option(help="A new file; default: standard output.")] = None,
    tenant: Tenant = None,
    origin: Origin = None,
    since: Since = None,
    until: Until = None,
    action: Actions = None,
    request: Request = None,
    archive: Archive = None,
) -> None:
    """Write records in the format of a SIEM, a hospital or a spreadsheet.

    That it begins is recorded first, and afterwards how many records left and their SHA-256.
    Sealed parts stay sealed. Times without a zone are UTC.
    """
    with console.exits():
        settings = console.settings()
        selection = replace(
            selected(tenant, origin, since, until, action, request), archive=archive
        )
        logs = _logs(settings.audit_dir, selection)
        act: dict[str, Json] = {"format": str(form), **selection.said()}
        with openers.open_audit(settings, "cli") as audit:
            tell(audit, selection, logs, act, begins=True)
            with _output(out) as file:
                found = _shown(entries(logs, selection), logs, quiet=out is None)
                made = Export((entry.record for entry in found), WRITERS[form])
                file.writelines(made.blocks())
                file.flush()
                done = made.done
                ended: dict[str, Json] = {"records": done.records, "sha256": done.sha256}
                tell(audit, selection, logs, act | ended, begins=False)
    _warn(logs, archive)
    if out is not None:
        console.out.print(f"{out}: {done.records:,} records, sha256 {done.sha256}", markup=False)


def package(
    out: Annotated[Path, typer.Option(help="A new file, such as evidence.zip.")],
    tenant: Tenant = None,
    origin: Origin = None,
    since: Since = None,
    until: Until = None,
    action: Actions = None,
    request: Request = None,
    archive: Archive = None,
) -> None:
    """Make a zip that an auditor checks offline: records, proofs, checkpoints, policies, keys.

    That it begins is recorded first, and afterwards how many records left and the zip's SHA-256.
    """
    with console.exits():
        settings = console.settings()
        selection = replace(
            selected(tenant, origin, since, until, action, request), archive=archive
        )
        logs = _logs(settings.audit_dir, selection)
        act: dict[str, Json] = {"format": "package", **selection.said()}
        with openers.open_audit(settings, "cli") as audit:
            tell(audit, selection, logs, act, begins=True)
            signed_by = tenant_origin(audit.process, tenant) if tenant else audit.process
            with _output(out) as file:
                done = openers.package_maker(settings).make(
                    file,
                    logs,
                    selection,
                    signed_by=signed_by,
                    watch=lambda found: _shown(found, logs, quiet=False),
                )
                file.flush()
                with out.open("rb") as made:
                    digest = hashlib.file_digest(made, "sha256").hexdigest()
                ended: dict[str, Json] = {"records": done.records, "sha256": digest}
                tell(audit, selection, logs, act | ended, begins=False)
    console.out.print(f"{out}: {done.records:,} records, sha256 {digest}", markup=False)
    _warn(logs, archive)
    for lost in done.lost:
        console.err.print(f"no copy was kept of the policies {lost}", markup=False)


def selected(
    tenant: str | None,
    origin: str | None,
    since: str | None,
    until: str | None,
    actions: Sequence[Action] | None,
    request: str | None,
) -> Selection:
    """Return what the options of a command ask for. Raises ``ConfigurationError``."""
    now = datetime.now(UTC)
    end = _moment("--until", until) if until else now
    return Selection(
        until=min(end, now),
        since=_moment("--since", since) if since else None,
        tenant=tenant,
        origin=origin,
        request_id=request,
        actions=frozenset(actions or ()),
    )


def _logs(folder: Path, selection: Selection) -> list[Path]:
    """Return the logs to take records from. A misspelt tenant is an error and begins no log."""
    logs = logs_of(folder, selection)
    tenant = selection.tenant
    if tenant is not None and not any(tenant_of(log.name) == tenant for log in logs):
        # Logs from before tenants had their own hold records of all.
        mixed = any(read(log, tenant=tenant, limit=1) for log in logs)
        console.require(mixed, f"there is no log of a tenant {tenant!r}")
    return logs


def tell(
    audit: TenantLogs,
    selection: Selection,
    logs: Sequence[Path],
    details: Mapping[str, Json],
    *,
    begins: bool,
) -> None:
    """Record an export in the log of everyone whose records leave.

    Raises ``AuditError`` when one cannot be recorded: then nothing may leave.
    """
    whose = {tenant_of(log.name) for log in logs} if selection.tenant is None else set[str]()
    for tenant in sorted(whose | {selection.tenant or ""}):
        stage = "begun" if begins else "done"
        audit.append(
            AuditEvent(
                Action.EXPORTED,
                Outcome.SUCCESS,
                tenant,
                console.host_user(),
                "",
                details={"stage": stage, **details},
            )
        )


@contextmanager
def _output(out: Path | None) -> Iterator[BinaryIO]:
    """Open the new file, or standard output; a disk that is full or a closed pipe is an error."""
    try:
        if out is None:
            yield sys.stdout.buffer
            return
        with private_file(out) as file:
            yield file
    except OSError as error:
        where = out or "standard output"
        raise UnavailableError(f"{where} takes no more: {error.strerror}") from error


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{option}: wanted a time such as 2026-11-26T08:00, or one with its zone"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _warn(logs: Sequence[Path], archive: Path | None) -> None:
    for log in logs:
        if count := first_index(log, archive):
            console.err.print(
                f"{log.name}: its first {count:,} records are archived and were not looked at "
                "(give --archive)"
            )


def _shown(found: Iterable[Entry], logs: Sequence[Path], *, quiet: bool) -> Iterator[Entry]:
    """Yield the entries, with a bar for each log on the way when a person watches."""
    with Progress(
        console=console.err, transient=True, disable=quiet or not console.err.is_terminal
    ) as bar:
        tasks = {log.name: bar.add_task(log.name, total=_size(log)) for log in logs}
        for entry in found:
            record = entry.record
            # Drawing costs more than writing a record.
            if record.index % 256 == 0 and record.origin in tasks:
                bar.update(tasks[record.origin], completed=record.index)
            yield entry


def _size(log: Path) -> int:
    return int(newest_checkpoint(log).split("\n", 2)[1])
