"""See what was put aside, and decide about it. Policy decides by your key."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer
from rich.table import Table

from ingest import quarantine_wiring
from ingest.aside import Item, ItemState
from ingest.aside_wiring import quarantine_rules
from ingest.commands import console
from ingest.commands.relabel import changes
from ingest.quarantine import Quarantine, Shown
from ingest.quarantine_rules import RULES_FILE, RuleAct
from ingest.report import FileResult, FileState
from ragplatform import identities
from ragplatform.access.desk import Caller
from ragplatform.errors import ConfigurationError
from ragplatform.model import Json, Purpose

KEY_VARIABLE: Final = "RAGPLATFORM_API_KEY"
_CHARACTERS: Final = 2000

app = typer.Typer(
    help="See what was put aside, and decide about it. Your key: RAGPLATFORM_API_KEY.",
    no_args_is_help=True,
)
Document = Annotated[str, typer.Argument(help="Id of the document, or how it begins.")]
Reason = Annotated[str, typer.Option(help="Why you act, for a reviewer; sealed in the record.")]
Why = Annotated[Purpose, typer.Option(help="Purpose for which you act.")]
Word = Annotated[str | None, typer.Option("--only", help="Only what is here for this reason.")]
Within = Annotated[str | None, typer.Option("--collection", help="Only this collection.")]


@app.command("list")
def list_items(
    collection: Within = None,
    only: Word = None,
    state: Annotated[ItemState | None, typer.Option(help="Only what is in this state.")] = None,
    purpose: Why = Purpose.COMPLIANCE,
    as_json: console.AsJson = False,
) -> None:
    """List what was put aside, the oldest first. Exit code 1: something waits for a decision."""
    with console.exits(), _desk(purpose) as (desk, caller):
        found = desk.items(caller, collection=collection, reason=only, state=state)
    if as_json:
        for item in found:
            console.line({"event": "item", **_item(item)})
    else:
        table = Table("document", "collection", "reason", "since", "bytes", "state")
        for item in found:
            since = item.since.isoformat(timespec="seconds")
            size = f"{item.size:,}" if item.kept else f"{item.size:,} (not kept)"
            row = (item.document, item.collection, item.reason, since, size, _standing(item))
            table.add_row(*row)
        if found:
            console.show(table)
        else:
            console.out.print("nothing is put aside")
    waiting = any(one.state is not ItemState.REJECTED for one in found)
    raise typer.Exit(1 if waiting else 0)


@app.command("show")
def show(
    document: Document,
    characters: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Most of its masked text.")
    ] = _CHARACTERS,
    purpose: Why = Purpose.COMPLIANCE,
    as_json: console.AsJson = False,
) -> None:
    """Show why a document is here, and its text with everything found in it masked."""
    with console.exits(), _desk(purpose) as (desk, caller):
        shown = desk.show(caller, document, characters=characters)
    if as_json:
        console.line({"event": "shown", **_shown(shown)})
        return
    for name, value in _shown(shown).items():
        if name != "text":
            console.out.print(f"{name}: {value}", markup=False)
    if shown.text is None:
        console.out.print("no text: it could not be read, or was not kept", markup=False)
    else:
        console.out.print(shown.text, markup=False)


@app.command("release")
def release(
    document: Document,
    reason: Reason,
    purpose: Why = Purpose.COMPLIANCE,
    as_json: console.AsJson = False,
) -> None:
    """Ask that a document be let in. A second person approves it; until then it stays out."""
    with console.exits(), _desk(purpose) as (desk, caller):
        item = desk.release(caller, document, reason)
    _tell({"event": "release_asked", **_item(item)}, f"asked: {_standing(item)}", as_json)


@app.command("approve")
def approve(
    document: Document,
    reason: Reason,
    purpose: Why = Purpose.COMPLIANCE,
    as_json: console.AsJson = False,
) -> None:
    """Agree to a release that somebody else asked for, and take the document in."""
    with console.exits(), _desk(purpose) as (desk, caller):
        results = desk.approve(caller, document, reason)
    _end(results, as_json)


@app.command("relabel")
def relabel(
    document: Document,
    label: Annotated[
        list[str],
        typer.Option(
            help="sensitivity=, department=, restriction=, retain_until=, state=; repeatable. "
            "An empty restriction= removes all."
        ),
    ],
    reason: Reason,
    purpose: Why = Purpose.COMPLIANCE,
    as_json: console.AsJson = False,
) -> None:
    """Give a document other labels, which outlive those of its source, and try it again."""
    with console.exits():
        wanted = changes(label)
        with _desk(purpose) as (desk, caller):
            results = desk.relabel(caller, document, wanted, reason)
    _end(results, as_json)


@app.command("reject")
def reject(
    document: Document,
    reason: Reason,
    purpose: Why = Purpose.COMPLIANCE,
    as_json: console.AsJson = False,
) -> None:
    """Destroy a document's bytes here; the same bytes are not put aside again."""
    with console.exits(), _desk(purpose) as (desk, caller):
        desk.reject(caller, document, reason)
    _tell({"event": "rejected", "document": document}, "rejected", as_json)


