"""A generator that says what it is told to, and an OpenAI-shaped server that misbehaves."""

import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

from ragplatform.errors import GeneratorError
from ragplatform.model import Cleared, Usage

Script: TypeAlias = "Sequence[str] | Callable[[str, str], Sequence[str]]"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a generator."""

    instructions: str
    prompt: str
    cache_salt: str
    max_tokens: int
    pattern: str | None


class ScriptedGenerator:
    """A ``ports.Generator`` that yields ``script``, or what ``script`` makes of the request.

    With ``fail_after`` it breaks off with ``GeneratorError`` after that many pieces; with
    ``available=False`` it is a server that is not there. ``usage`` is what it says a text took.
    ``asked`` holds every request.
    """

    def __init__(
        self,
        script: Script,
        *,
        fail_after: int | None = None,
        available: bool = True,
        usage: Usage | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self._script = script
        self._fail_after = fail_after
        self._available = available
        self._usage = usage

    @property
    def model(self) -> str:
        return "scripted"

    def stream(
        self,
        instructions: str,
        prompt: Cleared,
        *,
        cache_salt: str,
        max_tokens: int,
        pattern: str | None = None,
    ) -> AsyncIterator[str | Usage]:
        if not isinstance(prompt, Cleared):
            raise TypeError("only Cleared goes to a model")
        if not cache_salt:
            raise ValueError("cache_salt is empty")
        self.asked.append(Asked(instructions, prompt.text, cache_salt, max_tokens, pattern))
        script = self._script
        pieces = list(script(instructions, prompt.text) if callable(script) else script)
        return self._pieces(pieces[:max_tokens], pattern)

    async def ready(self) -> bool:
        return self._available

    async def _pieces(self, pieces: list[str], pattern: str | None) -> AsyncIterator[str | Usage]:
        if not self._available:
            raise GeneratorError("the scripted server is not there")
        if pattern is not None:
            pieces = ["".join(pieces)]
            if not re.fullmatch(pattern, pieces[0]):
                raise GeneratorError("the scripted text does not match the pattern")
        for number, piece in enumerate(pieces):
            if number == self._fail_after:
                raise GeneratorError("the scripted server broke off")
            if piece:
                yield piece
        if self._usage is not None:
            yield self._usage


@dataclass
class OpenAiServer:
    """A server on loopback that answers chat completions the way its fields say.

    ``pieces`` are streamed, then ``finish`` as the finish reason (None: the stream just ends).
    ``status`` other than 200 refuses, with ``error`` as the message; ``cut_after`` closes the
    connection after that many pieces, ``error_after`` sends an error event there instead.
    ``usage`` is what it says at the end that the text took.
    """

    pieces: Sequence[str] = ("A ", "short ", "text.")
    finish: str | None = "stop"
    status: int = 200
    error: str = "refused"
    param: str | None = None
    cut_after: int | None = None
    error_after: int | None = None
    delay_s: float = 0.0
    garbage: bool = False
    usage: dict[str, object] | None = None
    bodies: list[dict[str, object]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    base_url: str = ""


@contextmanager
def openai_server(**fields: object) -> Iterator[OpenAiServer]:
    """Run an ``OpenAiServer`` on a free port of loopback."""
    behaviour = OpenAiServer(**fields)  # type: ignore[arg-type]  # the caller names its fields

    class Handler(_Handler):
        behaves = behaviour

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    behaviour.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield behaviour
    finally:
        behaviour.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaves: OpenAiServer

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        self.behaves.bodies.append(body)
        self.behaves.headers.append({key.lower(): value for key, value in self.headers.items()})
        if self.behaves.status != 200:
            error = {"message": self.behaves.error, "param": self.behaves.param, "code": 400}
            self._whole(self.behaves.status, {"error": error})
        elif body.get("stream"):
            self._stream()
        else:
            message = {"role": "assistant", "content": "Yes"}
            choice = {"index": 0, "message": message, "finish_reason": "length"}
            self._whole(200, {"id": "1", "object": "chat.completion", "choices": [choice]})

    def _whole(self, status: int, reply: dict[str, object]) -> None:
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._events()
        except OSError:
            self.behaves.hung_up.set()

    def _events(self) -> None:
        server = self.behaves
        for number, piece in enumerate(server.pieces):
            if number == server.cut_after:
                return
            if number == server.error_after:
                self._event(json.dumps({"error": {"message": server.error, "code": 500}}))
                return
            if server.delay_s and server.stopping.wait(server.delay_s):
                return
            self._event("{not json" if server.garbage else self._chunk({"content": piece}, None))
        if server.finish is not None:
            self._event(self._chunk({}, server.finish))
        if server.usage is not None:
            counted = {"id": "1", "object": "chat.completion.chunk", "choices": []}
            self._event(json.dumps({**counted, "usage": server.usage}))
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, delta: dict[str, str], finish: str | None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})

    def _event(self, data: str) -> None:
        text = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        pass
