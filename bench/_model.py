"""A model server that answers at once, so that what is left of a request's time is the platform's.

It speaks vLLM's chat protocol on loopback, and knows for each request how long it took itself.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ragplatform.answer import quotes

_QUOTED = re.compile(r"^<(\d+)> stands for: ", re.M)
_PASSAGE = re.compile(r"^<<\w+ passage (\d+)>>\n(.+?)\n<<", re.M | re.S)
_ASKED = re.compile(r"\nQuestion: (.+)\nAnswer:", re.S)
_WORD = re.compile(r"\[[a-z_]+:\w+\]|[a-z]{4,}|\d+")
_SENTENCES = 3
_PIECE = 5


@dataclass
class InstantModel:
    """The server's record: each request's body, and when it began and ended.

    Clocks are ``time.perf_counter`` of this process.
    """

    base_url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    spent: dict[str, list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, salt: str, seconds: float) -> None:
        """Count a request's time for its cache salt."""
        with self.lock:
            self.spent.setdefault(salt, []).append(seconds)

    def taken(self, salt: str) -> float:
        """Return the seconds spent on requests of this salt since it was last asked."""
        with self.lock:
            return sum(self.spent.pop(salt, []))


def reply(body: dict[str, Any], sentences: int = _SENTENCES) -> str:
    """Return a text that the platform can use: joined quotes, or sentences of the passages."""
    prompt = body["messages"][-1]["content"]
    if "structured_outputs" in body:
        return quotes.join_plainly(len(_QUOTED.findall(prompt)))
    asked = _ASKED.search(prompt)
    wanted = set(_WORD.findall(asked[1].lower() if asked else ""))
    found = [
        (len(wanted & set(_WORD.findall(line.lower()))), line, number)
        for number, text in _PASSAGE.findall(prompt)
        for line in text.split("\n")
    ]
    # What fits the question, as a model's answer does: anything else is not shown and costs less.
    best = sorted(found, key=lambda one: -one[0])
    said: dict[str, str] = {}
    for _, line, number in best:
        # Neighbouring passages overlap, and who answers says nothing twice.
        said.setdefault(line.rstrip("."), number)
    return " ".join(f"{line} [{number}]." for line, number in list(said.items())[:sentences])


@contextmanager
def instant_model() -> Iterator[InstantModel]:
    """Run the server on a free port of loopback."""
    record = InstantModel()

    class Handler(_Handler):
        model = record

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    record.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield record
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    model: InstantModel

    def do_POST(self) -> None:
        began = time.perf_counter()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = reply(body)
        pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
        if body.get("stream"):
            self.model.bodies.append(body)
            media = "text/event-stream"
            chunks = [*(_chunk({"content": piece}) for piece in pieces), _chunk({}, "stop")]
            data = "".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"]).encode()
        else:
            media = "application/json"
            message = {"role": "assistant", "content": "Yes"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {"id": "1", "object": "chat.completion", "choices": [choice]}
            data = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()
        self.model.took(str(body.get("cache_salt")), time.perf_counter() - began)

    def log_message(self, *args: object) -> None:
        pass


def _chunk(delta: dict[str, str], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})
