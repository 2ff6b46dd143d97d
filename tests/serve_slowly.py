"""Real API processes whose model writes slowly: ``python -m tests.serve_slowly``.

Real are uvicorn, the application, policies, vault, catalog, audit log and index engine, all in a
folder; detector, encoder and model are small fakes. For each line on its input, a folder, one
process is forked that serves it, so that none has to import everything again. It prints its number,
its port, and the seconds that opening the audit logs took.
"""

import asyncio
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from ragplatform import openers
from ragplatform.adapters.shared_edge import SharedEdgeIndex
from ragplatform.api.app import create_app
from tests.fakes import DIM, make_bench
from tests.fakes_generator import ScriptedGenerator

ABOUT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
# One that speaks of what is asked comes first: until then, what is beside the question is left out.
FACTS = (
    "The apixaban tablets were taken off the chart by the ward pharmacist.",
    "It was replaced by enoxaparin 40 mg once daily.",
    "Her potassium was checked twice after apixaban was stopped.",
    "She went home with a follow-up visit in three weeks.",
)


class SlowGenerator(ScriptedGenerator):
    """Lets a few milliseconds pass before each piece."""

    async def _pieces(self, pieces: list[str], pattern: str | None) -> AsyncIterator[str]:
        async for piece in super()._pieces(pieces, pattern):
            await asyncio.sleep(random.uniform(0.0, 0.01))
            yield piece


def serve(folder: Path) -> None:
    """Serve until killed."""
    began_s, opening_s = time.perf_counter(), 0.0
    real = openers.open_audit

    def timed(*given: Any, **named: Any) -> Any:
        nonlocal began_s, opening_s
        began_s = time.perf_counter()
        logs = real(*given, **named)
        opening_s = time.perf_counter() - began_s
        return logs

    openers.open_audit = timed
    bench = make_bench(
        folder,
        generator=SlowGenerator([f"{word} " for word in " ".join(FACTS).split()]),
        index=SharedEdgeIndex(folder=folder / "data" / "index", dim=DIM),
        requests_per_person=16,
        requests_at_once=16,
    )
    # The same chunk again at each start: its id is the same, so it replaces itself.
    bench.put(" ".join((ABOUT, *FACTS)), subjects=["mrn:1"], page=2)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(bench.platform), loop="asyncio", log_level="warning")
    )
    print(os.getpid(), listening.getsockname()[1], opening_s, flush=True)
    server.run(sockets=[listening])


def main() -> None:
    """Fork a server for each folder on the input; end with the input."""
    # The output is the tests' to read; what the service logs goes beside it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    # The kernel takes the dead away.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while line := sys.stdin.readline():
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                serve(Path(line.rstrip("\n")))
            finally:
                # It ends by a kill alone; whatever else ends it is for the test to show.
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)


if __name__ == "__main__":
    main()
