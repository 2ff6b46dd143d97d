"""A pool of processes on this machine. Each loads the models once, when its first documents come.

A worker is a fresh interpreter, never a fork: the libraries of the models hold threads and locks
that do not survive one. It is given what it needs through a socket that nobody else can open, and
ends when the other end of that socket is gone, however the job ended.
"""

import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final

from ingest.engine import Stage
from ingest.engine_spread import Answer, Lost
from ingest.engine_worker import READY, Unable
from ingest.stages import Processed
from ingest.work import Work
from ragplatform.errors import ConfigurationError, UnavailableError

_ROOT: Final = Path(__file__).resolve().parents[1]
_LAUNCH: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from ingest.engine_worker import main; "
    "main(int(sys.argv[2]))"
)


class Pool:
    """Implements ``Workers`` by processes of this machine."""

    def __init__(self, *, make: Callable[[], Stage], count: int) -> None:
        """``make`` is sent to each process and called there: a function of a module, bound."""
        self._make = make
        self._workers: list[_Worker | None] = [None] * count

    @property
    def count(self) -> int:
        """How many there are at most."""
        return len(self._workers)

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes that run now."""
        return [worker.process.pid for worker in self._workers if worker is not None]

    def give(self, worker: int, works: Sequence[Work]) -> None:
        """Hand documents to a worker, which is started first if it is not running."""
        running = self._workers[worker]
        if running is None:
            running = self._workers[worker] = _Worker(self._make)
        running.give(works)

    def wait(self) -> Sequence[Answer | Lost]:
        """Return what happened, after waiting for something to happen."""
        running = {
            worker.connection: number
            for number, worker in enumerate(self._workers)
            if worker is not None
        }
        happened: list[Answer | Lost] = []
        for connection in wait(list(running)):
            event = self._heard(running[connection])  # type: ignore[index]  # what was waited for
            if event is not None:
                happened.append(event)
        return happened

    def close(self) -> None:
        """End every worker. Calling it again does nothing."""
        for number, worker in enumerate(self._workers):
            if worker is not None:
                self._workers[number] = None
                worker.end()

    def _heard(self, number: int) -> Answer | Lost | None:
        worker = self._workers[number]
        if worker is None:
            return None
        try:
            said = worker.connection.recv()
        except (EOFError, OSError):
            self._workers[number] = None
            worker.end()
            return Lost(number, worker.ready)
        match said:
            case Processed():
                return Answer(number, said)
            case Unable(configuration=True):
                raise ConfigurationError(said.message)
            case Unable():
                raise UnavailableError(said.message)
        worker.ready = said == READY
        return None


class _Worker:
    """One process and the socket to it."""

    def __init__(self, make: Callable[[], Stage]) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self.process = subprocess.Popen(
                    # No folder that happens to be the current one may bring modules (-P).
                    [sys.executable, "-P", "-c", _LAUNCH, str(_ROOT), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    # What the job prints is for its caller; a library's word must not get in.
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # A key that stops the job is the job's to answer.
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise UnavailableError("a worker's process cannot be started") from error
        self.connection = Connection(ours.detach())
        self.ready = False
        self._send(make)

    def give(self, works: Sequence[Work]) -> None:
        self._send(works)

    def _send(self, what: object) -> None:
        try:
            self.connection.send(what)
        except OSError:
            # It has ended: whoever waits for it will hear so.
            return

    def end(self) -> None:
        """End the process at once: it has written nothing anywhere."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