@app.command("retry")
def retry(
    document: Annotated[
        str | None, typer.Argument(help="Id of one document, or how it begins.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that match.")] = False,
    only: Word = None,
    collection: Within = None,
    purpose: Why = Purpose.COMPLIANCE,
    as_json: console.AsJson = False,
) -> None:
    """Take documents through the gates again, from the bytes that are kept: after an upgrade."""
    with console.exits():
        chosen = [document is not None, every or only is not None or collection is not None]
        if sum(chosen) != 1:
            raise ConfigurationError("give one document, or --all, --only or --collection")
        with _desk(purpose) as (desk, caller):
            results = desk.retry(caller, document=document, reason=only, collection=collection)
    _end(results, as_json)


@app.command("rule")
def rule(
    document: Document,
    name: Annotated[str, typer.Option("--id", help="Id of the rule.")],
    act: Annotated[RuleAct, typer.Option("--do", help="What it does with such documents.")],
    match: Annotated[str, typer.Option(help="Glob of names below the source, such as logs/*.txt.")],
    reason: Reason,
    purpose: Why = Purpose.COMPLIANCE,
) -> None:
    """Write the rule that decides as this document was decided, for a second person to approve.

    It goes to standard output and is not in force: who approves it writes their name into it, and
    it into quarantine.toml in the folder of policies.
    """
    with console.exits(), _desk(purpose) as (desk, caller):
        text = desk.propose_rule(
            caller, document, identity=name, act=act, match=match, because=reason
        )
    console.out.print(text, markup=False, end="")


@app.command("rules")
def rules(as_json: console.AsJson = False) -> None:
    """Check the rules of quarantine.toml, and list them. Exit code 1: one is no more in force."""
    with console.exits():
        settings = console.settings()
        found = quarantine_rules(settings)
    over = 0
    for one in found.all:
        live = found.in_force(one)
        over += not live
        row: dict[str, Json] = {
            "id": one.id,
            "collection": one.collection,
            "reason": one.reason,
            "match": one.match,
            "do": str(one.act),
            "by": one.by,
            "approved_by": one.approved_by,
            "until": one.until.isoformat(),
            "in_force": live,
        }
        if as_json:
            console.line({"event": "rule", **row})
        else:
            console.out.print(" ".join(f"{k}={v}" for k, v in row.items()), markup=False)
    if not as_json:
        console.out.print(f"{RULES_FILE}: {len(found.all)} rules, {over} over")
    raise typer.Exit(1 if over else 0)


@contextmanager
def _desk(purpose: Purpose) -> Iterator[tuple[Quarantine, Caller]]:
    settings = console.settings()
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        raise ConfigurationError(f"set {KEY_VARIABLE} to your key")
    principal = identities.authenticate(settings, key)
    with quarantine_wiring.quarantine(settings) as desk:
        yield desk, Caller(principal, purpose, uuid.uuid4().hex)


def _item(item: Item) -> dict[str, Json]:
    until = item.asked_until
    return {
        "document": item.document,
        "collection": item.collection,
        "reason": item.reason,
        "since": item.since.isoformat(),
        "size": item.size,
        "kept": item.kept,
        "run": item.run,
        "put_by": item.put_by,
        "state": str(item.state),
        "asked_by": item.asked_by,
        "asked_until": None if until is None else until.isoformat(),
        "decided_by": item.decided_by,
    }


def _shown(shown: Shown) -> dict[str, Json]:
    labels = shown.item.labels
    return {
        **_item(shown.item),
        "name": shown.name,
        "detail": shown.detail,
        "sensitivity": labels.sensitivity.name.lower(),
        "department": labels.department,
        "restrictions": sorted(labels.restrictions),
        "asked_why": shown.asked_why,
        "held_by": sorted(shown.held_by),
        "found": dict(shown.found),
        "characters": shown.characters,
        "text": shown.text,
    }


def _standing(item: Item) -> str:
    if item.state is ItemState.ASKED and item.asked_until is not None:
        until = item.asked_until.isoformat(timespec="minutes")
        return f"release asked by {item.asked_by}, to be approved until {until}"
    if item.state is ItemState.REJECTED:
        return f"rejected by {item.decided_by}"
    return str(item.state)


def _tell(line: dict[str, Json], text: str, as_json: bool) -> None:  # an option
    if as_json:
        console.line(line)
    else:
        console.out.print(text, markup=False)


def _end(results: list[FileResult], as_json: bool) -> None:  # an option
    """Show what became of each, and end with the code that a run ends with."""
    for one in results:
        line: dict[str, Json] = {"event": "file", "state": str(one.state), "reason": one.reason}
        if one.state is FileState.INDEXED:
            line |= {"document": one.document, "chunks": one.chunks}
        text = f"{one.state}: {one.document or one.reason}"
        _tell(line, text, as_json)
    failed = any(one.state is FileState.FAILED for one in results)
    kept_out = any(one.state is FileState.QUARANTINED for one in results)
    raise typer.Exit(2 if failed else int(kept_out))
