"""Stands by a run while it works: its row in the ledger says that it lives and how far it is.

A thread writes the row every few seconds, also while one document takes long, and reads there
whether somebody asked the run to end.
"""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ingest.ledger import LEASE_S, Ledger
from ingest.report import Report
from ingest.runs import Ended
from ingest.work import Target
from ragplatform.errors import PlatformError

BEAT_S: Final = 5.0


class Attendance:
    """The heartbeat of one run. ``asked_to_end`` is True from when somebody cancelled it."""

    def __init__(self, *, ledger: Ledger, report: Report, every_s: float) -> None:
        self._ledger = ledger
        self._report = report
        self._every_s = every_s
        self._over = threading.Event()
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def asked_to_end(self) -> bool:
        """Return whether the run was cancelled."""
        return self._asked.is_set()

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the beat that is under way."""
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(self._every_s):
            # A database that is away for a moment ends no run here: the job itself will see it.
            with contextlib.suppress(PlatformError):
                progress = self._report.progress()
                if self._ledger.runs.beat(self._report.run, progress, lease_s=LEASE_S):
                    self._asked.set()


@contextmanager
def attended(
    ledger: Ledger,
    report: Report,
    where: Target,
    *,
    source: str = "",
    arguments: str = "",
    every_s: float = BEAT_S,
) -> Iterator[Attendance]:
    """Enter the run in the ledger, stand by it, and note how it ended.

    ``arguments`` are what it was called with, sealed: kept while it may be taken up again.
    """
    run = report.run
    ledger.runs.start(
        run,
        tenant=where.principal.tenant,
        collection=where.collection,
        source=source,
        arguments=arguments,
    )
    attendance = Attendance(ledger=ledger, report=report, every_s=every_s)
    attendance.start()
    ended = Ended.FAILED
    try:
        yield attendance
        ended = Ended.CANCELLED if report.cancelled else Ended.DONE
    finally:
        attendance.stop()
        failing = ended is Ended.FAILED
        # What broke the run off says more than that its end could not be noted either.
        with contextlib.suppress(PlatformError) if failing else contextlib.nullcontext():
            ledger.runs.finish(
                run,
                dict(report.states),
                ended=ended,
                progress=report.progress(),
                keep_arguments=ended is not Ended.DONE or bool(report.failed),
            )
