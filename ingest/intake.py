"""What people and systems ask of ingest over REST: files that they bring, runs of known sources.

Everything here is decided by policy for who asks, and is on record before it waits in the queue. A
file lies sealed until a worker takes it in, and is destroyed then.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ingest.queue import (
    QueuedRun,
    RunEvent,
    RunQueue,
    RunState,
    What,
    new_run,
    require_room,
)
from ingest.runs import Run
from ingest.sources import GivenLabels
from ragplatform.access.desk import Caller
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import (
    BusyError,
    DeniedError,
    ForgottenError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
)
from ragplatform.model import Json, Labels, Sensitivity
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.policy.questions import Action as Act
from ragplatform.privacy.gate import Privacy
from ragplatform.sealed_files import Place, SealedFiles

LONGEST_NAME: Final = 255
# A run that was cut off and done again finds unchanged what it took in before.
_IN: Final = frozenset({"indexed", "unchanged"})
_KIND: Final = "upload"
_PREFIX: Final = "upload-"


@dataclass(frozen=True, slots=True)
class Upload:
    """One file that was brought. ``name`` is what its owner calls it: only sealed copies keep it.

    ``run`` is the id of the run that takes it in, and names the upload as well.
    """

    run: str
    name: str
    labels: GivenLabels


class Uploads:
    """Keeps what callers bring, sealed, until it is taken in."""

    def __init__(self, *, files: SealedFiles, privacy: Privacy) -> None:
        self._files = files
        self._privacy = privacy

    def hold(self, tenant: str, upload: Upload, pieces: Iterable[bytes]) -> int:
        """Seal a file's bytes; return how many. They die with each of those it is about."""
        place = _place(tenant, upload.run, "bytes")
        return self._files.put(place, pieces, subjects=self._about(tenant, upload))

    def _about(self, tenant: str, upload: Upload) -> frozenset[str]:
        raw_ids = upload.labels.subjects
        return frozenset(self._privacy.subject_ref(tenant, one) for one in raw_ids)

    def describe(self, tenant: str, upload: Upload) -> None:
        """Seal the name and the labels beside the bytes."""
        labels = upload.labels
        about = {
            "name": upload.name,
            "sensitivity": int(labels.sensitivity),
            "department": labels.department,
            "restrictions": sorted(labels.restrictions),
            "subjects": sorted(labels.subjects),
            "retain_until": labels.retain_until,
        }
        place = _place(tenant, upload.run, "about")
        subjects = self._about(tenant, upload)
        self._files.put(place, json.dumps(about).encode(), subjects=subjects)

    def about(self, tenant: str, run: str) -> Upload:
        """Return an upload's name and labels. Raises ``NotFoundError`` when it is gone."""
        kept = json.loads(self._files.get(_place(tenant, run, "about")))
        labels = GivenLabels(
            sensitivity=Sensitivity(kept["sensitivity"]),
            department=kept["department"],
            restrictions=frozenset(kept["restrictions"]),
            subjects=frozenset(kept["subjects"]),
            retain_until=kept["retain_until"],
        )
        return Upload(run, kept["name"], labels)

    def content(self, tenant: str, run: str) -> bytes:
        """Return an upload's bytes. Raises ``NotFoundError`` when it is gone."""
        return self._files.get(_place(tenant, run, "bytes"))

    def kept(self) -> Iterator[tuple[str, str]]:
        """Yield the tenant and the run of every upload that is kept."""
        for tenant, document in {(p.tenant, p.document) for p in self._files.places(kind=_KIND)}:
            yield tenant, document.removeprefix(_PREFIX)

    def destroy(self, tenant: str, run: str) -> None:
        """Remove an upload and the key of it. Calling it again does nothing."""
        place = _place(tenant, run, "bytes")
        self._privacy.forget(
            tenant, self._privacy.subject_ref(tenant, f"document:{place.document}")
        )
        self._files.forget(tenant, place.document)


