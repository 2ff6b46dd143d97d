"""Routes on what people say of answers: given by who asked, read by reviewers."""

from datetime import datetime
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ragplatform.api.audit import Paged, PageParams
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.api.schemas import Body
from ragplatform.feedback import LONGEST_COMMENT, Given, Opinion, Rating, Reason
from ragplatform.wiring import Platform


class FeedbackBody(Body):
    """What you say of an answer that you got."""

    request_id: str = Field(
        min_length=1, max_length=128, description="The answer's `request_id`; one of your own."
    )
    rating: Rating
    reasons: list[Reason] = Field(default_factory=list, max_length=len(Reason))
    comment: str = Field(
        "",
        max_length=LONGEST_COMMENT,
        description="Kept sealed, without the personal data that is found in it.",
    )


class FeedbackTaken(BaseModel):
    """That it is on record."""

    request_id: str
    about: str


class FeedbackRow(BaseModel):
    """One opinion. Its comment opens by `audit/records/{origin}/{index}:unseal`, for a reason."""

    origin: str
    index: int
    time: datetime
    actor: str
    purpose: str | None
    about: str
    rating: str
    reasons: list[str]
    commented: bool

    @classmethod
    def of(cls, one: Given) -> "FeedbackRow":
        """Return it for the wire."""
        return cls(
            origin=one.origin,
            index=one.index,
            time=one.time,
            actor=one.actor,
            purpose=one.purpose,
            about=one.about,
            rating=one.rating,
            reasons=list(one.reasons),
            commented=one.commented,
        )


class FeedbackPage(Paged):
    """Opinions, newest first."""

    feedback: list[FeedbackRow]


class SpanParams(BaseModel):
    """Of which time."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = Field(None, description="The earliest time wanted.")
    until: AwareDatetime | None = Field(None, description="The first time not wanted.")


class FeedbackCounts(BaseModel):
    """How many requests were rated how and why; of each person the last word on each."""

    requests: int
    ratings: dict[str, int]
    reasons: dict[str, int]
    complete: bool = Field(description="False where there was more than was counted.")


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add the routes under ``/v1/feedback``."""

    @app.post("/v1/feedback", status_code=201, tags=["questions"], dependencies=[ONE_TURN])
    def give(request: Request, who: Caller, body: FeedbackBody) -> FeedbackTaken:
        """Rate an answer to a question of yours. 404 alike for what is absent and not yours."""
        opinion = Opinion(body.request_id, body.rating, frozenset(body.reasons), body.comment)
        state = request.state
        platform.feedback.give(who, opinion, state.request_id, state.trace)
        return FeedbackTaken(request_id=state.request_id, about=body.request_id)

    @app.get("/v1/feedback", tags=["audit"])
    def listed(
        request: Request, who: Caller, asked: Annotated[PageParams, Query()]
    ) -> FeedbackPage:
        """Return what people of your tenant said of answers; for reviewers. It is recorded."""
        found = platform.feedback.listed(
            who,
            request.state.request_id,
            since=asked.since,
            until=asked.until,
            limit=asked.limit,
            cursor=asked.cursor,
        )
        rows = [FeedbackRow.of(one) for one in found.given]
        return FeedbackPage(feedback=rows, next=found.cursor, complete=found.complete)

    @app.get("/v1/feedback/counts", tags=["audit"])
    def counted(
        request: Request, who: Caller, asked: Annotated[SpanParams, Query()]
    ) -> FeedbackCounts:
        """Count what people of your tenant said of answers; for reviewers. It is recorded."""
        found = platform.feedback.counted(
            who, request.state.request_id, since=asked.since, until=asked.until
        )
        return FeedbackCounts(
            requests=found.requests,
            ratings=dict(found.ratings),
            reasons=dict(found.reasons),
            complete=found.complete,
        )
