"""Where checkpoints are handed over to: a folder, a cosigning witness, a time-stamping authority.

Each of them remembers, outside the log's host, what the log said. That alone lets anybody see that
a log was cut off, rolled back or rewritten, also by somebody who has its signing key.

Source: C2SP tlog-witness (https://c2sp.org/tlog-witness), for the cosigning witness.
"""

import base64
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol

from ragplatform.audit.layout import KEY, segments
from ragplatform.audit.query import newest_checkpoint
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_notes import (
    Note,
    Signature,
    VerifierKey,
    parse_key,
    parse_note,
    parse_signatures,
)
from ragplatform.audit.witness_proofs import extends
from ragplatform.errors import ConfigurationError, TamperedError, WitnessConflictError, WitnessError

_SIZE_LINE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")

Prove = Callable[[Path, int, int], Sequence[bytes]]
"""Returns the consistency proof between two sizes of the log in a folder (RFC 9162, 2.1.4)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an HTTP server answered."""

    status: int
    body: bytes


class Post(Protocol):
    """Sends a body to a URL. Raises ``WitnessError`` when no answer comes."""

    def __call__(self, url: str, body: bytes, media_type: str) -> Reply:
        """Return the answer, whatever its status."""


class Witness(Protocol):
    """Remembers checkpoints where whoever can alter the log cannot alter them."""

    @property
    def name(self) -> str:
        """The name by which status, records and settings speak of it."""

    @property
    def every_s(self) -> float:
        """The least time between two checkpoints of one log, in seconds."""

    def hand_over(self, log: Path, note: Note, known: int) -> Sequence[Signature]:
        """Make the witness hold the checkpoint, and return what it signed; empty for a folder.

        ``known`` is the size of the log that it held last, as far as we know; 0 if unknown.
        Raises ``WitnessError`` when it cannot be reached or refuses, ``WitnessConflictError`` when
        it holds a history that the log does not continue.
        """


def durable_note(log: Path) -> Note:
    """Return a log's newest checkpoint once nothing can undo it, signed by the key beside it.

    A commit line can be read before its sync has returned. A witness that held it after a power
    cut has undone it would call the log rolled back for ever; so the file is synced here first.

    Raises ``NotFoundError`` when there is no log, ``TamperedError`` when the checkpoint is damaged.
    """
    note = parse_note(newest_checkpoint(log))
    paths = [path for _, path in segments(log)[-1:]]
    for path in (*paths, log):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    if not log_key(log).signed(note):
        raise TamperedError(f"the newest checkpoint of {log.name} is not signed by the log's key")
    return note


def log_key(log: Path) -> VerifierKey:
    """Return the public key beside a log. Raises ``TamperedError`` when it is damaged."""
    try:
        return parse_key((log / KEY).read_text("utf-8"))
    except (ConfigurationError, UnicodeDecodeError) as error:
        raise TamperedError(f"{log / KEY} is damaged") from error


def require_continued(log: Path, note: Note, held: Note, prove: Prove) -> None:
    """Raise ``WitnessConflictError`` unless the note is a later state of what is held."""
    if held.size > note.size:
        raise WitnessConflictError(rolled_back(note, held.size))
    proof = prove(log, held.size, note.size) if 0 < held.size < note.size else ()
    if not extends(held.size, held.root, note.size, note.root, proof):
        raise WitnessConflictError(_rewritten(note, held.size))


class FolderWitness:
    """Hands checkpoints to a folder that is mounted from elsewhere."""

    def __init__(self, held: HeldCheckpoints, *, every_s: float, prove: Prove) -> None:
        self.held: Final = held
        self.every_s: Final = every_s
        self._prove = prove

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.held.folder)

    def hand_over(self, log: Path, note: Note, known: int) -> Sequence[Signature]:
        """Keep the checkpoint in the folder, if the log continues what is there.

        The folder is made by whoever mounts it, never here: an empty mount point would take the
        checkpoints to the very disk that they are to be kept from.
        """
        if not self.held.folder.is_dir():
            raise WitnessError(f"the folder {self.name} is not there: make or mount it")
        try:
            if held := self.held.newest(note.origin):
                require_continued(log, note, held, self._prove)
            self.held.add(note)
        except OSError as error:
            raise WitnessError(f"the folder {self.name} takes no checkpoint: {error}") from error
        return ()


class HttpWitness:
    """Has checkpoints cosigned by a witness that speaks tlog-witness, ours or another's."""

    def __init__(
        self, url: str, *, key: VerifierKey, every_s: float, post: Post, prove: Prove
    ) -> None:
        self.name: Final = url
        self.key: Final = key
        self.every_s: Final = every_s
        self._post = post
        self._prove = prove

    def hand_over(self, log: Path, note: Note, known: int) -> Sequence[Signature]:
        """Send the checkpoint with the proof from the size that the witness cosigned last.

        A witness that cosigned another size than we knew says which; it is then asked once more.
        """
        old = min(known, note.size)
        for _ in range(2):
            reply = self._send(log, note, old)
            if reply.status == HTTPStatus.OK:
                return self._verified(note, reply)
            if reply.status != HTTPStatus.CONFLICT:
                break
            size = _size_in(reply)
            if size > note.size:
                raise WitnessConflictError(rolled_back(note, size))
            if size == old:
                # Version 1.0.0 of the protocol; since then it is 422.
                raise WitnessConflictError(_rewritten(note, old))
            old = size
        if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise WitnessConflictError(_rewritten(note, old))
        meaning = {
            HTTPStatus.NOT_FOUND: "it does not know this log: give it the log's verifier key",
            HTTPStatus.FORBIDDEN: "it knows the log by another key",
        }.get(HTTPStatus(reply.status), "it is not in order")
        raise WitnessError(f"the witness answers {reply.status} to {note.origin}: {meaning}")

    def _send(self, log: Path, note: Note, old: int) -> Reply:
        proof = self._prove(log, old, note.size) if 0 < old < note.size else ()
        lines = [f"old {old}", *(base64.b64encode(node).decode() for node in proof), ""]
        body = "\n".join(lines) + f"\n{note}"
        return self._post(f"{self.name.rstrip('/')}/add-checkpoint", body.encode(), "text/plain")

    def _verified(self, note: Note, reply: Reply) -> tuple[Signature, ...]:
        try:
            signed = note.with_signatures(parse_signatures(reply.body.decode()))
        except (UnicodeDecodeError, TamperedError) as error:
            raise WitnessError("the witness answers with something else than signatures") from error
        if self.key.cosigned_at(signed) is None:
            raise WitnessError("the witness's answer is not signed by the key in the settings")
        return self.key.of_this_key(signed)


def _size_in(reply: Reply) -> int:
    match = _SIZE_LINE.fullmatch(reply.body)
    if match is None:
        raise WitnessError("the witness answers 409 without the size that it cosigned")
    return int(match[1])


def rolled_back(note: Note, held: int) -> str:
    """Return what is said where a witness holds more records than the log has."""
    return (
        f"the log {note.origin} was cut off or rolled back: the witness holds a checkpoint over "
        f"{held} records, {note.size} are there; keep the files as evidence and run "
        "`ragplatform audit verify --witness`"
    )


def _rewritten(note: Note, held: int) -> str:
    return (
        f"the log {note.origin} was rewritten: its {note.size} records do not continue the {held} "
        "that the witness holds a checkpoint over; keep the files as evidence and run "
        "`ragplatform audit verify --witness`"
    )
