"""What people do with batches: bring a file, have it answered, look, cancel, take the answers.

Everything here is for the submitter alone, for the purpose of the submission, and on record before
it happens. Requests and answers lie sealed; an answer dies with each person and each document that
it is about, so that erasing those leaves nothing of them in a batch.
"""

import json
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ragplatform.access.desk import Caller
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.batches.book import Batch, BatchBook, BatchInput, BatchState, LineState
from ragplatform.errors import (
    BusyError,
    DeniedError,
    ForgottenError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
)
from ragplatform.model import Json
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Action as Act
from ragplatform.privacy.gate import Privacy
from ragplatform.sealed_files import Place, SealedFiles

ENDPOINTS: Final = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings")
MOST_LINES: Final = 10_000
LARGEST_INPUT: Final = 32 * 1024 * 1024
LONGEST_ID: Final = 128
# Batches of one person that are not through. Each is as long as the person likes.
MOST_OPEN: Final = 20
MOST_INPUTS: Final = 100
_KIND: Final = "batch"
_WINDOW_S: Final = 24 * 3600.0
_GONE: Final = "there is no such file or batch of yours for this purpose"


@dataclass(frozen=True, slots=True)
class Standing:
    """A batch and how far it is."""

    batch: Batch
    total: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch: what its submitter calls it, and its body."""

    custom_id: str
    body: Mapping[str, Any]


class BatchDesk:
    """Takes and gives what belongs to batches. Safe to use from several threads."""

    def __init__(
        self,
        *,
        policies: Policies,
        privacy: Privacy,
        audit: TenantLogs,
        book: BatchBook,
        files: SealedFiles,
        keep_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``keep_s`` is how long answers, and files that nobody submits, are kept, in seconds."""
        self._policies = policies
        self._privacy = privacy
        self._audit = audit
        self._book = book
        self._files = files
        self._keep_s = keep_s
        self._clock = clock

    @property
    def book(self) -> BatchBook:
        """The book of batches."""
        return self._book

    def accept(self, caller: Caller, pieces: Iterable[bytes]) -> BatchInput:
        """Keep a file of requests, sealed, on record.

        1. Policy lets the caller state the purpose, before a byte is read. 2. There is room. 3. The
        bytes are sealed. 4. The record is durable. 5. The book knows of it.

        Raises ``DeniedError`` on record, ``BusyError``, ``TooLargeError``; nothing is left then.
        """
        who = caller.principal
        self._require(caller)  # 1
        if len(self._book.inputs(who.tenant, who.id, caller.purpose)) >= MOST_INPUTS:  # 2
            raise BusyError("over 100 files of yours wait: delete some", retry_after_s=60)
        file = uuid.uuid4().hex
        try:
            size = self._files.put(_input_place(who.tenant, file), _bounded(pieces))  # 3
            details: dict[str, Json] = {"file": file, "bytes": size}
            self._record(caller, Action.BATCH_BROUGHT, details)  # 4
            brought = BatchInput(file, who.tenant, who.id, caller.purpose, size, self._clock())
            self._book.bring(brought)  # 5
        except BaseException:
            self._destroy(_input_place(who.tenant, file))
            raise
        return brought

    def input(self, caller: Caller, file: str) -> BatchInput:
        """Return one of the caller's files. Raises ``NotFoundError``."""
        found = next((one for one in self.inputs(caller) if one.file == file), None)
        if found is None:
            raise NotFoundError(_GONE)
        return found

    def inputs(self, caller: Caller) -> list[BatchInput]:
        """Return the caller's files for the purpose, newest first."""
        who = caller.principal
        return self._book.inputs(who.tenant, who.id, caller.purpose)

    def remove(self, caller: Caller, file: str) -> None:
        """Destroy one of the caller's files, on record. Raises ``NotFoundError``, ``BusyError``."""
        found = self.input(caller, file)
        if self._book.works_on(found.tenant, file):
            raise BusyError("a batch works on the file: cancel it first", retry_after_s=5)
        self._record(caller, Action.BATCH_REMOVED, {"file": file})
        self._destroy(_input_place(found.tenant, file))
        self._book.drop_input(file)

    def submit(self, caller: Caller, file: str, endpoint: str) -> Batch:
        """Have a file answered, on record, line by line as there is room.

        Raises ``NotFoundError`` for a file that is not the caller's, ``InvalidRequestError`` naming
        the first line that is no request to the endpoint, ``DeniedError`` on record, ``BusyError``.
        """
        who = caller.principal
        self._require(caller)
        self.input(caller, file)
        if endpoint not in ENDPOINTS:
            raise InvalidRequestError(f"endpoint: wanted one of {', '.join(ENDPOINTS)}")
        if self._book.open_batches(who.tenant, who.id) >= MOST_OPEN:
            raise BusyError(f"{MOST_OPEN} batches of yours are not through", retry_after_s=60)
        lines = self.lines(who.tenant, file, endpoint)
        now = self._clock()
        batch = Batch(
            batch=uuid.uuid4().hex,
            tenant=who.tenant,
            principal=who,
            seen=now,
            purpose=caller.purpose,
            endpoint=endpoint,
            input_file=file,
            state=BatchState.IN_PROGRESS,
            created=now,
            expires=now + _WINDOW_S,
            ended=0.0,
            cancelled=0.0,
        )
        details: dict[str, Json] = {"batch": batch.batch, "file": file, "lines": len(lines)}
        details["endpoint"] = endpoint.rpartition("/")[2]
        self._record(caller, Action.BATCH_ASKED, details)
        self._book.submit(batch, len(lines))
        return batch

    def lines(self, tenant: str, file: str, endpoint: str) -> list[Line]:
        """Return the requests of a file, in order.

        Raises ``InvalidRequestError`` naming the first line that is none, ``NotFoundError``.
        """
        text = self._files.get(_input_place(tenant, file))
        raw = [line for line in text.split(b"\n") if line.strip()]
        if not 1 <= len(raw) <= MOST_LINES:
            raise InvalidRequestError(f"the file: wanted 1 to {MOST_LINES:,} lines")
        lines = [_line(number, one, endpoint) for number, one in enumerate(raw, 1)]
        if len({line.custom_id for line in lines}) < len(lines):
            raise InvalidRequestError("custom_id: two lines have the same")
        return lines

    def standing(self, caller: Caller, batch: str) -> Standing:
        """Return one of the caller's batches and how far it is. Raises ``NotFoundError``.

        Asking for it shows the caller's credential anew: lines go on with the rights of now.
        """
        found = self._theirs(caller, batch)
        if not found.state.final:
            self._book.seen(caller.principal)
        return self._standing(found)

    def standings(self, caller: Caller, *, after: str | None, limit: int) -> list[Standing]:
        """Return the caller's batches for the purpose, newest first."""
        who = caller.principal
        found = self._book.batches(who.tenant, who.id, caller.purpose, after=after, limit=limit)
        return [self._standing(one) for one in found]

    def cancel(self, caller: Caller, batch: str) -> Standing:
        """Let no further line of a batch begin, on record. Raises ``NotFoundError``."""
        found = self._theirs(caller, batch)
        if not found.state.final:
            self._record(caller, Action.BATCH_CANCELLED, {"batch": batch})
            self._book.cancel(batch)
        return self._standing(self._theirs(caller, batch))

    def answers(self, caller: Caller, batch: str, state: LineState) -> Iterator[bytes]:
        """Return the lines of a batch that ended so, on record, each with its line break.

        What was erased since is a line that says so. Raises ``NotFoundError`` before the end of
        the batch, ``DeniedError`` on record when the caller may not act for the purpose any more.
        """
        found = self._theirs(caller, batch)
        if not found.state.final:
            raise NotFoundError(_GONE)
        self._require(caller)
        numbers = [number for number, _ in self._book.ended_lines(batch, state)]
        if not numbers:
            raise NotFoundError(_GONE)
        self._record(caller, Action.BATCH_READ, {"batch": batch, "lines": len(numbers)})
        return (self._answer(found, number) + b"\n" for number in numbers)

    def size(self, batch: str, state: LineState) -> int:
        """Return how many bytes the lines have that ended so."""
        return sum(size + 1 for _, size in self._book.ended_lines(batch, state))

    def remove_answers(self, caller: Caller, batch: str) -> None:
        """Destroy a batch that has ended with its answers, on record.

        Raises ``NotFoundError``, ``BusyError`` while it is at work.
        """
        found = self._theirs(caller, batch)
        if not found.state.final:
            raise BusyError("the batch is at work: cancel it first", retry_after_s=5)
        self._record(caller, Action.BATCH_REMOVED, {"batch": batch})
        self._destroy_batch(found)

    def keep(self, batch: Batch, number: int, answer: bytes, subjects: Collection[str]) -> None:
        """Seal one line's answer; it dies with each of the subjects."""
        place = _line_place(batch, number)
        self._files.put(place, answer, subjects=subjects)

    def discard(self, batch: Batch, number: int) -> None:
        """Remove one line's answer."""
        self._files.delete(_line_place(batch, number))

    def end(self, batch: Batch, state: BatchState) -> None:
        """Note on record that a batch has ended, and destroy its requests."""
        counts = self._book.counts(batch.batch)
        told = {state.value: number for state, number in counts.items()}
        event = event_of(
            batch.principal,
            Action.BATCH_ENDED,
            request_id=batch.batch,
            trace=batch.batch,
            purpose=str(batch.purpose),
            policy=self._policies.digest,
            details={"batch": batch.batch, "state": state.value, "lines": told},
        )
        self._audit.append(event)
        self._book.end(batch.batch, state)
        # A file may be the requests of several batches: the last one takes it along.
        if not self._book.works_on(batch.tenant, batch.input_file):
            self._destroy(_input_place(batch.tenant, batch.input_file))
            self._book.drop_input(batch.input_file)

    def sweep(self) -> int:
        """Destroy what was kept long enough; return how many batches and files went."""
        before = self._clock() - self._keep_s
        ended, inputs = self._book.ended_before(before), self._book.old_inputs(before)
        for batch in ended:
            self._destroy_batch(batch)
        for one in inputs:
            if not self._book.works_on(one.tenant, one.file):
                self._destroy(_input_place(one.tenant, one.file))
                self._book.drop_input(one.file)
        return len(ended) + len(inputs)

    def _answer(self, batch: Batch, number: int) -> bytes:
        try:
            return self._files.get(_line_place(batch, number))
        except (NotFoundError, ForgottenError):
            # Its name went with it: the submitter chose that, and it may be about the person.
            error = {"code": "erased", "message": f"line {number}: what it was about was erased"}
            gone = {"id": f"batch_req_{batch.batch}_{number}", "custom_id": None, "response": None}
            return json.dumps({**gone, "error": error}).encode()

    def _standing(self, batch: Batch) -> Standing:
        counts = self._book.counts(batch.batch)
        return Standing(
            batch, sum(counts.values()), counts[LineState.DONE], counts[LineState.FAILED]
        )

    def _theirs(self, caller: Caller, batch: str) -> Batch:
        who = caller.principal
        found = self._book.lookup(who.tenant, batch)
        if found is None or found.principal.id != who.id or found.purpose is not caller.purpose:
            raise NotFoundError(_GONE)
        return found

    def _destroy_batch(self, batch: Batch) -> None:
        self._destroy(_line_place(batch, 0))
        self._book.remove(batch.batch)

    def _destroy(self, place: Place) -> None:
        """Destroy the key of all that lies in one place, then the bytes."""
        own = self._privacy.subject_ref(place.tenant, f"document:{place.document}")
        self._privacy.forget(place.tenant, own)
        self._files.forget(place.tenant, place.document)

    def _require(self, caller: Caller) -> None:
        if self._policies.may(caller.principal, Act.DECLARE, caller.purpose):
            return
        self._record(caller, Action.DENIED, {"act": "batch"}, Outcome.DENIED)
        raise DeniedError(self._policies.refusal_reason(caller.principal, caller.purpose))

    def _record(
        self,
        caller: Caller,
        action: Action,
        details: Mapping[str, Json],
        outcome: Outcome = Outcome.SUCCESS,
    ) -> None:
        digest = self._policies.digest
        self._audit.append(caller.event(action, outcome, policy=digest, details=details))


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LARGEST_INPUT:
            raise TooLargeError(f"the file has over {LARGEST_INPUT:,} bytes")
        yield piece


def _line(number: int, raw: bytes, endpoint: str) -> Line:
    wrong = InvalidRequestError(
        f"line {number}: wanted a JSON object with custom_id, method POST, url {endpoint}, and body"
    )
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(found, dict):
        raise wrong
    custom_id, body = found.get("custom_id"), found.get("body")
    if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= LONGEST_ID:
        raise wrong
    if not custom_id.isprintable():
        raise wrong
    if found.get("method") != "POST" or found.get("url") != endpoint:
        raise wrong
    if not isinstance(body, dict) or body.get("stream"):
        raise wrong
    return Line(custom_id, body)


def _input_place(tenant: str, file: str) -> Place:
    return Place(tenant, f"batch-input-{file}", _KIND, "requests")


def _line_place(batch: Batch, number: int) -> Place:
    return Place(batch.tenant, f"batch-{batch.batch}", _KIND, f"line-{number}")
