"""What a run takes of one configured source: each thing with its labels, read only when needed."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from ingest.ledger import Entry
from ingest.sources.config import SourceConfig
from ingest.sources.files import LABELS_FILE, Later, SourceFile
from ingest.sources.labels import GivenLabels
from ingest.sources.marks import Marks
from ingest.sources.port import Found, Gone, Listing, Source, safe_name
from ingest.sources.sidecars import LARGEST_SIDECAR, Sidecars
from ragplatform.errors import MovedOnError, QuarantinedError, SourceError, UnreadableError
from ragplatform.model import Sensitivity

# So many things are looked up at once in the ledger and among the marks.
_WINDOW: Final = 500
_ATTEMPTS: Final = 3
_PAUSE_S: Final = 1.0
# What is put aside for its labels has none of its own: nobody is to read on by looser ones.
_CLOSED: Final = GivenLabels(sensitivity=Sensitivity.RESTRICTED, claims=False)


class Known(Protocol):
    """What the ledger knows of the things of this source."""

    def key(self, source: SourceFile) -> str:
        """Return the key of a thing."""

    def entries(self, keys: Collection[str]) -> Mapping[str, Entry]:
        """Return the rows of these keys, by key; those unknown are left out."""


class Intake:
    """Goes through one source once, for one run. For one thread."""

    def __init__(
        self,
        *,
        config: SourceConfig,
        source: Source,
        marks: Marks,
        known: Known,
        pipeline: str,
        largest: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``largest`` is the deployment's limit in bytes; the source's own may be smaller.

        ``pipeline`` changes when what did not change is to be looked at anew.
        """
        self._config = config
        self._source = source
        self._marks = marks
        self._known = known
        self._settings = f"{config.digest}-{pipeline}"[:64]
        self._limit = min(largest, config.largest or largest)
        self._sleep = sleep
        self._listing: Listing | None = None
        self._names: list[str] = []
        self._keys: list[str] = []
        self._gone: list[str] = []
        self._fresh: dict[str, str] = {}

    def files(self, *, whole: bool = False) -> Iterator[SourceFile]:
        """Yield what is there, or what changed, with its labels or the reason for having none.

        ``whole`` asks for a complete listing where the last one's cursor would do. Raises
        ``SourceError`` when the source is away, also halfway.
        """
        cursor = "" if whole or self._config.sidecars else self._marks.cursor(self._settings)
        self._listing = self._source.list(cursor)
        entries: Iterator[Found | Gone] = iter(self._listing)
        sidecars: dict[str, Found] = {}
        if self._config.sidecars:
            # A sidecar may be listed after its document.
            everything = list(entries)
            sidecars = {
                one.name: one
                for one in everything
                if isinstance(one, Found) and self._config.sidecars.is_one(one.name)
            }
            entries = iter(everything)
        while some := list(islice(entries, _WINDOW)):
            yield from self._taken(self._wanted(some), sidecars)
            self._flush()

    def _wanted(self, some: Iterable[Found | Gone]) -> list[Found]:
        wanted: list[Found] = []
        for one in some:
            if isinstance(one, Gone):
                self._gone.append(_shown(one.name))
            elif one.name.rpartition("/")[2] != LABELS_FILE and self._config.takes(one.name):
                wanted.append(one)
        return wanted

    def _taken(self, some: Iterable[Found], sidecars: Mapping[str, Found]) -> Iterator[SourceFile]:
        files = [(found, self._labelled(found, sidecars)) for found in some]
        keys = [self._known.key(file) for _, file in files]
        entries, marks = self._known.entries(keys), self._marks.known(keys)
        for (found, file), key in zip(files, keys, strict=True):
            self._names.append(file.name)
            self._keys.append(key)
            if file.refused:
                yield file
                continue
            entry, sha256 = entries.get(key), ""
            # The mark holds only together with what the ledger says of the same content.
            if entry and marks.get(key) == self._marks.mark(found.version, entry.sha256):
                sha256 = entry.sha256
            yield replace(file, later=Later(sha256, partial(self._read, found, key)))

    def _labelled(self, found: Found, sidecars: Mapping[str, Found]) -> SourceFile:
        """Return the thing with its labels, not read yet, or the reason why it is put aside."""
        file = SourceFile(
            path=Path(found.name.rpartition("/")[2] or "unnamed"),
            name=_shown(found.name),
            labels=_CLOSED,
            source=self._config.name,
        )
        if not safe_name(found.name):
            return replace(file, path=Path("unnamed"), refused="unsafe_name")
        if found.size is not None and found.size > self._limit:
            return replace(file, refused="too_large")
        try:
            labels = self._config.mapping.labels(found)
            if rules := self._config.sidecars:
                labels = self._by_sidecar(rules, found, labels, sidecars)
        except QuarantinedError as error:
            return replace(file, refused=error.reason)
        return replace(file, labels=labels)

    def _by_sidecar(
        self, rules: Sidecars, found: Found, labels: GivenLabels, sidecars: Mapping[str, Found]
    ) -> GivenLabels:
        name = rules.name_for(found.name)
        beside = sidecars.get(name)
        if beside is None:
            if rules.optional:
                return labels
            raise QuarantinedError("sidecar_missing", "no sidecar lies beside it")
        try:
            data = self._attempted(lambda: self._source.read(beside, LARGEST_SIDECAR))
        except (MovedOnError, UnreadableError, QuarantinedError) as error:
            raise QuarantinedError("labels_unreadable", "its sidecar cannot be read") from error
        return rules.labels(data, name, labels)

    def _read(self, found: Found, key: str) -> bytes:
        data = self._attempted(lambda: self._source.read(found, self._limit))
        self._fresh[key] = self._marks.mark(found.version, hashlib.sha256(data).hexdigest())
        return data

    def _attempted(self, act: Callable[[], bytes]) -> bytes:
        """Return what the act returns; a source that is away for a moment is asked again."""
        for attempt in range(1, _ATTEMPTS):
            try:
                return act()
            except SourceError:
                self._sleep(_PAUSE_S * attempt)
        return act()

    def _flush(self) -> None:
        if self._fresh:
            self._marks.keep(self._fresh)
            self._fresh = {}

    def names(self) -> list[str] | None:
        """Return the names of all that is there, None when the listing does not say so."""
        listing = self._listing
        return self._names if listing and listing.through and listing.complete else None

    def gone(self) -> list[str]:
        """Return the names that the source said to be gone, when it was heard to the end."""
        return self._gone if self._listing and self._listing.through else []

    def settled(self, *, all_well: bool) -> None:
        """Remember where the next listing goes on.

        ``all_well`` says that of all that was listed nothing failed: what did would not be listed
        again by a source that tells of changes only.
        """
        self._flush()
        listing = self._listing
        if listing is None or not listing.through:
            return
        if listing.complete:
            self._marks.keep_only(self._keys)
        if all_well and listing.cursor:
            self._marks.keep_cursor(listing.cursor, self._settings)


def _shown(name: str) -> str:
    """Return the name, or if it is no sound text one that is: other parts write it down."""
    return name if safe_name(name) else ascii(name)
