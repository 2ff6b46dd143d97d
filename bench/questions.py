"""How long a question takes without the model: search, and the platform's own part of an answer.

    python -m bench.questions [--requests 100] [--profiled 40] [--data-dir DIR] [--json]

The demo corpus goes into a fresh deployment; the API runs in a process of its own on the real
detector, encoder, index, policies and audit log. Four personas ask their questions of the demo over
HTTP on loopback: by one client in turn, then by four clients at once. The model server answers at
once, and the time it takes is counted on its side and subtracted: ``own`` is what the platform
adds to generation. Then the same questions are asked in this process by one client, with each
part's time taken apart (``stages``; a part's time is without the parts that it calls).
"""

import argparse
import asyncio
import contextvars
import http.client
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench._model import InstantModel, instant_model
from bench._setting import (
    Deployment,
    demo_deployment,
    machine,
    percentile,
    post,
    questions,
    serving,
)
from ragplatform import config, identities, wiring
from ragplatform.adapters.api_keys import read_keys
from ragplatform.adapters.encoder import SentenceEncoder
from ragplatform.adapters.shared_edge import SharedEdgeIndex
from ragplatform.adapters.vllm import VllmGenerator
from ragplatform.answer.judging import Judge
from ragplatform.answer.quoting import Quoter
from ragplatform.answer.retrieve import Request, Retriever
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.model import AnswerMode, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.screen import Screen
from ragplatform.privacy.vault import Vault

# Each has rights of its own, and so a cache salt of its own, by which the model server's time
# finds its request.
PERSONAS = ("dr-lee", "res-kim", "coder-ruiz", "rm-okafor")
MODES = ("extractive", "abstractive")
# The API closes a connection that was idle for 5 seconds; a client opens another before that.
IDLE_S = 3.0


@dataclass(frozen=True)
class Timed:
    """One request: seconds in all, and those inside the model server."""

    total_s: float
    model_s: float

    @property
    def own_s(self) -> float:
        """What the platform itself took."""
        return self.total_s - self.model_s


