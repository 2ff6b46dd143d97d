"""A platform served over a real socket on loopback, for clients that bring their own HTTP."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from ragplatform.api.app import create_app
from tests.fakes import Bench


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve the application until the block ends; give its base URL, ``/v1`` at the end."""
    with _serving(app) as address:
        yield f"{address}/v1"


@contextmanager
def served_bench(bench: Bench) -> Iterator[str]:
    """Serve the bench's platform, which it closes itself; give the address, without a slash."""
    with _serving(create_app(bench.platform), lifespan="off") as address:
        yield address


@contextmanager
def _serving(app: FastAPI, lifespan: str = "auto") -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, loop="asyncio", log_level="critical", ws="none", lifespan=lifespan)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
