"""Say what a run would do."""

from collections.abc import Iterable
from typing import Final

from rich.table import Table

from ingest import plan as planning
from ingest import wiring
from ingest.commands import console
from ingest.plan import Estimate, Plan
from ingest.sources import SourceFile
from ingest.sweep import Sweep
from ingest.work import Target
from ragplatform.config import Settings

# So many of a collection's latest runs are looked at, more than a year of nights: most of them find
# nothing new, and say nothing of how long work takes.
_EARLIER: Final = 500


def show(
    settings: Settings,
    where: Target,
    found: list[SourceFile],
    sweep: Sweep | None,
    *,
    as_json: bool,
) -> int:
    """Show what a run would make of every file, and the sum; return the exit code."""
    with wiring.planner(settings, where) as opened:
        return tell(opened, where, found, sweep, as_json=as_json)


def tell(
    opened: wiring.OpenPlanner,
    where: Target,
    found: Iterable[SourceFile],
    sweep: Sweep | None,
    *,
    as_json: bool,
) -> int:
    """Show what an open planner foresees; return the exit code."""
    made = Plan()
    for planned in opened.planner.plan(found, sweep, made):
        if as_json:
            console.line(planned.line())
        elif planned.foreseen is not planning.Foreseen.UNCHANGED:
            reason = f" ({planned.reason})" if planned.reason else ""
            console.out.print(f"{planned.foreseen}: {planned.name}{reason}", markup=False)
    tenant = where.principal.tenant
    earlier = opened.ledger.runs.latest(tenant, where.collection, limit=_EARLIER)
    guess = planning.estimate(made, earlier)
    if as_json:
        console.line({"event": "plan-summary", **made.summary(guess)})
    else:
        _show_sum(made, guess)
    return made.exit_code


def _show_sum(made: Plan, guess: Estimate | None) -> None:
    table = Table(title="Plan", title_justify="left", show_header=False)
    for one in planning.Foreseen:
        if made.counts[one]:
            table.add_row(str(one), str(made.counts[one]))
    table.add_row("to do", f"{made.to_do} documents, {made.bytes:,} bytes")
    if guess is None:
        table.add_row("time", "no earlier run to guess it from")
    else:
        table.add_row("time", f"about {guess.seconds:,.0f} s, by {guess.runs} earlier runs")
    console.show(table)
    if made.refused:
        console.err.print(str(made.refused["detail"]), markup=False)
    console.out.print("nothing was taken in (dry run)")
