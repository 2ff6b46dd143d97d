"""What people said of answers, for who holds the logs."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.index_query import MOST_PER_PAGE, AuditQuery
from ragplatform.audit.record import stamp
from ragplatform.commands import console
from ragplatform.commands.audit_index import (
    AsJson,
    Since,
    Tenant,
    Until,
    all_pages,
    asking,
    moment_of,
)
from ragplatform.feedback import Given, Rating, counts_of, given_in
from ragplatform.model import Json

app = typer.Typer(help="What people said of the answers they got.", no_args_is_help=True)


@app.command("list")
def list_(
    tenant: Tenant,
    since: Since = None,
    until: Until = None,
    rating: Annotated[Rating | None, typer.Option(help="Only those rated so.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=MOST_PER_PAGE, help="Most opinions, the newest.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """List the newest opinions, the newest last. Comments stay sealed. The look is recorded.

    `audit unseal ORIGIN INDEX` opens a comment, for a reason.
    """
    with console.exits():
        found = [one for one in _found(tenant, since, until) if rating in (None, one.rating)]
    rows = found[:limit][::-1]
    if as_json:
        for one in rows:
            console.print_json(_json(one))
        return
    columns = ("time", "who", "request", "rating", "reasons", "comment")
    console.table(columns, [_row(one) for one in rows])


@app.command("counts")
def counts(
    tenant: Tenant, since: Since = None, until: Until = None, as_json: AsJson = False
) -> None:
    """Count how many requests were rated how, and why. The look is recorded."""
    with console.exits():
        found = counts_of(_found(tenant, since, until), complete=True)
    if as_json:
        console.print_json(
            {
                "requests": found.requests,
                "ratings": dict(found.ratings),
                "reasons": dict(found.reasons),
            }
        )
        return
    told = [*found.ratings.items(), *(("reason: " + k, n) for k, n in found.reasons.items())]
    console.table(("what", "requests"), [(name, str(count)) for name, count in told])


def _found(tenant: str, since: str | None, until: str | None) -> list[Given]:
    """Return all opinions, the newest first, with the look on record."""
    asked = AuditQuery(
        tenant,
        since=moment_of("since", since),
        until=moment_of("until", until),
        action=Action.FEEDBACK_GIVEN,
        outcome=Outcome.SUCCESS,
    )
    with asking(None) as logs:
        rows = all_pages(partial(logs.reader.events, asked)).rows
        logs.record("feedback", asked, len(rows))
    return list(given_in(rows))


def _json(one: Given) -> Json:
    return {**asdict(one), "time": stamp(one.time), "reasons": list(one.reasons)}


def _row(one: Given) -> tuple[str, ...]:
    sealed = f"{one.origin} {one.index}" if one.commented else ""
    return (stamp(one.time), one.actor, one.about, one.rating, ", ".join(one.reasons), sealed)
