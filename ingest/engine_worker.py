"""The process of one worker: it does what it is given, in order, until nobody gives any more."""

import os
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from ingest.work import Work
from ragplatform.errors import ConfigurationError, PlatformError

READY: Final = "ready"


@dataclass(frozen=True, slots=True)
class Unable:
    """Why no document can be worked on here; ``configuration`` is for the operator to mend."""

    message: str
    configuration: bool = False


def main(handle: int) -> None:
    """Serve the job at the other end of the socket."""
    connection = Connection(handle)
    inbox: queue.SimpleQueue[Sequence[Work]] = queue.SimpleQueue()
    try:
        stage = connection.recv()()
        # From now on a thread takes what comes, so that the job never waits for a worker at work.
        threading.Thread(target=_take, args=(connection, inbox), daemon=True).start()
        connection.send(READY)
        while True:
            connection.send(stage(inbox.get()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except PlatformError as error:
        connection.send(Unable(str(error), isinstance(error, ConfigurationError)))


def _take(connection: Connection, inbox: "queue.SimpleQueue[Sequence[Work]]") -> None:
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        # The job has ended, maybe by a kill: nobody is left to take what is done here.
        os._exit(0)
