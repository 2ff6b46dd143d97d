"""The server's adapter where the contract does not reach: what is sent, and how it fails."""

import http.server
import json
import threading
import warnings
from collections.abc import Iterator
from typing import ClassVar

import pytest
from qdrant_client import QdrantClient, models

from ragplatform.adapters.filters import KEYWORDS
from ragplatform.adapters.qdrant import QdrantIndex, connect
from ragplatform.errors import ConfigurationError, IndexUnavailableError


@pytest.fixture(autouse=True)
def _stand_in() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        yield


def test_a_server_that_is_away_is_unavailable() -> None:
    client = connect(url="http://127.0.0.1:9", api_key=None, timeout_s=2)

    with pytest.raises(IndexUnavailableError):
        QdrantIndex(client=client, collection="passages", dim=4)
    client.close()


def test_a_collection_of_another_encoder_is_refused() -> None:
    client = QdrantClient(":memory:")
    QdrantIndex(client=client, collection="passages", dim=4)

    with pytest.raises(ConfigurationError, match="length 4"):
        QdrantIndex(client=client, collection="passages", dim=5)
    client.close()


def test_a_collection_of_somebody_else_is_refused() -> None:
    client = QdrantClient(":memory:")
    client.create_collection(
        "passages", models.VectorParams(size=4, distance=models.Distance.COSINE)
    )

    with pytest.raises(ConfigurationError):
        QdrantIndex(client=client, collection="passages", dim=4)
    client.close()


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers like a server that has no such collection, and keeps what was asked."""

    asked: ClassVar[list[tuple[str, str, object]]] = []
    made: ClassVar[bool] = False

    def answer(self) -> None:
        """Note the request; answer the few questions that opening an index asks."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.asked.append((self.command, self.path, body))
        result: object = True
        if self.path.endswith("/exists"):
            result = {"exists": Recorder.made}
        elif self.command == "GET":
            result = COLLECTION
        elif self.path.startswith("/collections/passages/index"):
            result = {"operation_id": 1, "status": "completed"}
        else:
            Recorder.made = True
        answer = json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


COLLECTION = {
    "status": "green",
    "optimizer_status": "ok",
    "segments_count": 1,
    "config": {
        "params": {"vectors": {"dense": {"size": 4, "distance": "Cosine"}}},
        "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
        "optimizer_config": {
            "deleted_threshold": 0.2,
            "vacuum_min_vector_number": 1000,
            "default_segment_number": 0,
            "flush_interval_sec": 5,
        },
    },
    "payload_schema": {},
}


@pytest.fixture
def url() -> Iterator[str]:
    Recorder.asked.clear()
    Recorder.made = False
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_new_collection_gets_rarity_for_terms_and_an_index_per_keyword(url: str) -> None:
    client = connect(url=url, api_key=None, timeout_s=5)

    QdrantIndex(client=client, collection="passages", dim=4)
    client.close()

    [made] = [
        body for verb, path, body in Recorder.asked
        if verb == "PUT" and path.partition("?")[0] == "/collections/passages"
    ]  # fmt: skip
    assert isinstance(made, dict)
    assert made["vectors"]["dense"] == {"size": 4, "distance": "Cosine"}
    assert made["sparse_vectors"]["terms"]["modifier"] == "idf"
    indexes = [(path, body) for _, path, body in Recorder.asked if "/index" in path]
    assert all("wait=true" in path for path, _ in indexes)
    tenants = {
        body["field_name"]: body["field_schema"]["is_tenant"]
        for _, body in indexes
        if isinstance(body, dict)
    }
    assert tenants == {field: field == "tenant" for field in KEYWORDS}


def test_nothing_is_sent_before_the_index_is_opened(url: str) -> None:
    connect(url=url, api_key=None, timeout_s=5).close()

    assert Recorder.asked == []
