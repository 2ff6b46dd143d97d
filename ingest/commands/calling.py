"""What a run was called with, kept sealed while it may be taken up again.

Paths and labels may hold personal data, so that the ledger never has them in clear.
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

import typer
from typer.core import TyperArgument

from ingest.calls import sealed
from ingest.changes import Retry
from ingest.ledger import Ledger
from ragplatform.config import Settings

# These say how this call shows things or what it takes, not what the run is.
_NOT_KEPT: Final = frozenset({"as_json", "retry", "reason", "taken_up"})


def words_of(context: typer.Context) -> list[str]:
    """Return the words that would call the command so again, from any folder."""
    options: list[str] = []
    arguments: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value in (None, False, "", (), []) or parameter.name in _NOT_KEPT:
            continue
        if isinstance(parameter, TyperArgument):
            arguments += [str(Path(str(one)).absolute()) for one in _many(value)]
        elif value is True:
            options.append(parameter.opts[0])
        else:
            for one in _many(value):
                options += [parameter.opts[0], _word(one)]
    return [*options, "--", *arguments] if arguments else options


def _many(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _word(value: object) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)


@dataclass(frozen=True, slots=True)
class Call:
    """How a run was called: its words, what of it is tried again, and which run it takes up."""

    words: list[str] = field(repr=False)
    retry: Retry | None = None
    taken_up: str = ""

    def sealed(self, settings: Settings, tenant: str, run: str) -> str:
        """Return the words sealed for the ledger."""
        return sealed(settings, tenant, run, self.words)

    def take_up(self, ledger: Ledger) -> None:
        """Note that the run which this one takes up is not to be taken up again."""
        if self.taken_up:
            ledger.runs.close_off(self.taken_up)
