"""Commands that ask the audit log by its index, and look after the index."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from ragplatform import openers
from ragplatform.audit import query
from ragplatform.audit.disclosures import six_years_before
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.index import AuditIndex
from ragplatform.audit.index_check import IndexReport, check_index
from ragplatform.audit.index_query import MOST_PER_PAGE, AuditQuery, UnsafeAllTenants, Whose
from ragplatform.audit.layout import tenant_of
from ragplatform.commands import audit_rows, console
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError
from ragplatform.model import Purpose
from ragplatform.reviewing import AuditReader, Listing, logs_in, look_details

T = TypeVar("T")
ALL: Final = UnsafeAllTenants.ALL

index_app = typer.Typer(help="Look after the index over the audit logs.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one line for each row.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")]
Tenant = Annotated[str, typer.Option(help="Whose records.")]
Archive = Annotated[
    Path | None, typer.Option(help="Folder that segments were archived to, to read them from.")
]
Since = Annotated[str | None, typer.Option(help="Earliest time, such as 2026-01-31 (UTC).")]
Until = Annotated[str | None, typer.Option(help="First time that is not wanted.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to those on the audit log."""
    app.command("events")(events)
    app.command("who-saw")(who_saw)
    app.command("about-subject")(about_subject)
    app.command("under-glass")(under_glass)
    app.add_typer(index_app, name="index")


