"""``sources.toml``: which sources there are, how each is reached, and what its documents are."""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ingest.sources.files import require_own
from ingest.sources.kinds import KINDS, SourceKind
from ingest.sources.mapping import LabelMapping, read_mapping
from ingest.sources.options import Options
from ingest.sources.sidecars import Sidecars, read_sidecars
from ragplatform.errors import ConfigurationError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_COMMON: Final = frozenset(
    "name kind place tenant collection labels rule acl unmapped sidecar sidecar_may "
    "sidecar_optional include exclude largest_mb".split()
)
_MOST_MB: Final = 4096


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One configured source. ``digest`` changes with all that its documents' labels depend on.

    ``largest`` is in bytes, None where only the deployment's limit holds.
    """

    name: str
    kind: str
    place: str
    tenant: str
    collection: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    largest: int | None
    mapping: LabelMapping
    sidecars: Sidecars | None
    options: Options = field(repr=False)
    digest: str

    def takes(self, name: str) -> bool:
        """Return whether a thing of this name is meant to be a document."""
        if self.sidecars is not None and self.sidecars.is_one(name):
            return False
        wanted = any(fnmatchcase(name, glob) for glob in self.include)
        return wanted and not any(fnmatchcase(name, glob) for glob in self.exclude)

    @property
    def known_kind(self) -> SourceKind:
        """What opens sources of its kind."""
        return KINDS[self.kind]


def read_sources(path: Path) -> dict[str, SourceConfig]:
    """Return every configured source by name, all of them valid.

    Raises ``ConfigurationError`` naming the first thing that is wrong.
    """
    require_own(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from error
    whole = Options(str(path), tables)
    whole.require_known({"source"})
    sources: dict[str, SourceConfig] = {}
    for number, table in enumerate(_list(path, tables.get("source", [])), 1):
        one = _read_source(f"{path}: source {number}", table)
        if one.name in sources:
            raise ConfigurationError(f"{path}: two sources are named {one.name}")
        sources[one.name] = one
    return sources


def _list(path: Path, value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ConfigurationError(f"{path}: wanted [[source]] tables")
    return value


def _read_source(where: str, table: Mapping[str, object]) -> SourceConfig:
    options = Options(where, table)
    kind = options.choice("kind", "", tuple(sorted(KINDS)))
    options.require_known(_COMMON | KINDS[kind].keys)
    largest = options.number("largest_mb", 0, least=0, most=_MOST_MB)
    made = SourceConfig(
        name=_name(options, "name"),
        kind=kind,
        place=options.text("place"),
        tenant=_name(options, "tenant"),
        collection=_name(options, "collection"),
        include=options.texts("include", ("*",)),
        exclude=options.texts("exclude"),
        largest=int(largest * 1024 * 1024) or None,
        mapping=read_mapping(options),
        sidecars=read_sidecars(options),
        options=options,
        digest=_digest(table),
    )
    if "@" in urlsplit(made.place).netloc:
        raise ConfigurationError(f"{where}: place holds a name or password: name a file of it")
    KINDS[kind].check(made.place, options)
    return made


def _name(options: Options, key: str) -> str:
    value = options.text(key)
    if not _NAME.fullmatch(value):
        raise ConfigurationError(
            f"{options.where}: {key} is no name: use a-z, 0-9, '_' and '-', 63 at most"
        )
    return value


def _digest(table: Mapping[str, object]) -> str:
    text = json.dumps(table, sort_keys=True, default=_day)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _day(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise ConfigurationError(f"a value of kind {type(value).__name__} has no place here")
