"""Whether answers hold what they should, cite what says it, and are refused where nothing does.

    python -m bench.answers [--data-dir DIR] [--questions FILE ...] [--real DIR]
                            [--generator none|vllm] [--replies FILE] [--mode extractive|abstractive]
                            [--at-once 8] [--json]

DIR is a deployment into which the demo corpus and its personas went; without it one is made in a
temporary folder and removed. With ``--real`` the documents are those of the data sets in that
folder (``bench/_real_questions.py``), and so are the questions. ``none`` stands for a model server
that is away: quotes are then joined plainly, which changes no quote. ``vllm`` asks the server that
the settings name; with ``--replies`` what it said is kept in a file, and asked no second time.

Each sentence of an answer that cites is judged: does the cited passage say it? That is for rules
that share no code with the product's checks and are stricter (``bench/_answer_judge.py``); for
quotes it means that the words stand there. A mark dangles when it points at no source, or when the
quote of its citation does not stand in that source.

Evidence counts as found when its words stand in one passage, or in the answer, in clear or as
masks: at least four in five of them, since masked words and the page's line ends differ. Where only
the right document is known, citing it counts. A quote counts as broken when it begins or ends
inside a sentence, as far as its letters tell.
"""

import argparse
import asyncio
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import _real_questions
from bench._answer_judge import says
from bench._setting import machine, make_deployment, run
from ragplatform import config, identities, wiring
from ragplatform.adapters.api_keys import read_keys
from ragplatform.answer.events import Final, ShownPassage, Sources
from ragplatform.answer.retrieve import Request
from ragplatform.errors import DeniedError, GeneratorError
from ragplatform.model import (
    Answer,
    AnswerMode,
    AnswerSentence,
    Citation,
    Cleared,
    Principal,
    Purpose,
)
from ragplatform.ports import Generator

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = [ROOT / "demo" / "questions.jsonl", ROOT / "demo" / "more_questions.jsonl"]
ENOUGH = 0.8
_WORD = re.compile(r"[a-z0-9]+(?:[.,:][0-9]+)*")
_CITING = ("quoted", "supported", "conflict")


@dataclass(frozen=True)
class Asked:
    """What became of one question. ``found`` and ``answered`` mean nothing without evidence.

    ``cited`` sentences have a citation, of which ``said`` are in their passages; ``written`` and
    ``written_said`` are those among them that a model wrote. ``right`` says whether a passage of
    the right document is cited.
    """

    id: str
    kind: str
    found: bool
    answered: bool
    first: bool
    right: bool
    refused: bool
    cited: int
    said: int
    quotes: int
    broken: int
    dangling: int
    dropped: int
    remarks: int
    mode: str
    written: int
    written_said: int
    seconds: float
    answer: str
    wrong: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Figures:
    """The sums over all questions; rates lie in 0..1."""

    questions: int
    denied: int
    answerable: int
    answerable_refused: int
    refused_though_found: int
    evidence_in_passages: float
    evidence_in_answer: float
    evidence_in_first_quote: float
    right_document_cited: float
    written_answers: int
    written_sentences: int
    written_precision: float
    citing_sentences: int
    citation_precision: float
    dangling_citations: int
    sentences_dropped: int
    remarks: int
    broken_quotes: int
    unanswerable: int
    abstention: float
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


class Kept:
    """Implements ``Generator`` by what another said before, and asks it where it said nothing."""

    def __init__(self, generator: Generator, path: Path) -> None:
        self.model = generator.model
        self._generator = generator
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._said: dict[str, str] = dict(map(json.loads, lines))

    async def stream(
        self,
        instructions: str,
        prompt: Cleared,
        *,
        cache_salt: str,
        max_tokens: int,
        pattern: str | None = None,
    ) -> AsyncIterator[str]:
        """Yield the text, as one piece where it was kept."""
        asked = "\0".join((instructions, _unfenced(prompt.text), str(max_tokens), pattern or ""))
        key = hashlib.sha256(asked.encode()).hexdigest()
        if key not in self._said:
            stream = self._generator.stream(
                instructions,
                prompt,
                cache_salt=cache_salt,
                max_tokens=max_tokens,
                pattern=pattern,
            )
            async for piece in self._noted(key, stream):
                yield piece
            return
        yield self._said[key]

    async def _noted(self, key: str, stream: AsyncIterator[Any]) -> AsyncIterator[str]:
        """Yield the text as it comes, and keep it, also where it is hung up on."""
        said = ""
        try:
            async for piece in stream:
                if isinstance(piece, str):
                    said += piece
                    yield piece
        except GeneratorExit:
            self._keep(key, said)
            raise
        self._keep(key, said)

    def _keep(self, key: str, said: str) -> None:
        self._said[key] = said
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps([key, said]) + "\n")

    async def ready(self) -> bool:
        """Return whether the other is."""
        return await self._generator.ready()


