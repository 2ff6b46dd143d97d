"""How long until the first words: through the platform, against asking vLLM directly.

    python -m bench.first_token [--questions 12] [--data-dir DIR] [--json]

Real vLLM on this machine's CPU with the demo's model (`script/setup --vllm` first), the real API
and the demo corpus. First a model that answers at once is asked the same questions, to learn the
very requests that the platform sends; then each question is asked twice, of the platform (streamed,
to the first `delta` event) and of vLLM with that same request (to the first piece of text), by
turns first and second. Each side has cache salts of its own and asks each question once, so that
neither finds the other's prefix in the cache. The platform may show no word before a whole
sentence was supported and screened; extractive answers of one quote need no model at all, and are
counted apart, since there is nothing to compare them with.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench._model import InstantModel, instant_model
from bench._setting import (
    ROOT,
    Deployment,
    demo_deployment,
    free_port,
    machine,
    post,
    questions,
    serving,
)
from ragplatform.answer.prompt import REFUSALS

PERSONAS = ("dr-lee", "res-kim", "coder-ruiz", "rm-okafor")
MODES = ("extractive", "abstractive")
# What a request that was hung up on leaves running ends within this.
SETTLE_S = 1.0

Body = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """One question: seconds to the sources and the first words, and of vLLM asked directly.

    ``direct_s`` is None when the platform asks no model.
    """

    mode: str
    sources_s: float
    delta_s: float
    refused: bool
    direct_s: float | None


def ask_platform(port: int, key: str, body: Body) -> tuple[float, float, bool]:
    """Return the seconds to the sources and to the first words, and whether they refuse."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        began = time.perf_counter()
        post(connection, "/v1/ask", key, {**body, "stream": True})
        reply = connection.getresponse()
        if reply.status != http.HTTPStatus.OK:
            raise SystemExit(f"/v1/ask: {reply.status} {reply.read(300)!r}")
        sources_s, event = 0.0, b""
        for line in reply:
            if line.startswith(b"event:"):
                event = line.split(b":", 1)[1].strip()
                if event == b"sources":
                    sources_s = time.perf_counter() - began
            elif event == b"delta" and line.startswith(b"data:"):
                text = json.loads(line[5:])["text"]
                return sources_s, time.perf_counter() - began, text in REFUSALS.values()
    raise SystemExit("/v1/ask: the stream ended without words")


def ask_directly(port: int, body: Body) -> float:
    """Return the seconds to the first piece of text of vLLM."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        began = time.perf_counter()
        post(connection, "/v1/chat/completions", "none", body)
        reply = connection.getresponse()
        if reply.status != http.HTTPStatus.OK:
            raise SystemExit(f"vLLM: {reply.status} {reply.read(300)!r}")
        for line in reply:
            if line.startswith(b"data: {"):
                (choice,) = json.loads(line[6:])["choices"] or [{}]
                if choice.get("delta", {}).get("content"):
                    return time.perf_counter() - began
    raise SystemExit("vLLM: the stream ended without text")


def learn(deployment: Deployment, model: InstantModel, asked: Sequence[Body]) -> list[Body | None]:
    """Return the request that the platform makes for each question in each mode, or None."""
    bodies: list[Body | None] = []
    with serving(deployment, vllm_url=model.base_url) as port:
        for one in asked:
            for mode in MODES:
                before = len(model.bodies)
                key = deployment.keys[one["persona"]]
                with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as line:
                    post(line, "/v1/ask", key, {**_question(one), "mode": mode})
                    line.getresponse().read()
                bodies.append(model.bodies[-1] if len(model.bodies) > before else None)
    return bodies


def _question(one: Body) -> Body:
    return {"question": one["question"], "purpose": one["purpose"]}


@contextmanager
def vllm() -> Iterator[str]:
    """Run vLLM by `script/model-server`; give its base URL."""
    port = free_port()
    command = [str(ROOT / "script" / "model-server"), "--port", str(port)]
    with tempfile.TemporaryDirectory(prefix="bench-vllm-") as folder:
        own = {**os.environ, "RAGPLATFORM_RUN_DIR": folder}
        started = subprocess.run(
            [*command, "--wait", "600"], env=own, check=False, capture_output=True, text=True
        )
        try:
            if started.returncode:
                raise SystemExit(started.stdout + started.stderr)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            subprocess.run([*command, "--stop"], env=own, check=True, capture_output=True)


def compare(
    deployment: Deployment, asked: Sequence[Body], sent: Sequence[Body | None]
) -> list[Pair]:
    """Ask each question of the platform and of vLLM, by turns first and second."""
    pairs = []
    with vllm() as url, serving(deployment, vllm_url=url) as port:
        direct = urlsplit(url).port or 0
        warm = next(body for body in sent if body is not None)
        ask_directly(direct, {**warm, "cache_salt": "warm-up"})
        ask_platform(port, deployment.keys["dr-lee"], {"question": "Hello?", "purpose": "TREAT"})
        plan = [(one, mode) for one in asked for mode in MODES]
        for number, ((one, mode), body) in enumerate(zip(plan, sent, strict=True)):
            salted = body and {**body, "cache_salt": f"direct {body['cache_salt']}"}
            direct_s = None
            if salted and number // 2 % 2:
                direct_s = ask_directly(direct, salted)
                time.sleep(SETTLE_S)
            got = ask_platform(
                port, deployment.keys[one["persona"]], {**_question(one), "mode": mode}
            )
            time.sleep(SETTLE_S)
            if salted and direct_s is None:
                direct_s = ask_directly(direct, salted)
                time.sleep(SETTLE_S)
            pairs.append(Pair(mode, *got, direct_s))
    return pairs


def figures(pairs: Sequence[Pair], mode: str) -> dict[str, Any]:
    """Return the medians of one mode."""

    def median(values: Sequence[float]) -> float | None:
        return round(statistics.median(values), 3) if values else None

    mine = [pair for pair in pairs if pair.mode == mode]
    both = [(pair, pair.direct_s) for pair in mine if pair.direct_s is not None]
    return {
        "mode": mode,
        "questions": len(mine),
        "sources_s": median([pair.sources_s for pair in mine]),
        "without_model": len(mine) - len(both),
        "without_model_s": median([pair.delta_s for pair in mine if pair.direct_s is None]),
        "pairs": len(both),
        "first_words_s": median([pair.delta_s for pair, _ in both]),
        "direct_first_token_s": median([direct for _, direct in both]),
        "ratio": median([pair.delta_s / direct for pair, direct in both]),
        "later_by_s": median([pair.delta_s - direct for pair, direct in both]),
        "refused": sum(pair.refused for pair in mine),
    }


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=12)
    parser.add_argument("--data-dir", type=Path, help="keep the deployment here, or use it again")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    asked = questions(PERSONAS)[: arguments.questions]
    with demo_deployment(arguments.data_dir) as deployment:
        with instant_model() as model:
            sent = learn(deployment, model, asked)
        named = machine()
        pairs = compare(deployment, asked, sent)
    result = {"machine": named, "modes": [figures(pairs, mode) for mode in MODES]}
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    print(result["machine"])
    for row in result["modes"]:
        print()
        for name, value in row.items():
            print(f"{name:<24}{value}")


if __name__ == "__main__":
    main()
