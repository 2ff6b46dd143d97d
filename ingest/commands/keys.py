"""Retire keys that nothing is kept under."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ingest import life_wiring
from ingest.commands import console


def retire_keys(
    tenant: console.Tenant,
    after_hours: Annotated[
        float, typer.Option(min=0, help="Only those of which that was seen so long ago.")
    ] = 24.0,
    dry_run: Annotated[bool, typer.Option(help="Say how many would go.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Destroy the keys, and the values, of people of whom no document is here any more.

    The first call only notes which those are; a later one destroys what is so still, and was not
    used between. People on legal hold keep theirs. For the scheduler, once a day.
    """
    with console.exits(), life_wiring.orphan_keys(console.settings(), tenant) as keys:
        after = timedelta(hours=after_hours)
        done = keys.retire(now=datetime.now(UTC), after=after, dry_run=dry_run)
    if as_json:
        console.line({"event": "keys_retired", "dry_run": dry_run, **done.summary()})
    else:
        word = "would be retired" if dry_run else "retired"
        console.out.print(f"{word}: {done.keys} keys, {done.values} values")
