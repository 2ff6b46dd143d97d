"""What the platform adds to an answer under load, and how it bears too much of it.

    python -m bench.load [PART...] [--clients 20] [--requests 400] [--streams 64]
                         [--long 20000] [--token-ms 0,2.5] [--data-dir DIR] [--svg DIR] [--json]

The demo corpus, the API in a process of its own with all its guards (policy, screening, check for
support, durable records), and a model server in another one that streams tokens. PARTs:

``overhead``  So many clients ask without a pause, in their own words of the model's. Then as many
              do the same without the platform: embed the question, search under the same filter,
              call the same model server with what the platform had sent it. ``added`` is the
              difference, question by question. CPU is what the API's process spends a request.
              Clients of both begin one after the other, spread over the time of one answer: who
              begin together ask together ever after, and measure how long a queue they make.
``streams``   So many streams at once, the model at 5 ms a token.
``memory``    So many requests by the clients; the process's own memory, as it goes.
``overload``  Ten times as many clients as may be at work, with the shares as they are by default.

Each pace of the model is milliseconds a token; 0 is a whole answer at once.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench._clients import OK, Asker, Cost, Heard, ms
from bench._setting import (
    ROOT,
    Deployment,
    Served,
    demo_deployment,
    free_port,
    machine,
    questions,
    served,
)
from bench._svg import line_chart
from ragplatform import config, index_openers, openers
from ragplatform.adapters.api_keys import read_keys
from ragplatform.model import Purpose, Scope

PERSONAS = ("dr-lee", "res-kim", "coder-ruiz", "rm-okafor")
ABSTRACTIVE = {"mode": "abstractive"}
# Four personas stand for as many people as there are clients, so that none waits for its share.
ALL = "128"
NO_SHARES = {
    "requests_at_once": ALL,
    "requests_per_tenant": ALL,
    "requests_per_person": ALL,
    "requests_waiting": "10000",
    "request_wait_s": "60",
}
STREAM_TOKEN_MS = 5.0
OVERLOAD = 160
OVERLOAD_S = 20.0
SAMPLES = 40


@dataclass(frozen=True)
class ModelServer:
    """The fast model server's process."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where the platform finds it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def seen(self) -> dict[str, Any]:
        """Return how many requests came, and the last one's body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/seen")
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return found


@contextlib.contextmanager
def model_server(token_ms: float) -> Iterator[ModelServer]:
    """Run the model server until the end of the block."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench._fast_model", f"--port={port}", f"--token-ms={token_ms}"],
        cwd=ROOT,
    )
    try:
        server = ModelServer(port, process.pid)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                server.seen()
                break
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(10)


async def crowd(
    api: Served,
    deployment: Deployment,
    *,
    clients: int,
    requests: int,
    stream: bool = False,
    until: float | None = None,
    spread_s: float = 0.0,
) -> tuple[Heard, dict[str, list[float]]]:
    """Ask by so many clients without a pause; return what they heard, and times by question.

    ``until`` ends it at a moment of the clock instead of after so many requests; ``spread_s`` is
    the time over which the clients begin.
    """
    heard = Heard()
    by_question: dict[str, list[float]] = {}
    left = iter(range(requests))

    async def one(number: int) -> None:
        asker = Asker(api.port, deployment, PERSONAS[number % len(PERSONAS)], number)
        await asyncio.sleep(spread_s * number / clients)
        try:
            while time.monotonic() < until if until else next(left, None) is not None:
                asked, reply = await asker.ask({**ABSTRACTIVE, "stream": stream})
                heard.note(reply, stream=stream)
                if reply.status == OK:
                    by_question.setdefault(asked["id"], []).append(reply.total_s)
                elif reply.retry_after_s:
                    await asyncio.sleep(reply.retry_after_s)
        finally:
            asker.close()

    await asyncio.gather(*map(one, range(clients)))
    return heard, by_question


def prompts(
    api: Served, deployment: Deployment, model: ModelServer
) -> dict[str, dict[str, Any] | None]:
    """Ask each question once; return what the model was sent for it, if it was asked."""

    async def one_by_one() -> dict[str, dict[str, Any] | None]:
        found: dict[str, dict[str, Any] | None] = {}
        for persona in PERSONAS:
            asker = Asker(api.port, deployment, persona)
            for _ in questions([persona]):
                before = model.seen()["requests"]
                asked, _ = await asker.ask(ABSTRACTIVE)
                seen = model.seen()
                found[asked["id"]] = seen["last"] if seen["requests"] > before else None
            asker.close()
        return found

    return asyncio.run(one_by_one())


