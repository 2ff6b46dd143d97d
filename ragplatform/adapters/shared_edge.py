"""The embedded index shared by the processes of one host: one holds it, the others ask it.

The engine admits one process to its folder. Whoever comes first takes the owner's lock, opens the
engine and serves a socket; whoever comes later asks through the socket. When the owner goes away,
also by kill -9, the kernel frees its lock and the next operation of any other process takes its
place. The lock is ``flock`` on a file that is never deleted, so that two processes can never hold
locks on two files of one name.

Every operation may be repeated without harm, so an operation that its owner died under is asked
again of the next owner. Only its count can then be short: what the dead owner had done already is
not counted twice.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.edge_guest import GuestIndex
from ragplatform.adapters.edge_owner import OwnerServer
from ragplatform.adapters.edge_wire import OwnerGoneError, Store
from ragplatform.adapters.filters import within
from ragplatform.errors import ConfigurationError, IndexLockedError, IndexUnavailableError
from ragplatform.model import Hit, Labels, Narrow, Passage, Scope, TermWeights
from ragplatform.ports import Entry

_T = TypeVar("_T")

LOCK_NAME: Final = "owner.lock"

# Opening an index of 10^5 passages takes about a second; a dying owner frees its locks sooner.
PATIENCE_S: Final = 15.0
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25


class Role(StrEnum):
    """How this process reaches the index."""

    OWNER = "owner"
    GUEST = "guest"


@dataclass(frozen=True, slots=True)
class _Seat:
    """The one store that this process uses now, and what it holds besides when it is the owner."""

    role: Role
    store: Store
    owner: int
    server: OwnerServer | None = None
    lock: int | None = None

    def leave(self) -> None:
        """Stop serving, close the engine, and only then let another process take the lock."""
        try:
            if self.server is not None:
                self.server.close()
            self.store.close()
        finally:
            if self.lock is not None:
                os.close(self.lock)


class SharedEdgeIndex:
    """Implements ``Index`` over a folder that several processes use at the same time.

    Not to be carried over a fork: open it in the child.
    """

    def __init__(self, *, folder: Path, dim: int, patience_s: float = PATIENCE_S) -> None:
        """Take the index in ``folder``, made if absent, or reach the process that holds it.

        ``patience_s`` bounds the wait for an owner that is starting or dying.

        Raises ``IndexLockedError`` when another process holds it and cannot be reached,
        ``ConfigurationError`` when it holds vectors of another length than ``dim`` or the folder
        belongs to another user.
        """
        self._folder = folder
        self._dim = dim
        self._patience_s = patience_s
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        _prepare(folder)
        self._seat: _Seat | None = self._elect()

    @property
    def dim(self) -> int:
        """The length of the dense vectors."""
        return self._dim

    @property
    def role(self) -> Role:
        """Whether this process holds the index or asks another one, as of the last operation."""
        return self._seated().role

    def owner_pid(self) -> int:
        """Return the id of the process that holds the index, as of the last operation."""
        return self._seated().owner

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Store the entries; an entry whose chunk id is already there replaces it.

        On the disk when the call returns, whichever process holds the index.
        """
        self._do(lambda store: store.upsert(entries))

    def search(
        self,
        vector: Sequence[float],
        terms: TermWeights,
        scope: Scope,
        limit: int,
        narrow: Narrow | None = None,
    ) -> list[Hit]:
        """Return up to ``limit`` hits in the scope, best first, dense and sparse fused."""
        tree = within(scope, narrow)
        if not tree.branches:
            return []
        return self._do(lambda store: store.search_within(vector, terms, tree, limit))

    def fetch(self, chunk: str, scope: Scope) -> Hit | None:
        """Return one passage if it exists and lies in the scope, else None; its score is 1."""
        tree = within(scope)
        if not tree.branches:
            return None
        return self._do(lambda store: store.fetch_within(chunk, tree))

    def browse(self, scope: Scope, narrow: Narrow, limit: int) -> list[Passage]:
        """Return up to ``limit`` passages in the scope that fit ``narrow``, by chunk id."""
        tree = within(scope, narrow)
        if not tree.branches or limit < 1:
            return []
        return self._do(lambda store: store.browse_within(tree, limit))

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """Return, for each document of the tenant, the number of chunks in each generation."""
        return self._do(lambda store: store.generations(tenant))

    def passages(
        self, tenant: str, document: str, generation: str, *, after: str = "", limit: int
    ) -> list[Passage]:
        """Return up to ``limit`` passages of one generation of a tenant's document, in order."""
        return self._do(
            lambda store: store.passages(tenant, document, generation, after=after, limit=limit)
        )

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Delete the document's chunks of every other generation; return how many went."""
        return self._do(lambda store: store.retire(tenant, document, keep_generation))

    def remove(self, tenant: str, document: str) -> int:
        """Delete all chunks of the document; return how many went."""
        return self._do(lambda store: store.remove(tenant, document))

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Give all chunks of the document new labels without re-embedding; return how many."""
        return self._do(lambda store: store.relabel(document, labels, access_class))

    def scrub(self, tenant: str) -> None:
        """Leave nothing in the engine's files of what was deleted, whichever process holds it."""
        self._do(lambda store: store.scrub(tenant))

    def count(self) -> int:
        """Return the number of chunks stored, over all tenants."""
        return self._do(lambda store: store.count())

    def close(self) -> None:
        """Flush and let go. The next operation of another process takes the owner's place."""
        with self._lock:
            self._closed = True
            seat, self._seat = self._seat, None
        if seat is not None:
            seat.leave()

    def _do(self, operation: Callable[[Store], _T]) -> _T:
        deadline: float | None = None
        pause_s = _FIRST_PAUSE_S
        while True:
            seat = self._seated()
            try:
                return operation(seat.store)
            except OwnerGoneError as error:
                self._give_up(seat)
                deadline = deadline or time.monotonic() + self._patience_s
                if time.monotonic() > deadline:
                    raise self._locked() from error
            # An owner that greets and then fails each time must not be asked in a tight loop.
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _seated(self) -> _Seat:
        if os.getpid() != self._process:
            raise IndexUnavailableError(
                "the index was opened before this process was forked: open it in the child"
            )
        with self._lock:
            if self._closed:
                raise IndexUnavailableError("the index is closed: open it again")
            if self._seat is None:
                self._seat = self._elect()
            return self._seat

    def _give_up(self, seat: _Seat) -> None:
        with self._lock:
            if self._seat is seat:
                self._seat = None
        seat.leave()

    def _elect(self) -> _Seat:
        """Take the lock or reach its holder, whichever comes first; try until patience ends."""
        deadline = time.monotonic() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                with contextlib.suppress(IndexLockedError, OwnerGoneError):
                    return self._own() or self._visit()
            except OSError as error:
                raise IndexUnavailableError(
                    f"the index in {self._folder} cannot be reached: {error}"
                ) from error
            if time.monotonic() > deadline:
                raise self._locked()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _own(self) -> _Seat | None:
        """Return the owner's seat, or None while another process holds the lock.

        Raises ``IndexLockedError`` while the engine is open elsewhere although the lock was free:
        a dying owner's descriptors are closed one by one.
        """
        lock = os.open(self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        store: EdgeIndex | None = None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return None
            os.truncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            store = EdgeIndex(folder=self._folder, dim=self._dim)
            server = OwnerServer(store=store, dim=self._dim, folder=self._folder)
        except BaseException:
            if store is not None:
                store.close()
            os.close(lock)
            raise
        return _Seat(Role.OWNER, store, os.getpid(), server, lock)

    def _visit(self) -> _Seat:
        guest = GuestIndex(folder=self._folder, dim=self._dim)
        return _Seat(Role.GUEST, guest, guest.owner)

    def _locked(self) -> IndexLockedError:
        holder = (self._folder / LOCK_NAME).read_text(errors="replace")[:20] or "unknown"
        return IndexLockedError(
            f"process {holder} holds the index in {self._folder} and does not answer on its "
            f"socket: wait for it, or stop it (kill {holder}) and try again; nothing was changed"
        )


def _prepare(folder: Path) -> None:
    """Make the folder, closed to all but this user: who can enter it can ask the owner."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_uid != os.geteuid():
            raise ConfigurationError(
                f"{folder} belongs to user {found.st_uid}, not to {os.geteuid()}: run as that "
                "user, or choose another data folder"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise IndexUnavailableError(f"the index in {folder} cannot be made: {error}") from error
