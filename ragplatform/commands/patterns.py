"""Commands on recognisers that a deployment brings as patterns in a TOML file."""

from pathlib import Path
from typing import Annotated

import typer

from ragplatform import openers
from ragplatform.commands import console

app = typer.Typer(help="Check recognisers of your own.", no_args_is_help=True)


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="TOML with [[recogniser]] tables.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the file's own cases and time its patterns on hostile text.

    Exit code 0: sound, 1: something in it must be mended, 2: the file cannot be read.
    """
    with console.exits():
        console.require(file.is_file(), f"{file}: there is no such file")
        problems = openers.check_patterns(file)
    if as_json:
        console.print_json({"file": str(file), "ok": not problems, "problems": list(problems)})
    else:
        console.out.print(f"{console.mark(not problems)} ", end="")
        console.out.print(str(file), markup=False)
        for problem in problems:
            console.out.print(f"  {problem}", markup=False)
    if problems:
        raise typer.Exit(console.EXIT_BAD)
