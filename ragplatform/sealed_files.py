"""Files of the deployment's own that hold documents' bytes, each unreadable once it is forgotten.

A file's key is made of the vault's keys of its document and of everybody it is about: destroying
any one of them makes it unreadable for good, on every copy and backup as well. What is here is
written whole or not at all, and durable when ``put`` returns.
"""

import contextlib
import hashlib
import hmac
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ragplatform.audit.storage import Storage
from ragplatform.errors import (
    ForgottenError,
    InvalidRequestError,
    NotFoundError,
    TamperedError,
    UnavailableError,
)
from ragplatform.privacy.sealed_stream import seal_stream, unseal_stream

_MAGIC: Final = b"ragplatform sealed file 1\n"
_SALT_BYTES: Final = 32
# A document about fifty thousand people. Nothing of ours writes a longer one.
_LONGEST_HEAD: Final = 2 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SUFFIX: Final = ".sealed"
_DRAFT: Final = ".draft"
# No writer takes as long as this over one file.
_DRAFT_AGE_S: Final = 24 * 3600.0


class FileKeys(Protocol):
    """The part of the vault that sealed files need."""

    def subject_ref(self, tenant: str, raw_id: str) -> str:
        """Return the keyed reference of a subject."""

    def file_key(self, tenant: str, refs: Collection[str], salt: bytes, *, make: bool) -> bytes:
        """Return the 32-byte key that the references' keys give together.

        Raises ``ForgottenError`` when one is gone, unless ``make`` makes those that are missing.
        """


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed file belongs.

    ``kind`` says what it is for, such as ``quarantine``; ``name`` tells a document's files of one
    kind apart, such as a generation. Both are words of ours that may be read in a folder's listing:
    letters, digits, ``.``, ``_`` and ``-``, never a person's or a file's name.
    """

    tenant: str
    document: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed: drafts of writers that died, and files whose key was destroyed."""

    drafts: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands in clear before the sealed bytes, which are bound to it."""

    place: Place
    refs: tuple[str, ...]
    salt: bytes
    encoded: bytes


class SealedFiles:
    """Keeps bytes of documents, sealed, in one folder. Safe to use from threads and processes.

    Every method raises ``UnavailableError`` when disk or vault refuse, and nothing is changed then
    but by ``forget``, which may be called again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keys: FileKeys,
        name_key: bytes,
        storage: Storage,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``name_key`` keys the digests that the files are called by."""
        self._folder = folder
        self._keys = keys
        self._name_key = name_key
        self._storage = storage
        self._clock = clock
        self._lasting: set[Path] = set()

    def put(
        self, place: Place, data: bytes | Iterable[bytes], *, subjects: Collection[str] = ()
    ) -> int:
        """Keep the bytes in place of any there were; return how many.

        ``subjects`` are the references of everybody the document is about: the file dies with each
        of them, and with the document. Raises ``InvalidRequestError`` for a place of other words.
        """
        _require_words(place)
        own = self._keys.subject_ref(place.tenant, f"document:{place.document}")
        refs = tuple(sorted({own, *subjects}))
        head = _head(place, refs, os.urandom(_SALT_BYTES))
        key = self._keys.file_key(place.tenant, refs, head.salt, make=True)
        counted = _Counted([data] if isinstance(data, bytes) else data)
        with _disk():
            self._write(self._path(place), head, seal_stream(key, counted, head.encoded))
        return counted.bytes

    def get(self, place: Place) -> bytes:
        """Return the bytes, all of them genuine.

        Raises ``NotFoundError`` when there are none, ``ForgottenError`` when their key was
        destroyed, ``TamperedError`` when a bit of them, or their place, is not what was written.
        """
        with self.opened(place) as pieces:
            return b"".join(pieces)

    @contextlib.contextmanager
    def opened(self, place: Place) -> Iterator[Iterator[bytes]]:
        """Give the bytes piece by piece, in bounded memory; all are genuine only at their end.

        Raises as ``get``, at the end as well: what cannot be taken back must wait until then.
        """
        path = self._path(place)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError("there is no such sealed file") from error
        except OSError as error:
            raise _refused(error) from error
        with file, _disk():
            head = _read_head(file.read, path.name)
            if head.place != place:
                raise TamperedError("a sealed file lies in another's place: restore its copy")
            key = self._keys.file_key(place.tenant, head.refs, head.salt, make=False)
            sealed = iter(lambda: file.read(_READ_BYTES), b"")
            yield unseal_stream(key, sealed, head.encoded)

    def holds(self, place: Place) -> bool:
        """Return whether there is a file, readable or not."""
        return self._path(place).exists()

    def delete(self, place: Place) -> bool:
        """Remove the bytes; return whether there were any."""
        with _disk():
            return self._remove(self._path(place))

    def places(
        self, tenant: str | None = None, *, document: str | None = None, kind: str | None = None
    ) -> list[Place]:
        """Return what is kept that matches all that is given, by tenant, document, kind and name.

        ``document`` needs ``tenant``, and then only its files are looked at.
        """
        paths = self._all() if document is None else self._of(tenant or "", document)
        found = [head.place for _, head in self._heads(paths)]
        return sorted(
            (one for one in found if tenant in (None, one.tenant) and kind in (None, one.kind)),
            key=lambda one: (one.tenant, one.document, one.kind, one.name),
        )

    def refs(self, tenant: str) -> frozenset[str]:
        """Return the references of all under whose keys files of a tenant are sealed."""
        heads = (head for _, head in self._heads(self._all()) if head.place.tenant == tenant)
        return frozenset(ref for head in heads for ref in head.refs)

    def forget(self, tenant: str, document: str) -> int:
        """Remove every file of a document; return how many there were.

        The vault's key of the document is the caller's to destroy, before: a file that this could
        not remove is unreadable then.
        """
        with _disk():
            return sum(self._remove(path) for path in self._of(tenant, document))

    def forget_subject(self, tenant: str, subject: str) -> int:
        """Remove every file that is about the subject of this reference; return how many."""
        return self.forget_subjects(tenant, frozenset({subject})).get(subject, 0)

    def forget_subjects(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, int]:
        """Remove every file that is about one of these subjects; return how many of each went.

        All files' heads are read, once for all of them.
        """
        went: Counter[str] = Counter()
        with _disk():
            for path, head in self._heads(self._all()):
                theirs = subjects.intersection(head.refs)
                if theirs and head.place.tenant == tenant and self._remove(path):
                    went.update(theirs)
        return went

    def sweep(self) -> Swept:
        """Remove what writers that died left behind, and what nobody can read any more.

        A file that was altered stays, for whoever finds out why.
        """
        old = self._clock() - _DRAFT_AGE_S
        drafts = unreadable = 0
        with _disk():
            for path in self._folder.glob(f"??/*{_DRAFT}"):
                with contextlib.suppress(FileNotFoundError):
                    drafts += path.stat().st_mtime < old and self._remove(path)
            for path, head in self._heads(self._all()):
                try:
                    self._keys.file_key(head.place.tenant, head.refs, head.salt, make=False)
                except ForgottenError:
                    unreadable += self._remove(path)
        return Swept(drafts, unreadable)

    def _write(self, path: Path, head: _Head, sealed: Iterable[bytes]) -> None:
        """Write a draft, make it durable, and only then give it its name."""
        self._make_folder(path.parent)
        draft = path.with_name(f"{path.stem}.{os.urandom(8).hex()}{_DRAFT}")
        file = self._storage.open(draft)
        try:
            offset = 0
            for piece in (_MAGIC, len(head.encoded).to_bytes(4, "big"), head.encoded):
                file.write(piece, offset)
                offset += len(piece)
            for piece in sealed:
                file.write(piece, offset)
                offset += len(piece)
            file.sync()
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):
                self._storage.remove(draft)
            raise
        file.close()
        self._storage.rename(draft, path)
        self._storage.sync_folder(path.parent)

    def _make_folder(self, path: Path) -> None:
        for folder in (self._folder, path):
            # Also where it is there: who made it may have died before its name was durable.
            if folder not in self._lasting:
                self._storage.make_folder(folder)
                self._storage.sync_folder(folder.parent)
                self._lasting.add(folder)

    def _remove(self, path: Path) -> bool:
        try:
            self._storage.remove(path)
        except FileNotFoundError:
            return False
        self._storage.sync_folder(path.parent)
        return True

    def _all(self) -> Iterator[Path]:
        return self._folder.glob(f"??/*{_SUFFIX}")

    def _of(self, tenant: str, document: str) -> Iterator[Path]:
        whose = self._digest(tenant, document)
        return (self._folder / whose[:2]).glob(f"{whose}-*{_SUFFIX}")

    def _path(self, place: Place) -> Path:
        whose = self._digest(place.tenant, place.document)
        which = self._digest(place.tenant, place.document, place.kind, place.name)
        return self._folder / whose[:2] / f"{whose}-{which}{_SUFFIX}"

    def _digest(self, *words: str) -> str:
        text = json.dumps(words).encode()
        return hmac.new(self._name_key, text, hashlib.sha256).hexdigest()[:40]

    def _heads(self, paths: Iterable[Path]) -> Iterator[tuple[Path, _Head]]:
        for path in list(paths):
            # Another process may have removed it since.
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                yield path, _read_head(file.read, path.name)


class _Counted:
    """Passes pieces on and counts their bytes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.bytes += len(piece)
            yield piece


