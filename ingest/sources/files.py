"""Which files below given paths a run takes, and the labels that each carries."""

import fnmatch
import os
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ingest.sources.labels import GivenLabels, apply
from ragplatform.errors import ConfigurationError

LABELS_FILE: Final = "labels.toml"
_RULE_FIELDS: Final = {
    *("match", "sensitivity", "department", "restrictions", "subjects", "retain_until"),
    *("claims", "id_systems"),
}


@dataclass(frozen=True, slots=True)
class Later:
    """Content that is read only when it is needed.

    ``sha256`` is its digest as it was known before, for the version that the source has now, or
    ``""``. ``read`` raises what ``Source.read`` raises.
    """

    sha256: str
    read: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a run. ``name`` is its path below the given folder: it may hold personal data.

    ``content`` is given for a part of a file, whose name is then the file's and the part's, and
    for a document that lies inside another; its ``path`` is then a name alone. ``refused`` is the
    reason why such a document was not taken out. ``source`` is the name of the configured source
    that it comes from, or ``""`` for a path given by hand; ``container`` the key of what it lies
    in, if anything. ``later`` stands in the place of the content of what is not read yet.
    ``again``: if it was put aside, it is looked at anew, also when it is what it was.
    """

    path: Path
    name: str = field(repr=False)
    labels: GivenLabels
    content: bytes | None = field(default=None, repr=False)
    refused: str = ""
    source: str = ""
    container: str = ""
    is_part: bool = False
    later: Later | None = None
    again: bool = False

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


def _ignore(folder: str) -> None:
    """Go on: what cannot be listed is not taken in."""


def find(
    paths: Sequence[Path], default: GivenLabels, *, unread: Callable[[str], None] = _ignore
) -> Iterator[SourceFile]:
    """Yield the files at and below the paths, in a stable order, with their labels.

    ``unread`` is told of each folder that could not be listed: what is found is not all then.
    Hidden files, links and label files are passed over. Rules of ``labels.toml`` in a given folder
    apply in order, each over what came before, and over ``default``.

    Raises ``ConfigurationError`` for a path that does not exist or a label file that is wrong.
    """
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path}: there is no such file or folder")
        root = path if path.is_dir() else path.parent
        rules = _read_rules(root / LABELS_FILE)
        files = _walk(root, unread) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(root).as_posix()
            labels = default
            for rule in rules:
                if fnmatch.fnmatchcase(name, rule.match):
                    labels = apply(labels, f"{root / LABELS_FILE}: {rule.match}", rule.changes)
            yield SourceFile(file, name, labels)


def _walk(root: Path, unread: Callable[[str], None]) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        unread(str(error.filename))

    for folder, folders, files in os.walk(root, onerror=failed, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and name != LABELS_FILE and not path.is_symlink():
                yield path


def _read_rules(path: Path) -> list[_Rule]:
    if not path.is_file():
        return []
    require_own(path)
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


def require_own(path: Path) -> None:
    """Raise unless only this user or root could have written the file: it says who reads what."""
    found = path.lstat()
    own = found.st_uid in {0, os.geteuid()} and not found.st_mode & stat.S_IWOTH
    if not own or path.is_symlink():
        raise ConfigurationError(
            f"{path}: whoever writes this file decides who reads the documents; it must belong to "
            "you or root, be no link, and not be writable by everybody"
        )