class Client:
    """One persona's connection to the API."""

    def __init__(self, port: int, deployment: Deployment, persona: str) -> None:
        self.persona = persona
        self.salt = ""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._key = deployment.keys[persona]
        self._questions = questions([persona])
        self._next = 0
        self._used = 0.0

    def ask(self, path: str, more: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """Send the next question; return the seconds to the last byte and the reply."""
        one = self._questions[self._next % len(self._questions)]
        self._next += 1
        body = {"question": one["question"], "purpose": one["purpose"], **more}
        began = time.perf_counter()
        if began - self._used > IDLE_S:
            self._connection.close()
        post(self._connection, path, self._key, body)
        reply = self._connection.getresponse()
        text = reply.read()
        self._used = time.perf_counter()
        took = self._used - began
        if reply.status != http.HTTPStatus.OK:
            raise SystemExit(f"{path} as {self.persona}: {reply.status} {text[:300]!r}")
        return took, json.loads(text)

    def timed(self, model: InstantModel, path: str, more: dict[str, Any]) -> Timed:
        """Send the next question; return its times."""
        model.taken(self.salt)
        total, _ = self.ask(path, more)
        return Timed(total, model.taken(self.salt))

    def learn_salt(self, model: InstantModel) -> None:
        """Find out under which salt the platform asks for this persona, and warm up."""
        for _ in self._questions:
            before = len(model.bodies)
            self.ask("/v1/ask", {"mode": "abstractive"})
            if len(model.bodies) > before:
                self.salt = model.bodies[-1]["cache_salt"]


def load(
    clients: Sequence[Client],
    at_once: int,
    requests: int,
    send: Callable[[Client], Timed],
) -> tuple[list[Timed], float]:
    """Send so many requests, by all clients in turn or at once; return times and seconds."""
    began = time.perf_counter()
    if at_once == 1:
        timed = [send(clients[n % len(clients)]) for n in range(requests)]
    else:
        each = requests // len(clients)
        with ThreadPoolExecutor(len(clients)) as pool:
            rows = pool.map(lambda client: [send(client) for _ in range(each)], clients)
            timed = [one for row in rows for one in row]
    return timed, time.perf_counter() - began


def row(timed: Sequence[Timed], seconds: float) -> dict[str, Any]:
    """Return the percentiles of one load, in milliseconds."""

    def ms(values: Sequence[float], percent: int) -> float:
        return round(percentile(values, percent) * 1000, 1)

    own, total = [one.own_s for one in timed], [one.total_s for one in timed]
    return {
        "requests": len(timed),
        "total_p50_ms": ms(total, 50),
        "total_p95_ms": ms(total, 95),
        "own_p50_ms": ms(own, 50),
        "own_p95_ms": ms(own, 95),
        "model_p50_ms": ms([one.model_s for one in timed], 50),
        "requests_per_s": round(len(timed) / seconds, 2),
    }


def over_http(deployment: Deployment, model: InstantModel, requests: int) -> list[dict[str, Any]]:
    """Measure search and both kinds of answer, by one client and by four."""
    rows = []
    with serving(deployment, vllm_url=model.base_url) as port:
        clients = [Client(port, deployment, persona) for persona in PERSONAS]
        for client in clients:
            client.learn_salt(model)
        kinds: list[tuple[str, str, dict[str, Any]]] = [("search", "/v1/search", {})]
        kinds += [(f"ask, {mode}", "/v1/ask", {"mode": mode}) for mode in MODES]
        for name, path, more in kinds:
            for at_once in (1, len(clients)):

                def send(client: Client, path: str = path, more: dict[str, Any] = more) -> Timed:
                    return client.timed(model, path, more)

                timed, seconds = load(clients, at_once, requests, send)
                rows.append({"what": name, "clients": at_once, **row(timed, seconds)})
    return rows


class Profile:
    """Takes the time of named parts, each without the named parts that it calls.

    One request at a time; parts may run in other threads, one after the other.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._inside: contextvars.ContextVar[list[float] | None] = contextvars.ContextVar(
            "inside", default=None
        )
        self._lock = threading.Lock()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time inside towards the part."""
        below: list[float] = [0.0]
        above = self._inside.get()
        token = self._inside.set(below)
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self._inside.reset(token)
            if above is not None:
                above[0] += took
            with self._lock:
                self.seconds[name] += took - below[0]  # type: ignore[assignment]  # seconds
                self.calls[name] += 1

    def watch(self, owner: type, method: str, name: str, many: str = "") -> None:
        """Count every call of the method towards the part from now on.

        With ``many``, calls on a list of more than one go there.
        """
        original = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            with self.part(many if many and len(arguments[1]) > 1 else name):
                return original(*arguments, **named)

        setattr(owner, method, timed)

    def watch_stream(self, owner: type, method: str, name: str) -> None:
        """Count the waiting for each piece of the stream that the method returns."""
        original = getattr(owner, method)

        async def timed(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
            stream = original(*arguments, **named)
            while True:
                with self.part(name):
                    piece = await anext(stream, None)
                if piece is None:
                    return
                yield piece

        setattr(owner, method, timed)


def watch(profile: Profile) -> None:
    """Name the parts of a question's way. What is detected or embedded is told by who asks."""
    for owner, method, name in (
        (SqlCatalog, "classes", "scope: read the access classes"),
        (Policies, "scope", "scope: decide every class twice"),
        (Privacy, "clear_question", "question: find personal data"),
        (SharedEdgeIndex, "search", "search the index"),
        (Policies, "decide_passages", "decide every hit again"),
        (Retriever, "_clear", "cut and clear the passages"),
        (Retriever, "show", "show the passages"),
        (Vault, "reveal", "reveal from the vault"),
        (Quoter, "choose", "choose quotes: score sentences"),
        (Screen, "feed", "screen the answer: find personal data"),
        (Screen, "finish", "screen the answer: find personal data"),
        (Judge, "judge", "check the model's sentences"),
        (TenantLogs, "append", "audit: make records durable"),
    ):
        profile.watch(owner, method, name)
    profile.watch(
        SentenceEncoder, "embed", "question: embed", many="choose quotes: embed sentences"
    )
    profile.watch_stream(VllmGenerator, "stream", "generate (not own)")


async def profiled(
    built: wiring.Platform, profile: Profile, asked: Sequence[dict[str, Any]], mode: AnswerMode
) -> dict[str, Any]:
    """Ask each question once; return the mean milliseconds of each part."""
    people = {e.principal.id: e.principal for e in read_keys(built.settings.api_keys_file)}
    totals = []
    # The first question of a process pays for what is made once.
    await _ask(built, people, asked[0], mode)
    profile.seconds.clear()
    profile.calls.clear()
    for one in asked:
        began = time.perf_counter()
        await _ask(built, people, one, mode)
        totals.append(time.perf_counter() - began)
    count = len(asked)
    parts = {
        name: {
            "mean_ms": round(seconds / count * 1000, 2),
            "calls": round(profile.calls[name] / count, 1),
        }
        for name, seconds in profile.seconds.most_common()
    }
    rest = sum(totals) - sum(profile.seconds.values())
    parts["rest"] = {"mean_ms": round(rest / count * 1000, 2), "calls": 1}
    return {
        "mode": str(mode),
        "questions": count,
        "mean_ms": round(statistics.fmean(totals) * 1000, 1),
        "parts": parts,
    }


async def _ask(
    built: wiring.Platform,
    people: dict[str, Principal],
    one: dict[str, Any],
    mode: AnswerMode,
) -> None:
    request = Request(people[one["persona"]], Purpose(one["purpose"]), one["question"])
    retrieved = await asyncio.to_thread(built.answerer.prepare, request)
    async with aclosing(built.answerer.stream(retrieved, mode)) as events:
        async for _ in events:
            pass


async def in_process(
    deployment: Deployment, model: InstantModel, count: int
) -> list[dict[str, Any]]:
    """Ask without HTTP and take the time of each part, in both modes."""
    settings = config.load(data_dir=deployment.folder, vllm_url=model.base_url)
    profile = Profile()
    watch(profile)
    store = wiring.open_store(settings, "bench")
    generator, client = wiring.open_generator(settings)
    authenticator = identities.open_authenticator(settings, store.vault)
    built = wiring.assemble(store, generator=generator, authenticator=authenticator, http=client)
    asked = questions(PERSONAS)[:count]
    try:
        return [await profiled(built, profile, asked, AnswerMode(mode)) for mode in MODES]
    finally:
        await built.aclose()


def main() -> None:
    """Measure, and print tables or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100, help="of each kind and load")
    parser.add_argument("--profiled", type=int, default=40, help="questions asked in process")
    parser.add_argument("--data-dir", type=Path, help="keep the deployment here, or use it again")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with demo_deployment(arguments.data_dir) as deployment, instant_model() as model:
        named = machine()
        loads = over_http(deployment, model, arguments.requests)
        stages = asyncio.run(in_process(deployment, model, arguments.profiled))
    result = {"machine": named, "http": loads, "stages": stages}
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        print_tables(result)


def print_tables(result: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(result["machine"])
    heads = "total_p50_ms total_p95_ms own_p50_ms own_p95_ms model_p50_ms requests_per_s".split()
    print(f"{'what':<18}{'clients':>8}" + "".join(f"{head:>15}" for head in heads))
    for one in result["http"]:
        cells = "".join(f"{one[head]:>15}" for head in heads)
        print(f"{one['what']:<18}{one['clients']:>8}{cells}")
    for stage in result["stages"]:
        print(f"\n{stage['mode']}: {stage['mean_ms']} ms a question in process")
        for name, part in stage["parts"].items():
            print(f"  {name:<40}{part['mean_ms']:>9.2f} ms {part['calls']:>6} calls")


if __name__ == "__main__":
    main()
