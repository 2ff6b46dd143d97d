"""The command line of batch ingest. Exit codes are in docs/ingest.md."""

import typer

from ingest.commands import (
    again,
    certificate,
    forget,
    hold,
    keys,
    plan,
    quarantine,
    rebuild,
    reindex,
    relabel,
    replay,
    report,
    retention,
    run,
    scan,
    sources,
    status,
    worker,
)

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
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(hold.app, name="hold")
app.add_typer(certificate.app, name="certificate")
app.add_typer(retention.app, name="retention")
app.add_typer(report.app, name="report")
app.command("relabel")(relabel.relabel)
app.command("worker")(worker.worker)
app.add_typer(sources.app, name="sources")
app.command("rebuild")(rebuild.rebuild)
app.command("check")(rebuild.check)
app.command("reindex")(reindex.reindex)
app.command("replay-erasures")(replay.replay_erasures)
app.command("editions")(reindex.editions)
app.command("retire-keys")(keys.retire_keys)

if __name__ == "__main__":
    app()
