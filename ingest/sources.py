"""Which files a run takes, and the labels that each carries."""

import fnmatch
import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ragplatform.errors import ConfigurationError
from ragplatform.model import Sensitivity

LABELS_FILE: Final = "labels.toml"
_RULE_FIELDS: Final = {
    *("match", "sensitivity", "department", "restrictions", "subjects", "retain_until"),
    *("claims", "id_systems"),
}


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """Labels as people give them. ``subjects`` are raw identifiers; only keyed forms are stored.

    ``claims`` says whether a document's own fields may add what is not given here, ``id_systems``
    which of its identifiers count: pairs of a system or kind and the prefix of its subjects' ids.
    Without pairs every system counts, under its kind.
    """

    sensitivity: Sensitivity = Sensitivity.CONFIDENTIAL
    department: str = ""
    restrictions: frozenset[str] = frozenset()
    subjects: frozenset[str] = field(default=frozenset(), repr=False)
    retain_until: str = ""
    claims: bool = True
    id_systems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a run. ``name`` is its path below the given folder: it may hold personal data.

    ``content`` is given for a part of a file, whose name is then the file's and the part's, and
    for a document that lies inside another; its ``path`` is then a name alone. ``refused`` is the
    reason why such a document was not taken out. ``source`` is the name of the configured source
    that it comes from, or ``""`` for a path given by hand; ``container`` the key of what it lies
    in, if anything.
    """

    path: Path
    name: str = field(repr=False)
    labels: GivenLabels
    content: bytes | None = field(default=None, repr=False)
    refused: str = ""
    source: str = ""
    container: str = ""
    is_part: bool = False

    def inside(self, path: str, content: bytes, refused: str) -> "SourceFile":
        """Return the document at ``path`` inside this one: it is labelled as what it came in."""
        name = f"{self.name}/{path}"
        return replace(
            self,
            path=self.path / path,
            name=name,
            content=content,
            refused=refused,
            is_part=False,
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    match: str
    changes: Mapping[str, object]


def parse_labels(pairs: Iterable[str]) -> GivenLabels:
    """Return the labels that ``key=value`` pairs from a command line give.

    Raises ``ConfigurationError`` for an unknown key or a value outside its list.
    """
    table: dict[str, object] = {}
    lists: dict[str, list[str]] = {"restriction": [], "subject": []}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not value:
            raise ConfigurationError(f"label {key!r}: wanted key=value")
        if key in lists:
            lists[key].append(value)
        elif key in {"sensitivity", "department", "retain_until"}:
            table[key] = value
        else:
            raise ConfigurationError(
                f"label {key!r}: known are sensitivity, department, restriction, subject, "
                "retain_until"
            )
    if lists["restriction"]:
        table["restrictions"] = lists["restriction"]
    if lists["subject"]:
        table["subjects"] = lists["subject"]
    return _apply(GivenLabels(), "--label", table)


def find(paths: Sequence[Path], default: GivenLabels) -> Iterator[SourceFile]:
    """Yield the files at and below the paths, in a stable order, with their labels.

    Hidden files, links and label files are passed over. Rules of ``labels.toml`` in a given folder
    apply in order, each over what came before, and over ``default``.

    Raises ``ConfigurationError`` for a path that does not exist or a label file that is wrong.
    """
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path}: there is no such file or folder")
        root = path if path.is_dir() else path.parent
        rules = _read_rules(root / LABELS_FILE)
        files = _walk(root) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(root).as_posix()
            labels = default
            for rule in rules:
                if fnmatch.fnmatchcase(name, rule.match):
                    labels = _apply(labels, f"{root / LABELS_FILE}: {rule.match}", rule.changes)
            yield SourceFile(file, name, labels)


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and name != LABELS_FILE and not path.is_symlink():
                yield path


def _read_rules(path: Path) -> list[_Rule]:
    if not path.is_file():
        return []
    _require_own(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("rule", [])
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from error
    rules = []
    for number, table in enumerate(tables, 1):
        if unknown := set(table) - _RULE_FIELDS:
            raise ConfigurationError(f"{path}: rule {number}: unknown key {sorted(unknown)[0]!r}")
        match = table.get("match")
        if not isinstance(match, str):
            raise ConfigurationError(f"{path}: rule {number}: `match` is missing")
        rules.append(_Rule(match, {k: v for k, v in table.items() if k != "match"}))
    return rules


def _require_own(path: Path) -> None:
    """Raise unless only this user or root could have written the file: it says who reads what."""
    found = path.lstat()
    own = found.st_uid in {0, os.geteuid()} and not found.st_mode & stat.S_IWOTH
    if not own or path.is_symlink():
        raise ConfigurationError(
            f"{path}: whoever writes this file decides who reads the documents; it must belong to "
            "you or root, be no link, and not be writable by everybody"
        )


def _apply(labels: GivenLabels, where: str, changes: Mapping[str, object]) -> GivenLabels:
    for key, value in changes.items():
        if key == "sensitivity":
            try:
                labels = replace(labels, sensitivity=Sensitivity[str(value).upper()])
            except KeyError as error:
                known = ", ".join(level.name.lower() for level in Sensitivity)
                raise ConfigurationError(f"{where}: sensitivity is one of {known}") from error
        elif key == "department":
            labels = replace(labels, department=str(value))
        elif key == "retain_until":
            # TOML has dates of its own, whose text is the same.
            labels = replace(labels, retain_until=str(value))
        elif key == "claims":
            if not isinstance(value, bool):
                raise ConfigurationError(f"{where}: claims is true or false")
            labels = replace(labels, claims=value)
        elif key == "id_systems":
            labels = replace(labels, id_systems=_id_systems(where, value))
        elif not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigurationError(f"{where}: {key} is not a list of strings")
        elif key == "restrictions":
            labels = replace(labels, restrictions=frozenset(value))
        else:
            labels = replace(labels, subjects=frozenset(value))
    return labels


def _id_systems(where: str, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ConfigurationError(f"{where}: id_systems is a table of a system and its prefix each")
    return tuple(sorted(value.items()))