def _head(place: Place, refs: tuple[str, ...], salt: bytes) -> _Head:
    fields = {
        "tenant": place.tenant,
        "document": place.document,
        "kind": place.kind,
        "name": place.name,
        "refs": refs,
        "salt": salt.hex(),
    }
    return _Head(place, refs, salt, json.dumps(fields, sort_keys=True).encode())


def _read_head(read: Callable[[int], bytes], name: str) -> _Head:
    """Return the head of an open file, as it says itself; the sealed bytes prove it genuine."""
    damaged = TamperedError(f"sealed file {name} is damaged: restore its copy")
    magic, length = read(len(_MAGIC)), int.from_bytes(read(4), "big")
    if magic != _MAGIC or length > _LONGEST_HEAD:
        raise damaged
    encoded = read(length)
    try:
        fields = json.loads(encoded)
        place = Place(*(str(fields[word]) for word in ("tenant", "document", "kind", "name")))
        refs = tuple(map(str, fields["refs"]))
        return _Head(place, refs, bytes.fromhex(fields["salt"]), encoded)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged from error


def _require_words(place: Place) -> None:
    words = (place.tenant, place.document, place.kind, place.name)
    if not all(_WORD.fullmatch(word) for word in words):
        raise InvalidRequestError(
            "a sealed file's place is made of up to 128 letters, digits, '.', '_' and '-'"
        )


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(error) from error


def _refused(error: OSError) -> UnavailableError:
    return UnavailableError(
        f"the folder of sealed files cannot be used ({error.strerror}): mend it and try again"
    )
