"""The kinds of sources there are. Each is picked here and nowhere else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ingest.sources import remote_kinds, web_kinds
from ingest.sources.folder import Folder
from ingest.sources.kind import Reach, SourceKind
from ingest.sources.options import Options
from ingest.sources.port import Source

__all__ = ["KINDS", "Reach", "SourceKind"]


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
    "fhir": remote_kinds.FHIR,
    "http": web_kinds.HTTP,
    "s3": web_kinds.S3,
    "imap": remote_kinds.IMAP,
    "sftp": remote_kinds.SFTP,
}
