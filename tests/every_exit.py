"""Every way in which answers and passages leave a platform: asked alike, and taken apart alike."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from ingest import serving
from ragplatform.api.app import create_app
from ragplatform.api.fairness import Shares, Turns
from ragplatform.api.openai.runner import BatchRunner
from ragplatform.langchain import PrincipalRetriever, ServiceRetriever
from ragplatform.model import Purpose
from tests.fakes import Bench
from tests.served import served_bench
from tests.state import entry_of

WHY: Final = Purpose.TREAT
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
ANSWERING: Final = (
    *("ask", "ask streamed", "chat", "chat streamed", "responses", "responses streamed"),
    "mcp ask",
)
BATCHED: Final = {"batched chat": CHAT, "batched responses": RESPONSES}
SHOWING: Final = ("search", "source", "mcp search", "mcp get_source", "langchain", "langchain http")
# What documents say, shown as theirs: addresses and all.
_THEIRS: Final = frozenset({"sources", "results", "citations"})


@dataclass(frozen=True, slots=True)
class Said:
    """One reply with an answer. ``beside`` is all else in it but what is shown as a document's."""

    text: str
    beside: str
    quotes: tuple[str, ...]
    numbers: tuple[int, ...]
    raw: str
    code: str
    """Of the error that ended it, or ""."""


class EveryExit:
    """A platform as its callers meet it, as one of them. Made by ``every_exit``."""

    def __init__(self, bench: Bench, http: httpx2.AsyncClient, url: str, person: str) -> None:
        """``http`` reaches the application in this process, ``url`` over a socket."""
        self._bench = bench
        self._http = http
        self._url = url
        self._person = person

    async def ask(self, way: str, question: str, mode: str) -> Said:
        """Ask by one of ``ANSWERING``."""
        kind, _, streamed = way.partition(" ")
        if kind == "mcp":
            return said_of(await self._tool("ask", question=question, mode=mode))
        place = {"ask": "/v1/ask", "chat": CHAT, "responses": RESPONSES}[kind]
        body = {**_body(place, question, mode), "stream": bool(streamed)}
        return said_of((await self._http.post(place, json=body)).text)

    async def ask_in_batch(
        self, way: str, asked: Sequence[tuple[str, str]], before: Callable[[int], None]
    ) -> list[Said]:
        """Ask questions, each with its mode, by one of ``BATCHED``.

        ``before`` is called with its index before each is answered, and once more at the end.
        """
        place, bench = BATCHED[way], self._bench
        batch = await self._submit(place, [_body(place, *one) for one in asked])
        runner = BatchRunner(
            bench.platform, Turns(Shares(4, 4, 4, 4, 1.0)), at_once=1, seen_s=3600.0
        )
        for number in range(len(asked)):
            before(number)
            for entry in bench.index._entries.values():  # type: ignore[attr-defined]
                bench.platform.store.catalog.put_document(entry_of(entry.passage))
            if not await runner.step():
                raise AssertionError("a line of the batch was not there")
        before(len(asked))
        runner.end_what_is_through()
        return [said_of(one) for one in await self._taken(batch, len(asked))]

    async def show(self, way: str, question: str, chunk: str) -> str:
        """Return all that one of ``SHOWING`` gives: for the question, or of the passage."""
        asked = {"question": question, "purpose": WHY}
        if way == "search":
            return (await self._http.post("/v1/search", json=asked)).text
        if way == "source":
            return (await self._http.get(f"/v1/sources/{chunk}", params={"purpose": WHY})).text
        if way == "mcp search":
            return await self._tool("search", question=question)
        if way == "mcp get_source":
            return await self._tool("get_source", chunk=chunk)
        return await self._retrieved(question, over_http=way == "langchain http")

    async def _retrieved(self, question: str, *, over_http: bool) -> str:
        platform, who = self._bench.platform, self._bench.people[self._person]
        retriever = (
            ServiceRetriever(url=self._url, key=self._person, purpose=WHY)
            if over_http
            else PrincipalRetriever(retriever=platform.retriever, principal=who, purpose=WHY)
        )
        found = await retriever.ainvoke(question)
        return "\n".join(str(one.model_dump(mode="json")) for one in found)

    async def _tool(self, tool: str, **arguments: str) -> str:
        call = {"name": tool, "arguments": {**arguments, "purpose": WHY}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        headers = {"Accept": "application/json, text/event-stream"}
        return (await self._http.post("/mcp", json=message, headers=headers)).text

    async def _submit(self, place: str, bodies: Sequence[dict[str, Any]]) -> str:
        lines = [
            {"custom_id": str(number), "method": "POST", "url": place, "body": body}
            for number, body in enumerate(bodies)
        ]
        text = "\n".join(map(json.dumps, lines)).encode()
        brought = await self._http.post(
            "/v1/files", files={"file": ("in.jsonl", text)}, data={"purpose": "batch"}, headers=_WHY
        )
        asked = {"input_file_id": brought.json()["id"], "endpoint": place}
        return str((await self._http.post("/v1/batches", json=asked, headers=_WHY)).json()["id"])

    async def _taken(self, batch: str, count: int) -> list[str]:
        """Return what the lines gave back, in order."""
        ended = (await self._http.get(f"/v1/batches/{batch}", headers=_WHY)).json()
        files = [ended[name] for name in ("output_file_id", "error_file_id") if ended[name]]
        texts = [
            (await self._http.get(f"/v1/files/{file}/content", headers=_WHY)).text for file in files
        ]
        lines = [line for text in texts for line in text.splitlines()]
        by_number = {int(json.loads(line)["custom_id"]): line for line in lines}
        return [by_number[number] for number in range(count)]


_WHY: Final = {"X-Purpose-Of-Use": str(WHY)}


@asynccontextmanager
async def every_exit(bench: Bench, person: str = "doctor") -> AsyncIterator[EveryExit]:
    """Let a platform be asked by every exit while the block runs."""
    routes = serving.extension(bench.platform)
    app = create_app(bench.platform, [routes])
    with served_bench(bench) as url:
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://127.0.0.1",
            headers={"Authorization": f"Bearer {person}"},
        ) as http:
            yield EveryExit(bench, http, url, person)
    routes.close()


