"""The kinds of sources there are. Each is opened here and nowhere else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.sources.folder import Folder
from ingest.sources.options import Options
from ingest.sources.port import Source
from ragplatform.egress import Allowed


@dataclass(frozen=True, slots=True)
class Reach:
    """What a source may use to reach its place: the networks that this process is sealed to."""

    allowed: Allowed


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind. ``keys`` are its own keys in ``sources.toml``, beside those that all have.

    ``check`` raises ``ConfigurationError`` for a place or keys that cannot be right; it reads no
    secret and connects to nothing. ``url`` returns the address whose host this process has to
    be allowed to reach, ``""`` for none. ``open`` reads the secrets; it need not connect yet.
    """

    keys: frozenset[str]
    check: Callable[[str, Options], None]
    url: Callable[[str, Options], str]
    open: Callable[[str, Options, Reach], Source]


def _check_folder(place: str, options: Options) -> None:
    _open_folder(place, options, None).close()


def _open_folder(place: str, _: Options, __: Reach | None) -> Source:
    return Folder(Path(place))


KINDS: Final[Mapping[str, SourceKind]] = {
    "folder": SourceKind(
        keys=frozenset(),
        check=_check_folder,
        url=lambda _, __: "",
        open=_open_folder,
    ),
}
