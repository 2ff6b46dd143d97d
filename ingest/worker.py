"""Does the runs that were asked for over REST, one at a time; many workers may share a queue."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

from ingest.intake import Uploads
from ingest.queue import LEASE_S, QueuedRun, RunQueue, RunState, What
from ingest.report import FileResult, Report
from ragplatform.errors import NotFoundError, PlatformError, UnavailableError
from ragplatform.model import Json

_log = structlog.get_logger("ingest.worker")


class Runs(Protocol):
    """Does one run, whatever it takes in."""

    def run(
        self,
        asked: QueuedRun,
        *,
        told: Callable[[FileResult], None],
        stopped: Callable[[], bool],
    ) -> Report:
        """Return what the run did. It ends after the document in hand once ``stopped`` says so.

        Raises ``UnavailableError`` when a part is away: the run can be done later.
        """


class Worker:
    """Takes runs from the queue. What is there when it starts is done first."""

    def __init__(self, *, queue: RunQueue, uploads: Uploads, runs: Runs) -> None:
        self._queue = queue
        self._uploads = uploads
        self._runs = runs

    def work(self) -> bool:
        """Do the run that has waited longest; return False when none waits.

        A run that fails is ended with its reason. One for which a part was away stays this
        process's until its lease ends, and is then taken again, by whoever is there. Raises
        ``UnavailableError`` in that case.
        """
        asked = self._queue.take()
        if asked is None:
            return False
        with self._leased(asked.run) as stop:
            try:
                report = self._runs.run(
                    asked, told=lambda result: self._tell(asked.run, result), stopped=stop.is_set
                )
            except NotFoundError:
                self._end(asked, RunState.FAILED, {"error": NotFoundError.code})
            except UnavailableError:
                raise
            except PlatformError as error:
                _log.error("run_failed", run=asked.run, code=error.code, detail=str(error))
                self._end(asked, RunState.FAILED, {"error": error.code})
            else:
                state = RunState.CANCELLED if stop.is_set() else RunState.SUCCEEDED
                self._end(asked, state, report.summary())
        return True

    def _end(self, asked: QueuedRun, state: RunState, outcome: dict[str, Json]) -> None:
        self._queue.finish(asked.run, state, outcome)
        if asked.kind is What.FILE:
            # Last: a run that is taken again after a crash needs it still.
            self._uploads.destroy(asked.tenant, asked.run)

    def _tell(self, run: str, result: FileResult) -> None:
        event: dict[str, Json] = {"state": str(result.state)}
        if result.document:
            event["document"] = result.document
        if result.chunks:
            event["chunks"] = result.chunks
        if result.reason:
            event["reason"] = result.reason
        self._queue.tell(run, "file", event)

    @contextmanager
    def _leased(self, run: str) -> Iterator[threading.Event]:
        """Keep the run ours while the block lasts; the event is set when it is to end."""
        stop, over = threading.Event(), threading.Event()

        def renew() -> None:
            while not over.wait(LEASE_S / 8):
                try:
                    if not self._queue.renew(run):
                        stop.set()
                except UnavailableError as error:
                    _log.warning("lease_not_renewed", run=run, code=error.code)

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield stop
        finally:
            over.set()
            thread.join()
