"""The FastAPI application: who asks, what they ask, and nothing decided here."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from ragplatform import __version__
from ragplatform.api import access, audit, audit_export, feedback, pii, problems, schemas
from ragplatform.api.asking import answerable, question_of, whole_answer
from ragplatform.api.caller import Caller
from ragplatform.api.edge import Edge
from ragplatform.api.fairness import ONE_TURN, Shares, Turns
from ragplatform.api.limits import BodyLimit
from ragplatform.api.openai import batches, chat, embeddings, errors, responses
from ragplatform.api.openai.runner import at_work
from ragplatform.api.sse import EventStream, encode
from ragplatform.audit.events import Action
from ragplatform.config import Settings
from ragplatform.model import Purpose
from ragplatform.wiring import Platform

# A question is at most 4,000 characters; 64 KiB leaves room for any encoding of it.
LARGEST_BODY = 64 * 1024

# For what takes no turn: who calls is found out, and what is turned away recorded, in threads too.
_SPARE_THREADS = 8

PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"description": text, "content": {problems.MEDIA_TYPE: {"schema": problems.SCHEMA}}}
    for status, text in {
        400: "The body is not what its media type says.",
        401: "No valid bearer key.",
        403: "Policy denies it; `detail` says why.",
        404: "It does not exist, or you may not know whether it does.",
        413: "The body is larger than the endpoint accepts.",
        422: "A field is missing or malformed.",
        429: "As much is at work as you may have; `Retry-After` says when to ask again.",
        503: "A part is away, for example the audit log: nothing was done.",
    }.items()
}


class Extension(Protocol):
    """Routes of another part of the product that the service serves beside its own."""

    @property
    def limits(self) -> Mapping[str, int]:
        """The most bytes of a request's body, by path, where it is not ``LARGEST_BODY``."""

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes."""

    def close(self) -> None:
        """Release what the routes hold."""


def create_app(platform: Platform, extensions: Sequence[Extension] = ()) -> FastAPI:
    """Return the application over a built platform; it closes all of it when it stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool = anyio.to_thread.current_default_thread_limiter()
        wanted = platform.settings.requests_at_once + _SPARE_THREADS
        pool.total_tokens = max(pool.total_tokens, wanted)
        platform.record_start()
        async with at_work(platform, app.state.turns):
            yield
        for extension in extensions:
            extension.close()
        await platform.aclose()

    app = FastAPI(
        title="ragplatform",
        version=__version__,
        summary="Questions to your own regulated documents, answered inside your network.",
        lifespan=lifespan,
        # The built-in pages load scripts from a CDN.
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False},
        responses=PROBLEMS,
    )
    app.state.platform = platform
    app.state.turns = _turns(platform.settings)
    problems.install(app)
    limits = {**pii.LIMITS, **access.LIMITS}
    limits |= {**chat.LIMITS, **responses.LIMITS, **embeddings.LIMITS}
    for extension in extensions:
        limits.update(extension.limits)
    app.add_middleware(BodyLimit, limit=LARGEST_BODY, limits=limits)
    app.add_middleware(Edge, platform=platform)
    _add_question_routes(app, platform)
    chat.add_routes(app, platform)
    responses.add_routes(app, platform)
    embeddings.add_routes(app, platform)
    batches.add_routes(app, platform)
    access.add_routes(app, platform)
    pii.add_routes(app, platform)
    audit.add_routes(app, platform)
    audit_export.add_routes(app, platform)
    feedback.add_routes(app, platform)
    if find_spec("mcp"):
        from ragplatform.api import mcp

        mcp.add_routes(app, platform)
    for extension in extensions:
        extension.add_routes(app)
    _add_account_routes(app, platform)
    _add_health_routes(app, platform)
    app.openapi = _described(app.openapi)  # type: ignore[method-assign] # FastAPI's own way
    return app


