"""Each command line that the documents show can be typed as it stands."""

import re
import shlex
from itertools import chain
from pathlib import Path

import pytest
import typer.main

from ingest.__main__ import app as ingest_app
from ragplatform.__main__ import app as platform_app

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?:sh|bash)?\n(.*?)^```", re.M | re.S)
QUOTED = re.compile(r'bash_command=f?"([^"]*)"')
PROGRAMS = {
    "ragplatform": typer.main.get_command(platform_app),
    "ragplatform-ingest": typer.main.get_command(ingest_app),
}


def shown_lines(page: Path) -> list[str]:
    """Return the lines of shell that a page or an example shows, joined where they go on."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        return QUOTED.findall(text)
    blocks = (block.replace("\\\n", " ") for block in FENCE.findall(text))
    return list(chain.from_iterable(block.splitlines() for block in blocks))


def _words(line: str) -> list[str]:
    """Return the words of a line; a text that goes on over several lines is cut off here."""
    plain = line.replace("[", " ").replace("]", " ")
    try:
        return shlex.split(plain, comments=True)
    except ValueError:
        return plain.split()


def wrong_in(line: str) -> str | None:
    """Return what our program would not understand in a line, or None."""
    words = _words(line)
    if not words or words[0] not in PROGRAMS:
        return None
    command, *rest = PROGRAMS[words[0]], *words[1:]
    while (inner := getattr(command, "commands", None)) and rest and not rest[0].startswith("-"):
        found = inner.get(rest[0])
        if found is None:
            return rest[0]
        command, rest = found, rest[1:]
    known = {name for parameter in command.params for name in parameter.opts}
    known |= {name for parameter in command.params for name in parameter.secondary_opts}
    unknown = (word for word in rest if word.startswith("--") and word.split("=")[0] not in known)
    return next(unknown, None)


PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/*.py")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_is_one_that_we_have(page: Path) -> None:
    wrong = {line: word for line in shown_lines(page) if (word := wrong_in(line))}

    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("ragplatform-ingest rebuild --check", "--check"),
        ("ragplatform-ingest mend", "mend"),
        ("ragplatform-ingest quarantine open x", "open"),
    ],
)
def test_a_command_that_we_do_not_have_would_be_found(line: str, word: str) -> None:
    assert wrong_in(line) == word
