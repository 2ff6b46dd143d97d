"""The command line of the platform."""

from typing import Annotated

import typer

from ragplatform import __version__, identities
from ragplatform.commands import (
    access,
    ask,
    audit,
    audit_core,
    audit_export,
    audit_forward,
    audit_index,
    audit_vocabulary,
    audit_witness,
    backup,
    console,
    db,
    doctor,
    evaluate,
    feedback,
    keys,
    mcp,
    models,
    patterns,
    policy,
    privacy,
    privacy_report,
    serve,
    vault,
)

app = typer.Typer(
    help="Questions to your own regulated documents, answered inside your network.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("ask")(ask.ask)
app.command("eval")(evaluate.evaluate)
app.command("eval-compare")(evaluate.compare_runs)
app.command("mcp")(mcp.mcp)
app.command("doctor")(doctor.doctor)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
audit_core.add_commands(audit.app)
audit_index.add_commands(audit.app)
audit.app.command("export")(audit_export.export)
audit.app.command("package")(audit_export.package)
audit.app.add_typer(audit_witness.app, name="witness")
audit.app.add_typer(audit_forward.app, name="forward")
audit.app.command("vocabulary")(audit_vocabulary.vocabulary)
app.add_typer(audit.app, name="audit")
app.add_typer(policy.app, name="policy")
app.add_typer(access.app, name="access")
app.add_typer(feedback.app, name="feedback")
privacy.app.add_typer(patterns.app, name="patterns")
privacy.app.command("report")(privacy_report.report)
app.add_typer(privacy.app, name="privacy")
app.add_typer(vault.app, name="vault")
app.add_typer(db.app, name="db")
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")


@app.command("init")
def init() -> None:
    """Make the master secret of a new deployment. An existing one is left as it is."""
    with console.exits():
        path = identities.create_keys(console.settings())
    if path is None:
        console.out.print("The master secret is there already; nothing was changed.")
    else:
        console.out.print(f"Made {path}. Keep a copy apart: without it the vault cannot be opened.")


def _version(wanted: bool) -> None:  # Typer's callback form
    if wanted:
        console.out.print(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Settings come from RAGPLATFORM_* variables and from ragplatform.toml."""


if __name__ == "__main__":
    app()
