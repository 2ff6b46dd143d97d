"""Runs the query service."""

import gc
import signal
import sys
from collections.abc import Iterator
from importlib import metadata
from types import FrameType
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from ragplatform import forwarding, wiring, witnessing
from ragplatform.api.app import Extension, create_app
from ragplatform.commands import console
from ragplatform.wiring import Platform

# Only our own distribution may add routes: an entry point of any other is passed over.
_OURS = "ragplatform"
_EXTENSIONS = "ragplatform.api"
# How long a thread may compute while others wait. An answer goes from loop to thread and back ten
# times; at Python's 5 ms each way waits as long behind whoever computes. Measured with 12 callers
# of 12 ms of computing each: median 420 ms in place of 620, the slowest 480 in place of 750, and
# as much of the processor.
_SWITCH_S = 0.0005


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
        app = create_app(platform, list(extensions(platform)))
    # What is loaded by now stays. Looking through it takes the collector half a second each time,
    # in which nobody's question goes on.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_S)
    _outlive_the_server()
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


def extensions(platform: Platform) -> Iterator[Extension]:
    """Yield what other packages of this distribution serve beside the question service."""
    for one in metadata.distribution(_OURS).entry_points.select(group=_EXTENSIONS):
        yield one.load()(platform)


def _outlive_the_server() -> None:
    """Keep the first SIGTERM from ending the process with the server: a last round follows.

    Uvicorn ends as the signal wants, then puts back the handler that it found and raises the signal
    again. The next one ends the process, whatever it is at.
    """

    def once(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, once)


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
