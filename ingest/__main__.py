"""The command line of batch ingest. Exit codes of a run: 0 all in, 1 some quarantined, 2 failed."""

import typer

from ingest.commands import forget, rebuild, reindex, replay, run, scan, sources, status, worker

app = typer.Typer(
    help="Take documents in, see what is there, and forget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("runs")(status.runs)
app.command("cancel")(status.cancel)
app.command("scan")(scan.scan)
app.command("forget")(forget.forget)
app.command("rebuild")(rebuild.rebuild)
app.command("check")(rebuild.check)
app.command("reindex")(reindex.reindex)
app.command("replay-erasures")(replay.replay_erasures)
app.command("editions")(reindex.editions)
app.command("worker")(worker.worker)
app.add_typer(sources.app, name="sources")

if __name__ == "__main__":
    app()
