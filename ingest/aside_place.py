"""The quarantine as a place that erasure goes through."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final

from ingest.aside import Aside, ItemState, entry_of
from ingest.graves import content_mark
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.places import Waiting
from ragplatform.privacy.gate import Privacy


class AsidePlace:
    """Documents that were put aside: no catalog knows them, and a person may be in them."""

    name: Final = "quarantine"

    def __init__(
        self,
        *,
        opened: Callable[[], AbstractContextManager[Aside]],
        ledger: Ledger,
        privacy: Privacy,
        keeping: Keeping,
    ) -> None:
        """``opened`` opens the quarantine for one act."""
        self._opened = opened
        self._ledger = ledger
        self._privacy = privacy
        self._keeping = keeping

    def erase_document(self, tenant: str, document: str) -> int:
        """Erase what was put aside of a document."""
        with self._opened() as aside:
            return int(aside.forget(tenant, document))

    def erase_subjects(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, int]:
        """Erase what is about these people, and keep it out when its source gives it again."""
        with self._opened() as aside:
            found = [one for one in aside.items(tenant) if one.subjects & subjects]
            for item in found:
                self._privacy.forget(
                    tenant, self._privacy.subject_ref(tenant, f"document:{item.document}")
                )
                mark = content_mark(self._privacy.subject_ref, tenant, item.sha256)
                self._ledger.graves.bury(tenant, item.document, [mark])
                # Before the row goes, by which a repetition after a crash finds it.
                self._ledger.forget(item.document)
                aside.forget(tenant, item.document)
        return Counter(ref for item in found for ref in item.subjects & subjects)

    def waiting(self, tenant: str, document: str) -> Waiting | None:
        """Return a document that was put aside, or None."""
        with self._opened() as aside:
            item = aside.item(tenant, document)
        if item is None:
            return None
        entry, kept = entry_of(item), None
        if item.state is not ItemState.REJECTED:
            kept = self._keeping.why_aside_kept(entry, item.labels)
        return Waiting(entry, item.labels, kept)

    def why_kept(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, str]:
        """Return of whom of these people something that was put aside has to stay, and why."""
        found: dict[str, str] = {}
        with self._opened() as aside:
            for item in aside.items(tenant):
                theirs = item.subjects & subjects
                if theirs and item.state is not ItemState.REJECTED:
                    kept = self._keeping.why_aside_kept(entry_of(item), item.labels)
                    if kept is not None:
                        found |= dict.fromkeys(theirs, f"in quarantine, {kept}")
        return found

    def left_of(self, tenant: str, document: str) -> int:
        """Return whether anything of a document is there, as a number."""
        with self._opened() as aside:
            return int(aside.item(tenant, document) is not None)
