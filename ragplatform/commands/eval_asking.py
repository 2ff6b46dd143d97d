"""How an evaluation asks: through the running service with a key, or here as people of its keys."""

import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Final as Constant

import httpx2

from ragplatform import identities, service
from ragplatform.answer.events import Final, ShownPassage, Sources
from ragplatform.answer.retrieve import Request
from ragplatform.audit.events import Action
from ragplatform.commands import console
from ragplatform.config import Settings
from ragplatform.errors import (
    AuditError,
    BusyError,
    ConfigurationError,
    DeniedError,
    PlatformError,
    UnauthenticatedError,
)
from ragplatform.evaluation.judging import NDCG_AT, Outcome, Place, Reply
from ragplatform.evaluation.questions import EvalQuestion
from ragplatform.model import Answer, AnswerMode, Citation, Json, Principal, Purpose
from ragplatform.wiring import Platform

_PATIENCE: Constant = 5
_LONGEST_PAUSE_S: Constant = 30


def _outcome(refusal: object) -> Outcome:
    return Outcome.REFUSED if refusal else Outcome.ANSWERED


def failed(error: PlatformError) -> Reply:
    """Return what became of a question that ended in an error.

    Raises it again where no further question would fare better: without a log or a key.
    """
    if isinstance(error, AuditError | UnauthenticatedError):
        raise error
    outcome = Outcome.DENIED if isinstance(error, DeniedError) else Outcome.FAILED
    return Reply(outcome, code=error.code)


class OverHttp:
    """Asks the running service as whom a key stands for."""

    def __init__(self, client: httpx2.Client, base: str, key: str, mode: str | None) -> None:
        self._client = client
        self._base = base
        self._key = key
        self._mode = mode

    def ask(self, question: EvalQuestion, purpose: Purpose, *, search_only: bool) -> Reply:
        """Return the reply to one question, by a search and an answer of their own."""
        body: dict[str, Json] = {"question": question.question, "purpose": str(purpose)}
        if question.collections is not None:
            body["collections"] = sorted(question.collections)
        try:
            began = time.perf_counter()
            found = self._post("/v1/search", body | {"limit": NDCG_AT})
            searched = time.perf_counter() - began
            ranked = tuple(_place(one) for one in _objects(found.get("results")))
            if search_only:
                return Reply(
                    Outcome.ANSWERED,
                    ranked,
                    search_s=searched,
                    request_id=str(found["request_id"]),
                )
            asked = body | ({"mode": self._mode} if self._mode else {})
            began = time.perf_counter()
            told = self._post("/v1/ask", asked)
            took = time.perf_counter() - began
        except PlatformError as error:
            return failed(error)
        return Reply(
            _outcome(told.get("refusal")),
            ranked,
            answer=str(told.get("answer", "")),
            citations=tuple(_place(one) for one in _objects(told.get("citations"))),
            search_s=searched,
            took_s=took,
            request_id=str(told.get("request_id", "")),
            mode=str(told.get("mode", "")),
            model=str(told.get("model", "")),
            policy=str(told.get("policy_digest", "")),
        )

    def _post(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        url = f"{self._base}{path}"
        for _ in range(_PATIENCE):
            try:
                return service.post(self._client, url, body, key=self._key)
            except BusyError as busy:
                # That others are at work too says nothing of how good an answer is.
                time.sleep(min(busy.retry_after_s, _LONGEST_PAUSE_S))
        return service.post(self._client, url, body, key=self._key)


def _objects(value: Json) -> list[Mapping[str, Json]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _place(one: Mapping[str, Json]) -> Place:
    page = one.get("page")
    last = one.get("page_end", page)
    return Place(
        document=str(one["document"]),
        file=str(one["title"]),
        page=page if isinstance(page, int) else None,
        page_end=last if isinstance(last, int) else None,
        start=int(str(one["start"])),
        end=int(str(one["end"])),
        text=str(one.get("quote", one.get("text", ""))),
        number=int(str(one["number"])),
    )


class InProcess:
    """Asks in this process, as people of the deployment's key file; records name who runs it."""

    def __init__(self, platform: Platform, settings: Settings, mode: str | None) -> None:
        self._platform = platform
        self._settings = settings
        self._mode = AnswerMode(mode or settings.answer_mode)
        self._writes = self._mode is AnswerMode.ABSTRACTIVE
        self._people: dict[str, Principal] = {}

    def person(self, name: str) -> Principal:
        """Return somebody by ``ID`` or ``TENANT/ID``. Raises ``ConfigurationError``."""
        if name not in self._people:
            tenant, _, person = name.rpartition("/")
            found = identities.keyed_person(self._settings, person, tenant)
            self._people[name] = replace(found, via=console.host_user())
        return self._people[name]

    async def ask(
        self, question: EvalQuestion, who: str, purpose: Purpose, *, search_only: bool
    ) -> Reply:
        """Return the reply to one question, by a search and an answer of their own."""
        request = Request(
            self.person(who),
            purpose,
            question.question,
            collections=question.collections,
            limit=NDCG_AT,
        )
        try:
            began = time.perf_counter()
            found = self._platform.retriever.retrieve(request, Action.SEARCHED)
            searched = time.perf_counter() - began
            ranked = tuple(_shown(one) for one in found.shown)
            if search_only:
                return Reply(
                    Outcome.ANSWERED, ranked, search_s=searched, request_id=request.request_id
                )
            began = time.perf_counter()
            limit = self._settings.passages_per_answer
            asked = Request(
                request.principal,
                purpose,
                question.question,
                collections=question.collections,
                limit=limit,
                beside=self._settings.passages_beside if self._writes else 0,
            )
            answer = await self._answer(asked)
            took = time.perf_counter() - began
        except PlatformError as error:
            return failed(error)
        return Reply(
            _outcome(answer.refusal),
            ranked,
            answer=answer.text,
            citations=tuple(map(_cited, answer.citations)),
            search_s=searched,
            took_s=took,
            request_id=asked.request_id,
            mode=str(answer.mode),
            model=answer.model,
            policy=answer.policy_digest,
        )

    async def _answer(self, request: Request) -> Answer:
        retrieved = self._platform.answerer.prepare(request)
        async with aclosing(self._platform.answerer.stream(retrieved, self._mode)) as events:
            async for event in events:
                if isinstance(event, Final):
                    return event.answer
                if isinstance(event, Sources):
                    continue
        raise ConfigurationError("an answer ended without its end")


def _shown(one: ShownPassage) -> Place:
    return Place(
        one.document, one.title, one.page, one.page_end, one.start, one.end, one.text, one.number
    )


def _cited(one: Citation) -> Place:
    return Place(
        one.document, one.title, one.page, one.page, one.start, one.end, one.quote, one.number
    )
