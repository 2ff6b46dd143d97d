"""The witness itself: cosigns a checkpoint only when it continues what it cosigned before.

It runs on another host than the log's writer and needs no secret of the platform: its own key, and
the public keys of the logs that it knows.

Source: C2SP tlog-witness, version 1.1.0 (https://c2sp.org/tlog-witness), "add-checkpoint".
"""

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Final, Self

from ragplatform.audit.recovery import make_folders
from ragplatform.audit.storage import Storage, WriterLock, put
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_notes import (
    LOG_KEY,
    Cosigner,
    Note,
    VerifierKey,
    parse_key,
    parse_note,
)
from ragplatform.audit.witness_proofs import LONGEST_PROOF, extends
from ragplatform.errors import ConfigurationError, TamperedError

KEY_FILE: Final = "witness.key"
PUBLIC_FILE: Final = "witness.pub"
LOGS_FILE: Final = "logs"

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_HASH: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
_EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


class RefusalError(Exception):
    """Why a checkpoint is not cosigned, as the protocol says it.

    ``known_size`` is how much of the log was cosigned before, where the client should know it.
    """

    def __init__(self, status: HTTPStatus, reason: str, known_size: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.known_size = known_size


def found_witness(folder: Path, name: str, *, storage: Storage) -> VerifierKey:
    """Make the key of a new witness in a folder of its own, and return its public part.

    Raises ``ConfigurationError`` when the folder has a witness already. One that lost its folder
    must not go on under its old key: it no longer knows what it cosigned.
    """
    path = folder / KEY_FILE
    if path.exists():
        raise ConfigurationError(f"{folder} is the folder of a witness already: use another one")
    seed = secrets.token_bytes(32)
    cosigner = Cosigner(name, seed)
    make_folders(folder, storage)
    put(storage, folder / PUBLIC_FILE, f"{cosigner.key}\n".encode())
    if not (folder / LOGS_FILE).exists():
        put(storage, folder / LOGS_FILE, b"")
    # Last, since it is what makes the folder that of a witness.
    put(storage, path, f"{seed.hex()}\n".encode())
    return cosigner.key


class CosigningWitness:
    """Cosigns checkpoints of the logs whose keys stand in its folder; one process, many threads.

    The file ``logs`` holds one verifier key a line and is read anew for each request, so that a
    log can be added while the witness runs.
    """

    @classmethod
    def open(cls, folder: Path, *, storage: Storage, now: Callable[[], float]) -> Self:
        """Open the witness in a folder that ``found_witness`` made.

        Raises ``ConfigurationError`` when there is none, ``AuditLockedError`` when another process
        runs it.
        """
        try:
            seed = bytes.fromhex((folder / KEY_FILE).read_text("ascii").strip())
            name = parse_key((folder / PUBLIC_FILE).read_text("utf-8")).name
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{folder} is not the folder of a witness: run `ragplatform audit witness init`"
            ) from error
        cosigner = Cosigner(name, seed)
        if str(cosigner.key) != (folder / PUBLIC_FILE).read_text("utf-8").strip():
            raise ConfigurationError(f"{folder}: {PUBLIC_FILE} does not belong to {KEY_FILE}")
        return cls(folder, cosigner=cosigner, storage=storage, now=now)

    def __init__(
        self, folder: Path, *, cosigner: Cosigner, storage: Storage, now: Callable[[], float]
    ) -> None:
        self.key: Final = cosigner.key
        self.held: Final = HeldCheckpoints(folder / "checkpoints", storage=storage)
        self._conflicts = HeldCheckpoints(folder / "conflicts", storage=storage)
        self._folder = folder
        self._cosigner = cosigner
        self._now = now
        self._lock = WriterLock(folder / "lock")
        # Comparing with the newest and keeping the new one must not be torn apart by another
        # request: the older of two would be kept last. Source: tlog-witness, "add-checkpoint".
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Let another process run this witness."""
        self._lock.release()

    def add_checkpoint(self, body: bytes) -> str:
        """Return the cosignature line for the checkpoint in a request, once it is held durably.

        1. Read the request.
        2. Find the log's key and check its signature.
        3. Compare the old size with what was cosigned before.
        4. Check that the new state extends that.
        5. Keep the checkpoint with the cosignature, and only then answer.

        Raises ``RefusalError`` with the protocol's status, ``TamperedError`` when what is held is
        damaged: a witness that cannot read its memory signs nothing.
        """
        old, proof, note = _parse(body)  # 1
        key = self._known().get(note.origin)  # 2
        if key is None:
            raise RefusalError(HTTPStatus.NOT_FOUND, "this witness does not know the log")
        if not key.signed(note):
            raise RefusalError(HTTPStatus.FORBIDDEN, "the log's key did not sign the checkpoint")
        if old > note.size:
            raise RefusalError(HTTPStatus.BAD_REQUEST, "the old size is above the new one")
        with self._one_at_a_time:
            newest = self.held.newest(note.origin)
            known = (0, _EMPTY_ROOT) if newest is None else (newest.size, newest.root)
            if old != known[0]:  # 3
                raise RefusalError(HTTPStatus.CONFLICT, "another size was cosigned", known[0])
            self._require_extension(*known, note, proof)  # 4
            # Signatures of others are not kept: nobody vouched for them here.
            cosignature = self._cosigner.cosign(note, int(self._now()))
            ours = replace(note, signatures=(*key.of_this_key(note), cosignature))
            log_line, our_line = key.of_this_key(note), self.key.of_this_key(ours)
            if note.size:
                self.held.add(
                    Note(note.text, note.origin, note.size, note.root, log_line + our_line)
                )
            return our_line[-1].line  # 5

    def _require_extension(
        self, old: int, old_root: bytes, note: Note, proof: tuple[bytes, ...]
    ) -> None:
        if not extends(old, old_root, note.size, note.root, proof):
            # Of two states of one size, both signed by the log, one alone can be true.
            self._conflicts.add(note)
            raise RefusalError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "the proof does not show that the log was extended"
            )

    def _known(self) -> Mapping[str, VerifierKey]:
        """Return the keys of the logs that this witness knows, by origin."""
        path = self._folder / LOGS_FILE
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        keys = [parse_key(line) for line in lines if line.strip() and not line.startswith("#")]
        if any(key.algorithm != LOG_KEY for key in keys):
            raise ConfigurationError(f"{path}: holds the key of a witness; wanted those of logs")
        if len({key.name for key in keys}) != len(keys):
            raise ConfigurationError(f"{path}: two keys for one log; keep the one that is right")
        return {key.name: key for key in keys}


def _parse(body: bytes) -> tuple[int, tuple[bytes, ...], Note]:
    """Return the old size, the proof and the checkpoint in a request."""
    try:
        head, _, note = body.decode().partition("\n\n")
        checkpoint = parse_note(note)
    except (UnicodeDecodeError, TamperedError) as error:
        raise RefusalError(HTTPStatus.BAD_REQUEST, str(error)) from error
    first, *hashes = head.split("\n")
    match = _OLD.fullmatch(first)
    sound = len(hashes) <= LONGEST_PROOF and all(_HASH.fullmatch(line) for line in hashes)
    if match is None or not sound:
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, "wanted `old SIZE`, hashes, an empty line and a checkpoint"
        )
    return int(match[1]), tuple(base64.b64decode(line) for line in hashes), checkpoint
