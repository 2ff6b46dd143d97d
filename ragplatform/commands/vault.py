"""Commands on the vault: which keys its subjects' keys are wrapped under, and changing them."""

from typing import Annotated

import typer

from ragplatform import openers
from ragplatform.commands import console

app = typer.Typer(help="Look after the vault's keys.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Count the subjects' keys by the key they are wrapped under. No value is opened."""
    with console.exits():
        versions = openers.vault_key_versions(console.settings())
    if as_json:
        console.print_json({"subjects_by_key": {**versions}})
    elif versions:
        rows = [(version, f"{count:,}") for version, count in sorted(versions.items())]
        console.table(("wrapped under", "subjects"), rows)
    else:
        console.out.print("the vault holds no subject yet")


@app.command("new-key")
def new_key() -> None:
    """Make the next key file in RAGPLATFORM_VAULT_KEYS_DIR. Copy it apart before you rotate."""
    with console.exits():
        path = openers.make_vault_key(console.settings(), console.host_user())
    console.out.print(
        f"Made {path}. Keep a copy apart: what is wrapped under a lost key is lost.", markup=False
    )


@app.command("rotate")
def rotate(as_json: AsJson = False) -> None:
    """Wrap every subject's key under the newest key file. Values and pseudonyms stay as they are.

    A rotation that was stopped goes on when it is run again. An old key file may go once no
    subject is counted under it any more, and processes that run since before were restarted.
    """
    with console.exits():
        rotated = openers.rotate_vault(console.settings(), console.host_user())
    if as_json:
        console.print_json({"wrapped": rotated.wrapped, "subjects_by_key": {**rotated.versions}})
    else:
        console.out.print(f"{rotated.wrapped:,} keys wrapped anew", markup=False)
        console.out.print(f"subjects by key: {console.pairs(rotated.versions)}", markup=False)
