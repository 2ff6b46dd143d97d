"""Questions from the command line, through the running service like everybody else's."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Annotated

import typer

from ragplatform import egress, openers
from ragplatform.commands import console
from ragplatform.errors import ConfigurationError, UnavailableError
from ragplatform.model import Json, Purpose
from ragplatform.page_labels import page_name

KEY_VARIABLE = "RAGPLATFORM_API_KEY"


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    purpose: Annotated[Purpose, typer.Option(help="Why you ask.")],
    collection: Annotated[
        list[str] | None, typer.Option(help="Search only this; may be given again.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="extractive or abstractive.")] = None,
    url: Annotated[str, typer.Option(help="The service.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask the running service. Your key is read from RAGPLATFORM_API_KEY."""
    with console.exits():
        settings = console.settings(url)
        key = os.environ.get(KEY_VARIABLE, "")
        console.require(bool(key), f"set {KEY_VARIABLE} to your key")
        body: dict[str, Json] = {"question": question, "purpose": str(purpose), "stream": True}
        if collection:
            body["collections"] = list(collection)
        if mode:
            body["mode"] = mode
        base = url or f"http://{settings.host}:{settings.port}"
        allowed = openers.allowed(settings, url)
        asyncio.run(_show(_events(allowed, base, key, body), as_json=as_json))


async def _events(
    allowed: egress.Allowed, base: str, key: str, body: dict[str, Json]
) -> AsyncIterator[tuple[str, dict[str, Json]]]:
    headers = {"Authorization": f"Bearer {key}"}
    async with egress.async_client(allowed, timeout_s=300) as client:
        try:
            async with client.stream(
                "POST", f"{base}/v1/ask", json=body, headers=headers
            ) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise ConfigurationError(_refusal(response.text, response.status_code))
                name = ""
                async for line in response.aiter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        yield name, json.loads(line.removeprefix("data: "))
        except OSError as error:
            raise UnavailableError(f"{base} does not answer: start `ragplatform serve`") from error


def _refusal(text: str, status: int) -> str:
    try:
        return f"{status}: {json.loads(text)['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"the service answered {status}"


async def _show(events: AsyncIterator[tuple[str, dict[str, Json]]], *, as_json: bool) -> None:
    async for name, data in events:
        if as_json:
            console.print_json({"event": name, **data})
        elif name == "delta":
            console.out.print(str(data["text"]), end="", markup=False)
        elif name == "final":
            console.out.print()
            _show_citations(data)
        elif name == "error":
            raise UnavailableError(str(data["detail"]))


def _page(citation: Mapping[str, Json]) -> str:
    number, label = citation["page"], citation.get("page_label")
    return page_name(int(str(number)), label if isinstance(label, str) else None)


def _show_citations(final: dict[str, Json]) -> None:
    citations = final["citations"]
    for citation in citations if isinstance(citations, list) else []:
        if isinstance(citation, dict):
            page = f", {_page(citation)}" if citation["page"] else ""
            where = f"characters {citation['start']}-{citation['end']}"
            line = f"  [{citation['number']}] {citation['title']}{page}, {where}"
            console.out.print(line, markup=False)
    console.out.print(f"  mode: {final['mode']}, model: {final['model'] or 'none'}", markup=False)
