"""A model server of its own process that streams tokens as fast as it is told to.

    python -m bench._fast_model --port PORT [--first-ms 0] [--token-ms 0]

It speaks vLLM's chat protocol over plain asyncio, keeps connections open, and answers with
sentences copied from the prompt's passages, so that they pass the check for support. An event has
as many tokens as ``stream_interval`` asks for, but the first and the last, as with vLLM. Without
pauses a whole answer is one write of many events, which is as fast as a server can be. ``GET
/seen`` tells how many requests came, what they cost it, and the last one's body.
"""

import argparse
import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from bench._model import reply

# What a token of English has, and so what one event brings.
_PIECE = 4
_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)


class Model:
    """The server's pace and what it has seen."""

    def __init__(self, first_ms: float, token_ms: float) -> None:
        self._first_s = first_ms / 1000
        self._token_s = token_ms / 1000
        self._requests = 0
        self._last: Any = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it is closed."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                if head.startswith(b"POST"):
                    await self._answer(json.loads(body), writer)
                else:
                    _send(writer, "application/json", json.dumps(self._seen()).encode())
        writer.close()

    async def _answer(self, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        if not body.get("stream"):
            message = {"role": "assistant", "content": "Yes"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {"id": "1", "object": "chat.completion", "choices": [choice]}
            _send(writer, "application/json", json.dumps(whole).encode())
            return
        self._requests += 1
        self._last = body
        events = list(_events(reply(body), body.get("stream_interval") or 1))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        if not self._token_s:
            await asyncio.sleep(self._first_s)
            whole = b"".join(event for _, event in events)
            writer.write(_chunk(whole) + b"0\r\n\r\n")
            await writer.drain()
            return
        # By the clock, so that pauses that last too long do not add up.
        due = time.perf_counter() + self._first_s
        for tokens, event in events:
            due += tokens * self._token_s
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(_chunk(event))
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _seen(self) -> dict[str, Any]:
        return {
            "requests": self._requests,
            "cpu_s": time.process_time(),
            "last": self._last,
        }


def _events(text: str, interval: int) -> Iterator[tuple[int, bytes]]:
    """Yield how many tokens an event took, and the event."""
    at, taken = 0, 1
    while at < len(text):
        piece = text[at : at + taken * _PIECE]
        yield -(-len(piece) // _PIECE), _event({"content": piece})
        at, taken = at + len(piece), interval
    yield 1, _event({}, "stop")
    yield 0, b"data: [DONE]\n\n"


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    piece = {"id": "1", "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(piece).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _send(writer: asyncio.StreamWriter, media: str, data: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)


async def _run(port: int, model: Model) -> None:
    server = await asyncio.start_server(model.serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--first-ms", type=float, default=0.0)
    parser.add_argument("--token-ms", type=float, default=0.0)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(given.port, Model(given.first_ms, given.token_ms)))


if __name__ == "__main__":
    main()
