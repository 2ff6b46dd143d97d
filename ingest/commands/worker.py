"""Do what was asked for over REST."""

import signal
import threading
from types import FrameType
from typing import Annotated, Final

import typer

from ingest import working as composed
from ingest.commands import console
from ragplatform.errors import UnavailableError

# How long a run waits that somebody asks for while nothing else is at work.
_IDLE_S: Final = 1.0
_AWAY_S: Final = 15.0


def worker(
    once: Annotated[bool, typer.Option(help="End when nothing waits.")] = False,
) -> None:
    """Do the runs that were asked for over REST, until told to stop.

    SIGTERM ends it after the document in hand; the run is then left to the next worker.
    """
    stop = threading.Event()

    def told(number: int, _: FrameType | None) -> None:
        # A second one ends the process wherever it is: what it leaves is mended by the next.
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    with console.exits(), composed.worker(console.settings(), stop) as one:
        console.err.print("worker: waiting for runs", markup=False)
        while not stop.is_set():
            try:
                if one.work():
                    continue
            except UnavailableError as error:
                if once:
                    raise
                console.err.print(f"worker: {error}; trying again", markup=False)
                stop.wait(_AWAY_S)
                continue
            if once:
                return
            stop.wait(_IDLE_S)
