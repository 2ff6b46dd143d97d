"""Promise 4: no record, no answer, although the API is killed with kill -9 while it answers.

``RAGPLATFORM_API_KILLS`` sets how often (50 by default), ``RAGPLATFORM_SEED`` repeats the moments.
"""

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ragplatform import openers
from ragplatform.audit import query
from ragplatform.audit.record import Record
from ragplatform.config import Settings

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("RAGPLATFORM_API_KILLS", "50"))
SEED = int(os.environ.get("RAGPLATFORM_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
QUESTION = "Why was apixaban stopped for Maria Lopez?"
CLIENTS = 8
# A log that grew over all kills would be hashed whole after each of them.
PER_LOG = 50


@dataclass(slots=True)
class Heard:
    """What one client got of one answer before it ended or broke off."""

    request_id: str
    status: int
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def got(self, name: str) -> bool:
        return any(event == name for event, _ in self.events)

    @property
    def text(self) -> str:
        return "".join(str(data["text"]) for name, data in self.events if name == "delta").strip()


@dataclass(frozen=True, slots=True)
class Server:
    """One API process that is ready, and how long that took: in all, and to open its logs."""

    pid: int
    port: int
    ready_s: float
    opening_s: float

    def kill(self) -> None:
        """Kill it with SIGKILL; it may be dead already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Return when it is gone, and its locks with it."""
        deadline = time.monotonic() + 30
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.kill(self.pid, 0)
                time.sleep(0.002)
            pytest.fail("the killed process is still there")


class Servers:
    """Starts one API process after the other, all forked from one that has imported everything."""

    def __init__(self, folder: Path) -> None:
        self._said_to = folder / "api.log"
        with self._said_to.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.serve_slowly"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Server]:
        """Start one over the folder and wait until it is ready; it is dead at the end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        began = time.monotonic()
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._said_to.read_text()
        pid, port, opening_s = line.split()
        assert ready(int(port))
        server = Server(int(pid), int(port), time.monotonic() - began, float(opening_s))
        try:
            yield server
        finally:
            server.kill()
            server.wait()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def ready(port: int) -> bool:
    """Return whether the service says that it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    finally:
        connection.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path)
    yield made
    made.close()


class Clients:
    """Asks from several threads until the server is gone, and keeps what was heard.

    With ``kill_at_end`` the server dies when that many answers have come to their end: at that
    very moment a record that follows its answer would not be there yet.
    """

    def __init__(self, server: Server, *, kill_at_end: int = 0) -> None:
        self.heard: list[Heard] = []
        self._server = server
        self._left = kill_at_end

    def keep_asking(self, number: int) -> None:
        """Ask one question after another. Every fourth client wants no stream."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                ask(self._server.port, self.heard, stream=number % 4 != 3, ended=self._count)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._server.kill()


def ask(
    port: int, all_heard: list[Heard], *, stream: bool, ended: Callable[[], None] = lambda: None
) -> None:
    """Ask once; what is heard is in the list from its first byte on, and grows there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {"question": QUESTION, "purpose": "TREAT", "mode": "abstractive", "stream": stream}
    headers = {"Authorization": "Bearer doctor", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/ask", json.dumps(sent), headers)
        response = connection.getresponse()
        heard = Heard(response.headers["X-Request-Id"], response.status)
        all_heard.append(heard)
        if not stream:
            body = response.read()
            ended()
            heard.events.append(("final", json.loads(body)))
            return
        name = ""
        # A line counts only with its end: what the kill cut off was not delivered.
        while (line := response.readline()).endswith(b"\n"):
            field_name, _, value = line.decode().rstrip("\n").partition(": ")
            if field_name == "event":
                name = value
                if name == "final":
                    ended()
            elif field_name == "data":
                heard.events.append((name, json.loads(value)))
    finally:
        connection.close()


def actions(records: list[Record], request_id: str) -> list[str]:
    return [str(record.action) for record in records if record.request_id == request_id]


def wrong(heard: Heard, records: list[Record], whole: str) -> list[str]:
    """Return which records of what was heard are missing."""
    done = actions(records, heard.request_id)
    ended = [r for r in records if r.request_id == heard.request_id and str(r.action) == "answered"]
    missing = []
    if heard.status != 200:
        missing.append(f"status {heard.status}")
    if "asked" not in done or "retrieved" not in done:
        missing.append(f"a response began after {done}")
    if (heard.got("final") or heard.text == whole) and not ended:
        missing.append(f"the whole answer came after {done}")
    if heard.got("final") and ended:
        final = dict(heard.events)["final"]
        cited = [citation["chunk"] for citation in final["citations"]]  # type: ignore[attr-defined]
        if final["answer" if "answer" in final else "text"] != whole:
            missing.append("another answer")
        if cited != list(ended[0].details["cited"]):  # type: ignore[arg-type]
            missing.append("the record cites other passages")
    return missing


@dataclass(slots=True)
class Totals:
    """What happened in all the kills of a test."""

    answers: int = 0
    finals: int = 0
    records: int = 0
    ready_s: list[float] = field(default_factory=list)
    opening_s: list[float] = field(default_factory=list)

    def add(self, heard: list[Heard]) -> None:
        self.answers += len(heard)
        self.finals += sum(one.got("final") for one in heard)


@pytest.mark.timeout(120 + 4 * KILLS)
def test_every_answer_that_a_client_got_is_on_record_however_the_api_dies(
    memory: Path, servers: Servers
) -> None:
    chance, began, totals = random.Random(SEED), time.monotonic(), Totals()
    for first in range(0, KILLS, PER_LOG):
        folder = memory / str(first)
        folder.mkdir()
        rest = range(first, min(first + PER_LOG, KILLS))
        kill_and_look(servers, folder, rest, chance, totals)
        shutil.rmtree(folder)
    cut = totals.answers - totals.finals
    print(
        f"kill -9 of the API: {KILLS} times under {CLIENTS} clients, seed {SEED}, "
        f"{time.monotonic() - began:.0f} s; {totals.answers} answers begun, {totals.finals} "
        f"delivered, {cut} cut off; all on record, {totals.records} records verify; "
        f"ready again after {statistics.median(totals.ready_s):.2f} s (at most "
        f"{max(totals.ready_s):.2f}), of which the logs took at most {max(totals.opening_s):.3f}"
    )
    assert totals.finals > KILLS
    assert cut > KILLS
    assert statistics.median(totals.ready_s) < 2
    assert max(totals.opening_s) < 2


def kill_and_look(
    servers: Servers, folder: Path, kills: range, chance: random.Random, totals: Totals
) -> None:
    """Kill the service so often over one folder, and look at its log after each restart."""
    settings = Settings(data_dir=folder / "data", secrets_dir=folder / "keys")
    log = settings.audit_dir / "api.mercy"
    with servers.serving(folder) as server:
        ask(server.port, calm := [], stream=False)
    whole = str(dict(calm[0].events)["final"]["answer"])
    assert whole.count("[1]") == 4
    seen, heard, held = 0, list[Heard](), query.newest_checkpoint(log)
    for number in (*kills, None):
        with servers.serving(folder) as server:
            report = openers.verify_audit(settings, log, held)
            records = query.read(log, since=seen)
            seen, held = report.records, query.newest_checkpoint(log)
            if number is not None:
                after_s = chance.uniform(0.0, 0.8) if number % 2 else None
                new = kill_amid_answers(server, after_s, at_end=chance.randrange(1, 24))
        what = f"seed {SEED}, before kill {number}"
        assert report.ok, (what, report)
        assert [(one.request_id, w) for one in heard if (w := wrong(one, records, whole))] == [], (
            what
        )
        totals.add(heard)
        totals.ready_s.append(server.ready_s)
        totals.opening_s.append(server.opening_s)
        heard = new
    totals.records += seen


def kill_amid_answers(server: Server, after_s: float | None, *, at_end: int) -> list[Heard]:
    """Kill the server after so long, or at the end of answer ``at_end``; return what was heard."""
    clients = Clients(server, kill_at_end=at_end if after_s is None else 0)
    threads = [
        threading.Thread(target=clients.keep_asking, args=(number,)) for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    while after_s is not None and not clients.heard:
        time.sleep(0.005)
    if after_s is not None:
        time.sleep(after_s)
        server.kill()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return clients.heard
