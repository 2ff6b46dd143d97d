"""Commands on who is related to whom and who consents to what. Policy decides by your key."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ragplatform import identities, wiring
from ragplatform.access.desk import AccessDesk, Caller
from ragplatform.access.feed_file import read_feed
from ragplatform.commands import console
from ragplatform.commands.ask import KEY_VARIABLE
from ragplatform.model import Consent, Purpose

app = typer.Typer(
    help="Say who is related to whom and who consents to what. Your key: RAGPLATFORM_API_KEY.",
    no_args_is_help=True,
)
Why = Annotated[Purpose, typer.Option(help="Why you act.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("import")
def import_feed(
    file: Annotated[Path, typer.Argument(help="CSV: principal,subject,starts,ends.")],
    feed: Annotated[str, typer.Option(help="Name of the system that it comes from.")],
    max_age_hours: Annotated[
        float | None, typer.Option(min=0.01, help="Older than this, the feed counts for nothing.")
    ] = None,
    purpose: Why = Purpose.HOPERAT,
    dry_run: Annotated[bool, typer.Option(help="Check the file and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put the relations of a file in place of all that this feed said before, at once.

    One wrong line refuses the whole file. It holds for the next question.
    """
    with console.exits():
        relations = read_feed(file)
        if not dry_run:
            age = None if max_age_hours is None else int(max_age_hours * 3600)
            with _desk(purpose) as (desk, caller):
                desk.replace_feed(caller, feed, relations, age)
    if as_json:
        console.print_json({"feed": feed, "relations": len(relations), "dry_run": dry_run})
    else:
        done = "would hold" if dry_run else "holds"
        console.out.print(f"{feed} {done} {len(relations):,} relations", markup=False)


@app.command("feeds")
def feeds(purpose: Why = Purpose.HOPERAT, as_json: AsJson = False) -> None:
    """List where relations come from, how many, and how fresh they are."""
    with console.exits(), _desk(purpose) as (desk, caller):
        found = desk.feeds(caller)
    if as_json:
        for one in found:
            console.print_json(
                {
                    "feed": one.name,
                    "relations": one.relations,
                    "refreshed": one.refreshed.isoformat(),
                    "max_age_s": one.max_age_s,
                }
            )
        return
    rows = [
        [
            one.name,
            f"{one.relations:,}",
            one.refreshed.isoformat(timespec="seconds"),
            "-" if one.max_age_s is None else f"{one.max_age_s / 3600:g} h",
        ]
        for one in found
    ]
    console.table(["feed", "relations", "refreshed", "counts for"], rows)


@app.command("consent")
def consent(
    subject: Annotated[str, typer.Argument(help="Raw id, such as mrn:MH-204518.")],
    about: Annotated[Purpose, typer.Argument(help="The purpose that the subject speaks of.")],
    word: Annotated[Consent, typer.Argument(help="silent takes back what was said.")],
    starts: Annotated[datetime | None, typer.Option(help="Default: now.")] = None,
    ends: Annotated[datetime | None, typer.Option(help="Default: until taken back.")] = None,
    purpose: Why = Purpose.HOPERAT,
) -> None:
    """Keep what a patient or client says of a purpose. It holds for the next question.

    Times are those of this machine's own zone.
    """
    with console.exits(), _desk(purpose) as (desk, caller):
        begins, until = (None if one is None else one.astimezone() for one in (starts, ends))
        entry = desk.set_consent(caller, subject, about, word, begins, until)
    end = "" if entry.ends is None else f" until {entry.ends.isoformat(timespec='seconds')}"
    console.out.print(
        f"{word} for {about} from {entry.starts.isoformat(timespec='seconds')}{end}", markup=False
    )


@contextmanager
def _desk(purpose: Purpose) -> Iterator[tuple[AccessDesk, Caller]]:
    settings = console.settings()
    key = os.environ.get(KEY_VARIABLE, "")
    console.require(bool(key), f"set {KEY_VARIABLE} to your key")
    principal = identities.authenticate(settings, key)
    with wiring.opened_desk(settings) as desk:
        yield desk, Caller(principal, purpose, uuid.uuid4().hex)
