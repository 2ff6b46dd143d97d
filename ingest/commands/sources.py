"""Show the configured sources, and try them."""

from collections import Counter
from itertools import islice
from typing import Annotated, Final

import typer
from rich.table import Table

from ingest import source_wiring
from ingest.commands import console
from ingest.commands.run_source import open_source
from ingest.sources.config import SourceConfig
from ingest.sources.port import Found, Source, safe_name
from ragplatform import config as configuration
from ragplatform.errors import MovedOnError, QuarantinedError, UnreadableError
from ragplatform.model import Json

app = typer.Typer(help="The configured sources.", no_args_is_help=True)

_LARGEST: Final = 64 * 1024 * 1024


@app.command("list")
def list_sources(as_json: console.AsJson = False) -> None:
    """List the configured sources. Reads no secret and connects to nothing."""
    with console.exits():
        known = source_wiring.configured(configuration.load())
    table = Table("name", "kind", "place", "tenant", "collection", "rules", "sidecars")
    for config in known.values():
        sidecars = config.sidecars.pattern if config.sidecars else ""
        if as_json:
            console.line(
                {
                    "event": "source",
                    "name": config.name,
                    "kind": config.kind,
                    "place": config.place,
                    "tenant": config.tenant,
                    "collection": config.collection,
                    "rules": len(config.mapping.rules),
                    "sidecar": sidecars,
                }
            )
        rules = str(len(config.mapping.rules))
        row = (config.name, config.kind, config.place, config.tenant, config.collection)
        table.add_row(*row, rules, sidecars)
    if not as_json:
        console.show(table)


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="Name of the source.")],
    first: Annotated[int, typer.Option(min=1, help="How many things to look at.")] = 20,
    as_json: console.AsJson = False,
) -> None:
    """Connect, list some things, read the first, and say what labels each would get.

    Nothing is taken in. Exit code 0: all would be, 1: some would be put aside, 2: unable.
    """
    with console.exits():
        settings, config = open_source(name)
        with source_wiring.opened(settings, config) as source:
            listing = source.list("")
            found = [
                one
                for one in islice(listing, first)
                if isinstance(one, Found) and config.takes(one.name)
            ]
            lines = [_line(config, one) for one in found]
            read = _read(source, found)
    aside = Counter(str(line["reason"]) for line in lines if line["reason"])
    for line in lines:
        if as_json:
            console.line({"event": "found", **line})
        else:
            word = line["reason"] or f"{line['sensitivity']} {line['department']}"
            facts = " ".join(f"{key}={value}" for key, value in found[lines.index(line)].facts)
            console.out.print(f"{line['name']}: {word} ({facts})", markup=False)
    if as_json:
        console.line({"event": "checked", "source": name, "listed": len(lines), "read": read})
    else:
        console.out.print(f"{len(lines)} listed, the first {read}; nothing was taken in")
    raise typer.Exit(1 if aside else 0)


def _line(config: SourceConfig, found: Found) -> dict[str, Json]:
    """Return what the rules make of a thing; its sidecar is not read here."""
    line: dict[str, Json] = {"name": found.name, "size": found.size, "reason": ""}
    if not safe_name(found.name):
        return {**line, "name": ascii(found.name), "reason": "unsafe_name"}
    try:
        labels = config.mapping.labels(found)
    except QuarantinedError as error:
        return {**line, "reason": error.reason}
    return {
        **line,
        "sensitivity": labels.sensitivity.name.lower(),
        "department": labels.department,
        "restrictions": sorted(labels.restrictions),
        "retain_until": labels.retain_until,
        "subjects": len(labels.subjects),
    }


def _read(source: Source, found: list[Found]) -> str:
    """Return in a word how reading the first thing went."""
    if not found:
        return "nothing to read"
    try:
        data = source.read(found[0], _LARGEST)
    except (MovedOnError, UnreadableError) as error:
        return error.code
    except QuarantinedError as error:
        return error.reason
    return f"read ({len(data):,} bytes)"
