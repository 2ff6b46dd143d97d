"""Runs the query service."""

import gc
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from ragplatform import forwarding, wiring, witnessing
from ragplatform.api.app import create_app
from ragplatform.commands import console


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run the query service until it is told to stop."""
    with console.exits():
        settings = console.settings()
        platform = wiring.build(settings)
        publisher = witnessing.open_publisher(settings, platform.store.audit.append)
        forwarders = forwarding.open_forwarders(settings) if settings.forward_in_service else []
        app = create_app(platform)
    # What is loaded by now stays. Looking through it takes the collector half a second each time,
    # in which nobody's question goes on.
    gc.collect()
    gc.freeze()
    publisher.start()
    for forwarder in forwarders:
        forwarder.start()
    try:
        _run(app, host or settings.host, port or settings.port)
    finally:
        # After the last record, so that it is under a checkpoint that is held elsewhere.
        publisher.close()
        for forwarder in forwarders:
            forwarder.close()


def _run(app: FastAPI, host: str, port: int) -> None:
    uvicorn.run(
        app,
        host=host,
        port=port,
        # Under uvloop the seal sees no connection; see ragplatform.egress.
        loop="asyncio",
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
    )
