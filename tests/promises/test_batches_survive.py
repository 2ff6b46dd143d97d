"""Promise 7 for batches: kill -9 while lines are answered loses none and gives none twice.

``RAGPLATFORM_BATCH_KILLS`` sets how often (2 by default), ``RAGPLATFORM_SEED`` repeats the moments.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragplatform.access.desk import Caller
from ragplatform.audit.events import Action
from ragplatform.audit.query import find_logs
from ragplatform.audit.verify import verify
from ragplatform.batches.book import BatchBook, BatchState, LineState
from ragplatform.model import Purpose
from tests.fakes import Bench, make_bench
from tests.state import entry_of

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("RAGPLATFORM_BATCH_KILLS", "2"))
SEED = int(os.environ.get("RAGPLATFORM_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
LINES = 3 * KILLS + 2
CHAT = "/v1/chat/completions"
ABOUT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
BODY = {
    "model": "ragplatform:TREAT",
    "messages": [{"role": "user", "content": "Why was apixaban stopped for Maria Lopez?"}],
    "rag": {"mode": "abstractive"},
}


def requests() -> bytes:
    lines = ({"custom_id": f"q{n}", "method": "POST", "url": CHAT, "body": BODY}
             for n in range(LINES))  # fmt: skip
    return "\n".join(map(json.dumps, lines)).encode()


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Bench, Caller]]:
    """Open the platform's stores while no service has them."""
    bench = make_bench(folder)
    try:
        yield bench, Caller(bench.people["doctor"], Purpose.TREAT, "r-1")
    finally:
        bench.platform.batches.book.close()
        bench.platform.store.close()


def submitted(folder: Path) -> str:
    with opened(folder) as (bench, doctor):
        bench.put(ABOUT, subjects=["mrn:1"])
        for entry in bench.index._entries.values():  # type: ignore[attr-defined]
            bench.platform.store.catalog.put_document(entry_of(entry.passage))
        desk = bench.platform.batches
        return desk.submit(doctor, desk.accept(doctor, [requests()]).file, CHAT).batch


class Services:
    """Starts one service after the other, forked from a process that has imported everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.serve_slowly"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def start(self) -> int:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(f"{self._folder}\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline().split()[0])

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            while True:
                os.kill(pid, 0)
                time.sleep(0.005)

    def close(self) -> None:
        for stream in (self._parent.stdin, self._parent.stdout):
            if stream is not None:
                stream.close()
        self._parent.wait(timeout=30)


@pytest.mark.timeout(1800)
def test_a_batch_whose_service_is_killed_again_and_again_is_answered_once(memory: Path) -> None:
    dice = random.Random(SEED)
    print(f"RAGPLATFORM_SEED={SEED}")
    batch, services = submitted(memory / "p"), Services(memory / "p")
    book = BatchBook(f"sqlite:///{memory / 'p' / 'data' / 'catalog.db'}")
    for _ in range(KILLS):
        pid = services.start()
        time.sleep(dice.uniform(0.3, 1.5))
        services.kill(pid)

    pid, deadline = services.start(), time.monotonic() + 120 + 10 * KILLS
    while time.monotonic() < deadline:
        found = book.lookup("mercy", batch)
        if found is not None and found.state.final:
            break
        time.sleep(0.2)
    services.kill(pid)
    services.close()
    book.close()

    with opened(memory / "p") as (bench, doctor):
        done = bench.platform.batches.standing(doctor, batch)
        assert (done.batch.state, done.completed) == (BatchState.COMPLETED, LINES)
        answers = list(bench.platform.batches.answers(doctor, batch, LineState.DONE))
        found_ids = [json.loads(one)["custom_id"] for one in answers]
        assert found_ids == [f"q{n}" for n in range(LINES)]
        asked = [json.loads(one)["response"]["request_id"] for one in answers]
        answered = Counter(r.request_id for r in bench.records(action=Action.ANSWERED))
        assert set(asked) == set(answered)
        # A line may have been answered again whose process died before that was noted.
        assert sum(answered.values()) <= LINES + 2 * KILLS
        assert bench.records(action=Action.BATCH_ENDED)
        for log in find_logs(bench.settings.audit_dir):
            assert verify(log, public_key=None).ok
