"""Whether answers hold what they should: the demo's questions, asked in process, as each person.

    python -m bench.answers [--data-dir DIR] [--questions FILE] [--generator none|vllm]
                            [--mode extractive|abstractive] [--json]

DIR is a deployment into which the demo corpus and its personas went; without it one is made in a
temporary folder and removed. ``none`` stands for a model server that is away: quotes are then
joined plainly, which changes no quote. ``vllm`` asks the server that the settings name.

Evidence counts as found when its words stand in one passage, or in the answer, in clear or as
masks: at least four in five of them, since masked words and the page's line ends differ. A quote
counts as broken when it begins or ends inside a sentence, as far as its letters tell.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ragplatform import config, identities, wiring
from ragplatform.adapters.api_keys import read_keys
from ragplatform.answer.events import Final, Sources
from ragplatform.answer.retrieve import Request
from ragplatform.errors import DeniedError, GeneratorError
from ragplatform.model import Answer, AnswerMode, Cleared, Principal, Purpose
from ragplatform.ports import Generator

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = ROOT / "demo" / "questions.jsonl"
ENOUGH = 0.8
_WORD = re.compile(r"[a-z0-9]+(?:[.,:][0-9]+)*")


@dataclass(frozen=True)
class Asked:
    """What became of one question. ``found`` and ``answered`` mean nothing without evidence."""

    id: str
    kind: str
    found: bool
    answered: bool
    first: bool
    refused: bool
    quotes: int
    broken: int
    dangling: int
    characters: int
    seconds: float
    answer: str


@dataclass(frozen=True)
class Figures:
    """The sums over all questions; rates lie in 0..1 and are of the questions with evidence."""

    questions: int
    denied: int
    evidence_in_passages: float
    evidence_in_answer: float
    evidence_in_first_quote: float
    refused_though_found: int
    unanswerable: int
    unanswerable_refused: int
    quotes: int
    broken_quotes: int
    dangling_citations: int
    mean_characters: float
    median_s: float


class NoModel:
    """Implements ``Generator`` as a server that is away."""

    model = "none"

    async def stream(
        self,
        instructions: str,
        prompt: Cleared,
        *,
        cache_salt: str,
        max_tokens: int,
        pattern: str | None = None,
    ) -> AsyncIterator[str]:
        """Fail as an absent server does."""
        if pattern != "":
            raise GeneratorError("no model in this benchmark")
        yield ""

    async def ready(self) -> bool:
        """Return that it is not."""
        return False


def holds(text: str, evidence: str) -> bool:
    """Return whether four in five of the evidence's words stand in the text."""
    words, there = _WORD.findall(evidence.lower()), set(_WORD.findall(text.lower()))
    return sum(word in there for word in words) >= ENOUGH * len(words)


def broken(quote: str) -> bool:
    """Return whether a quote seems to begin or end inside a sentence."""
    first, last = quote[0], quote.rstrip("\"')”’]")[-1:]
    return first.islower() or first in ",;)" or last in ",;(" or _ends_on_small_word(quote)


def _ends_on_small_word(quote: str) -> bool:
    last = quote.rsplit(maxsplit=1)[-1].lower()
    return last in {"the", "a", "an", "of", "and", "or", "in", "to", "for", "with", "by", "is"}


async def ask(
    built: wiring.Platform, principal: Principal, question: dict[str, Any], mode: AnswerMode
) -> Asked:
    """Ask one question and judge what comes."""
    request = Request(principal, Purpose(question["purpose"]), question["question"])
    began = time.perf_counter()
    try:
        retrieved = built.answerer.prepare(request)
    except DeniedError as denied:
        return _denied(question, str(denied))
    shown: list[str] = []
    answer: Answer | None = None
    async for event in built.answerer.stream(retrieved, mode):
        if isinstance(event, Sources):
            shown = [passage.text for passage in event.passages]
        elif isinstance(event, Final):
            answer = event.answer
    took = time.perf_counter() - began
    assert answer is not None
    evidence = question.get("evidence") or ""
    quotes = [citation.quote for citation in answer.citations]
    marks = {int(number) for number in re.findall(r"\[(\d{1,3})\]", answer.text)}
    return Asked(
        id=question["id"],
        kind=question["kind"],
        found=bool(evidence) and any(holds(text, evidence) for text in shown),
        answered=bool(evidence) and holds(answer.text, evidence),
        first=bool(evidence and quotes) and holds(quotes[0], evidence),
        refused=answer.mode is AnswerMode.REFUSAL,
        quotes=len(quotes),
        broken=sum(map(broken, quotes)),
        dangling=len(marks ^ {citation.number for citation in answer.citations}),
        characters=len(answer.text),
        seconds=took,
        answer=answer.text,
    )


