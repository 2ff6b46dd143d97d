"""Places with documents, each with a real server where there is one, for the sources' tests."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from ingest.sources.folder import Folder
from ingest.sources.http_lists import Format
from ingest.sources.port import Source
from tests.source_worlds_remote import REMOTE_WORLDS
from tests.source_worlds_web import bucket_world, web_room


class World(Protocol):
    """A place that tests put things into, and the source that looks at it.

    Tests speak of things by keys such as ``a.txt``; a place that names things itself (a mailbox)
    says under which name it lists them. ``is_snapshot`` is true where a source reads from the
    state that it listed, not from the place itself.
    """

    is_snapshot: bool

    def put(self, key: str, data: bytes) -> None:
        """Make the thing, or put other content in its place."""

    def remove(self, key: str) -> None:
        """Take the thing away."""

    def name(self, key: str) -> str:
        """Return under which name the source lists the thing by now."""

    def content(self, data: bytes) -> bytes:
        """Return what a source reads of a thing that was put with this content."""

    def source(self) -> Source:
        """Return a source that looks at this place."""

    def go_away(self) -> None:
        """Stop answering, for good."""


class FolderWorld:
    """A folder of this machine."""

    is_snapshot = False

    def __init__(self, root: Path) -> None:
        self.root = root / "place"
        self.root.mkdir()

    def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.part")
        fresh.write_bytes(data)
        fresh.replace(path)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()

    def name(self, key: str) -> str:
        return key

    def content(self, data: bytes) -> bytes:
        return data

    def source(self) -> Source:
        return Folder(self.root)

    def go_away(self) -> None:
        shutil.rmtree(self.root)


@contextmanager
def folder(root: Path) -> Iterator[World]:
    """Give a folder."""
    yield FolderWorld(root)


Opener = Callable[[Path], AbstractContextManager[World]]

# Every kind of source passes the contract on each of these.
WORLDS: dict[str, Opener] = {
    "folder": folder,
    "http-index": lambda _: web_room(Format.INDEX),
    "http-lines": lambda _: web_room(Format.LINES),
    "http-manifest": lambda _: web_room(Format.MANIFEST),
    "http-sitemap": lambda _: web_room(Format.SITEMAP),
    "s3": lambda _: bucket_world(),
    **REMOTE_WORLDS,
}
