"""The Model Context Protocol over standard input and output, through the running service."""

import asyncio
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import httpx2
import typer

from ragplatform import __version__, egress, openers, service
from ragplatform.commands import console
from ragplatform.commands.ask import KEY_VARIABLE
from ragplatform.errors import UnavailableError
from ragplatform.model import Purpose

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.client.client import Client
    from mcp.server.lowlevel import Server

_TIMEOUT_S = 300


def mcp(
    purpose: Annotated[Purpose, typer.Option(help="Why you ask, in all that is asked here.")],
    url: Annotated[str, typer.Option(help="The service.")] = "",
) -> None:
    """Serve your questions to a program that speaks MCP on standard input and output.

    Your key is read from RAGPLATFORM_API_KEY. The purpose is that of every call, and no call can
    name another.
    """
    with console.exits():
        settings = console.settings(url)
        key = os.environ.get(KEY_VARIABLE, "")
        console.require(bool(key), f"set {KEY_VARIABLE} to your key")
        console.require(
            find_spec("mcp") is not None, "install the extra `mcp`: pip install 'ragplatform[mcp]'"
        )
        base = (url or f"http://{settings.host}:{settings.port}").rstrip("/")
        allowed = openers.allowed(settings, url)
        with egress.client(allowed, timeout_s=_TIMEOUT_S) as client:
            # Whatever is wrong with key or service is said here, before the protocol begins.
            service.get(client, f"{base}/v1/whoami", key=key)
        asyncio.run(_relay(allowed, f"{base}/mcp", key, purpose))


async def _relay(allowed: egress.Allowed, url: str, key: str, purpose: Purpose) -> None:
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.server.stdio import stdio_server
    from mcp.shared.exceptions import MCPError

    async with egress.async_client(allowed, timeout_s=_TIMEOUT_S) as http:
        http.headers.update(service.bearer(key))
        try:
            async with (
                Client(streamable_http_client(url, http_client=http)) as upstream,
                stdio_server() as (read, write),
            ):
                server = _server(upstream, purpose)
                await server.run(read, write, server.create_initialization_options())
        except (ExceptionGroup, OSError, httpx2.HTTPError, MCPError) as failed:
            raise UnavailableError(f"{url} does not speak MCP, or went away") from failed


def _server(upstream: "Client", purpose: Purpose) -> "Server[Any]":
    """Return what hands each call on to the service, for the one purpose."""
    import mcp_types as types
    from mcp.server.lowlevel import Server

    async def list_tools(context: object, params: object) -> types.ListToolsResult:
        del context, params
        listed = await upstream.list_tools()
        return types.ListToolsResult(tools=[_without_purpose(tool) for tool in listed.tools])

    async def call_tool(
        context: object, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        del context
        given = params.arguments or {}
        if "purpose" in given:
            said = "the purpose was fixed when this server was started: leave it out"
            return types.CallToolResult(content=[types.TextContent(text=said)], is_error=True)
        result = await upstream.call_tool(params.name, {**given, "purpose": str(purpose)})
        return types.CallToolResult(
            content=result.content,
            structured_content=result.structured_content,
            is_error=result.is_error,
        )

    return Server(
        "ragplatform",
        version=__version__,
        instructions=f"All is asked for the purpose {purpose}.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _without_purpose(tool: "types.Tool") -> "types.Tool":
    schema = dict(tool.input_schema)
    properties = {k: v for k, v in schema.get("properties", {}).items() if k != "purpose"}
    required = [name for name in schema.get("required", ()) if name != "purpose"]
    return tool.model_copy(
        update={"input_schema": {**schema, "properties": properties, "required": required}}
    )
