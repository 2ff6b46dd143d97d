"""A platform on fakes behind a real HTTP server on loopback, for clients that open sockets."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from ragplatform.api.app import create_app
from tests.fakes import Bench


@contextmanager
def served(bench: Bench) -> Iterator[str]:
    """Serve the platform in a thread; yield its address, without a slash at the end."""
    config = uvicorn.Config(
        create_app(bench.platform), port=0, loop="asyncio", log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