def _unfenced(prompt: str) -> str:
    """Return the prompt without its fences, which differ from deployment to deployment."""
    return re.sub(r"<<[0-9a-f]{8} ", "<<", prompt)


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
    # As the API asks: what is quoted stands in the best passages, what is written reads on.
    beside = built.settings.passages_beside if mode is AnswerMode.ABSTRACTIVE else 0
    request = Request(principal, Purpose(question["purpose"]), question["question"], beside=beside)
    began = time.perf_counter()
    try:
        retrieved = await asyncio.to_thread(built.answerer.prepare, request)
    except DeniedError as denied:
        return _denied(question, str(denied))
    shown: dict[int, ShownPassage] = {}
    answer: Answer | None = None
    async for event in built.answerer.stream(retrieved, mode):
        if isinstance(event, Sources):
            shown = {passage.number: passage for passage in event.passages}
        elif isinstance(event, Final):
            answer = event.answer
    took = time.perf_counter() - began
    assert answer is not None
    return judge(question, answer, shown, took)


def judge(
    question: dict[str, Any], answer: Answer, shown: dict[int, ShownPassage], took: float
) -> Asked:
    """Return what is to be said of one answer."""
    quotes = [citation.quote for citation in answer.citations]
    citing = [one for one in answer.sentences if one.kind in _CITING]
    wrong = [one for one in citing if not _said(one, shown)]
    return Asked(
        id=question["id"],
        kind=question["kind"],
        found=any(_has(question, passage.text, [passage]) for passage in shown.values()),
        answered=_has(question, answer.text, answer.citations),
        first=bool(quotes) and _has(question, quotes[0], answer.citations[:1]),
        right=any(_is_of(question, citation) for citation in answer.citations),
        refused=answer.mode is AnswerMode.REFUSAL,
        cited=len(citing),
        said=len(citing) - len(wrong),
        quotes=len(quotes),
        broken=sum(map(broken, quotes)),
        dangling=_dangling(answer, shown),
        dropped=answer.dropped_sentences,
        remarks=sum(one.kind in ("conflict", "gap") for one in answer.sentences),
        mode=str(answer.mode),
        written=sum(one.kind == "supported" for one in citing),
        written_said=sum(one.kind == "supported" for one in citing if one not in wrong),
        seconds=took,
        answer=answer.text,
        wrong=tuple((one.text, _passages(one, shown)) for one in wrong),
    )


def _said(sentence: AnswerSentence, shown: dict[int, ShownPassage]) -> bool:
    return any(says(shown[n].text, sentence.text) for n in sentence.citations if n in shown)


def _passages(sentence: AnswerSentence, shown: dict[int, ShownPassage]) -> str:
    return "\n".join(shown[n].text for n in sentence.citations if n in shown)


def _dangling(answer: Answer, shown: dict[int, ShownPassage]) -> int:
    marks = {int(number) for number in re.findall(r"\[(\d{1,3})\]", answer.text)}
    astray = marks ^ {citation.number for citation in answer.citations}
    flat = {n: " ".join(passage.text.split()) for n, passage in shown.items()}
    return len(astray) + sum(c.quote not in flat.get(c.number, "") for c in answer.citations)


def _has(question: dict[str, Any], text: str, sources: Sequence[ShownPassage | Citation]) -> bool:
    """Return whether a text has the evidence, one of the answers, or is of the right document."""
    if question.get("evidence"):
        return holds(text, question["evidence"])
    if question.get("answers"):
        return any(one.lower() in text.lower() for one in question["answers"])
    return question["kind"] != "unanswerable" and any(_is_of(question, one) for one in sources)


def _is_of(question: dict[str, Any], source: ShownPassage | Citation) -> bool:
    if "document" in question:
        return bool(source.document == question["document"])
    named = Path(question.get("file") or "-").stem
    return named in source.title.replace(" ", "-") or source.title in named


def _denied(question: dict[str, Any], reason: str) -> Asked:
    nothing: dict[str, Any] = dict.fromkeys(
        "found answered first right cited said quotes broken dangling dropped remarks written "
        "written_said".split(),
        0,
    )
    return Asked(
        id=question["id"], kind="denied", refused=True, mode="refusal", seconds=0.0,
        answer=reason, wrong=(), **nothing,
    )  # fmt: skip


async def ask_all(
    built: wiring.Platform, questions: Sequence[dict[str, Any]], mode: AnswerMode, at_once: int
) -> list[Asked]:
    """Ask all questions, so many at once, each as its persona; the replies are in order."""
    people = {
        entry.principal.id: entry.principal for entry in read_keys(built.settings.api_keys_file)
    }
    turns = asyncio.Semaphore(at_once)

    async def one(question: dict[str, Any]) -> Asked:
        async with turns:
            return await ask(built, people[question["persona"]], question, mode)

    return list(await asyncio.gather(*map(one, questions)))


