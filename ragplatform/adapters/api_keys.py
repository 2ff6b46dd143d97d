"""Bearer API keys from a file that holds only their digests.

A key is 32 random bytes, so one SHA-256 of it cannot be searched: a slow password hash would cost
each request tens of milliseconds and add nothing.
"""

import hashlib
import hmac
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from ragplatform.adapters.trusted_file import TrustedFile, read_trusted
from ragplatform.errors import ConfigurationError, UnauthenticatedError
from ragplatform.model import Principal, Purpose, Sensitivity

PREFIX: Final = "rp"
_PERSON: Final = frozenset(
    {"id", "tenant", "name", "roles", "departments", "clearance", "subjects", "purposes"}
)
_KEY: Final = _PERSON | {"sha256", "expires", "acts_for"}
_USER: Final = _PERSON | {"client", "sub"}
# It names a file that holds the client's secret.
_CLIENT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One entry of the key file: the digest of a key and the principal it stands for.

    ``acts_for`` makes it the key of a registered client, which asks for the users of that client
    and never for itself.
    """

    sha256: str
    principal: Principal
    expires: datetime | None = None
    acts_for: str = ""

    def __post_init__(self) -> None:
        if self.acts_for and not _CLIENT.fullmatch(self.acts_for):
            raise ConfigurationError("a client's name has up to 32 of a-z, 0-9 and -")


@dataclass(frozen=True, slots=True)
class UserEntry:
    """One entry of the file of users: whom a client means by the ``sub`` of its statements."""

    client: str
    sub: str
    principal: Principal


def is_key(token: str) -> bool:
    """Return whether the token has the form of an API key."""
    return token.startswith(f"{PREFIX}_")


def new_key(principal: str) -> str:
    """Return a fresh key; the principal's id in it is for humans and look-up, not for trust."""
    return f"{PREFIX}_{principal}_{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """Return the hexadecimal digest under which a key is kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def short(sha256: str) -> str:
    """Return the beginning of a digest, by which records tell credentials apart."""
    return sha256[:16]


class ApiKeyAuthenticator:
    """Authenticates bearer keys against the key file; reads the file again when it changes."""

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries = TrustedFile(path, _by_digest)
        self._entries.value()

    def authenticate(self, token: str, user: str | None = None) -> Principal:
        """Return who the key stands for. Raises ``UnauthenticatedError``.

        A registered client's key stands for nobody.
        """
        entry = self.entry(token)
        if user is not None:
            raise UnauthenticatedError("not_a_registered_client")
        if entry.acts_for:
            raise UnauthenticatedError("client_without_user")
        return replace(entry.principal, proof=f"key:{short(entry.sha256)}")

    def prove(self, token: str, principal: Principal) -> None:
        """Accept the person's own key entered again. Raises ``UnauthenticatedError``."""
        found = self.authenticate(token)
        if (found.tenant, found.id) != (principal.tenant, principal.id):
            raise UnauthenticatedError("another_person")

    def recall(self, principal: Principal) -> Principal:
        """Return the holder of a key that is still in force. Raises ``UnauthenticatedError``."""
        entry = self.still(principal.proof.removeprefix("key:"))
        found = entry.principal
        if entry.acts_for or (found.tenant, found.id) != (principal.tenant, principal.id):
            raise UnauthenticatedError("another_person")
        return replace(found, proof=principal.proof)

    def still(self, known_by: str) -> KeyEntry:
        """Return the entry of the key with this short digest, if it is still in force.

        Raises ``UnauthenticatedError``.
        """
        entries = self._entries.value().values()
        entry = next((one for one in entries if short(one.sha256) == known_by), None)
        if entry is None:
            raise UnauthenticatedError("unknown_key")
        return self._in_force(entry)

    def entry(self, token: str) -> KeyEntry:
        """Return the entry of a key that is in force. Raises ``UnauthenticatedError``."""
        found = digest(token)
        entry = self._entries.value().get(found)
        # The look-up is by digest, so its timing tells nothing about any key.
        if entry is None or not hmac.compare_digest(entry.sha256, found):
            raise UnauthenticatedError("unknown_key")
        return self._in_force(entry)

    def _in_force(self, entry: KeyEntry) -> KeyEntry:
        if entry.expires is not None and self._clock() >= entry.expires.timestamp():
            raise UnauthenticatedError("expired")
        return entry


def _by_digest(path: Path) -> Mapping[str, KeyEntry]:
    return {entry.sha256: entry for entry in read_keys(path)}


