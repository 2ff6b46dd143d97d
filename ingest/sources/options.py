"""The keys of one table of ``sources.toml``, read strictly: no unknown key, no secret in it."""

import os
from collections.abc import Collection, ItemsView, Mapping
from pathlib import Path

from ragplatform.config import read_secret
from ragplatform.errors import ConfigurationError


class Options:
    """One table. ``where`` names it in messages, which never hold a value."""

    def __init__(self, where: str, table: Mapping[str, object]) -> None:
        self.where = where
        self._table = table

    def require_known(self, known: Collection[str]) -> None:
        """Raise ``ConfigurationError`` for a key that means nothing here."""
        if unknown := sorted(set(self._table) - set(known)):
            raise ConfigurationError(
                f"{self.where}: unknown key {unknown[0]!r}; a secret is named by a key that ends "
                "in _file or _env, never written here"
            )

    def items(self) -> ItemsView[str, object]:
        """Return the keys and their values as they stand."""
        return self._table.items()

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text. Without a default the key has to be there and not empty."""
        value = self._table.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise ConfigurationError(f"{self.where}: {key} is missing, or is no text")
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self._table.get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ConfigurationError(f"{self.where}: {key} is not a list of texts")
        return tuple(value)

    def number(self, key: str, default: float, *, least: float, most: float) -> float:
        """Return a number within its bounds."""
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"{self.where}: {key} is no number")
        if not least <= value <= most:
            raise ConfigurationError(f"{self.where}: {key} is not within {least:g} and {most:g}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._table.get(key, default)
        if not isinstance(value, bool):
            raise ConfigurationError(f"{self.where}: {key} is true or false")
        return value

    def choice(self, key: str, default: str, known: tuple[str, ...]) -> str:
        """Return one of the words that are known."""
        value = self.text(key, default)
        if value not in known:
            raise ConfigurationError(f"{self.where}: {key} is one of {', '.join(known)}")
        return value

    def file(self, key: str) -> Path | None:
        """Return the path of a file, None where none is named."""
        value = self.text(key, "")
        return Path(value) if value else None

    def table(self, key: str) -> Mapping[str, object]:
        """Return a table inside this one, empty where there is none."""
        value = self._table.get(key, {})
        if not isinstance(value, dict):
            raise ConfigurationError(f"{self.where}: {key} is no table")
        return value

    def tables(self, key: str) -> list["Options"]:
        """Return the tables of a list of tables."""
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise ConfigurationError(f"{self.where}: {key} is no list of tables")
        return [Options(f"{self.where}: {key} {n}", one) for n, one in enumerate(value, 1)]

    def secret(self, name: str) -> str | None:
        """Return the secret that ``NAME_file`` or ``NAME_env`` names, None where neither is there.

        Raises ``ConfigurationError`` when both are, when the file is open to others or holds none,
        or when the variable is not set.
        """
        path, variable = self.file(f"{name}_file"), self.text(f"{name}_env", "")
        if path and variable:
            raise ConfigurationError(f"{self.where}: give {name}_file or {name}_env, not both")
        if path:
            return read_secret(path)
        if not variable:
            return None
        value = os.environ.get(variable, "")
        if not value:
            raise ConfigurationError(f"{self.where}: {name}_env names {variable}, which is not set")
        return value
