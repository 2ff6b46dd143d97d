"""What the platform adds to a written answer: its stream, against the same stream of vLLM alone.

    python -m bench.answer_stream [--questions 8] [--rounds 3] [--tokens 200] [--data-dir DIR]
                                  [--json]

Real vLLM on this machine's CPU with the demo's model (`script/setup --vllm` first), the real API
with all its checks and durable records, and the demo corpus. First a model that answers at once is
asked the same questions, to learn the very requests that the platform sends. Then each question is
asked twice, of the platform (``/v1/ask``, streamed, abstractive) and of vLLM with that same
request, by turns first and second; each stream is read to its end. What vLLM writes is prescribed,
for both alike (``bench/_prescribed.py``).

The texts of a pair have the same number of tokens, by vLLM's own count; a whole answer's ratio is
taken only of pairs that reached ``--tokens``. Each side has cache salts of its own and asks the
same in the same order, so that both find as much in vLLM's prefix cache: in the first round next to
nothing (``cold``), later the whole prompt (``warm``).

No word may be shown before its whole sentence was supported and screened. So the platform's first
text is set against the moment at which vLLM, asked directly, had written that very sentence
(``behind_sentence_s``), and against its first piece of text (``later_s``), beside the time that one
sentence takes (``sentence_s``). Answers that end in a refusal show no sentence and are counted.
"""

import argparse
import http.client
import json
import os
import re
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

from bench._clients import Cost
from bench._model import InstantModel, instant_model
from bench._prescribed import prescribed
from bench._setting import (
    ROOT,
    Deployment,
    demo_deployment,
    free_port,
    machine,
    percentile,
    post,
    questions,
    served,
    serving,
)
from ragplatform.answer.sentences import split
from ragplatform.answer.support import without_citations

PERSONAS = ("dr-lee", "res-kim", "coder-ruiz", "rm-okafor")
# So much of a sentence tells it from others. The screen may hold more of its end back.
TELLING = 16
_COUNTER = re.compile(
    r"^vllm:(generation_tokens|prefix_cache_hits)_total\{[^}]*\} ([\d.e+]+)$", re.M
)

Body = dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """A stream that was read: seconds until each piece of text and until its end.

    ``tokens`` and ``cached`` are what vLLM counted: tokens written, and tokens of the prompt that
    it found in its cache.
    """

    pieces: tuple[tuple[float, str], ...]
    total_s: float
    refused: bool = False
    dropped: int = 0
    tokens: int = 0
    cached: int = 0
    cpu_s: float = 0.0

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(piece for _, piece in self.pieces)

    def at(self, length: int) -> float:
        """Return the seconds until so many characters were there."""
        there = 0
        for seconds, piece in self.pieces:
            there += len(piece)
            if there >= length:
                return seconds
        return self.total_s


@dataclass(frozen=True)
class Pair:
    """One question, asked both ways."""

    round: int
    ours: Stream
    direct: Stream

    @property
    def sentences(self) -> list[tuple[int, int]]:
        """Where the sentences of vLLM's text stand."""
        return split(self.direct.text)

    @property
    def shown(self) -> int | None:
        """Which of vLLM's sentences the platform's first text belongs to, if it is known."""
        text = self.direct.text
        first = _plain(self.ours.text)[:TELLING]
        starts = [_plain(text[a:b])[:TELLING] for a, b in self.sentences]
        return starts.index(first) if first in starts else None

    @property
    def behind_sentence_s(self) -> float | None:
        """How much later the platform shows a sentence's beginning than vLLM has written it."""
        if self.ours.refused or self.shown is None:
            return None
        return self.ours.pieces[0][0] - self.direct.at(self.sentences[self.shown][1])


def _plain(sentence: str) -> str:
    return " ".join(without_citations(sentence).split())


def ask_platform(port: int, key: str, body: Body) -> Stream:
    """Ask a question of the platform and read the stream to its end."""
    began = time.perf_counter()
    pieces, event, final = [], b"", {}
    for line in _lines(port, "/v1/ask", key, {**body, "mode": "abstractive", "stream": True}):
        if line.startswith(b"event:"):
            event = line.split(b":", 1)[1].strip()
        elif line.startswith(b"data:") and event == b"delta":
            pieces.append((time.perf_counter() - began, json.loads(line[5:])["text"]))
        elif line.startswith(b"data:") and event == b"final":
            final = json.loads(line[5:])
    if not final:
        raise SystemExit("/v1/ask: the stream ended without its last event")
    took, refused = time.perf_counter() - began, final["mode"] == "refusal"
    return Stream(tuple(pieces), took, refused, final["dropped_sentences"])


def ask_directly(port: int, body: Body) -> Stream:
    """Ask vLLM and read the stream to its end."""
    began = time.perf_counter()
    pieces = []
    for line in _lines(port, "/v1/chat/completions", "none", body):
        if line.startswith(b"data: {"):
            choices = json.loads(line[6:])["choices"]
            if text := "".join(choice["delta"].get("content") or "" for choice in choices):
                pieces.append((time.perf_counter() - began, text))
    return Stream(tuple(pieces), time.perf_counter() - began)


