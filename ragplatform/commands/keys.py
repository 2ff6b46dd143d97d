"""Commands that make keys."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ragplatform import wiring
from ragplatform.commands import console
from ragplatform.errors import ConfigurationError
from ragplatform.model import Principal, Sensitivity

app = typer.Typer(help="Make API keys.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Id of the person or job.")],
    tenant: Annotated[str, typer.Option(help="Tenant that it belongs to.")],
    roles: Annotated[str, typer.Option(help="Roles, comma-separated.")],
    departments: Annotated[str, typer.Option(help="Departments, comma-separated.")] = "",
    clearance: Annotated[str, typer.Option(help="public, internal, ...")] = "internal",
    subjects: Annotated[str, typer.Option(help="Raw ids of related people.")] = "",
    full_name: Annotated[str, typer.Option(help="Name for people to read.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key and print it once. An earlier key of the same id stops working at once."""
    with console.exits():
        table = {
            "id": name,
            "name": full_name or name,
            "tenant": tenant,
            "roles": _split(roles),
            "departments": _split(departments),
            "clearance": clearance,
        }
        principal = _principal(table)
        made = wiring.add_key(console.settings(), principal, frozenset(_split(subjects)))
    _show([made], as_json=as_json)


@app.command("import")
def import_personas(
    file: Annotated[Path, typer.Argument(help="TOML with [[persona]] tables.")],
    as_json: AsJson = False,
) -> None:
    """Make a key for every persona of a file and print each once."""
    with console.exits():
        try:
            tables = tomllib.loads(file.read_text(encoding="utf-8")).get("persona", [])
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{file}: cannot be read as TOML: {error}") from error
        settings = console.settings()
        made = [
            wiring.add_key(settings, _principal(t), frozenset(map(str, t.get("subjects", []))))
            for t in tables
        ]
    _show(made, as_json=as_json)


def _principal(table: Mapping[str, object]) -> Principal:
    def names(field: str) -> frozenset[str]:
        value = table.get(field, [])
        if not isinstance(value, list):
            raise ConfigurationError(f"{table.get('id')}: {field} is not a list")
        return frozenset(str(item) for item in value)

    clearance = str(table.get("clearance", "internal")).upper()
    if clearance not in Sensitivity.__members__:
        raise ConfigurationError(f"{table.get('id')}: clearance is not a sensitivity")
    if not table.get("id") or not table.get("tenant"):
        raise ConfigurationError("a principal needs an id and a tenant")
    return Principal(
        id=str(table["id"]),
        tenant=str(table["tenant"]),
        roles=names("roles"),
        departments=names("departments"),
        clearance=Sensitivity[clearance],
        name=str(table.get("name", "")),
    )


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _show(made: list[wiring.NewKey], *, as_json: bool) -> None:
    for new in made:
        if as_json:
            console.print_json(
                {"id": new.principal.id, "tenant": new.principal.tenant, "key": new.key}
            )
        else:
            console.out.print(f"{new.principal.id}: {new.key}", markup=False)
    if not as_json:
        console.err.print("Shown once. Only digests are kept.")
