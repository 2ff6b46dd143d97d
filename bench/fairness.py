"""How long a ward's questions take, with and without a batch job of 64 clients beside them.

    python -m bench.fairness [--questions 60] [--parallel 64] [--data-dir DIR] [--json]

The demo corpus, the API in a process of its own, a model server that answers at once. One person
asks one question after another; the job is another key of the same tenant, whose clients ask
without a pause and, told 429, wait as long as `Retry-After` says. First with the shares as they
are by default, then with two for a person, then with none: one person may have all there is.
"""

import argparse
import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench._model import instant_model
from bench._setting import (
    Deployment,
    demo_deployment,
    machine,
    percentile,
    post,
    questions,
    serving,
)

WARD, JOB = "dr-lee", "res-kim"
# A person reads before asking again.
PAUSE_S = 0.1
SHARES = {
    "default": {},
    "two for a person": {"requests_per_person": "2"},
    "no shares": {
        "requests_at_once": "32",
        "requests_per_tenant": "32",
        "requests_per_person": "32",
    },
}


@dataclass
class Heard:
    """What one asker was told: seconds of each answer, and how often which status."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Asker:
    """One client of one persona, on one connection after another."""

    def __init__(self, port: int, deployment: Deployment, persona: str) -> None:
        self._port = port
        self._key = deployment.keys[persona]
        self._questions = questions([persona])
        self._asked = 0

    def ask(self, heard: Heard) -> float:
        """Ask the next question; return for how many seconds to stay away."""
        one = self._questions[self._asked % len(self._questions)]
        self._asked += 1
        body = {"question": one["question"], "purpose": one["purpose"], "mode": "abstractive"}
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        with contextlib.closing(line):
            began = time.perf_counter()
            post(line, "/v1/ask", self._key, body)
            reply = line.getresponse()
            reply.read()
        heard.statuses[reply.status] += 1
        if reply.status == http.HTTPStatus.OK:
            heard.seconds.append(time.perf_counter() - began)
        return float(reply.headers.get("Retry-After", 0))


@contextlib.contextmanager
def job(port: int, deployment: Deployment, parallel: int) -> Iterator[Heard]:
    """Let so many clients of the job ask without a pause until the block ends."""
    heard, over = Heard(), threading.Event()

    def work() -> None:
        asker = Asker(port, deployment, JOB)
        while not over.is_set():
            over.wait(asker.ask(heard))

    threads = [threading.Thread(target=work) for _ in range(parallel)]
    for thread in threads:
        thread.start()
    try:
        # Until all of them have asked once.
        time.sleep(3)
        yield heard
    finally:
        over.set()
        for thread in threads:
            thread.join()


def ward(port: int, deployment: Deployment, count: int) -> Heard:
    """Ask so many questions, one after another, as a person does."""
    heard, asker = Heard(), Asker(port, deployment, WARD)
    for _ in range(count):
        asker.ask(heard)
        time.sleep(PAUSE_S)
    return heard


def row(heard: Heard) -> dict[str, Any]:
    """Return the percentiles of what was answered, in milliseconds."""
    return {
        "p50_ms": round(1000 * percentile(heard.seconds, 50)),
        "p95_ms": round(1000 * percentile(heard.seconds, 95)),
        "statuses": dict(heard.statuses),
    }


def measure(
    deployment: Deployment, vllm_url: str, shares: dict[str, str], count: int, parallel: int
) -> dict[str, Any]:
    """Return the ward's times alone and beside the job, in one process of the API."""
    with serving(deployment, vllm_url=vllm_url, **shares) as port:
        ward(port, deployment, 5)
        alone = row(ward(port, deployment, count))
        with job(port, deployment, parallel) as asked:
            began, before = time.perf_counter(), len(asked.seconds)
            beside = row(ward(port, deployment, count))
            rate = (len(asked.seconds) - before) / (time.perf_counter() - began)
    return {
        "alone": alone,
        "beside": beside,
        "p95_ratio": round(beside["p95_ms"] / alone["p95_ms"], 2),
        "job_answers_per_s": round(rate, 1),
        "job_statuses": dict(asked.statuses),
    }


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--data-dir", type=Path, help="keep the deployment here, or use it again")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with demo_deployment(given.data_dir) as deployment, instant_model() as model:
        named = machine()
        rows = {
            name: measure(deployment, model.base_url, shares, given.questions, given.parallel)
            for name, shares in SHARES.items()
        }
    if given.json:
        print(json.dumps({"machine": named, "shares": rows}, indent=1))
        return
    for name, found in rows.items():
        print(name)
        for what, value in found.items():
            print(f"  {what:<18}{value}")


if __name__ == "__main__":
    main()