def _lines(port: int, path: str, key: str, body: Body) -> Iterator[bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        post(connection, path, key, body)
        reply = connection.getresponse()
        if reply.status != http.HTTPStatus.OK:
            raise SystemExit(f"{path}: {reply.status} {reply.read(300)!r}")
        yield from reply


def counters(port: int) -> dict[str, int]:
    """Return what vLLM has counted so far."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", "/metrics")
        found = _COUNTER.findall(connection.getresponse().read().decode())
    return {name: int(float(value)) for name, value in found}


def learn(
    deployment: Deployment, model: InstantModel, asked: Sequence[Body], tokens: int
) -> list[Body | None]:
    """Return the request that the platform makes for each question, None where it asks no model."""
    bodies: list[Body | None] = []
    with serving(deployment, vllm_url=model.base_url, max_answer_tokens=str(tokens)) as port:
        for one in asked:
            before = len(model.bodies)
            ask_platform(port, deployment.keys[one["persona"]], _question(one))
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


class Sides:
    """Asks either side, and notes what it cost."""

    def __init__(self, deployment: Deployment, vllm_port: int, port: int, pid: int) -> None:
        self._keys = deployment.keys
        self._vllm = vllm_port
        self._port = port
        self._cost = Cost(pid)

    def pair(self, round_: int, one: Body, sent: Body, *, ours_first: bool) -> Pair:
        """Ask both, one after the other."""
        salted = {
            **sent,
            **prescribed(sent["messages"][-1]["content"]),
            "cache_salt": f"direct {sent['cache_salt']}",
        }
        ours = self._counted(one) if ours_first else None
        direct = self._counted(salted)
        return Pair(round_, ours or self._counted(one), direct)

    def _counted(self, body: Body) -> Stream:
        before = counters(self._vllm)
        with self._cost:
            if "persona" in body:
                stream = ask_platform(self._port, self._keys[body["persona"]], _question(body))
            else:
                stream = ask_directly(self._vllm, body)
        after = counters(self._vllm)
        tokens, cached = (
            after[name] - before[name] for name in ("generation_tokens", "prefix_cache_hits")
        )
        return Stream(
            stream.pieces, stream.total_s, stream.refused, stream.dropped, tokens, cached,
            self._cost.cpu_s,
        )  # fmt: skip


def compare(
    deployment: Deployment, plan: Sequence[tuple[Body, Body]], rounds: int, tokens: int
) -> list[Pair]:
    """Ask each question of the platform and of vLLM, by turns first and second."""
    with (
        vllm() as url,
        served(
            deployment,
            vllm_url=url,
            max_answer_tokens=str(tokens),
            vllm_timeout_s="600",
            module="bench._prescribed",
        ) as api,
    ):
        port = urlsplit(url).port or 0
        ask_directly(port, {**plan[0][1], "cache_salt": "warm-up", "max_tokens": 8})
        sides = Sides(deployment, port, api.port, api.pid)
        return [
            sides.pair(round_, one, sent, ours_first=(round_ + number) % 2 == 0)
            for round_ in range(rounds)
            for number, (one, sent) in enumerate(plan)
        ]


def figures(pairs: Sequence[Pair], tokens: int) -> dict[str, Any]:
    """Return the medians of some pairs, and their spread."""
    whole = [p for p in pairs if p.ours.tokens == p.direct.tokens == tokens]
    shown = [(p, behind) for p in pairs if (behind := p.behind_sentence_s) is not None]
    firsts = [p for p, _ in shown if p.shown == 0]
    return {
        "pairs": len(pairs),
        "refused": sum(p.ours.refused for p in pairs),
        "unequal": sum(p.ours.tokens != p.direct.tokens for p in pairs),
        "cached_tokens": [sum(p.ours.cached for p in pairs), sum(p.direct.cached for p in pairs)],
        "whole": len(whole),
        "whole_s": _median([p.ours.total_s for p in whole]),
        "whole_direct_s": _median([p.direct.total_s for p in whole]),
        "whole_ratio": _spread([p.ours.total_s / p.direct.total_s for p in whole]),
        "whole_later_s": _spread([p.ours.total_s - p.direct.total_s for p in whole]),
        "platform_cpu_s": _median([p.ours.cpu_s for p in whole]),
        "shown": len(shown),
        "first_sentence_shown": len(firsts),
        "behind_sentence_s": _spread([behind for _, behind in shown]),
        "later_s": _spread([p.ours.pieces[0][0] - p.direct.pieces[0][0] for p in firsts]),
        "sentence_s": _spread(
            [p.direct.at(p.sentences[0][1]) - p.direct.pieces[0][0] for p in firsts]
        ),
    }


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def _spread(values: Sequence[float]) -> list[float] | None:
    """Return the median, the 25th and the 75th percentile, and the largest."""
    if not values:
        return None
    parts = [statistics.median(values), *(percentile(values, p) for p in (25, 75, 100))]
    return [round(part, 3) for part in parts]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures, cold and warm."""
    asked = questions(PERSONAS)
    with demo_deployment(arguments.data_dir) as deployment:
        with instant_model() as model:
            sent = learn(deployment, model, asked[: arguments.questions], arguments.tokens)
        plan = [(one, body) for one, body in zip(asked, sent, strict=False) if body is not None]
        named = machine()
        pairs = compare(deployment, plan, arguments.rounds, arguments.tokens)
    rounds = {"cold": [p for p in pairs if not p.round], "warm": [p for p in pairs if p.round]}
    return {
        "machine": named,
        **{name: figures(some, arguments.tokens) for name, some in rounds.items() if some},
    }


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--data-dir", type=Path, help="keep the deployment here, or use it again")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    print(result.pop("machine"))
    for name, row in result.items():
        print(f"\n{name}")
        for what, value in row.items():
            print(f"{what:<24}{value}")


if __name__ == "__main__":
    main()
