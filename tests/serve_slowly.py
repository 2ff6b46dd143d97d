"""A real API process whose model writes slowly: ``python -m tests.serve_slowly FOLDER``.

Real are uvicorn, the application, policies, vault, catalog, audit log and index engine, all in the
folder; detector, encoder and model are small fakes. Prints the port once it listens.
"""

import asyncio
import random
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn

from ragplatform.adapters.shared_edge import SharedEdgeIndex
from ragplatform.api.app import create_app
from tests.fakes import DIM, make_bench
from tests.fakes_generator import ScriptedGenerator

ABOUT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
FACTS = (
    "It was replaced by enoxaparin 40 mg once daily.",
    "The apixaban tablets were taken off the chart by the ward pharmacist.",
    "Her potassium was checked twice after apixaban was stopped.",
    "She went home with a follow-up visit in three weeks.",
)


class SlowGenerator(ScriptedGenerator):
    """Lets a few milliseconds pass before each piece."""

    async def _pieces(self, pieces: list[str], pattern: str | None) -> AsyncIterator[str]:
        async for piece in super()._pieces(pieces, pattern):
            await asyncio.sleep(random.uniform(0.0, 0.01))
            yield piece


def main(folder: Path) -> None:
    """Serve until killed."""
    bench = make_bench(
        folder,
        generator=SlowGenerator([f"{word} " for word in " ".join(FACTS).split()]),
        index=SharedEdgeIndex(folder=folder / "data" / "index", dim=DIM),
    )
    # The same chunk again at each start: its id is the same, so it replaces itself.
    bench.put(" ".join((ABOUT, *FACTS)), subjects=["mrn:1"], page=2)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(bench.platform), loop="asyncio", log_level="warning")
    )
    print(listening.getsockname()[1], flush=True)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
