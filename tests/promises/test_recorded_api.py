"""Promise 4: no record, no answer, although the API is killed with kill -9 while it answers.

``RAGPLATFORM_KILLS`` sets how often (5 by default), ``RAGPLATFORM_SEED`` repeats the moments.
"""

import contextlib
import http.client
import json
import os
import random
import signal
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
KILLS = int(os.environ.get("RAGPLATFORM_KILLS", "5"))
SEED = int(os.environ.get("RAGPLATFORM_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
QUESTION = "Why was apixaban stopped for Maria Lopez?"
CLIENTS = 4


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


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the API over the folder; yield its process and port."""
    with (folder / "api.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.serve_slowly", folder],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            with process.stdout as said:
                line = said.readline()
            assert line, (folder / "api.log").read_text()
            yield process, int(line)
        finally:
            process.kill()
            process.wait(30)


class Clients:
    """Asks from several threads until the server is gone, and keeps what was heard.

    With ``kill_at_end`` the server dies when that many answers have come to their end: at that
    very moment a record that follows its answer would not be there yet.
    """

    def __init__(self, server: subprocess.Popen[bytes], port: int, *, kill_at_end: int = 0) -> None:
        self.heard: list[Heard] = []
        self._server = server
        self._port = port
        self._left = kill_at_end

    def keep_asking(self, number: int) -> None:
        """Ask one question after another. Every fourth client wants no stream."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                ask(self._port, self.heard, stream=number % 4 != 3, ended=self._count)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._server.send_signal(signal.SIGKILL)


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


# Each start of the program takes some 8 s of one core.
@pytest.mark.timeout(200 + 40 * KILLS)
def test_every_answer_that_a_client_got_is_on_record_however_the_api_dies(tmp_path: Path) -> None:
    chance, began = random.Random(SEED), time.monotonic()
    settings = Settings(data_dir=tmp_path / "data", secrets_dir=tmp_path / "keys")
    log = settings.audit_dir / "api.mercy"
    with serving(tmp_path) as (_, port):
        ask(port, calm := [], stream=False)
    whole = str(dict(calm[0].events)["final"]["answer"])
    assert whole.count("[1]") == 4
    totals = {"answers": 0, "finals": 0, "cut off": 0}
    for number in range(KILLS):
        held = query.newest_checkpoint(log)
        after_s = chance.uniform(0.05, 1.5) if number % 2 else None
        heard = kill_amid_answers(tmp_path, after_s, at_end=chance.randrange(1, 12))

        with serving(tmp_path):
            report = openers.verify_audit(settings, log, held)
            records = query.read(log)
        what = f"seed {SEED}, kill {number}"
        assert report.ok, (what, report)
        assert [(one.request_id, w) for one in heard if (w := wrong(one, records, whole))] == [], (
            what
        )
        totals["answers"] += len(heard)
        totals["finals"] += sum(one.got("final") for one in heard)
        totals["cut off"] += sum(not one.got("final") for one in heard)
    print(
        f"kill -9 of the API: {KILLS} times under {CLIENTS} clients, seed {SEED}, "
        f"{time.monotonic() - began:.0f} s; {totals['answers']} answers begun, "
        f"{totals['finals']} delivered, {totals['cut off']} cut off; all on record, "
        f"{report.records} records and {report.checkpoints} signed states verify"
    )
    assert totals["finals"] > KILLS
    assert totals["cut off"] > KILLS


def kill_amid_answers(folder: Path, after_s: float | None, *, at_end: int) -> list[Heard]:
    """Kill the server after so long, or at the end of answer ``at_end``; return what was heard."""
    with serving(folder) as (process, port):
        clients = Clients(process, port, kill_at_end=at_end if after_s is None else 0)
        threads = [
            threading.Thread(target=clients.keep_asking, args=(number,))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        while after_s is not None and not clients.heard:
            time.sleep(0.005)
        if after_s is not None:
            time.sleep(after_s)
            process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join(60)
        process.kill()
        assert not any(thread.is_alive() for thread in threads)
    return clients.heard
