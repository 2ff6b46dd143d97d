"""Runs the query service."""

import gc
from typing import Annotated

import typer
import uvicorn

from ragplatform import wiring
from ragplatform.api.app import create_app
from ragplatform.commands import console


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run the query service until it is told to stop."""
    with console.exits():
        settings = console.settings()
        app = create_app(wiring.build(settings))
    # What is loaded by now stays. Looking through it takes the collector half a second each time,
    # in which nobody's question goes on.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host=host or settings.host,
        port=port or settings.port,
        # Under uvloop the seal sees no connection; see ragplatform.egress.
        loop="asyncio",
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
    )
