"""What to do with each kind of personal data, read from ``privacy.toml``."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import PolicyError
from ragplatform.model import Category, Mode, Span
from ragplatform.privacy.generalise import DATES, TYPES

_TOP_KEYS: Final = frozenset(
    {"default", "min_score", "thresholds", "types", "categories", "collections"}
)
_COLLECTION_KEYS: Final = frozenset({"types", "categories", "thresholds"})
# Modes that only some types can go through; named for others they would always fall back to mask.
_FITTING: Final = {
    Mode.SHIFT: DATES,
    Mode.GENERALISE: TYPES,
    # Nothing that points at one person by itself, and no category: those hold such types too.
    Mode.KEEP: frozenset(
        "ORGANIZATION OCCUPATION AGE TIME_REFERENCE QUASI_IDENTIFIER NRP LOCATION URL SECURITY_ID"
        " LEI SWIFT_CODE ABA_ROUTING_NUMBER".split()
    ),
}

Table: TypeAlias = Mapping[str, object]
_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class ModeTable:
    """Modes by entity type and by category; the type goes first."""

    types: Mapping[str, Mode]
    categories: Mapping[Category, Mode]

    def find(self, entity: str) -> Mode | None:
        """Return the mode that the table has for the type or its category, or None."""
        return self.types.get(entity) or self.categories.get(CATEGORY_OF[entity])


@dataclass(frozen=True, slots=True)
class PrivacyRules:
    """The loaded rules.

    The first that speaks decides: collection and type, collection and category, type, category,
    default. ``digest`` changes with the rules' meaning, not with comments or order.
    """

    default: Mode
    min_score: float
    thresholds: Mapping[str, float]
    general: ModeTable
    collections: Mapping[str, ModeTable]
    digest: str
    own_thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By collection; a type that is not named there has the general threshold."""

    @classmethod
    def load(cls, path: Path) -> "PrivacyRules":
        """Return the rules of a file.

        Raises ``PolicyError`` that names the file and the key when anything in it is unknown: a
        misspelt type would else silently fall back to the default.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise PolicyError(f"{path}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path}: is not valid TOML ({error})") from error
        return _Reader(str(path)).rules(table)

    def mode(self, entity: str, collection: str | None) -> Mode:
        """Return what to do with a type in a collection; None stands for no collection."""
        own = self.collections.get(collection) if collection is not None else None
        return (own and own.find(entity)) or self.general.find(entity) or self.default

    def threshold(self, entity: str, collection: str | None = None) -> float:
        """Return the score from which a type is acted on in a collection."""
        general = self.thresholds.get(entity, self.min_score)
        own = self.own_thresholds.get(collection, {}) if collection is not None else {}
        return own.get(entity, general)

    def counts(self, span: Span, collection: str | None = None) -> bool:
        """Return whether the span is certain enough to be acted on in the collection."""
        return span.score >= self.threshold(span.entity, collection)

    def acts_on(self, span: Span, collection: str | None = None) -> bool:
        """Return whether anything is done about the span in the collection."""
        mode = self.mode(span.entity, collection)
        return self.counts(span, collection) and mode is not Mode.KEEP


class _Reader:
    """Reads one file's table and names the file and key in every complaint."""

    def __init__(self, file: str) -> None:
        self._file = file

    def rules(self, table: Table) -> PrivacyRules:
        self._known(table, _TOP_KEYS, "")
        if "default" not in table:
            raise self._wrong("default", "is missing; wanted a mode")
        digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
        collections = self._table(table, "collections", "collections")
        return PrivacyRules(
            default=self._mode(table["default"], "default", None),
            min_score=self._score(table.get("min_score", 0.0), "min_score"),
            thresholds=self._thresholds(table, ""),
            general=self._modes(table, ""),
            collections=MappingProxyType(
                {name: self._collection(collections, name) for name in collections}
            ),
            digest=digest,
            own_thresholds=MappingProxyType(
                {
                    name: self._thresholds(
                        self._table(collections, name, f"collections.{name}"),
                        f"collections.{name}.",
                    )
                    for name in collections
                }
            ),
        )

    def _thresholds(self, table: Table, prefix: str) -> Mapping[str, float]:
        key = f"{prefix}thresholds"
        return MappingProxyType(
            {
                self._entity(name, key): self._score(value, f"{key}.{name}")
                for name, value in self._table(table, "thresholds", key).items()
            }
        )

    def _collection(self, collections: Table, name: str) -> ModeTable:
        key = f"collections.{name}"
        table = self._table(collections, name, key)
        self._known(table, _COLLECTION_KEYS, f"{key}.")
        return self._modes(table, f"{key}.")

    def _modes(self, table: Table, prefix: str) -> ModeTable:
        types = self._table(table, "types", f"{prefix}types")
        categories = self._table(table, "categories", f"{prefix}categories")
        return ModeTable(
            MappingProxyType(
                {
                    self._entity(name, f"{prefix}types"): self._mode(
                        mode, f"{prefix}types.{name}", name
                    )
                    for name, mode in types.items()
                }
            ),
            MappingProxyType(
                {
                    self._word(Category, name, f"{prefix}categories"): self._mode(
                        mode, f"{prefix}categories.{name}", None
                    )
                    for name, mode in categories.items()
                }
            ),
        )

    def _mode(self, value: object, key: str, entity: str | None) -> Mode:
        mode = self._word(Mode, value, key)
        fitting = _FITTING.get(mode)
        if fitting is not None and entity not in fitting:
            raise self._wrong(key, f"cannot be {mode}; that is for {sorted(fitting)} alone")
        return mode

    def _known(self, table: Table, known: frozenset[str], prefix: str) -> None:
        for name in table:
            if name not in known:
                raise self._wrong(f"{prefix}{name}", f"is unknown; known are {sorted(known)}")

    def _table(self, table: Table, name: str, key: str) -> Table:
        value = table.get(name, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "must be a table")
        return value

    def _entity(self, name: str, key: str) -> str:
        if name not in CATEGORY_OF:
            raise self._wrong(f"{key}.{name}", "is no known type of personal data")
        return name

    def _word(self, kind: type[_Word], value: object, key: str) -> _Word:
        try:
            return kind(str(value))
        except ValueError:
            words = ", ".join(kind)
            raise self._wrong(key, f"has {value!r}; wanted one of {words}") from None

    def _score(self, value: object, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise self._wrong(key, f"has {value!r}; wanted a number from 0 to 1")
        return float(value)

    def _wrong(self, key: str, problem: str) -> PolicyError:
        return PolicyError(f"{self._file}: {key} {problem}")
