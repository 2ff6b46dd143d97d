"""A small HTTP server that speaks as much of Qdrant's API as the index adapter asks, and can fail.

Behind it is qdrant-client's local mode. It fails as servers and networks do: before it acts, after
it has acted, in the middle of its answer, or by taking its time.
"""

import http.server
import json
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from qdrant_client import QdrantClient, models

from tests.unit.adapters.test_qdrant import COLLECTION


class Failure(StrEnum):
    """What happens to one request instead of an answer."""

    RESET = "reset"
    """The connection is reset before anything was done."""
    ANSWER_LOST = "answer lost"
    """It is done, and the connection is reset."""
    TORN = "torn"
    """It is done, and the answer ends in its middle."""
    SLOW = "slow"
    """It is done, and the answer comes when nobody waits for it any more."""
    ERROR = "error"
    """500, and nothing was done."""
    BUSY = "busy"
    """503, and nothing was done."""
    REFUSED = "refused"
    """403, and nothing was done."""


_STATUS = {Failure.ERROR: 500, Failure.BUSY: 503, Failure.REFUSED: 403}


@dataclass(slots=True)
class Server:
    """A server at work. ``next_failure`` is asked before each request."""

    url: str
    client: QdrantClient
    slow_s: float
    next_failure: Callable[[], Failure | None] = lambda: None
    requests: int = 0
    failures: list[Failure] = field(default_factory=list)


@contextmanager
def serving(*, dim: int, slow_s: float = 1.5) -> Iterator[Server]:
    """Serve until the end of the block."""
    client = QdrantClient(":memory:")
    made = Server("", client, slow_s)
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            with lock:
                made.requests += 1
                failure = made.next_failure()
                if failure is not None:
                    made.failures.append(failure)
                if failure is Failure.RESET:
                    return self.reset()
                if failure in _STATUS:
                    return self.say(_STATUS[failure], {"status": {"error": "as told"}})
                result = _act(client, self.command, self.path.partition("?")[0], body, dim)
            if failure is Failure.ANSWER_LOST:
                return self.reset()
            if failure is Failure.SLOW:
                time.sleep(made.slow_s)
            return self.say(200, {"result": result, "status": "ok", "time": 0.0}, failure)

        def say(self, status: int, answer: object, failure: Failure | None = None) -> None:
            raw = json.dumps(answer).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw[: len(raw) // 2] if failure is Failure.TORN else raw)
            except OSError:
                self.close_connection = True
            if failure is Failure.TORN:
                self.reset()

        def reset(self) -> None:
            # With a linger of nothing, closing sends RST (socket(7)).
            nothing = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, nothing)
            self.close_connection = True
            self.connection.close()

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
            """Stay quiet."""

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

    with (
        warnings.catch_warnings(),
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
    ):
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
    client.close()


def _act(client: QdrantClient, verb: str, path: str, body: dict[str, object], dim: int) -> object:
    _, _, name, *rest = path.split("/")
    where = models.Filter.model_validate(body["filter"]) if body.get("filter") else None
    match verb, rest:
        case "GET", ["exists"]:
            return {"exists": client.collection_exists(name)}
        case "GET", []:
            return COLLECTION | {"config": _sized(dim)}
        case "PUT", []:
            client.create_collection(
                name,
                vectors_config={
                    "dense": models.VectorParams(size=dim, distance=models.Distance.COSINE)
                },
                sparse_vectors_config={
                    "terms": models.SparseVectorParams(modifier=models.Modifier.IDF)
                },
            )
            return True
        case "PUT", ["index"]:
            return {"operation_id": 1, "status": "completed"}
        case "PUT", ["points"]:
            client.upsert(name, models.PointsList.model_validate(body).points)
            return {"operation_id": 1, "status": "completed"}
        case "POST", ["points", "delete"]:
            client.delete(name, models.FilterSelector(filter=where))  # type: ignore[arg-type]
            return {"operation_id": 1, "status": "completed"}
        case "POST", ["points", "count"]:
            return {"count": client.count(name, count_filter=where).count}
        case "POST", ["facet"]:
            hits = client.facet(name, str(body["key"]), facet_filter=where, limit=1000).hits
            return {"hits": [hit.model_dump(mode="json") for hit in hits]}
        case "POST", ["points", "scroll"]:
            found, after = client.scroll(
                name,
                scroll_filter=where,
                limit=int(str(body["limit"])),
                offset=body.get("offset"),  # type: ignore[arg-type]
                with_payload=body["with_payload"],  # type: ignore[arg-type]
            )
            return {
                "points": [one.model_dump(mode="json") for one in found],
                "next_page_offset": after,
            }
    raise NotImplementedError(f"{verb} {path}")


def _sized(dim: int) -> dict[str, object]:
    config = json.loads(json.dumps(COLLECTION["config"]))
    config["params"]["vectors"]["dense"]["size"] = dim
    return dict(config)
