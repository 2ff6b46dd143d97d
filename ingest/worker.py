"""Does the runs that were asked for over REST, one at a time; many workers may share a queue."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import structlog

from ingest.erasure_orders import Named
from ingest.intake import Uploads
from ingest.queue import QueuedRun, RunQueue, RunState, What
from ingest.report import FileResult
from ragplatform.errors import NotFoundError, PlatformError, UnavailableError
from ragplatform.model import Json

_log = structlog.get_logger("ingest.worker")

# How soon a worker hears that its run was cancelled.
_BEAT_S: Final = 5.0
# What a log says of a run that ended, out of its summary.
_TOLD: Final = ("files", "indexed", "exit_code", "error", "certified", "kept")


class Outcome(Protocol):
    """How a run came to its end."""

    @property
    def cancelled(self) -> bool:
        """Whether it was stopped before all was done."""

    @property
    def all_well(self) -> bool:
        """Whether nothing failed, waits, or was kept where it was to go."""

    def summary(self) -> dict[str, Json]:
        """Return what it did, counted; no text of any document."""


class Runs(Protocol):
    """Does one run, whatever it takes in."""

    def run(
        self,
        asked: QueuedRun,
        *,
        told: Callable[[FileResult | Named], None],
        stopped: Callable[[], bool],
    ) -> Outcome:
        """Return what the run did. It ends after the document in hand once ``stopped`` says so.

        Raises ``UnavailableError`` when a part is away: the run can be done later.
        """


class Worker:
    """Takes runs from the queue. What is there when it starts is done first."""

    def __init__(
        self, *, queue: RunQueue, uploads: Uploads, runs: Runs, ending: threading.Event
    ) -> None:
        """From when ``ending`` is set, the run in hand goes back to the queue."""
        self._ending = ending
        self._queue = queue
        self._uploads = uploads
        self._runs = runs
        self._tidied = False

    def work(self) -> bool:
        """Do the run that has waited longest; return False when none waits.

        A run that fails is ended with its reason. One for which a part was away, or that was not
        through when this worker was to end, goes back to the queue. Raises ``UnavailableError``
        in the first case.
        """
        self._tidy()
        ended: list[QueuedRun] = []
        asked = self._queue.take(ended)
        for one in ended:
            if one.kind is What.FILE:
                self._uploads.destroy(one.tenant, one.run)
        if asked is None:
            return False
        with self._leased(asked.run) as cancelled:
            try:
                report = self._runs.run(
                    asked,
                    told=lambda result: self._tell(asked, result),
                    stopped=lambda: cancelled.is_set() or self._ending.is_set(),
                )
            except NotFoundError:
                self._end(asked, RunState.FAILED, {"error": NotFoundError.code})
            except UnavailableError:
                self._queue.give_back(asked.run)
                raise
            except PlatformError as error:
                _log.error("run_failed", run=asked.run, code=error.code, detail=str(error))
                self._end(asked, RunState.FAILED, {"error": error.code})
            else:
                self._settle(asked, report, cancelled=cancelled.is_set())
        return True

    def _tidy(self) -> None:
        """Destroy, once, what a worker that died after a run's end left of its file."""
        if self._tidied:
            return
        for tenant, run in self._uploads.kept():
            found = self._queue.lookup(tenant, run)
            if found is not None and found.state.final:
                self._uploads.destroy(tenant, run)
        self._tidied = True

    def _settle(self, asked: QueuedRun, report: Outcome, *, cancelled: bool) -> None:
        if not report.cancelled:
            state = RunState.SUCCEEDED if report.all_well else RunState.INCOMPLETE
            self._end(asked, state, report.summary())
        elif cancelled:
            self._end(asked, RunState.CANCELLED, report.summary())
        else:
            self._queue.give_back(asked.run)

    def _end(self, asked: QueuedRun, state: RunState, outcome: dict[str, Json]) -> None:
        self._queue.finish(asked.run, state, outcome)
        counts = {name: outcome[name] for name in _TOLD if name in outcome}
        _log.info("run_ended", run=asked.run, kind=str(asked.kind), state=str(state), **counts)
        if asked.kind is What.FILE:
            # Last: a run that is taken again after a crash needs it still.
            self._uploads.destroy(asked.tenant, asked.run)

    def _tell(self, asked: QueuedRun, result: FileResult | Named) -> None:
        if isinstance(result, Named):
            self._queue.tell(asked.run, "erased", result.json())
            return
        event: dict[str, Json] = {"state": str(result.state)}
        if result.document:
            event["document"] = result.document
        if result.chunks:
            event["chunks"] = result.chunks
        if result.reason:
            event["reason"] = result.reason
        # By what became of an upload it is known what goes when it is taken back: all is kept.
        self._queue.tell(asked.run, "file", event, always=asked.kind is What.FILE)

    @contextmanager
    def _leased(self, run: str) -> Iterator[threading.Event]:
        """Keep the run ours while the block lasts; the event is set when it is to end."""
        cancelled, over = threading.Event(), threading.Event()

        def renew() -> None:
            while not over.wait(_BEAT_S):
                try:
                    if not self._queue.renew(run):
                        cancelled.set()
                except UnavailableError as error:
                    _log.warning("lease_not_renewed", run=run, code=error.code)

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield cancelled
        finally:
            over.set()
            thread.join()
