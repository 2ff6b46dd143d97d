"""Routes on runs of ingest: ask for one, follow it, end it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Final

from fastapi import FastAPI, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from ingest.api.schemas import Name, PurposeBody, RunBody, RunOut, RunsOut
from ingest.intake import Intake
from ingest.queue import RunEvent, RunState
from ragplatform.access.desk import Caller as Asking
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.api.problems import problem_of
from ragplatform.errors import PlatformError
from ragplatform.model import Principal, Purpose

_POLL_S: Final = 0.5
# A comment now and then keeps proxies from ending a stream in which nothing happens.
_QUIET_POLLS: Final = 30
_FINAL: Final = frozenset(state.value for state in RunState if state.final)


def asking(request: Request, who: Principal, purpose: Purpose) -> Asking:
    """Return who asks, for the core."""
    return Asking(who, purpose, request.state.request_id, request.state.trace)


def add_routes(app: FastAPI, intake: Intake) -> None:
    """Add the routes under ``/v1/ingest/runs``."""
    _add_acts(app, intake)

    @app.get("/v1/ingest/runs", tags=["ingest"])
    def runs(
        request: Request,
        who: Caller,
        purpose: Purpose,
        after: Annotated[
            str | None, Query(max_length=64, description="The last of a page.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> RunsOut:
        """Return the runs that you asked for, newest first; for operators all of the tenant."""
        asked = asking(request, who, purpose)
        found = intake.runs(asked, kind=None, before=after, limit=limit + 1)
        return RunsOut(runs=[RunOut.of(one) for one in found[:limit]], has_more=len(found) > limit)

    @app.get("/v1/ingest/runs/{run}", tags=["ingest"])
    def one_run(request: Request, who: Caller, run: Name, purpose: Purpose) -> RunOut:
        """Say how far a run is. 404 alike for what is not there and what is not yours."""
        found = intake.run(asking(request, who, purpose), run)
        return RunOut.of(found, intake.progress(found))

    @app.get("/v1/ingest/runs/{run}/events", tags=["ingest"])
    async def events(
        request: Request,
        who: Caller,
        run: Name,
        purpose: Purpose,
        last_event_id: Annotated[int, Header(ge=0)] = 0,
    ) -> StreamingResponse:
        """Follow a run by server-sent events: `file` for each, then how it ended.

        After a broken connection `Last-Event-ID` goes on behind what was seen. No event holds a
        file's name or text: documents are named by their ids.
        """
        asked = asking(request, who, purpose)

        def news(after: int) -> list[RunEvent]:
            return intake.events(asked, run, after)

        # Refused here, while the status can still say so.
        first = await run_in_threadpool(news, last_event_id)
        stream = _follow(first, last_event_id, news, request.state.request_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _add_acts(app: FastAPI, intake: Intake) -> None:
    @app.post("/v1/ingest/runs", status_code=202, tags=["ingest"], dependencies=[ONE_TURN])
    def ask(request: Request, who: Caller, body: RunBody) -> RunOut:
        """Ask for a run of a configured source. It waits its turn; a worker does it."""
        return RunOut.of(intake.order(asking(request, who, body.purpose), body.source))

    @app.post("/v1/ingest/runs/{run}:cancel", tags=["ingest"], dependencies=[ONE_TURN])
    def cancel(request: Request, who: Caller, run: Name, body: PurposeBody) -> RunOut:
        """End a run: one that waits at once, one at work after the document in hand."""
        return RunOut.of(intake.cancel(asking(request, who, body.purpose), run))


async def _follow(
    events: list[RunEvent], after: int, news: Callable[[int], list[RunEvent]], request_id: str
) -> AsyncIterator[bytes]:
    """Yield events as they happen, until the one that ends the run."""
    quiet = 0
    try:
        while True:
            for event in events:
                after, quiet = event.number, 0
                yield format_sse_event(
                    event=event.kind,
                    data_str=json.dumps(event.body, ensure_ascii=False),
                    id=str(event.number),
                )
                if event.kind in _FINAL:
                    return
            await asyncio.sleep(_POLL_S)
            quiet += 1
            if quiet % _QUIET_POLLS == 0:
                yield b": still at it\n\n"
            events = await run_in_threadpool(news, after)
    except PlatformError as error:
        body = json.dumps(problem_of(error, request_id))
        yield format_sse_event(event="error", data_str=body)
