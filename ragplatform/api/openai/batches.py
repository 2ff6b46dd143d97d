"""``/v1/batches``: many requests as a file, answered as there is room.

Why one acts stands in a header, for the batch and for whoever looks at it or takes its answers.
"""

from typing import Annotated, Final, Literal

from fastapi import FastAPI, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from ragplatform.access.desk import Caller as Asking
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.api.openai.asked import PURPOSE_HEADER
from ragplatform.batches.book import BatchState, LineState
from ragplatform.batches.desk import Standing
from ragplatform.errors import NotFoundError
from ragplatform.model import Principal, Purpose
from ragplatform.wiring import Platform

BATCHES: Final = "/v1/batches"
INPUT: Final = "file-batch-in-"
OUTPUT: Final = "file-batch-out-"
ERRORS: Final = "file-batch-err-"
_PREFIX: Final = "batch_"

Why = Annotated[Purpose, Header(alias=PURPOSE_HEADER, description="Why you ask, such as HOPERAT.")]


class BatchBody(BaseModel):
    """Which file is to be answered. Fields that are not listed are passed over."""

    model_config = ConfigDict(extra="ignore")

    input_file_id: Annotated[str, Field(min_length=1, max_length=128)]
    endpoint: Annotated[str, Field(max_length=64)]
    completion_window: Literal["24h"] = "24h"


class Counts(BaseModel):
    """How many requests there are, and how many ended how."""

    total: int
    completed: int
    failed: int


class BatchOut(BaseModel):
    """One batch, in OpenAI's shape. Times are seconds since 1970."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: None = None
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: BatchState
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    completed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: Counts
    purpose: Purpose

    @classmethod
    def of(cls, one: Standing) -> "BatchOut":
        """Return the batch for the wire."""
        batch, state = one.batch, one.batch.state
        ended = {state: int(batch.ended)} if state.final else {}
        return cls(
            id=f"{_PREFIX}{batch.batch}",
            endpoint=batch.endpoint,
            input_file_id=f"{INPUT}{batch.input_file}",
            status=state,
            output_file_id=f"{OUTPUT}{batch.batch}" if state.final and one.completed else None,
            error_file_id=f"{ERRORS}{batch.batch}" if state.final and one.failed else None,
            created_at=int(batch.created),
            in_progress_at=int(batch.created),
            expires_at=int(batch.expires),
            completed_at=ended.get(BatchState.COMPLETED),
            expired_at=ended.get(BatchState.EXPIRED),
            cancelling_at=int(batch.cancelled) or None,
            cancelled_at=ended.get(BatchState.CANCELLED),
            request_counts=Counts(total=one.total, completed=one.completed, failed=one.failed),
            purpose=batch.purpose,
        )


class BatchesOut(BaseModel):
    """Batches, newest first, in the shape of OpenAI's lists."""

    object: Literal["list"] = "list"
    data: list[BatchOut]
    first_id: str | None
    last_id: str | None
    has_more: bool


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add the routes under ``/v1/batches``."""
    desk = platform.batches

    @app.post(BATCHES, tags=["openai"], dependencies=[ONE_TURN])
    def submit(request: Request, who: Caller, why: Why, body: BatchBody) -> BatchOut:
        """Have a file of requests answered within a day, line by line as there is room.

        Each line is decided when its turn comes, with your rights of then.
        """
        asking = _asking(request, who, why)
        batch = desk.submit(asking, _id(body.input_file_id, INPUT), body.endpoint)
        return BatchOut.of(desk.standing(asking, batch.batch))

    @app.get(BATCHES, tags=["openai"])
    def batches(
        request: Request,
        who: Caller,
        why: Why,
        after: Annotated[str | None, Query(max_length=128)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> BatchesOut:
        """Return your batches for the purpose, newest first."""
        behind = _id(after, _PREFIX) if after else None
        found = desk.standings(_asking(request, who, why), after=behind, limit=limit + 1)
        data = [BatchOut.of(one) for one in found[:limit]]
        return BatchesOut(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(found) > limit,
        )

    @app.get(BATCHES + "/{batch_id}", tags=["openai"])
    def one_batch(request: Request, who: Caller, why: Why, batch_id: str) -> BatchOut:
        """Say how far a batch is. 404 alike for what is not there and what is not yours."""
        return BatchOut.of(desk.standing(_asking(request, who, why), _id(batch_id, _PREFIX)))

    @app.post(BATCHES + "/{batch_id}/cancel", tags=["openai"], dependencies=[ONE_TURN])
    def cancel(request: Request, who: Caller, why: Why, batch_id: str) -> BatchOut:
        """Let no further line of a batch begin; what is answered stays answered."""
        return BatchOut.of(desk.cancel(_asking(request, who, why), _id(batch_id, _PREFIX)))


def line_state(prefix: str) -> LineState:
    """Return which lines a file of this prefix holds."""
    return LineState.DONE if prefix == OUTPUT else LineState.FAILED


def _asking(request: Request, who: Principal, why: Purpose) -> Asking:
    return Asking(who, why, request.state.request_id, request.state.trace)


def _id(given: str, prefix: str) -> str:
    if not given.startswith(prefix):
        raise NotFoundError("there is no such file or batch of yours for this purpose")
    return given.removeprefix(prefix)