def figures(asked: Sequence[Asked]) -> Figures:
    """Return the sums."""
    known = [one for one in asked if one.kind not in ("unanswerable", "denied")]
    unknown = [one for one in asked if one.kind == "unanswerable"]
    count, cited = len(known) or 1, sum(one.cited for one in asked)
    written = sum(one.written for one in asked)
    return Figures(
        questions=len(asked),
        denied=sum(one.kind == "denied" for one in asked),
        answerable=len(known),
        answerable_refused=sum(one.refused for one in known),
        refused_though_found=sum(one.refused and one.found for one in known),
        evidence_in_passages=sum(one.found for one in known) / count,
        evidence_in_answer=sum(one.answered for one in known) / count,
        evidence_in_first_quote=sum(one.first for one in known) / count,
        right_document_cited=sum(one.right for one in known) / count,
        written_answers=sum(one.mode == "abstractive" for one in asked),
        written_sentences=written,
        written_precision=sum(one.written_said for one in asked) / (written or 1),
        citing_sentences=cited,
        citation_precision=sum(one.said for one in asked) / (cited or 1),
        dangling_citations=sum(one.dangling for one in asked),
        sentences_dropped=sum(one.dropped for one in asked),
        remarks=sum(one.remarks for one in asked),
        broken_quotes=sum(one.broken for one in asked),
        unanswerable=len(unknown),
        abstention=sum(one.refused for one in unknown) / (len(unknown) or 1),
        median_s=sorted(one.seconds for one in asked)[len(asked) // 2],
    )


def open_platform(data_dir: Path, generator: str, replies: Path | None) -> wiring.Platform:
    """Open the deployment with the model server of its settings, or with none."""
    settings = config.load().model_copy(update={"data_dir": data_dir})
    store = wiring.open_store(settings, "bench")
    served, http = wiring.open_generator(settings)
    model: Generator = served if generator == "vllm" else NoModel()
    if replies is not None:
        model = Kept(model, replies)
    authenticator = identities.open_authenticator(settings, store.vault)
    return wiring.assemble(store, generator=model, authenticator=authenticator, http=http)


def make_real(folder: Path, data: Path, of_each: int) -> list[dict[str, Any]]:
    """Take the real documents in, with keys for the demo's personas; return the questions."""
    corpus = folder / "corpus"
    questions = _real_questions.write(data, corpus, of_each)
    run(folder / "data", "ragplatform", "init")
    run(folder / "data", "ragplatform", "keys", "import", "demo/personas.toml", "--json")
    where = ["--tenant", "mercy", "--collection", "clinical", "--json"]
    told = run(folder / "data", "ragplatform-ingest", "run", str(corpus), *where)
    # A title may be a mask: a file's name looks like a user's or a code.
    events = [one for one in map(json.loads, told.splitlines()) if one["event"] == "file"]
    documents = {f"mercy/{one['name']}": one["document"] for one in events}
    questions = [{**one, "document": documents.get(one["file"], "")} for one in questions]
    kept = folder / "questions.jsonl"
    kept.write_text("".join(json.dumps(one) + "\n" for one in questions), encoding="utf-8")
    return questions


async def measure(
    arguments: argparse.Namespace, data_dir: Path, questions: list[dict[str, Any]]
) -> list[Asked]:
    """Open the deployment, ask, close."""
    built = open_platform(data_dir, arguments.generator, arguments.replies)
    try:
        return await ask_all(built, questions, arguments.mode, arguments.at_once)
    finally:
        await built.aclose()


def prepare(arguments: argparse.Namespace, made: Path) -> tuple[Path, list[dict[str, Any]]]:
    """Return the deployment and the questions, made where they are not there."""
    if arguments.real is not None:
        folder = arguments.data_dir or made
        asked = folder / "questions.jsonl"
        if not asked.is_file():
            make_real(folder, arguments.real, arguments.of_each)
        paths = [asked]
        data_dir = folder / "data"
    else:
        data_dir = arguments.data_dir or make_deployment(made / "data").folder
        paths = arguments.questions or QUESTIONS
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return data_dir, [json.loads(line) for line in lines]


def main() -> None:
    """Run the benchmark and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--questions", type=Path, nargs="*")
    parser.add_argument("--real", type=Path, help="folder of data sets")
    parser.add_argument("--of-each", type=int, default=50, help="questions of each real set")
    parser.add_argument("--generator", choices=("none", "vllm"), default="none")
    parser.add_argument("--replies", type=Path)
    parser.add_argument("--mode", type=AnswerMode, default=AnswerMode.EXTRACTIVE)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-answers-") as made:
        data_dir, questions = prepare(arguments, Path(made))
        asked = asyncio.run(measure(arguments, data_dir, questions))
    sums = figures(asked)
    if arguments.json:
        result = {"machine": machine(), **asdict(sums), "asked": [asdict(a) for a in asked]}
        json.dump(result, sys.stdout)
        return
    for one in asked:
        marks = "".join((" P"[one.found], " A"[one.answered], " 1"[one.first], " R"[one.refused]))
        print(f"{one.id} {marks} {one.answer[:200]}")
    print("P evidence in passages, A in answer, 1 in first quote, R refused")
    for name, value in asdict(sums).items():
        print(f"{name:<26}{value:.3g}" if isinstance(value, float) else f"{name:<26}{value}")


if __name__ == "__main__":
    main()
