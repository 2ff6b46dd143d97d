"""Web servers and object stores for the sources' tests: one process of each for a test session."""

import atexit
import contextlib
import hashlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from ingest.sources.http import Http, Login, Site
from ingest.sources.http_lists import Format
from ingest.sources.port import Source
from ingest.sources.web import Web
from ragplatform import egress
from tests.relay import Relay

OWNER = ("AKIATESTTESTTEST", "s3cr3t-of-nobody")
LOOPBACK = egress.Allowed.of(())


# What a test opened and did not close by itself.
OPEN: list[Web] = []


def open_web(*, timeout_s: float = 10, deadline_s: float = 20) -> Web:
    """Return what asks servers of this machine, and does not wait before it asks again."""
    client = egress.client(LOOPBACK, timeout_s=timeout_s)
    web = Web(client=client, deadline_s=deadline_s, sleep=lambda _: None)
    OPEN.append(web)
    return web


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
        return port


def started(*command: str, port: int) -> None:
    """Start a server that ends with this process, and wait until it answers."""
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    atexit.register(process.kill)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{command} does not start")


@cache
def web_server() -> tuple[Path, int]:
    """Return the folder and the port of the web server of this run of tests."""
    root, port = Path(tempfile.mkdtemp()), free_port()
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    started("-m", "tests.web_server", str(root), str(port), port=port)
    return root, port


@cache
def object_store() -> int:
    """Return the port of the object store of this run of tests."""
    if not all(importlib.util.find_spec(name) for name in ("moto", "botocore")):
        pytest.skip("moto and botocore are not installed: no object store to test against")
    port = free_port()
    started("-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), port=port)
    return port


class WebWorld:
    """A room of the web server."""

    is_snapshot = False

    def __init__(self, form: Format, room: str) -> None:
        root, port = web_server()
        self.folder = root / room
        self.folder.mkdir(exist_ok=True)
        self._relay = Relay(port)
        self._form = form
        self.place = f"http://127.0.0.1:{self._relay.port}/{room}/"

    def put(self, key: str, data: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def remove(self, key: str) -> None:
        (self.folder / key).unlink()

    def name(self, key: str) -> str:
        return key

    def content(self, data: bytes) -> bytes:
        return data

    def source(
        self, login: Login | None = None, web: Web | None = None, facts: tuple[str, ...] = ()
    ) -> Source:
        urls = {Format.SITEMAP: "sitemap.xml", Format.MANIFEST: "manifest.json"}
        url = urls.get(self._form, "list.txt" if self._form is Format.LINES else "")
        site = Site(self.place, self._form, url, facts)
        return Http(web=web or open_web(), site=site, login=login or Login())

    def go_away(self) -> None:
        self._relay.close()

    def close(self) -> None:
        self._relay.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class BucketWorld:
    """A bucket of the object store, below a prefix."""

    is_snapshot = False

    def __init__(self, prefix: str = "records/") -> None:
        self._port = object_store()
        self._relay = Relay(self._port)
        self.bucket = f"b-{uuid.uuid4().hex[:12]}"
        self._prefix = prefix
        self.request("PUT", "")

    def request(
        self, method: str, path: str, *, key: str = "", data: bytes = b"", **headers: str
    ) -> httpx2.Response:
        """Ask the store for something behind the source's back."""
        url = f"http://127.0.0.1:{self._port}/{self.bucket}"
        url += f"/{quote(self._prefix + key)}" if key else ""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        signed = self._signed(method, url + path, data, names)
        with egress.client(LOOPBACK, timeout_s=30) as client:
            answer = client.request(method, url + path, content=data, headers=signed)
        answer.raise_for_status()
        return answer

    def _signed(
        self, method: str, url: str, data: bytes, headers: dict[str, str]
    ) -> dict[str, str]:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest(method=method, url=url, data=data, headers=headers)
        digest = hashlib.sha256(data).hexdigest()
        request.headers["X-Amz-Content-SHA256"] = digest
        S3SigV4Auth(Credentials(*OWNER), "s3", "us-east-1").add_auth(request)
        return dict(request.headers.items())

    def put(self, key: str, data: bytes, **headers: str) -> None:
        self.request(
            "PUT", "", key=key, data=data, content_type="application/octet-stream", **headers
        )

    def remove(self, key: str) -> None:
        self.request("DELETE", "", key=key)

    def name(self, key: str) -> str:
        return key

    def content(self, data: bytes) -> bytes:
        return data

    def source(
        self,
        *,
        tags: bool = False,
        metadata: bool = False,
        web: Web | None = None,
        page: int = 1000,
    ) -> Source:
        # Not every installation can sign for object stores.
        from ingest.sources.s3 import S3, Bucket, Keys

        bucket = Bucket(f"http://127.0.0.1:{self._relay.port}", self.bucket, self._prefix)
        return S3(
            web=web or open_web(),
            bucket=bucket,
            keys=Keys(*OWNER),
            with_tags=tags,
            with_metadata=metadata,
            page=page,
        )

    def go_away(self) -> None:
        self._relay.close()


@contextmanager
def web_room(form: Format, room: str = "") -> Iterator[WebWorld]:
    """Give an empty room of the web server."""
    world = WebWorld(form, room or uuid.uuid4().hex)
    try:
        yield world
    finally:
        world.close()


@contextmanager
def bucket_world() -> Iterator[BucketWorld]:
    """Give an empty bucket."""
    world = BucketWorld()
    try:
        yield world
    finally:
        world.go_away()