def read_keys(path: Path) -> list[KeyEntry]:
    """Return the entries of a key file.

    Raises ``ConfigurationError`` naming the entry and field that is wrong, or when others than
    this user and root may write the file: who writes it decides who is who.
    """
    return [
        KeyEntry(
            sha256=_needed(where, table, "sha256"),
            principal=_principal(where, table),
            expires=_expiry(where, table),
            acts_for=_text(where, table, "acts_for"),
        )
        for where, table in _tables(path, "key", _KEY)
    ]


def read_users(path: Path) -> list[UserEntry]:
    """Return the entries of a file of users. Raises ``ConfigurationError`` as ``read_keys``."""
    return [
        UserEntry(
            client=_needed(where, table, "client"),
            sub=_needed(where, table, "sub"),
            principal=_principal(where, table),
        )
        for where, table in _tables(path, "user", _USER)
    ]


def _tables(path: Path, kind: str, fields: frozenset[str]) -> list[tuple[str, dict[str, object]]]:
    """Return the tables of one kind, each with the words that say where it stands."""
    try:
        tables = tomllib.loads(read_trusted(path).decode()).get(kind, [])
    except ValueError as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from error
    placed = [(f"{path}: {kind} {number}", table) for number, table in enumerate(tables, 1)]
    for where, table in placed:
        if unknown := set(table) - fields:
            raise ConfigurationError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    return placed


def _principal(where: str, table: Mapping[str, object]) -> Principal:
    try:
        clearance = Sensitivity[str(table.get("clearance", "internal")).upper()]
        # No list: every purpose that policy permits. An empty list: none.
        given = _names(where, table, "purposes") if "purposes" in table else None
        purposes = None if given is None else frozenset(map(Purpose, given))
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"{where}: no such clearance or purpose") from error
    return Principal(
        id=_needed(where, table, "id"),
        tenant=_needed(where, table, "tenant"),
        roles=_names(where, table, "roles"),
        departments=_names(where, table, "departments"),
        clearance=clearance,
        subjects=_names(where, table, "subjects"),
        name=_text(where, table, "name"),
        purposes=purposes,
    )


def _text(where: str, table: Mapping[str, object], field: str) -> str:
    value = table.get(field, "")
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: {field} is not a text")
    return value


def _needed(where: str, table: Mapping[str, object], field: str) -> str:
    if not (value := _text(where, table, field)):
        raise ConfigurationError(f"{where}: {field} is needed")
    return value


def _names(where: str, table: Mapping[str, object], field: str) -> frozenset[str]:
    value = table.get(field, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(f"{where}: {field} is not a list of strings")
    return frozenset(value)


def _expiry(where: str, table: Mapping[str, object]) -> datetime | None:
    value = table.get("expires")
    # A time without its zone would be read by the zone of whichever host reads it.
    if value is not None and not (isinstance(value, datetime) and value.tzinfo):
        raise ConfigurationError(f"{where}: expires is not a date and time with its zone")
    return value


def render_key(entry: KeyEntry) -> str:
    """Return the entry as text for the key file."""
    more = {"acts_for": entry.acts_for} if entry.acts_for else {}
    lines = ["[[key]]", *_rendered(entry.principal, {"sha256": entry.sha256, **more})]
    if entry.expires is not None:
        lines.append(f"expires = {entry.expires.isoformat()}")
    return "\n".join(lines) + "\n"


def render_user(entry: UserEntry) -> str:
    """Return the entry as text for the file of users."""
    own = {"client": entry.client, "sub": entry.sub}
    return "\n".join(["[[user]]", *_rendered(entry.principal, own)]) + "\n"


def _rendered(principal: Principal, more: Mapping[str, str]) -> list[str]:
    texts = {
        "id": principal.id,
        "name": principal.name,
        "tenant": principal.tenant,
        "clearance": principal.clearance.name.lower(),
        **more,
    }
    lists = {
        "roles": principal.roles,
        "departments": principal.departments,
        "subjects": principal.subjects,
        **({} if principal.purposes is None else {"purposes": principal.purposes}),
    }
    return [
        *(f"{name} = {_quoted(text)}" for name, text in texts.items()),
        *(f"{n} = [{', '.join(_quoted(v) for v in sorted(vs))}]" for n, vs in lists.items()),
    ]


def _quoted(text: str) -> str:
    # TOML allows no DEL either, and a file that cannot be read lets nobody in.
    if any(ord(character) < 32 or character in '"\\\x7f' for character in text):
        raise ConfigurationError("names in the key file may not hold quotes or control characters")
    return f'"{text}"'