class Direct:
    """The same questions without the platform: embed, search under the same filter, generate."""

    def __init__(
        self,
        deployment: Deployment,
        model: ModelServer,
        bodies: Mapping[str, dict[str, Any] | None],
    ) -> None:
        settings = config.load(data_dir=deployment.folder, vllm_url=model.url)
        people = {e.principal.id: e.principal for e in read_keys(settings.api_keys_file)}
        policies, catalog = openers.open_policies(settings), openers.open_catalog(settings)
        vault = openers.open_vault(settings)
        register = openers.open_register(settings, vault)
        self._model = model
        self._bodies = bodies
        self._editions = index_openers.open_editions(settings)
        self._limit = settings.passages_per_answer
        self.questions = questions(PERSONAS)
        self._scopes: dict[str, Scope] = {
            one["id"]: policies.scope(
                register.standing(people[one["persona"]], Purpose(one["purpose"])),
                catalog.classes(people[one["persona"]].tenant),
            )
            for one in self.questions
        }
        for part in (register, vault, catalog):
            part.close()

    def close(self) -> None:
        """Let the index go."""
        self._editions.close()

    def crowd(
        self, clients: int, requests: int, spread_s: float
    ) -> dict[str, list[tuple[float, float, float]]]:
        """Ask by so many clients; return seconds of embedding, search and model by question."""
        found: dict[str, list[tuple[float, float, float]]] = {}
        left = iter(range(requests))

        def one(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self._model.port, timeout=60)
            own = [q for q in self.questions if q["persona"] == PERSONAS[number % len(PERSONAS)]]
            time.sleep(spread_s * number / clients)
            while next(left, None) is not None:
                asked = own[number % len(own)]
                number += 1
                spent = self._ask(asked, connection)
                found.setdefault(asked["id"], []).append(spent)
            connection.close()

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(one, range(clients)))
        return found

    def _ask(
        self, asked: dict[str, Any], connection: http.client.HTTPConnection
    ) -> tuple[float, float, float]:
        edition = self._editions.current()
        began = time.perf_counter()
        vector = edition.embedder.embed([asked["question"]])[0].tolist()
        embedded = time.perf_counter()
        terms = edition.weigher.weigh_query(asked["question"])
        edition.index.search(vector, terms, self._scopes[asked["id"]], self._limit)
        searched = time.perf_counter()
        if body := self._bodies[asked["id"]]:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), headers)
            connection.getresponse().read()
        ended = time.perf_counter()
        return embedded - began, searched - embedded, ended - searched


def overhead(
    deployment: Deployment, *, clients: int, requests: int, token_ms: float
) -> dict[str, Any]:
    """Measure what the platform adds, against the same parts alone under the same crowd."""
    with model_server(token_ms) as model:
        with served(deployment, vllm_url=model.url, **NO_SHARES) as api:
            began = time.perf_counter()
            bodies = prompts(api, deployment, model)
            spread_s = (time.perf_counter() - began) / len(bodies)
            asyncio.run(crowd(api, deployment, clients=clients, requests=2 * clients))
            with Cost(api.pid) as spent, Cost(model.pid) as by_model:
                began = time.perf_counter()
                heard, asked = asyncio.run(
                    crowd(api, deployment, clients=clients, requests=requests, spread_s=spread_s)
                )
                seconds = time.perf_counter() - began
        direct = Direct(deployment, model, bodies)
        try:
            direct.crowd(clients, 2 * clients, spread_s)
            began_cpu = time.process_time()
            alone = direct.crowd(clients, requests, spread_s)
            direct_cpu = time.process_time() - began_cpu
        finally:
            direct.close()
    parts = [one for times in alone.values() for one in times]
    sums = [sum(one) for one in parts]
    added = [
        took - statistics.median(sum(one) for one in alone[name])
        for name, times in asked.items()
        for took in times
        if name in alone
    ]
    return {
        "clients": clients,
        "token_ms": token_ms,
        **heard.row(),
        "requests_per_s": round(len(heard.seconds) / seconds, 1),
        "api_cpu_ms": round(1000 * spent.cpu_s / requests, 2),
        "model_cpu_ms": round(1000 * by_model.cpu_s / requests, 2),
        "direct_cpu_ms": round(1000 * direct_cpu / requests, 2),
        "direct_p50_ms": ms(sums, 50),
        "direct_p99_ms": ms(sums, 99),
        "direct_embed_p50_ms": ms([one[0] for one in parts], 50),
        "direct_search_p50_ms": ms([one[1] for one in parts], 50),
        "direct_model_p50_ms": ms([one[2] for one in parts], 50),
        "added_p50_ms": ms(added, 50),
        "added_p95_ms": ms(added, 95),
        "added_p99_ms": ms(added, 99),
    }


