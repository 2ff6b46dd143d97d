"""Commands that make, list, rotate and revoke API keys, and list the users of clients."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ragplatform import identities
from ragplatform.commands import console
from ragplatform.errors import ConfigurationError
from ragplatform.model import Principal, Purpose, Sensitivity

app = typer.Typer(help="Make, rotate and revoke API keys.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Id of the person or job.")]
Tenant = Annotated[str, typer.Option(help="Tenant that it belongs to.")]
OneTenant = Annotated[str, typer.Option(help="Its tenant, where several have that id.")]
Roles = Annotated[str, typer.Option(help="Roles, comma-separated.")]
Departments = Annotated[str, typer.Option(help="Departments, comma-separated.")]
Clearance = Annotated[str, typer.Option(help="public, internal, ...")]
Subjects = Annotated[str, typer.Option(help="Raw ids of related people.")]
FullName = Annotated[str, typer.Option(help="Name for people to read.")]
Days = Annotated[int | None, typer.Option(min=1, help="Days until the key ends.")]


@app.command("create")
def create(
    name: Name,
    tenant: Tenant,
    roles: Roles,
    departments: Departments = "",
    clearance: Clearance = "internal",
    subjects: Subjects = "",
    full_name: FullName = "",
    purposes: Annotated[
        str, typer.Option(help="The only purposes that it may state. Default: those of its roles.")
    ] = "",
    days: Days = None,
    acts_for: Annotated[
        str, typer.Option(help="Makes it a registered client, which asks for its users.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key and print it once. An earlier key of the same id stops working at once."""
    with console.exits():
        who = _person(name, tenant, roles, departments, clearance, full_name)
        if purposes:
            who = replace(who, purposes=_purposes(purposes))
        made = identities.add_key(
            console.settings(),
            who,
            frozenset(_split(subjects)),
            actor=console.host_user(),
            days=days,
            acts_for=acts_for,
        )
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
            identities.add_key(
                settings,
                _principal(table),
                frozenset(map(str, table.get("subjects", []))),
                actor=console.host_user(),
            )
            for table in tables
        ]
    _show(made, as_json=as_json)


@app.command("add-user")
def add_user(
    name: Name,
    tenant: Tenant,
    roles: Roles,
    client: Annotated[str, typer.Option(help="What the client's key acts for.")],
    sub: Annotated[str, typer.Option(help="The client's own lasting id of the user.")],
    departments: Departments = "",
    clearance: Clearance = "internal",
    subjects: Subjects = "",
    full_name: FullName = "",
) -> None:
    """List a user for whom a registered client may ask. No key is made."""
    with console.exits():
        who = _person(name, tenant, roles, departments, clearance, full_name)
        related = frozenset(_split(subjects))
        settings = console.settings()
        identities.add_user(
            settings, who, related, client=client, sub=sub, actor=console.host_user()
        )
    console.out.print(f"{name}: {client} may ask for this user", markup=False)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys and the users of clients: whose, until when; nothing that opens anything."""
    with console.exits():
        file = identities.key_file(console.settings())
        keys = [
            (entry.principal, _day(entry.expires), entry.acts_for and f"client {entry.acts_for}")
            for entry in file.entries()
        ]
        users = [(entry.principal, "", f"user of {entry.client}") for entry in file.users()]
    rows = [
        {
            "id": who.id,
            "tenant": who.tenant,
            "roles": sorted(who.roles),
            "purposes": None if who.purposes is None else sorted(who.purposes),
            "expires": expires,
            "kind": kind or "key",
        }
        for who, expires, kind in (*keys, *users)
    ]
    if as_json:
        for row in rows:
            console.print_json(row)
        return
    shown = [
        (
            str(row["id"]),
            str(row["tenant"]),
            ", ".join(row["roles"] or ()),
            "as its roles" if row["purposes"] is None else ", ".join(row["purposes"]),
            str(row["expires"] or "never"),
            str(row["kind"]),
        )
        for row in rows
    ]
    console.table(("id", "tenant", "roles", "purposes", "ends", "kind"), shown)


@app.command("rotate")
def rotate(
    name: Name,
    tenant: OneTenant = "",
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=24 * 90, help="Hours for which the old key still works.")
    ] = 24,
    days: Days = None,
    as_json: AsJson = False,
) -> None:
    """Make the next key of an id and print it once; the old one ends after the overlap."""
    with console.exits():
        made = identities.rotate_key(
            console.settings(),
            name,
            tenant,
            overlap_hours=overlap_hours,
            days=days,
            actor=console.host_user(),
        )
    _show([made], as_json=as_json)


@app.command("revoke")
def revoke(name: Name, tenant: OneTenant = "") -> None:
    """Remove all keys of an id, and its entries as a client's user. It holds at once."""
    with console.exits():
        gone = identities.revoke_keys(console.settings(), name, tenant, actor=console.host_user())
    console.out.print(f"{name}: {gone} entries removed", markup=False)


def _person(
    name: str, tenant: str, roles: str, departments: str, clearance: str, full_name: str
) -> Principal:
    return _principal(
        {
            "id": name,
            "name": full_name or name,
            "tenant": tenant,
            "roles": _split(roles),
            "departments": _split(departments),
            "clearance": clearance,
        }
    )


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


def _purposes(text: str) -> frozenset[Purpose]:
    names = _split(text)
    if unknown := [name for name in names if name not in Purpose.__members__]:
        raise ConfigurationError(f"{unknown[0]!r} is no purpose: {', '.join(Purpose)}")
    return frozenset(Purpose[name] for name in names)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _day(time: datetime | None) -> str:
    return "" if time is None else time.isoformat()


def _show(made: list[identities.NewKey], *, as_json: bool) -> None:
    for new in made:
        if as_json:
            console.print_json(
                {"id": new.principal.id, "tenant": new.principal.tenant, "key": new.key}
            )
        else:
            console.out.print(f"{new.principal.id}: {new.key}", markup=False)
    if not as_json:
        console.err.print("Shown once. Only digests are kept.")