def _denied(question: dict[str, Any], reason: str) -> Asked:
    return Asked(question["id"], "denied", False, False, False, True, 0, 0, 0, 0, 0.0, reason)


async def ask_all(
    built: wiring.Platform, questions: Sequence[dict[str, Any]], mode: AnswerMode
) -> list[Asked]:
    """Ask all questions one after the other, each as its persona."""
    people = {
        entry.principal.id: entry.principal for entry in read_keys(built.settings.api_keys_file)
    }
    return [await ask(built, people[q["persona"]], q, mode) for q in questions]


def figures(asked: Sequence[Asked]) -> Figures:
    """Return the sums."""
    known = [one for one in asked if one.kind not in ("unanswerable", "denied")]
    unknown = [one for one in asked if one.kind == "unanswerable"]
    count = len(known) or 1
    return Figures(
        questions=len(asked),
        denied=sum(one.kind == "denied" for one in asked),
        evidence_in_passages=sum(one.found for one in known) / count,
        evidence_in_answer=sum(one.answered for one in known) / count,
        evidence_in_first_quote=sum(one.first for one in known) / count,
        refused_though_found=sum(one.refused and one.found for one in known),
        unanswerable=len(unknown),
        unanswerable_refused=sum(one.refused for one in unknown),
        quotes=sum(one.quotes for one in asked),
        broken_quotes=sum(one.broken for one in asked),
        dangling_citations=sum(one.dangling for one in asked),
        mean_characters=sum(one.characters for one in asked) / (len(asked) or 1),
        median_s=sorted(one.seconds for one in asked)[len(asked) // 2],
    )


def open_platform(data_dir: Path, generator: str) -> wiring.Platform:
    """Open the deployment with the model server of its settings, or with none."""
    settings = config.load().model_copy(update={"data_dir": data_dir})
    store = wiring.open_store(settings, "bench")
    served, http = wiring.open_generator(settings)
    model: Generator = served if generator == "vllm" else NoModel()
    authenticator = identities.open_authenticator(settings, store.vault)
    return wiring.assemble(store, generator=model, authenticator=authenticator, http=http)


def make_deployment(folder: Path) -> None:
    """Take the demo corpus in, with keys for its personas."""
    environment = {**os.environ, "RAGPLATFORM_DATA_DIR": str(folder)}
    commands = [
        ["ragplatform", "init"],
        ["ragplatform", "keys", "import", "demo/personas.toml", "--json"],
        *(
            f"ragplatform-ingest run demo/corpus/{tenant} --tenant {tenant} "
            f"--collection {collection} --json".split()
            for tenant, collection in (("mercy", "clinical"), ("harbor", "banking"))
        ),
    ]
    for program, *rest in commands:
        done = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *rest],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in (0, 1):
            raise SystemExit(f"{program} ended with {done.returncode}:\n{done.stderr}")


async def measure(arguments: argparse.Namespace, data_dir: Path) -> list[Asked]:
    """Open the deployment, ask, close."""
    lines = arguments.questions.read_text(encoding="utf-8").splitlines()
    built = open_platform(data_dir, arguments.generator)
    try:
        return await ask_all(built, [json.loads(line) for line in lines], arguments.mode)
    finally:
        await built.aclose()


def main() -> None:
    """Run the benchmark and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--generator", choices=("none", "vllm"), default="none")
    parser.add_argument("--mode", type=AnswerMode, default=AnswerMode.EXTRACTIVE)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-answers-") as made:
        data_dir = arguments.data_dir or Path(made) / "data"
        if arguments.data_dir is None:
            make_deployment(data_dir)
        asked = asyncio.run(measure(arguments, data_dir))
    sums = figures(asked)
    if arguments.json:
        machine = f"{platform.machine()}, {os.cpu_count()} CPUs"
        print(json.dumps({"machine": machine, **asdict(sums), "asked": [asdict(a) for a in asked]}))
        return
    for one in asked:
        marks = "".join((" P"[one.found], " A"[one.answered], " 1"[one.first], " R"[one.refused]))
        print(f"{one.id} {marks} {one.answer[:200]}")
    print("P evidence in passages, A in answer, 1 in first quote, R refused")
    for name, value in asdict(sums).items():
        print(f"{name:<26}{value:.3g}" if isinstance(value, float) else f"{name:<26}{value}")


if __name__ == "__main__":
    main()