def events(
    folder: Annotated[
        Path | None,
        typer.Argument(help="One log, or a folder of logs, from elsewhere. Default: this one's."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of one tenant.")] = None,
    since: Since = None,
    until: Until = None,
    actor: Annotated[str | None, typer.Option(help="Only by one person or job.")] = None,
    purpose: Annotated[Purpose | None, typer.Option(help="Only for one purpose.")] = None,
    action: Annotated[Action | None, typer.Option(help="Only one kind of act.")] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only what ended so.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only about a person: reference, or raw id with --tenant.")
    ] = None,
    document: Annotated[str | None, typer.Option(help="Only what names a document.")] = None,
    passage: Annotated[str | None, typer.Option(help="Only what names a passage.")] = None,
    policy: Annotated[str | None, typer.Option(help="Only under policies of this digest.")] = None,
    request: Annotated[str | None, typer.Option(help="Only the records of one request.")] = None,
    trace: Annotated[str | None, typer.Option(help="Only the records of one trace.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=MOST_PER_PAGE, help="Most records, the newest.")
    ] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before left off.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the newest records that fit, the newest last, without their sealed parts.

    The cursor of the page of older records is printed on standard error. The look is recorded,
    unless the logs are from elsewhere.
    """
    with console.exits():
        asked = AuditQuery(
            ALL if tenant is None else tenant,
            since=moment_of("since", since),
            until=moment_of("until", until),
            actor=actor,
            purpose=purpose,
            action=action,
            outcome=outcome,
            policy=policy,
            request=request,
            trace=trace,
            passage=passage,
            document=document,
            subject=subject,
        )
        with asking(folder) as logs:
            mine = logs.referring(asked)
            found = logs.reader.events(mine, limit=limit, cursor=cursor)
            logs.record("events", mine, len(found.rows))
    rows = found.rows[::-1]
    if as_json:
        for row in rows:
            console.print_json(audit_rows.event_json(row))
    else:
        console.table(audit_rows.EVENT_COLUMNS, [audit_rows.event_row(row) for row in rows])
    if found.cursor is not None:
        console.err.print(f"older records: --cursor {found.cursor}", markup=False)


def who_saw(
    passage: Annotated[str, typer.Argument(help="The passage's id.")],
    tenant: Tenant,
    since: Since = None,
    until: Until = None,
    withheld: Annotated[bool, typer.Option(help="Also from whom it was kept.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say to whom a passage was shown, oldest first. The look is recorded."""
    with console.exits(), asking(None) as logs:
        asked = AuditQuery(
            tenant,
            since=moment_of("since", since),
            until=moment_of("until", until),
            passage=passage,
            oldest_first=True,
        )
        rows = all_pages(partial(logs.reader.who_saw, asked, withheld=withheld)).rows
        logs.record("who_saw", asked, len(rows))
    audit_rows.print_disclosures(rows, as_json=as_json, as_csv=as_csv)


def about_subject(
    subject: Annotated[str, typer.Argument(help="The person: raw id, or keyed reference s_...")],
    tenant: Tenant,
    since: Annotated[str | None, typer.Option(help="Default: six years ago.")] = None,
    until: Until = None,
    everything: Annotated[
        bool, typer.Option(help="Also consents, relations, denials, erasure.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Account for the disclosures of a person's records (45 CFR 164.528). The look is recorded.

    Says of each when, to whom, what and for which purpose, oldest first.
    """
    with console.exits(), asking(None) as logs:
        asked = logs.referring(
            AuditQuery(
                tenant,
                since=moment_of("since", since) or six_years_before(datetime.now(UTC)),
                until=moment_of("until", until),
                subject=subject,
                oldest_first=True,
            )
        )
        found = all_pages(partial(logs.reader.about_subject, asked, everything=everything))
        logs.record("about_subject", asked, len(found.rows))
    audit_rows.print_disclosures(found.rows, as_json=as_json, as_csv=as_csv)
    if found.unnamed:
        console.err.print(
            f"{found.unnamed} more disclosures are of passages about more people than their "
            "records name: they may be about this person too; see `audit events --subject '*'`",
            markup=False,
        )


def under_glass(
    person: Annotated[str, typer.Argument(help="Id of the person who broke the glass.")],
    tenant: Tenant,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Say what somebody did under broken glasses, from opening to review. The look is recorded."""
    with console.exits(), asking(None) as logs:
        asked = AuditQuery(
            tenant,
            since=moment_of("since", since),
            until=moment_of("until", until),
            glass_of=person,
            oldest_first=True,
        )
        rows = all_pages(partial(logs.reader.under_glass, asked)).rows
        logs.record("under_glass", asked, len(rows))
    if as_json:
        for row in rows:
            console.print_json(audit_rows.glass_json(row))
        return
    console.table(audit_rows.GLASS_COLUMNS, [audit_rows.glass_row(row) for row in rows])


@index_app.command("catch-up")
def catch_up(archive: Archive = None, as_json: AsJson = False) -> None:
    """Take in what the logs hold and the index does not. Queries do so by themselves."""
    with console.exits(), _opened(console.settings()) as (settings, index):
        done = index.catch_up(_logs(settings), archive=archive)
    _print_taken_in(done.records, as_json=as_json)


@index_app.command("rebuild")
def rebuild(archive: Archive = None, as_json: AsJson = False) -> None:
    """Drop what the index holds of this host's logs, and make it anew from them."""
    with console.exits(), _opened(console.settings()) as (settings, index):
        done = index.rebuild(_logs(settings), archive=archive)
    _print_taken_in(done.records, as_json=as_json)


@index_app.command("check")
def check(archive: Archive = None, as_json: AsJson = False) -> None:
    """Verify every log and compare each record with the index. Exit code 1 at a difference."""
    with console.exits(), _opened(console.settings()) as (settings, index):
        reports = [
            check_index(
                index, log, openers.verify_audit(settings, log, archive=archive), archive=archive
            )
            for log in _logs(settings)
        ]
    for report in reports:
        if as_json:
            console.print_json(
                {
                    "origin": report.origin,
                    "ok": report.ok,
                    "records": report.records,
                    "behind": report.behind,
                    "archived": report.archived,
                    "problem": report.problem,
                }
            )
        else:
            console.out.print(_checked(report))
    if not all(report.ok for report in reports):
        raise typer.Exit(console.EXIT_BAD)


class Asking:
    """A reader over this deployment's logs, or over logs from elsewhere without a record."""

    def __init__(self, reader: AuditReader, settings: Settings | None) -> None:
        self.reader = reader
        self._settings = settings

    def referring(self, asked: AuditQuery) -> AuditQuery:
        """Return the query with its subject as a keyed reference."""
        if asked.subject is None or isinstance(asked.tenant, UnsafeAllTenants):
            return asked
        return replace(asked, subject=self.reader.reference(asked.tenant, asked.subject))

    def record(self, what: str, asked: AuditQuery, rows: int) -> None:
        """Record the look before anything of it is printed. Raises ``AuditError``."""
        if self._settings is None:
            return
        tenant = "" if isinstance(asked.tenant, UnsafeAllTenants) else asked.tenant
        # A misspelt name must not read as "nobody saw it", nor begin a log.
        if tenant and not rows:
            own = [log for log in _logs(self._settings) if tenant_of(log.name) == tenant]
            known = own or self.reader.events(AuditQuery(tenant), limit=1, cursor=None).rows
            console.require(bool(known), f"there is no log of a tenant {tenant!r}")
        with openers.open_audit(self._settings, "cli") as log:
            log.append(
                AuditEvent(
                    Action.AUDIT_READ,
                    Outcome.SUCCESS,
                    tenant,
                    console.host_user(),
                    "",
                    None,
                    details=look_details(what, asked, rows),
                )
            )


@contextmanager
def asking(folder: Path | None) -> Iterator[Asking]:
    """Open the index to be asked: over this deployment's logs, or over those in a folder."""
    settings = console.settings()
    if folder is None:
        with _opened(settings) as (_, index):
            console.require(bool(_logs(settings)), f"{settings.audit_dir}: there is no audit log")
            yield Asking(
                AuditReader(
                    index=index,
                    logs=partial(logs_in, settings.audit_dir),
                    subject_ref=partial(openers.subject_ref, settings),
                    most=None,
                ),
                settings,
            )
        return
    with tempfile.TemporaryDirectory() as scratch:
        index = AuditIndex(f"sqlite:///{Path(scratch) / 'index.db'}")
        try:
            reader = AuditReader(
                index=index, logs=partial(_elsewhere, folder), subject_ref=_no_keys, most=None
            )
            yield Asking(reader, None)
        finally:
            index.close()


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Settings, AuditIndex]]:
    index = openers.open_audit_index(settings)
    try:
        yield settings, index
    finally:
        index.close()


def _logs(settings: Settings) -> list[Path]:
    return query.find_logs(settings.audit_dir)


def _elsewhere(folder: Path, _: Whose) -> dict[str, Path]:
    logs = [folder] if (folder / "key.pub").is_file() else query.find_logs(folder)
    console.require(bool(logs), f"{folder}: there is no audit log")
    return {query.origin_of(log): log for log in logs}


def _no_keys(tenant: str, raw_id: str) -> str:
    raise ConfigurationError("a person of another deployment is asked for by reference, s_...")


def moment_of(name: str, text: str | None) -> datetime | None:
    """Return the time that an option gives, UTC by default. Raises ``ConfigurationError``."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"--{name}: wanted a time, such as 2026-01-31T08:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def all_pages(page: Callable[..., Listing[T]]) -> Listing[T]:
    """Return all pages as one."""
    first = page(limit=MOST_PER_PAGE, cursor=None)
    rows, cursor = list(first.rows), first.cursor
    while cursor is not None:
        after = page(limit=MOST_PER_PAGE, cursor=cursor)
        rows += after.rows
        cursor = after.cursor
    return replace(first, rows=tuple(rows), cursor=None)


def _print_taken_in(records: int, *, as_json: bool) -> None:
    if as_json:
        console.print_json({"records": records})
    else:
        console.out.print(f"{records:,} records taken in")


def _checked(report: IndexReport) -> str:
    verdict = f"{console.mark(report.ok)} {report.origin}: "
    if not report.ok:
        return f"{verdict}{report.problem}"
    behind = f", {report.behind} not taken in yet" if report.behind else ""
    away = f", {report.archived} archived and not compared" if report.archived else ""
    return f"{verdict}{report.records} records are as the log has them{behind}{away}"