class Intake:
    """Takes orders of ingest and says how far they are. Safe to use from several threads."""

    def __init__(
        self,
        *,
        policies: Policies,
        audit: TenantLogs,
        queue: RunQueue,
        uploads: Uploads,
        collection_of: Callable[[str, str], str | None],
        erase: Callable[[Caller, Sequence[str]], object],
        attempts: Callable[[str], Sequence[Run]],
        largest_file: int,
    ) -> None:
        """``collection_of`` gives the collection of a tenant's source by name, or None.

        ``erase`` erases documents for a caller, as policy and holds permit it, on record;
        ``attempts`` are those that the ledger knows of a run.
        """
        self._policies = policies
        self._audit = audit
        self._queue = queue
        self._uploads = uploads
        self._collection_of = collection_of
        self._erase = erase
        self._attempts = attempts
        self._largest_file = largest_file

    def accept(
        self, caller: Caller, upload: Upload, collection: str, pieces: Iterable[bytes]
    ) -> QueuedRun:
        """Take a file into the queue, on record.

        1. Its name is one. 2. Policy permits the caller to take in what is so labelled, before a
        byte of it is read. 3. The queue has room. 4. Bytes, name and labels are sealed. 5. The
        record is durable. 6. It waits.

        Raises ``InvalidRequestError``, ``DeniedError`` on record, ``BusyError``, ``TooLargeError``;
        nothing of the file is left then.
        """
        tenant = caller.principal.tenant
        name = upload.name.replace("\\", "/").rpartition("/")[2].strip()
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():  # 1
            raise InvalidRequestError(f"file: wanted a name of 1 to {LONGEST_NAME} characters")
        self._require(caller, _labels(tenant, collection, upload.labels))  # 2
        require_room(self._queue, tenant)  # 3
        try:
            size = self._uploads.hold(tenant, upload, self._bounded(pieces))  # 4
            self._uploads.describe(tenant, Upload(upload.run, name, upload.labels))
            self._ask(caller, collection, What.FILE, upload.run, upload.run, size)  # 5, 6
        except BaseException:
            self._uploads.destroy(tenant, upload.run)
            raise
        return self.run(caller, upload.run)

    def _bounded(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > self._largest_file:
                raise TooLargeError(f"the file has over {self._largest_file:,} bytes")
            yield piece

    def order(self, caller: Caller, source: str) -> QueuedRun:
        """Put a run of a configured source into the queue, on record.

        Raises ``NotFoundError`` alike for a source that is not there and one of another tenant,
        ``DeniedError``, ``BusyError``.
        """
        tenant = caller.principal.tenant
        collection = self._collection_of(tenant, source)
        self._require(caller, Labels(tenant, collection or ""))
        if collection is None:
            raise NotFoundError("no source of this tenant has that name: see sources.toml")
        require_room(self._queue, tenant)
        run = new_run()
        self._ask(caller, collection, What.SOURCE, source, run, 0)
        return self.run(caller, run)

    def _ask(
        self, caller: Caller, collection: str, kind: What, what: str, run: str, size: int
    ) -> None:
        details: dict[str, Json] = {
            "run": run,
            "kind": kind.value,
            "collection": collection,
            "bytes": size,
        }
        if kind is What.SOURCE:
            details["source"] = what
        self._record(caller, Action.INGEST_ASKED, Outcome.SUCCESS, details)
        self._queue.ask(
            principal=caller.principal,
            purpose=caller.purpose,
            collection=collection,
            kind=kind,
            what=what,
            run=run,
            size=size,
        )

    def run(self, caller: Caller, run: str) -> QueuedRun:
        """Return a run that the caller asked for, or any of the tenant for an operator.

        Raises ``NotFoundError`` alike for one that is not there and one that is not theirs.
        """
        found = self._queue.lookup(caller.principal.tenant, run)
        if found is None or not self._theirs(caller, found):
            raise NotFoundError("you asked for no run, and brought no file, of that id")
        return found

    def progress(self, run: QueuedRun) -> Run | None:
        """Return how far the last attempt at a run is, None before a worker has it."""
        if run.started_at is None:
            return None
        return next(reversed(self._attempts(run.run)), None)

    def runs(
        self, caller: Caller, *, kind: What | None, before: str | None, limit: int
    ) -> list[QueuedRun]:
        """Return the caller's runs, or for an operator the tenant's, newest first."""
        mine = None if self._operates(caller) else caller.principal.id
        tenant = caller.principal.tenant
        return self._queue.runs(tenant, asked_by=mine, kind=kind, before=before, limit=limit)

    def events(self, caller: Caller, run: str, after: int) -> list[RunEvent]:
        """Return what happened in a run behind an event. Raises ``NotFoundError``."""
        self.run(caller, run)
        return self._queue.events(run, after=after)

    def all_events(self, caller: Caller, run: str) -> list[RunEvent]:
        """Return all that happened in a run. Raises ``NotFoundError``."""
        self.run(caller, run)
        return list(self._queue.all_events(run))

    def name(self, tenant: str, run: str) -> str:
        """Return what the owner of an upload called it, or "" once it is gone."""
        try:
            return self._uploads.about(tenant, run).name
        except (NotFoundError, ForgottenError):
            return ""

    def cancel(self, caller: Caller, run: str) -> QueuedRun:
        """End a run, on record: one that waits at once, one at work after the document in hand.

        Raises ``NotFoundError``. What is done stays done.
        """
        found = self.run(caller, run)
        if not found.state.final:
            self._record(caller, Action.INGEST_CANCELLED, Outcome.SUCCESS, {"run": run})
            self._queue.cancel(run)
            found = self.run(caller, run)
            if found.state is RunState.CANCELLED and found.kind is What.FILE:
                self._uploads.destroy(found.tenant, run)
        return found

    def remove(self, caller: Caller, run: str) -> None:
        """Take back an upload, on record: one that waits is destroyed, what it became is erased.

        Raises ``NotFoundError``; ``BusyError`` while it is being taken in, which it then stops;
        ``DeniedError`` where policy or a hold forbids the erasure: what was not erased is there.
        """
        found = self.run(caller, run)
        if found.kind is not What.FILE:
            raise NotFoundError("you brought no file of that id")
        documents: list[str] = []
        if found.state.final:
            documents = _left_by(self._queue.all_events(run))
        details: dict[str, Json] = {"run": run, "documents": len(documents)}
        # One record for all of it: without it the run is not ended either.
        self._record(caller, Action.UPLOAD_REMOVED, Outcome.SUCCESS, details)
        if not found.state.final:
            self._queue.cancel(run)
            # A worker may have had it already: what it became is known when that has ended.
            if self.run(caller, run).state is not RunState.CANCELLED:
                raise BusyError("the file is being taken in: ask again", retry_after_s=5)
        if documents:
            self._erase(caller, documents)
        self._uploads.destroy(found.tenant, run)
        self._queue.remove([run])

    def _theirs(self, caller: Caller, run: QueuedRun) -> bool:
        return run.principal.id == caller.principal.id or self._operates(caller)

    def _operates(self, caller: Caller) -> bool:
        return self._policies.may(caller.principal, Act.OPERATE, caller.purpose)

    def _require(self, caller: Caller, labels: Labels) -> None:
        decision = self._policies.decide(
            caller.principal, "ingest", caller.purpose, labels, STRANGER
        )
        if not decision.allowed:
            why = decision.why_not
            self._deny(caller, labels, why, decision.policies)

    def _deny(
        self, caller: Caller, labels: Labels, why: str, policies: tuple[str, ...] = ()
    ) -> None:
        details: dict[str, Json] = {"act": "ingest", "policies": list(policies)}
        self._record(caller, Action.DENIED, Outcome.DENIED, details)
        raise DeniedError(f"policy denies ingest into {labels.collection or 'any'}: {why}")

    def _record(
        self, caller: Caller, action: Action, outcome: Outcome, details: Mapping[str, Json]
    ) -> None:
        digest = self._policies.digest
        self._audit.append(caller.event(action, outcome, policy=digest, details=details))


def documents_of(events: Iterable[RunEvent]) -> list[str]:
    """Return the ids of the documents that a run took in."""
    return _named(events, _IN)


def _left_by(events: Iterable[RunEvent]) -> list[str]:
    """Return the ids of all documents of a run that something is kept of."""
    return _named(events, _IN | {"quarantined"})


def _named(events: Iterable[RunEvent], states: frozenset[str]) -> list[str]:
    files = (event.body for event in events if event.kind == "file")
    found = (str(one.get("document", "")) for one in files if one.get("state") in states)
    return [one for one in dict.fromkeys(found) if one]


def _place(tenant: str, run: str, name: str) -> Place:
    return Place(tenant, f"{_PREFIX}{run}", _KIND, name)


def _labels(tenant: str, collection: str, given: GivenLabels) -> Labels:
    return Labels(
        tenant=tenant,
        collection=collection,
        sensitivity=given.sensitivity,
        department=given.department,
        restrictions=given.restrictions,
        retain_until=given.retain_until,
    )
