"""Works through batches while there is room, in the process that answers questions.

A line is done at most once as far as anybody can tell: its answer is sealed before its end is
noted, and a line whose worker died before that is done anew, over the same answer's place. What
people ask meanwhile goes first.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from fastapi.concurrency import run_in_threadpool

from ragplatform.api.fairness import Turns
from ragplatform.api.openai.lines import Outcome, answer_line, refused_line, request_id_of
from ragplatform.audit.events import Action, event_of
from ragplatform.audit.events import Outcome as Ended
from ragplatform.batches.book import MOST_ATTEMPTS, LineState, Taken
from ragplatform.batches.desk import Line
from ragplatform.errors import (
    BusyError,
    ConfigurationError,
    DetectorError,
    ForgottenError,
    GeneratorError,
    PlatformError,
    RequestError,
    TamperedError,
    UnauthenticatedError,
    UnavailableError,
)
from ragplatform.model import Principal
from ragplatform.wiring import Platform

_log = structlog.get_logger("ragplatform.batches")

_BEAT_S: Final = 5.0
_PAUSE_S: Final = 0.5
# A part that is away is not asked again by every line at once.
_AWAY_S: Final = 5.0
_SWEEP_S: Final = 600.0
# So many files of requests are kept in memory, each as its lines.
_HELD: Final = 4


class BatchRunner:
    """Takes lines and answers them, until it is cancelled."""

    def __init__(
        self,
        platform: Platform,
        turns: Turns,
        *,
        at_once: int,
        seen_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``seen_s`` is how long a token of an issuer vouches for whoever showed it, in seconds."""
        self._platform = platform
        self._desk = platform.batches
        self._turns = turns
        self._at_once = at_once
        self._seen_s = seen_s
        self._clock = clock
        self._lines: OrderedDict[str, list[Line]] = OrderedDict()
        self._wait_for: dict[str, float] = {}
        self._in_hand: set[Taken] = set()

    async def run(self) -> None:
        """Work until cancelled: lines side by side, and beside them what keeps the book in order.

        Nothing is begun while no part of it can be: a line is given back and taken later.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            for _ in range(self._at_once):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            done = False
            with contextlib.suppress(UnavailableError, BusyError):
                done = self._turns.room_for_what_can_wait and await self.step()
            if not done:
                await asyncio.sleep(_PAUSE_S)

    async def _keep(self) -> None:
        """Renew the leases, end what is through, destroy what was kept long enough."""
        swept = -_SWEEP_S
        while True:
            try:
                await run_in_threadpool(self._desk.book.renew, list(self._in_hand))
                await run_in_threadpool(self.end_what_is_through)
                if time.monotonic() - swept >= _SWEEP_S:
                    await run_in_threadpool(self._desk.sweep)
                    swept = time.monotonic()
            except UnavailableError as error:
                _log.warning("batches_not_kept", code=error.code)
            await asyncio.sleep(_BEAT_S)

    def end_what_is_through(self) -> None:
        """End the batches of which no line is left, or which are cancelled or too old."""
        for batch, state in self._desk.book.endable():
            self._desk.end(batch, state)
            _log.info("batch_ended", batch=batch.batch, state=str(state))

    async def step(self) -> bool:
        """Do one line; return False when there is none.

        Raises ``UnavailableError`` when a part is away: the line waits again.
        """
        now = self._clock()
        self._wait_for = {name: until for name, until in self._wait_for.items() if until > now}
        taken = await run_in_threadpool(self._desk.book.take, list(self._wait_for))
        if taken is None:
            return False
        batch = taken.batch
        self._in_hand.add(taken)
        try:
            outcome = await self._outcome(taken)
            if outcome is not None:
                await run_in_threadpool(self._keep_outcome, taken, outcome)
        except BaseException as error:
            # Also when the service stops: another process goes on with it at once.
            self._wait_for[batch.batch] = now + _AWAY_S
            counted = await self._is_the_line_s_fault(error)
            with contextlib.suppress(UnavailableError):
                self._desk.book.give_back(taken, counted=counted)
            _log.warning("batch_line_waits", batch=batch.batch, reason=type(error).__name__)
            raise
        finally:
            # A line that could not even be given back is taken again when its lease is over.
            self._in_hand.discard(taken)
        if outcome is None:
            # Whoever vouches for the person says nothing now; it may show itself again.
            self._wait_for[batch.batch] = now + _AWAY_S
            await run_in_threadpool(self._desk.book.give_back, taken)
        return True

    async def _is_the_line_s_fault(self, error: BaseException) -> bool:
        """Return whether it would fail again, so that it is given up after some attempts.

        A model that is ready and did not answer it, a detector that failed at it, a bug of ours.
        """
        if isinstance(error, (BusyError, ConfigurationError, asyncio.CancelledError)):
            return False
        if isinstance(error, GeneratorError):
            return await self._platform.generator.ready()
        return isinstance(error, DetectorError) or not isinstance(error, UnavailableError)

    async def _outcome(self, taken: Taken) -> Outcome | None:
        """Return what the line gives back, or None when nobody can say whether it may be asked.

        1. The requests are what was sealed. 2. No three attempts at it have failed. 3. The
        submitter is still known, with the rights of now. 4. It is answered as any other request,
        in a turn.
        """
        batch, number = taken.batch, taken.number
        try:
            line = await run_in_threadpool(self._line, taken)  # 1
        except (RequestError, ForgottenError, TamperedError) as error:
            return refused_line(batch, number, Line("", {}), error)
        if taken.attempt > MOST_ATTEMPTS:  # 2
            return refused_line(batch, number, line, PlatformError("several attempts at it failed"))
        try:
            who = await run_in_threadpool(self._recalled, taken)  # 3
        except UnauthenticatedError as refused:
            await run_in_threadpool(self._record_gone, taken, refused)
            return refused_line(batch, number, line, refused)
        if who is None:
            return None
        async with self._turns.turn(batch.tenant, f"{who.id} (batch)"):  # 4
            return await answer_line(self._platform, batch, number, line, who)

    def _record_gone(self, taken: Taken, refused: UnauthenticatedError) -> None:
        """Record that a line was not asked, for want of somebody who may. Raises ``AuditError``."""
        batch = taken.batch
        self._platform.store.audit.append(
            event_of(
                batch.principal,
                Action.DENIED,
                Ended.DENIED,
                request_id=request_id_of(batch.batch, taken.number),
                trace=batch.batch,
                purpose=str(batch.purpose),
                details={"act": "batch", "reason": refused.reason[:64]},
            )
        )

    def _recalled(self, taken: Taken) -> Principal | None:
        """Return the submitter with the rights of now; None where only a fresh token could say.

        Raises ``UnauthenticatedError`` when it is nobody any more.
        """
        batch = taken.batch
        found = self._platform.authenticator.recall(batch.principal)
        if found is not None:
            return found
        return batch.principal if self._clock() - batch.seen <= self._seen_s else None

    def _line(self, taken: Taken) -> Line:
        batch = taken.batch
        lines = self._lines.get(batch.batch)
        if lines is None:
            lines = self._desk.lines(batch.tenant, batch.input_file, batch.endpoint)
            self._lines[batch.batch] = lines
            while len(self._lines) > _HELD:
                self._lines.popitem(last=False)
        return lines[taken.number - 1]

    def _keep_outcome(self, taken: Taken, outcome: Outcome) -> None:
        """Seal the answer, see that nothing of it was erased meanwhile, and note the end."""
        batch, number = taken.batch, taken.number
        self._desk.keep(batch, number, outcome.encoded, outcome.subjects)
        catalog = self._platform.store.catalog
        if any(catalog.document(one) is None for one in outcome.documents):
            self._desk.discard(batch, number)
        state = LineState.DONE if outcome.answered else LineState.FAILED
        self._desk.book.end_line(taken, state, len(outcome.encoded))


@asynccontextmanager
async def at_work(platform: Platform, turns: Turns) -> AsyncIterator[None]:
    """Let batches be worked on while the block runs."""
    settings = platform.settings
    if not settings.batch_lines_at_once:
        yield
        return
    runner = BatchRunner(
        platform,
        turns,
        at_once=settings.batch_lines_at_once,
        seen_s=settings.oidc_longest_token_s,
    )
    task = asyncio.create_task(_kept_running(platform, runner))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _kept_running(platform: Platform, runner: BatchRunner) -> None:
    """Start the runner anew after a bug of ours, which is recorded: other batches go on."""
    while True:
        task = asyncio.create_task(runner.run())
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            await asyncio.wait({task})
        if error := task.exception():
            inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
            kind = type(inner).__name__
            _log.error("batches_broke_off", error=kind)
            with contextlib.suppress(PlatformError):
                await run_in_threadpool(platform.record_failure, "", "", kind)
        await asyncio.sleep(_AWAY_S)
