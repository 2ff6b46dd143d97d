"""Other labels for documents that are there: by policy, on record, and with nothing embedded anew.

What people say by hand outlives what a source says: it is kept apart and put on again whenever the
document changes. It takes effect for the next question, since the index is asked by its own labels.

1. Policy must permit it under the old labels and under the new ones. 2. A hold keeps a document
from being opened further. 3. On record. 4. Kept as given by hand, unsettled. 5. The new class is
known before a passage carries it. 6. Closing, the index goes first and the catalog last; opening,
the other way round. 7. Settled. One that was killed is finished by the next run of either command.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.by_hand import given, opens, put_on_again, relabelled
from ingest.keeping import LEGAL_HOLD, Keeping
from ragplatform.audit.events import MOST_NAMED, Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.errors import DeniedError, InvalidRequestError
from ragplatform.model import Json, Labels, Principal, Purpose
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.ports import Index


@dataclass(frozen=True, slots=True)
class Relabelled:
    """How many documents got other labels, and how many of their passages."""

    documents: int
    passages: int


class Relabeller:
    """Gives documents other labels, for one principal."""

    def __init__(
        self,
        *,
        principal: Principal,
        purpose: Purpose,
        policies: Policies,
        index: Index,
        catalog: SqlCatalog,
        keeping: Keeping,
        audit: TenantLogs,
    ) -> None:
        self._principal = principal
        self._purpose = purpose
        self._policies = policies
        self._index = index
        self._catalog = catalog
        self._keeping = keeping
        self._audit = audit
        self._request = uuid.uuid4().hex

    def document(self, identity: str, changes: Mapping[str, Json]) -> Relabelled:
        """Relabel one document. Raises ``InvalidRequestError`` when there is none of that id."""
        entry = self._catalog.document(identity)
        if entry is None or entry.tenant != self._principal.tenant:
            raise InvalidRequestError("no document of this tenant has that id")
        return self._relabel([entry], changes)

    def collection(self, name: str, changes: Mapping[str, Json]) -> Relabelled:
        """Relabel all documents of a collection, or none where one of them must not be."""
        entries = self._catalog.documents(self._principal.tenant, name)
        if not entries:
            raise InvalidRequestError("no document of this tenant is in that collection")
        return self._relabel(entries, changes)

    def finish(self) -> Relabelled:
        """Finish what was begun and cut off."""
        done = Relabelled(0, 0)
        for document in self._catalog.unsettled_labels(self._principal.tenant):
            entry = self._catalog.document(document)
            if entry is None:
                self._catalog.put_labels(
                    self._principal.tenant,
                    document,
                    self._catalog.labels_by_hand(document),
                    settled=True,
                )
                continue
            one = self._relabel([entry], {})
            done = Relabelled(done.documents + one.documents, done.passages + one.passages)
        return done

    def _relabel(self, entries: Sequence[DocumentEntry], changes: Mapping[str, Json]) -> Relabelled:
        classes = self._catalog.classes(self._principal.tenant)
        wanted: list[tuple[DocumentEntry, Labels, dict[str, Json], bool]] = []
        for entry in entries:
            before = classes[entry.access_class]
            by_hand = given(before, self._catalog.labels_by_hand(entry.document), changes)
            after = relabelled(put_on_again(before, by_hand), changes)
            self._require_permission(entry, before, after)
            wanted.append((entry, after, by_hand, opens(before, after)))
        return Relabelled(len(wanted), sum(self._put(*one) for one in wanted))

    def _put(
        self, entry: DocumentEntry, labels: Labels, by_hand: dict[str, Json], opening: bool
    ) -> int:
        kind = access_class(labels)
        details: dict[str, Json] = {
            "document": entry.document,
            "before": entry.access_class,
            "after": kind,
        }
        self._record(details, entry)  # 3
        self._catalog.put_labels(entry.tenant, entry.document, by_hand, settled=False)  # 4
        self._catalog.register(labels, kind)  # 5
        if opening:  # 6
            self._catalog.put_document(replace(entry, access_class=kind))
            passages = self._index.relabel(entry.document, labels, kind)
        else:
            passages = self._index.relabel(entry.document, labels, kind)
            self._catalog.put_document(replace(entry, access_class=kind))
        self._catalog.put_labels(entry.tenant, entry.document, by_hand, settled=True)  # 7
        return passages

    def _require_permission(self, entry: DocumentEntry, before: Labels, after: Labels) -> None:
        """Raise ``DeniedError``, on record, unless policy permits it and no hold forbids it."""
        for labels in (before, after):  # 1
            decision = self._policies.decide(
                self._principal, "relabel", self._purpose, labels, STRANGER
            )
            if not decision.allowed:
                why = decision.why_not
                self._deny(entry, why)
        if opens(before, after):  # 2
            # The label by which a source holds a document is lifted by whoever may lift holds.
            lifted = replace(before, restrictions=before.restrictions - {LEGAL_HOLD})
            if held := self._keeping.why_held(entry, lifted):
                self._deny(entry, held)
        if LEGAL_HOLD in before.restrictions - after.restrictions:
            decision = self._policies.decide_duty(self._principal, "hold", self._purpose)
            if not decision.allowed:
                self._deny(entry, "its labels put it on legal hold")

    def _deny(self, entry: DocumentEntry, why: str) -> None:
        details: dict[str, Json] = {
            "document": entry.document,
            "before": entry.access_class,
            "after": entry.access_class,
        }
        self._record(details, entry, Outcome.DENIED)
        raise DeniedError(f"a document cannot be labelled so: {why}; no label was changed")

    def _record(
        self, details: dict[str, Json], entry: DocumentEntry, outcome: Outcome = Outcome.SUCCESS
    ) -> None:
        self._audit.append(
            event_of(
                self._principal,
                Action.RELABELLED,
                outcome,
                request_id=self._request,
                purpose=str(self._purpose),
                policy=self._policies.digest,
                subjects=sorted(entry.subjects)[:MOST_NAMED],
                details=details,
            )
        )
