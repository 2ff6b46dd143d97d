"""The command that says what the audit log can say."""

from typing import Annotated

import typer

from ragplatform.audit import vocabulary_page
from ragplatform.commands import console


def vocabulary(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every kind of event with its typed details, as docs/audit-events.md has it."""
    if as_json:
        console.print_json(vocabulary_page.as_json())
    else:
        typer.echo(vocabulary_page.markdown(), nl=False)
