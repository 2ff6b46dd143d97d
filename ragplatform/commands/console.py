"""How every command reads its settings, prints, and ends."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import Progress, TransferSpeedColumn
from rich.table import Table

from ragplatform import config, openers
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError, PlatformError
from ragplatform.model import Json

EXIT_BAD = 1
EXIT_UNABLE = 2


class _Out(Console):
    """Standard output. Who closed it early has no verdict; that is not the exit code for bad."""

    def on_broken_pipe(self) -> None:
        _reader_is_gone()


def _reader_is_gone() -> NoReturn:
    # What is still buffered would fail again when the interpreter ends.
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    raise SystemExit(EXIT_UNABLE)


# Tables and sentences for people; machines get JSON on standard output by --json.
# A pipe has no width: tables there must not be cut to that of a terminal.
out = _Out(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def exits() -> Iterator[None]:
    """Turn an error of the platform into one line and exit code 2; nothing else is caught."""
    try:
        yield
    except PlatformError as error:
        err.print(f"[red]error[/red] ({error.code}): ", end="")
        err.print(str(error), markup=False)
        raise typer.Exit(EXIT_UNABLE) from error


def settings(*urls: str) -> Settings:
    """Return the settings of this deployment, after sealing this process.

    ``urls`` are services that this command speaks to beside those of the settings. Raises
    ``ConfigurationError``.
    """
    loaded = config.load()
    openers.seal(loaded, *urls)
    return loaded


def host_user() -> str:
    """Return who runs this command, as records name the actor."""
    return f"host user {getpass.getuser()}"[:64]


def print_json(value: Json) -> None:
    """Print one JSON document on standard output."""
    try:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_is_gone()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print rows as a table."""
    shown = Table(*columns, title=title or None, title_justify="left", header_style="bold")
    for row in rows:
        shown.add_row(*row)
    out.print(shown)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while something is done; yield what moves it on.

    Nothing is shown where standard error is no terminal.
    """
    columns = (*Progress.get_default_columns(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def mark(good: bool) -> str:  # the truth is the whole argument
    """Return a word and a colour for good and bad; never the colour alone."""
    return "[green]ok[/green]" if good else "[red]FAILED[/red]"


def pairs(values: Mapping[str, object]) -> str:
    """Return ``a=1 b=2``."""
    return " ".join(f"{name}={value}" for name, value in values.items())


def require(condition: bool, message: str) -> None:
    """Raise ``ConfigurationError`` with the message unless the condition holds."""
    if not condition:
        raise ConfigurationError(message)