def _described(plain: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Return what describes the interface with each error in the shape that its path has."""

    @cache
    def described() -> dict[str, Any]:
        found = plain()
        errors.describe(found)
        return found

    return described


def _turns(settings: Settings) -> Turns:
    return Turns(
        Shares(
            at_once=settings.requests_at_once,
            per_tenant=settings.requests_per_tenant,
            per_person=settings.requests_per_person,
            waiting=settings.requests_waiting,
            longest_wait_s=settings.request_wait_s,
        )
    )


def _add_question_routes(app: FastAPI, platform: Platform) -> None:
    @app.post("/v1/ask", response_model=schemas.AskOut, tags=["questions"], dependencies=[ONE_TURN])
    async def ask(request: Request, who: Caller, body: schemas.AskBody) -> Response:
        """Answer a question from the passages that you may read for the purpose.

        With `stream`, server-sent events: `sources`, `delta`, `citation`, then `final` or `error`.
        """
        question, mode = answerable(platform, request, who, body)
        # All refusals are raised here, while the status can still say so.
        retrieved = await run_in_threadpool(platform.answerer.prepare, question)
        if body.stream:
            events = platform.answerer.stream(retrieved, mode)
            return EventStream(encode(events, question.request_id))
        out = await whole_answer(platform, retrieved, mode)
        return Response(out.model_dump_json(), media_type="application/json")

    @app.post("/v1/search", tags=["questions"], dependencies=[ONE_TURN])
    def search(request: Request, who: Caller, body: schemas.SearchBody) -> schemas.SearchOut:
        """Return the passages that fit a question, among those that you may read."""
        question = question_of(platform, request, who, body, body.limit)
        retrieved = platform.retriever.retrieve(question, Action.SEARCHED)
        results = [schemas.Source.of(passage) for passage in retrieved.shown]
        return schemas.SearchOut(request_id=question.request_id, results=results)

    @app.get("/v1/sources/{chunk}", tags=["questions"], dependencies=[ONE_TURN])
    def source(request: Request, who: Caller, chunk: str, purpose: Purpose) -> schemas.Source:
        """Return one passage. 404 alike for what does not exist and what you may not read."""
        state = request.state
        shown = platform.retriever.source(who, purpose, chunk, state.request_id, state.trace)
        return schemas.Source.of(shown)


def _add_account_routes(app: FastAPI, platform: Platform) -> None:
    @app.get("/v1/whoami", tags=["account"])
    def whoami(who: Caller) -> schemas.WhoOut:
        """Say who you are to the platform and for which purposes you may ask."""
        return schemas.WhoOut(
            id=who.id,
            name=who.name,
            tenant=who.tenant,
            roles=sorted(who.roles),
            departments=sorted(who.departments),
            clearance=who.clearance.name.lower(),
            # Whom one is related to is the same for every purpose.
            related_subjects=len(platform.store.register.standing(who, Purpose.HOPERAT).related),
            purposes=sorted(platform.policies.purposes(who)),
            reviewer=platform.reviewer.may_review(who),
        )


def _add_health_routes(app: FastAPI, platform: Platform) -> None:
    @app.get("/livez", tags=["health"])
    async def livez() -> schemas.Health:
        """Say that the process answers."""
        return schemas.Health(status="ok")

    @app.get("/readyz", tags=["health"], responses={503: {"model": schemas.Health}})
    async def readyz(response: Response) -> schemas.Health:
        """Say whether questions can be answered: the model gives a token, the log takes records.

        `degraded`, with 200, while some tenants' own logs take none: the others are served.
        """
        parts = await platform.parts()
        dark = platform.store.audit.dark
        if any(state != "ok" for state in parts.values()):
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            return schemas.Health(status="unavailable", parts=parts, dark_tenant_logs=dark)
        status: Literal["ok", "degraded"] = "degraded" if dark else "ok"
        return schemas.Health(status=status, parts=parts, dark_tenant_logs=dark)
