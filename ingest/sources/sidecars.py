"""Files beside documents that say what the documents' labels are."""

import fnmatch
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from ingest.sources.labels import GivenLabels, apply
from ingest.sources.mapping import closed_by, require_valid
from ingest.sources.options import Options
from ragplatform.errors import ConfigurationError, QuarantinedError

# Labels are a few lines; what is larger was never meant to be read as them.
LARGEST_SIDECAR: Final = 64 * 1024
# tomllib's time grows with the square of the parts of a dotted key: 40 s for one of 64 KiB.
_MOST_DOTS: Final = 2000
_KEYS: Final = frozenset("sensitivity department restrictions subjects retain_until".split())
_FIELD: Final = re.compile(r"\{(name|stem|folder)\}")


@dataclass(frozen=True, slots=True)
class Sidecars:
    """Where the sidecar of a document lies, and what it may do.

    ``pattern`` holds ``{name}``, ``{stem}`` or ``{folder}``. One that may not open only closes
    further what rules gave: whoever writes documents into the source writes sidecars too.
    """

    pattern: str
    may_open: bool
    optional: bool

    def name_for(self, name: str) -> str:
        """Return the name of the sidecar of the document of this name."""
        path = PurePosixPath(name)
        folder = "" if path.parent == PurePosixPath() else f"{path.parent}/"
        parts = {"name": name, "stem": f"{folder}{path.stem}", "folder": folder}
        return _FIELD.sub(lambda field: parts[field[1]], self.pattern)

    def is_one(self, name: str) -> bool:
        """Return whether a thing of this name is a sidecar and no document."""
        parts = _FIELD.split(self.pattern)
        # Every second part is the name of a field: it stands for anything.
        glob = "".join("*" if n % 2 else _literal(part) for n, part in enumerate(parts))
        return fnmatch.fnmatchcase(name, glob)

    def labels(self, data: bytes, name: str, given: GivenLabels) -> GivenLabels:
        """Return the given labels with what the sidecar says.

        Raises ``QuarantinedError`` with ``labels_unreadable``, ``labels_invalid`` or
        ``labels_conflict``.
        """
        table = _read(data, name)
        if set(table) - _KEYS:
            raise QuarantinedError("labels_invalid", "the sidecar has a key that is no label")
        try:
            said = apply(given, "the sidecar", table)
        except ConfigurationError as error:
            raise QuarantinedError("labels_invalid", "the sidecar has a value of no use") from error
        labels = said if self.may_open else closed_by(given, said, given)
        require_valid(labels)
        return labels


def read_sidecars(options: Options) -> Sidecars | None:
    """Return what a table of ``sources.toml`` says of sidecars, None for nothing."""
    pattern = options.text("sidecar", "")
    may_open = options.choice("sidecar_may", "close", ("close", "open")) == "open"
    optional = options.flag("sidecar_optional", default=False)
    if not pattern:
        return None
    rest = _FIELD.sub("", pattern)
    if rest == pattern or not rest or not rest.endswith((".toml", ".json")):
        raise ConfigurationError(
            f"{options.where}: sidecar is a name such as {{name}}.labels.toml or {{folder}}acl.json"
        )
    return Sidecars(pattern, may_open, optional)


def _literal(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)


def _read(data: bytes, name: str) -> Mapping[str, object]:
    try:
        text = data.decode("utf-8-sig")
        if text.count(".") > _MOST_DOTS:
            raise QuarantinedError("labels_unreadable", "the sidecar has too many dots")
        table = json.loads(text) if name.endswith(".json") else tomllib.loads(text)
    # Deep nesting runs out of stack in either reader.
    except (ValueError, RecursionError) as error:
        raise QuarantinedError("labels_unreadable", "the sidecar is no TOML or JSON") from error
    if not isinstance(table, dict):
        raise QuarantinedError("labels_unreadable", "the sidecar is no table")
    return table
