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


def _settle_s(options: Options) -> float:
    return options.number("settle_s", 0, least=0, most=3600)


def _check_folder(place: str, options: Options) -> None:
    Folder(Path(place), settle_s=_settle_s(options)).close()


def _open_folder(place: str, options: Options, reach: Reach) -> Source:
    return Folder(Path(place), settle_s=max(_settle_s(options), reach.settle_s))


KINDS: Final[Mapping[str, SourceKind]] = {
    "folder": SourceKind(
        keys=frozenset({"settle_s"}),
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
