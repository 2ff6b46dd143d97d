"""The log's one writer: an event goes in, and a receipt comes out once it cannot be lost."""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.layout import (
    CHECKPOINT,
    KEY,
    LOCK,
    bind,
    commit_line,
    segment_name,
)
from ragplatform.audit.merkle import leaf_hash
from ragplatform.audit.note import Checkpoint, Signer
from ragplatform.audit.record import encode, stamp
from ragplatform.audit.recovery import Standing, claim, last_time, make_folders, recover, unrecorded
from ragplatform.audit.seal import Sealer
from ragplatform.audit.seeds import SealSeeds
from ragplatform.audit.storage import Disk, File, Storage, WriterLock, put
from ragplatform.audit.tile_writer import TileWriter
from ragplatform.errors import AuditError, TamperedError
from ragplatform.model import Receipt

# A segment this large is hashed in about half a second and still fits an e-mail's worth of tools.
SEGMENT_BYTES: Final = 64 * 1024 * 1024


def reason_of(error: BaseException) -> str:
    """Return what kept a record from the disk, without paths or texts: ``ENOSPC``, ``EIO``."""
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass(slots=True, eq=False)
class _Waiting:
    """One append on its way to the disk: its lines, and the index of the first."""

    index: int
    lines: list[bytes]
    # Held until the group is on the disk, the log is poisoned, or this append must lead.
    baton: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False
    gone: bool = False
    leaves: list[bytes] | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What is left of a log whose disk failed: the right to write it, and how far it was durable.

    The lock is never let go on the way to the log that is opened anew, so that no other process
    writes records in between.
    """

    lock: WriterLock
    size: int


def _locked(
    directory: Path, storage: Storage, after: GivenUp | None, undo: contextlib.ExitStack
) -> WriterLock:
    """Return the right to write the log: a new one, or that of the log that was given up."""
    if after is not None:
        _make_sure_it_is_there(directory)
        after.lock.renew()
        return after.lock
    make_folders(directory, storage)
    lock = WriterLock(directory / LOCK)
    undo.callback(lock.release)
    return lock


class AuditLog:
    """An append-only log in one folder, written by one process, shared by its threads.

    ``append`` groups what many threads bring into one write and one sync: the first to come leads,
    the others wait, and the next to lead is the first who came meanwhile.
    """

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        origin: str,
        signing_key: bytes,
        sealing_key: bytes,
        clock: Callable[[], datetime] = utc_now,
        storage: Storage | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        after: GivenUp | None = None,
        seeds: SealSeeds | None = None,
    ) -> Self:
        """Open the log in the folder for writing, creating it if there is none.

        1. Take the writer's lock, or go on with the one in ``after``: the log that this process
        gave up before. Its lock stays the caller's if this fails.
        2. Compare the key with the one the log was begun with.
        3. Hash what follows the newest tiles that are known to be durable, or the whole log where
        tiles are lacking or do not fit, and compare it with its last signature.
        4. Cut off what a crash left unfinished, keep it aside, and record that.

        ``signing_key`` is an Ed25519 seed and ``sealing_key`` a secret, 32 bytes each. With
        ``seeds`` what single records seal can be destroyed.

        Raises ``AuditLockedError`` when another process writes it, ``AuditError`` when the disk
        refuses, ``TamperedError`` when the log is not what was written, ``ConfigurationError`` for
        a key or origin that is not this log's.
        """
        signer = Signer(origin, signing_key)
        sealer = Sealer(origin, sealing_key, seeds)
        storage = storage or Disk()
        with contextlib.ExitStack() as undo:
            try:
                lock = _locked(directory, storage, after, undo)
                claim(directory, signer, storage)
                standing, tiles = recover(directory, signer, storage)
                if after is not None and standing.tree.size < after.size:
                    raise TamperedError(
                        f"the audit log {directory} ends after {standing.tree.size} records, but "
                        f"this process wrote {after.size}: keep it as evidence"
                    )
                log = cls(
                    standing=standing,
                    tiles=tiles,
                    directory=directory,
                    lock=lock,
                    signer=signer,
                    sealer=sealer,
                    clock=clock,
                    storage=storage,
                    segment_bytes=segment_bytes,
                )
                undo.callback(log._close_file)
                log._record_recovery()
            except OSError as error:
                raise AuditError(f"the audit log {directory} cannot be opened: {error}") from error
            undo.pop_all()
        return log

    def __init__(
        self,
        *,
        directory: Path,
        lock: WriterLock,
        signer: Signer,
        sealer: Sealer,
        standing: Standing,
        tiles: TileWriter,
        clock: Callable[[], datetime],
        storage: Storage,
        segment_bytes: int,
    ) -> None:
        self.origin: Final = signer.origin
        self.directory: Final = directory
        self._lock = lock
        self._signer = signer
        self._sealer = sealer
        self._clock = clock
        self._storage = storage
        self._segment_bytes = segment_bytes
        self._process = os.getpid()

        # Owned by whoever leads.
        self._tree = standing.tree
        self._tiles = tiles
        self._commit_above = standing.commit
        self._offset = standing.end
        self._file: File | None = None
        if standing.segment is not None:
            self._file = storage.open(standing.segment)

        # Owned by whoever holds the mutex.
        self._mutex = threading.Condition()
        self._next = standing.tree.size
        self._time = last_time(standing, signer.origin)
        self._pending: list[_Waiting] = []
        self._leading = False
        self._closed = False
        self._poison: str | None = None
        self._failure = ""
        self._crowd = 1
        self._sync_s = 0.0
        self._note = signer.sign(Checkpoint(standing.tree.size, standing.tree.root()))

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 key that the log's checkpoints verify under."""
        return self._signer.public_key

    @property
    def writable(self) -> bool:
        """Whether the log is open and no write of it has failed."""
        return not self._closed and self._poison is None

    @property
    def failure(self) -> str:
        """What ended the log, as the name of an error number (``ENOSPC``); empty while it lives."""
        return self._failure

    def append(self, event: AuditEvent) -> Receipt:
        """Record the event and return the proof, once it is durable.

        May be called from any thread. Raises ``AuditError`` when the record could not be made
        durable, and the act must then not happen. After a failed write or sync every further
        append fails until the log is opened anew: what the disk then holds nobody knows.
        """
        return self.append_together([event])[0]

    def append_together(self, events: Sequence[AuditEvent]) -> list[Receipt]:
        """Record the events one after the other, by one write and one sync; as ``append``.

        None is recorded where one of them cannot be.
        """
        if not events:
            return []
        waiting = self._enqueue(events)
        if not waiting.leads:
            self._wait(waiting)
        if waiting.leads and waiting.leaves is None:
            self._lead(waiting)
        if waiting.leaves is None:
            raise AuditError(self._poison or "the audit log is closed")
        return [
            Receipt(origin=self.origin, index=at, leaf=leaf)
            for at, leaf in enumerate(waiting.leaves, waiting.index)
        ]

    def checkpoint(self) -> str:
        """Return the signed checkpoint over all records that are durable now.

        Held outside this host it lets ``verify`` find a log that was cut off, rolled back or
        rewritten, even by someone who has the signing key.
        """
        with self._mutex:
            return self._note

    def close(self) -> None:
        """Let waiting appends finish, set the last checkpoint aside and let the next writer in.

        Calling it again does nothing. Raises ``AuditError`` when the checkpoint cannot be written;
        the log is closed even so.
        """
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            self._mutex.wait_for(lambda: not self._leading)
        try:
            if self._poison is None:
                put(self._storage, self.directory / CHECKPOINT, self._note.encode())
        except OSError as error:
            raise AuditError(f"the last checkpoint cannot be written: {error}") from error
        finally:
            self._close_file()
            self._lock.release()

    def give_up(self) -> GivenUp:
        """Close a log whose disk failed, and keep the right to write it.

        Nothing more is written: what the disk holds is found out by opening it anew.
        """
        with self._mutex:
            self._closed = True
            self._mutex.wait_for(lambda: not self._leading)
        with contextlib.suppress(OSError):
            self._close_file()
        return GivenUp(self._lock, self._tree.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _enqueue(self, events: Sequence[AuditEvent]) -> _Waiting:
        with self._mutex:
            self._refuse_unless_open()
            moment = self._clock()
            if moment.utcoffset() is None:
                raise AuditError("the audit clock gives times without a zone")
            # A clock that was set back must not make the log's times run backwards.
            at = max(stamp(moment), self._time)
            lines = [
                encode(event, index=index, time=at, sealer=self._sealer)
                for index, event in enumerate(events, self._next)
            ]
            waiting = _Waiting(self._next, lines)
            self._next += len(lines)
            self._time = at
            self._pending.append(waiting)
            if self._leading:
                waiting.baton.acquire()
            else:
                self._leading = waiting.leads = True
            return waiting

    def _refuse_unless_open(self) -> None:
        if self._poison is not None:
            raise AuditError(self._poison)
        if self._closed:
            raise AuditError("the audit log is closed")
        if os.getpid() != self._process:
            # A forked child shares the lock and the offset: two writers would overwrite each other.
            raise AuditError("the audit log was opened by the parent process: open one here")

    def _wait(self, waiting: _Waiting) -> None:
        try:
            waiting.baton.acquire()
        except BaseException:
            # Interrupted, as by Ctrl-C. The record may still go in, but nobody must wait for this
            # thread to lead.
            with self._mutex:
                waiting.gone = True
                leads = waiting.leads and waiting.leaves is None
            if leads:
                self._lead(waiting)
            raise

    def _lead(self, leader: _Waiting) -> None:
        """Commit the group that is waiting, then hand the lead on."""
        group: list[_Waiting] = []
        failure = "interrupted"
        try:
            group = self._gather()
            self._commit(group)
            failure = ""
        except OSError as error:
            failure = reason_of(error)
            raise AuditError(
                f"the audit log {self.directory} could not be written: {error}; nothing more is "
                "recorded until it is opened anew"
            ) from error
        finally:
            released = self._hand_on(group, failure)
            for waiting in released:
                if waiting is not leader:
                    waiting.baton.release()

    def _gather(self) -> list[_Waiting]:
        """Return the group to commit.

        Threads whose last append ended together come again together, but not at the same instant.
        A leader that left at once would take one and let the others wait for a whole sync; so it
        waits for as many as last time, for a fraction of what a sync takes.
        """
        patience = time.perf_counter() + min(self._sync_s / 4, 0.002)
        while len(self._pending) < self._crowd and time.perf_counter() < patience:
            time.sleep(0.00002)
        with self._mutex:
            group, self._pending = self._pending, []
            return group

    def _commit(self, group: list[_Waiting]) -> None:
        """Bring a group to the disk.

        1. Bind it to the commit line above.
        2. Grow the tree and sign its new root.
        3. Write records and commit line in one go, and sync.
        4. Write the tiles that this fills.

        A receipt exists only after step 3, and a tile as well: no tile holds more than the log.
        """
        self._rotate_if_full()
        first, *others = (line for waiting in group for line in waiting.lines)
        lines = [bind(first, self._commit_above), *others]
        leaves = [leaf_hash(line) for line in lines]
        tree = self._tree.copy()
        tree.extend(leaves)
        note = self._signer.sign(Checkpoint(tree.size, tree.root()))
        commit = commit_line(note, leaves)
        data = b"\n".join([*lines, commit, b""])
        file = self._segment()
        file.write(data, self._offset)
        began = time.perf_counter()
        file.sync()
        self._sync_s = time.perf_counter() - began
        self._tree, self._commit_above, self._offset = tree, commit, self._offset + len(data)
        with self._mutex:
            self._note = note
        hashed = iter(leaves)
        for waiting in group:
            waiting.leaves = list(islice(hashed, len(waiting.lines)))
        self._tiles.extend(leaves)
        self._tiles.write()

    def _segment(self) -> File:
        if self._file is None:
            path = self.directory / segment_name(self._tree.size)
            self._file = self._storage.open(path)
            # The name must be durable before a record is: a synced file without a name is lost.
            self._storage.sync_folder(self.directory)
        return self._file

    def _rotate_if_full(self) -> None:
        if self._file is None or self._offset < self._segment_bytes:
            return
        self._tiles.secure()
        put(self._storage, self.directory / CHECKPOINT, self._note.encode())
        self._close_file()
        self._offset = 0

    def _hand_on(self, group: list[_Waiting], failure: str) -> list[_Waiting]:
        """Return who may go on: the group, and the next leader or, when poisoned, everyone."""
        with self._mutex:
            if failure:
                self._failure = failure
                self._poison = (
                    f"the audit log {self.directory} failed earlier and records nothing more: "
                    "mend the disk and open it anew"
                )
                released, self._pending = group + self._pending, []
                self._leading = False
                self._mutex.notify_all()
                return released
            self._crowd = len(group) + len(self._pending)
            heir = next((w for w in self._pending if not w.gone), None)
            if heir is not None:
                heir.leads = True
                return [*group, heir]
            self._leading = False
            self._mutex.notify_all()
            return group

    def _record_recovery(self) -> None:
        for path, details in unrecorded(self.directory):
            self.append(
                AuditEvent(
                    Action.RECOVERED,
                    Outcome.SUCCESS,
                    tenant="",
                    actor=self.origin,
                    request_id="",
                    details=details,
                )
            )
            # Not synced: if a crash undoes the new name, the same end is recorded a second time.
            self._storage.rename(path, path.with_suffix(".bin"))


def _make_sure_it_is_there(directory: Path) -> None:
    # A volume that is no longer mounted leaves an empty folder, in which a second log would begin.
    if not (directory / KEY).exists():
        raise AuditError(f"the audit log {directory} is gone: mount its volume, or restore it")
