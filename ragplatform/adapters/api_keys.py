"""Bearer API keys from a file that holds only their digests.

A key is 32 random bytes, so one SHA-256 of it cannot be searched: a slow password hash would cost
each request tens of milliseconds and add nothing.
"""

import hashlib
import hmac
import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ragplatform.errors import ConfigurationError, UnauthenticatedError
from ragplatform.model import Principal, Sensitivity

PREFIX: Final = "rp"
_FIELDS: Final = {
    "id", "sha256", "tenant", "name", "roles", "departments", "clearance", "subjects"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One line of the key file: the digest of a key and the principal it stands for."""

    sha256: str
    principal: Principal


def new_key(principal: str) -> str:
    """Return a fresh key; the principal's id in it is for humans and look-up, not for trust."""
    return f"{PREFIX}_{principal}_{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """Return the hexadecimal digest under which a key is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiKeyAuthenticator:
    """Authenticates bearer keys against the key file; reads the file again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._entries: Mapping[str, KeyEntry] = {}
        self._reload()

    def authenticate(self, token: str) -> Principal:
        """Return who the key stands for. Raises ``UnauthenticatedError``."""
        self._reload()
        found = digest(token)
        entry = self._entries.get(found)
        # The look-up is by digest, so its timing tells nothing about any key.
        if entry is None or not hmac.compare_digest(entry.sha256, found):
            raise UnauthenticatedError("send a key that is in force as `Authorization: Bearer KEY`")
        return entry.principal

    def prove(self, token: str, principal: Principal) -> None:
        """Accept the person's own key entered again. Raises ``UnauthenticatedError``."""
        found = self.authenticate(token)
        if (found.tenant, found.id) != (principal.tenant, principal.id):
            raise UnauthenticatedError("the second proof must be a key of the same person")

    def _reload(self) -> None:
        try:
            found = self._path.stat()
        except OSError as error:
            # A vanished file must not leave revoked keys alive.
            self._entries, self._stamp = {}, None
            raise ConfigurationError(
                f"{self._path}: cannot be read; make keys with `ragplatform keys create`"
            ) from error
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            self._entries = {entry.sha256: entry for entry in read_keys(self._path)}
            self._stamp = stamp


def read_keys(path: Path) -> list[KeyEntry]:
    """Return the entries of a key file.

    Raises ``ConfigurationError`` naming the entry and field that is wrong, or when others than
    this user and root may write the file: who writes it decides who is who.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022:
                raise ConfigurationError(f"{path}: others may write it; run chmod 600 {path}")
            tables = tomllib.load(file).get("key", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from error
    return [_entry(path, number, table) for number, table in enumerate(tables, 1)]


def _entry(path: Path, number: int, table: Mapping[str, object]) -> KeyEntry:
    where = f"{path}: key {number}"
    if unknown := set(table) - _FIELDS:
        raise ConfigurationError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    try:
        clearance = Sensitivity[str(table.get("clearance", "internal")).upper()]
    except KeyError as error:
        raise ConfigurationError(f"{where}: clearance is not a sensitivity") from error
    texts = {name: table.get(name) for name in ("id", "sha256", "tenant")}
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise ConfigurationError(f"{where}: id, sha256 and tenant are needed")
    principal = Principal(
        id=str(texts["id"]),
        tenant=str(texts["tenant"]),
        roles=_names(where, table, "roles"),
        departments=_names(where, table, "departments"),
        clearance=clearance,
        subjects=_names(where, table, "subjects"),
        name=str(table.get("name", "")),
    )
    return KeyEntry(str(texts["sha256"]), principal)


def _names(where: str, table: Mapping[str, object], field: str) -> frozenset[str]:
    value = table.get(field, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(f"{where}: {field} is not a list of strings")
    return frozenset(value)


def render(entry: KeyEntry) -> str:
    """Return the entry as text for the key file."""
    principal = entry.principal
    lists = {
        "roles": principal.roles,
        "departments": principal.departments,
        "subjects": principal.subjects,
    }
    lines = [
        "[[key]]",
        f"id = {_quoted(principal.id)}",
        f"name = {_quoted(principal.name)}",
        f"tenant = {_quoted(principal.tenant)}",
        f"clearance = {_quoted(principal.clearance.name.lower())}",
        *(f"{n} = [{', '.join(_quoted(v) for v in sorted(vs))}]" for n, vs in lists.items()),
        f"sha256 = {_quoted(entry.sha256)}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    if any(ord(character) < 32 or character in '"\\' for character in text):
        raise ConfigurationError("names in the key file may not hold quotes or control characters")
    return f'"{text}"'