def _body(place: str, question: str, mode: str) -> dict[str, Any]:
    if place == "/v1/ask":
        return {"question": question, "purpose": WHY, "mode": mode}
    turn = {"role": "user", "content": question}
    asked = {"input": question} if place == RESPONSES else {"messages": [turn]}
    return {"model": "ragplatform", **asked, "rag": {"purpose": WHY, "mode": mode}}


def said_of(raw: str) -> Said:
    """Take a reply apart, whichever exit it came by."""
    documents = list(_documents(raw))
    cited = [one for document in documents for one in _cited(document)]
    codes = [one for document in documents for one in _found(document, "code")]
    return Said(
        text="".join(_pieces(documents)),
        beside="\n".join(leaf for document in documents for leaf in _leaves(document)),
        quotes=tuple(one["quote"] for one in cited),
        numbers=tuple(one["number"] for one in cited),
        raw=raw,
        code=next((str(one) for one in codes if one), ""),
    )


def _documents(raw: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON documents of a reply; one that a stream names has its name as ``event``."""
    if raw.startswith("{"):
        whole = json.loads(raw)
        told = whole.get("result", {})
        if "content" in told:
            # The text for models that read no structure is the same document.
            (text,) = [json.loads(part["text"]) for part in told["content"]]
            if told.get("structuredContent", text) != text:
                raise AssertionError("the two forms of a tool's result differ")
            whole = text
        yield whole
        return
    for block in raw.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        if lines["data"] != "[DONE]":
            yield {"event": lines.get("event", ""), **json.loads(lines["data"])}


def _pieces(documents: Sequence[dict[str, Any]]) -> Iterator[str]:
    streamed = len(documents) > 1
    for one in documents:
        body = one.get("response", {}).get("body", one) if "custom_id" in one else one
        if one.get("event") == "delta":
            yield one["text"]
        elif one.get("event") == "response.output_text.delta":
            yield one["delta"]
        elif not streamed and "answer" in body:
            yield body["answer"]
        for choice in body.get("choices", []):
            yield choice.get("delta", choice.get("message", {})).get("content") or ""
        if not streamed:
            yield from (part["text"] for item in body.get("output", []) for part in item["content"])


def _cited(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict) and document.get("event") == "citation":
        yield document
    elif not (isinstance(document, dict) and document.get("event") == "final"):
        found = (one for some in _found(document, "citations") for one in some)
        # A sentence's citations are the numbers of the answer's.
        yield from (one for one in found if isinstance(one, dict))


def _found(document: Any, name: str) -> Iterator[Any]:
    """Yield every value of the name in a document."""
    if isinstance(document, dict):
        yield from (value for key, value in document.items() if key == name)
        for value in document.values():
            yield from _found(value, name)
    elif isinstance(document, list):
        for value in document:
            yield from _found(value, name)


def _leaves(document: Any) -> Iterator[str]:
    if isinstance(document, dict) and document.get("event") != "citation":
        for key, value in document.items():
            if key not in _THEIRS:
                yield from _leaves(value)
    elif isinstance(document, list):
        for value in document:
            yield from _leaves(value)
    elif isinstance(document, str):
        yield document
