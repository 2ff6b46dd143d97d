"""Taking out what is no longer where it came from: of a source, of an archive, of a bundle.

Nothing is taken out because something failed: only a listing or a reading that came to its end says
what is gone. What has to be kept stays, and the run says so.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from ingest.ledger import Entry, Ledger, Place, State
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.errors import HeldError
from ragplatform.model import Json, Labels
from ragplatform.ports import Archive, Index
from ragplatform.privacy.gate import Privacy

# Archives in archives, and no cycle that a damaged ledger could hold.
_DEEPEST: Final = 16


class Keeps(Protocol):
    """Says what keeps a document. Raises ``UnavailableError`` when it cannot tell."""

    def why_kept(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return why nobody may take the document out today, or None."""

    def why_held(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return why the document may not even be replaced by a newer version, or None."""

    def why_aside_kept(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return why what was put aside may not be destroyed, or None."""


class Why(StrEnum):
    """Why a document is taken out."""

    LEFT_SOURCE = "left_source"
    LEFT_CONTAINER = "left_container"
    BECAME_CONTAINER = "became_container"


class PutAside(Protocol):
    """The quarantine, whose documents no catalog knows."""

    def why_kept(self, tenant: str, document: str) -> str | None:
        """Return why what was put aside of a document may not be destroyed, or None."""

    def why_waits(self, tenant: str, document: str, sha256: str) -> str | None:
        """Return why no newer version may replace what was put aside, or None."""

    def gone(self, tenant: str, document: str) -> None:
        """Drop what was put aside of a document that is gone."""


class Recorder(Protocol):
    """Makes the audit record of a removal durable before it happens."""

    def __call__(self, details: dict[str, Json], subjects: Collection[str]) -> None:
        """Append the record. Raises ``AuditError`` when it cannot be made durable."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of one source that is gone: ``kept`` says why it stays, ``""`` that it went.

    ``was_document`` is False for an archive, which was never found itself.
    """

    entry: Entry
    kept: str = ""

    @property
    def was_document(self) -> bool:
        """Whether it was a document itself, also one in quarantine."""
        return self.entry.state is not State.UNPACKED


class Remover:
    """Takes out documents of one collection for one run, each on record; may be repeated."""

    def __init__(
        self,
        *,
        run: str,
        privacy: Privacy,
        index: Index,
        archive: Archive,
        catalog: SqlCatalog,
        ledger: Ledger,
        record: Recorder,
        keeping: Keeps,
        aside: PutAside,
        dry: bool = False,
    ) -> None:
        """With ``dry`` nothing is changed anywhere: what would go is told as if it went."""
        self.dry = dry
        self._run = run
        self._privacy = privacy
        self._index = index
        self._archive = archive
        self._catalog = catalog
        self._ledger = ledger
        self._record = record
        self._keeping = keeping
        self._aside = aside

    def why_waits(self, tenant: str, document: str, sha256: str) -> str | None:
        """Return why no newer version may replace the document that is there, or None.

        ``sha256`` is of the newer one: bytes that wait in quarantine may be tried again.
        """
        known = self._catalog.document(document)
        if known is None:
            return self._aside.why_waits(tenant, document, sha256)
        labels = self._catalog.classes(known.tenant)[known.access_class]
        return self._keeping.why_held(known, labels)

    def remove(self, entries: Iterable[Entry], why: Why) -> Iterator[Removed]:
        """Take out the sources and what lies in them; yield what became of each.

        What another live run has in work stays: a later run asks again.
        """
        for entry in entries:
            yield from self._remove(entry, why, _DEEPEST)

    def _remove(self, entry: Entry, why: Why, depth: int) -> Iterator[Removed]:
        """Take out what lies inside first: after a crash the way to it is still known."""
        stayed = False
        if depth:
            inside = self._ledger.inside(entry.tenant, entry.collection, entry.source_key)
            for one in inside:
                if one.is_there:
                    for removed in self._remove(one, Why.LEFT_CONTAINER, depth - 1):
                        stayed |= bool(removed.kept)
                        yield removed
        if stayed and entry.state is State.UNPACKED:
            # Its row leads to what stays; the next sweep asks again.
            return
        if kept := self._kept(entry):
            yield Removed(entry, kept)
            return
        try:
            if not self.dry:
                self._take_out(entry, why)
        except HeldError as error:
            yield Removed(entry, str(error))
        else:
            yield Removed(entry)

    def _kept(self, entry: Entry) -> str:
        known = self._catalog.document(entry.document)
        if known is None:
            return self._aside.why_kept(entry.tenant, entry.document) or ""
        labels = self._catalog.classes(entry.tenant)[known.access_class]
        return self._keeping.why_kept(known, labels) or ""

    def _take_out(self, entry: Entry, why: Why) -> None:
        """Make a source unknown. Every step may be repeated after a crash.

        1. Ledger: pending, so that it does not count as indexed. 2. Audit. 3. Archive, index,
        vault and catalog. 4. Ledger: gone.
        """
        claim = self._ledger.begin(  # 1
            tenant=entry.tenant,
            collection=entry.collection,
            source_key=entry.source_key,
            sha256="",
            document=entry.document,
            generation="",
            run=self._run,
            display_name="",
            place=Place(entry.source, entry.container),
        )
        self.clear(entry, why)
        self._ledger.commit_gone(claim)  # 4

    def clear(self, entry: Entry, why: Why) -> None:
        """Take a source's document out of index, vault and catalog, on record; keep its row."""
        known = self._catalog.document(entry.document)
        details: dict[str, Json] = {"document": entry.document, "reason": str(why)}
        if entry.source:
            details["source"] = entry.source
        self._record(details, known.subjects if known else ())  # 2
        # The archive first: what makes a lost index again looks there last.
        self._archive.forget(entry.tenant, entry.document)  # 3
        self._index.remove(entry.tenant, entry.document)
        own = self._privacy.subject_ref(entry.tenant, f"document:{entry.document}")
        self._privacy.forget(entry.tenant, own)
        self._aside.gone(entry.tenant, entry.document)
        self._catalog.delete_document(entry.document)