def streams(deployment: Deployment, *, at_once: int) -> dict[str, Any]:
    """Hold so many streams at once, three times over."""
    with (
        model_server(STREAM_TOKEN_MS) as model,
        served(deployment, vllm_url=model.url, **NO_SHARES) as api,
    ):
        asyncio.run(crowd(api, deployment, clients=8, requests=40))
        heard, _ = asyncio.run(
            crowd(api, deployment, clients=at_once, requests=3 * at_once, stream=True)
        )
    return {"streams": at_once, "first_p50_ms": ms(heard.first_s, 50), **heard.row()}


def memory(deployment: Deployment, *, clients: int, requests: int, svg: Path) -> dict[str, Any]:
    """Ask so many questions and watch the memory; the slope is of the second half."""
    points: list[tuple[float, float]] = []
    errors = 0
    with (
        model_server(0) as model,
        served(deployment, vllm_url=model.url, **NO_SHARES) as api,
    ):
        asyncio.run(crowd(api, deployment, clients=clients, requests=200))
        cost = Cost(api.pid)
        points.append((0, cost.memory_mb()))
        for part in range(1, SAMPLES + 1):
            some = requests // SAMPLES
            heard, _ = asyncio.run(crowd(api, deployment, clients=clients, requests=some))
            errors += some - heard.statuses[OK]
            points.append((part * some, cost.memory_mb()))
    half = points[len(points) // 2 :]
    slope = statistics.linear_regression([x for x, _ in half], [y for _, y in half]).slope
    chart = line_chart(
        "Memory of the service over its requests",
        {"own memory, MB": points},
        x="requests",
        y="MB",
    )
    (svg / "load-memory.svg").write_text(chart, encoding="utf-8")
    return {
        "requests": requests,
        "errors": errors,
        "memory_mb_at_start": round(points[0][1], 1),
        "memory_mb_at_half": round(half[0][1], 1),
        "memory_mb_at_end": round(points[-1][1], 1),
        "mb_per_1000_requests": round(1000 * slope, 3),
    }


def overload(deployment: Deployment) -> dict[str, Any]:
    """Send ten times as much as may be at work, the shares as they are by default."""
    with (
        model_server(STREAM_TOKEN_MS) as model,
        served(deployment, vllm_url=model.url) as api,
    ):
        asyncio.run(crowd(api, deployment, clients=8, requests=40))
        cost = Cost(api.pid)
        before = cost.memory_mb()
        until = time.monotonic() + OVERLOAD_S
        heard, _ = asyncio.run(
            crowd(api, deployment, clients=OVERLOAD, requests=0, stream=True, until=until)
        )
        after = cost.memory_mb()
    return {
        "clients": OVERLOAD,
        **heard.row(),
        "refused_without_retry_after": heard.no_retry_after,
        "memory_mb_before": round(before, 1),
        "memory_mb_after": round(after, 1),
    }


def main() -> None:
    """Measure the parts that are asked for, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=["overhead", "streams", "overload", "memory"])
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--long", type=int, default=20_000)
    parser.add_argument("--token-ms", default="0,2.5")
    parser.add_argument("--data-dir", type=Path, help="keep the deployment here, or use it again")
    parser.add_argument("--svg", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    with demo_deployment(given.data_dir) as deployment:
        if "overhead" in given.parts:
            result["overhead"] = [
                overhead(deployment, clients=n, requests=given.requests, token_ms=float(pace))
                for pace in given.token_ms.split(",")
                for n in (1, given.clients)
            ]
        if "streams" in given.parts:
            result["streams"] = [streams(deployment, at_once=given.streams)]
        if "overload" in given.parts:
            result["overload"] = [overload(deployment)]
        if "memory" in given.parts:
            found = memory(deployment, clients=given.clients, requests=given.long, svg=given.svg)
            result["memory"] = [found]
    if given.json:
        print(json.dumps(result, indent=1))
        return
    print(result.pop("machine"))
    for name, rows in result.items():
        for row in rows:
            print(f"\n{name}")
            for key, value in row.items():
                print(f"  {key:<30}{value}")


if __name__ == "__main__":
    main()
