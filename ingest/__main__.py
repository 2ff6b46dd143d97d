"""The command line of batch ingest. Exit codes are in docs/ingest.md."""

import typer

from ingest.commands import again, forget, plan, run, scan, sources, status

app = typer.Typer(
    help="Take documents in, see what is there, and forget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("plan")(plan.plan)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("runs")(status.runs)
app.command("resume")(again.resume)
app.command("retry")(again.retry)
app.command("cancel")(status.cancel)
app.command("scan")(scan.scan)
app.command("forget")(forget.forget)
app.add_typer(sources.app, name="sources")

if __name__ == "__main__":
    app()
