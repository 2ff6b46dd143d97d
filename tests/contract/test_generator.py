"""What every ``ports.Generator`` promises, on the fake, on a small server, and on real vLLM."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest

from ragplatform.adapters.vllm import VllmGenerator
from ragplatform.egress import Allowed, async_client
from ragplatform.errors import GeneratorError
from ragplatform.model import Cleared
from ragplatform.ports import Generator
from tests.fakes_generator import ScriptedGenerator, openai_server
from tests.fixtures_vllm import VllmServer, vllm_server  # noqa: F401 - a fixture, asked for by name

JOIN = r"<1>( (Also|In addition|Further): <2>)?"
JOINED = "<1> Also: <2>"
INSTRUCTIONS = "You join the quotes that you are given with a linking word."
PROMPT = Cleared("<1> The patient takes aspirin.\n<2> The dose is 75 mg.")

Act = Callable[[Generator], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Subject:
    """One implementation: how to act on a server that answers, and on one that is away."""

    present: Callable[[Act], object]
    absent: Callable[[Act], object]


def _scripted() -> Subject:
    present = ScriptedGenerator(["<1> ", "Also: ", "<2>"])
    absent = ScriptedGenerator(["never"], available=False)
    return Subject(lambda act: asyncio.run(act(present)), lambda act: asyncio.run(act(absent)))


def _over_http(base_url: str, model: str) -> Subject:
    async def with_client(url: str, act: Act) -> object:
        async with async_client(Allowed.of([]), timeout_s=60) as client:
            return await act(
                VllmGenerator(
                    base_url=url, model=model, api_key=None, http_client=client, timeout_s=60
                )
            )

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    return Subject(
        lambda act: asyncio.run(with_client(base_url, act)),
        lambda act: asyncio.run(with_client(nobody, act)),
    )


@pytest.fixture(
    params=[
        "scripted",
        "loopback",
        pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.slow]),
    ]
)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "scripted":
        yield _scripted()
    elif request.param == "loopback":
        with openai_server(pieces=["<1> ", "Also: ", "<2>"]) as server:
            yield _over_http(server.base_url, "small")
    else:
        real: VllmServer = request.getfixturevalue("vllm_server")
        yield _over_http(real.base_url, real.model)


def _text(*, max_tokens: int = 24, pattern: str | None = None) -> Act:
    async def act(generator: Generator) -> list[str]:
        stream = generator.stream(
            INSTRUCTIONS, PROMPT, cache_salt="scope-a", max_tokens=max_tokens, pattern=pattern
        )
        return [piece async for piece in stream if isinstance(piece, str)]

    return act


async def _ready(generator: Generator) -> bool:
    return await generator.ready()


def test_a_server_that_is_away_gives_a_generator_error(subject: Subject) -> None:
    with pytest.raises(GeneratorError):
        subject.absent(_text())


def test_a_server_that_is_away_is_not_ready(subject: Subject) -> None:
    assert subject.absent(_ready) is False


def test_an_empty_salt_is_refused_before_anything_is_iterated(subject: Subject) -> None:
    async def act(generator: Generator) -> None:
        generator.stream(INSTRUCTIONS, PROMPT, cache_salt="", max_tokens=4)

    with pytest.raises(ValueError, match="cache_salt"):
        subject.present(act)


def test_text_that_was_not_cleared_is_refused_before_anything_is_iterated(
    subject: Subject,
) -> None:
    async def act(generator: Generator) -> None:
        raw = "not cleared"
        generator.stream(INSTRUCTIONS, raw, cache_salt="a", max_tokens=4)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="Cleared"):
        subject.present(act)


def test_a_text_that_cannot_meet_its_pattern_is_an_error(subject: Subject) -> None:
    with pytest.raises(GeneratorError):
        subject.present(_text(max_tokens=2, pattern="[a-z]{60}"))


def test_an_answering_server_is_ready(subject: Subject) -> None:
    assert subject.present(_ready) is True


def test_text_comes_in_pieces_none_of_them_empty(subject: Subject) -> None:
    pieces = subject.present(_text())

    assert isinstance(pieces, list)
    assert len(pieces) > 1
    assert all(pieces)


def test_a_piece_has_several_tokens_but_the_first_and_the_last(subject: Subject) -> None:
    pieces = subject.present(_text())

    assert isinstance(pieces, list)
    assert len(pieces) <= 2 + 24 // 8


def test_the_whole_text_matches_the_pattern(subject: Subject) -> None:
    pieces = subject.present(_text(pattern=JOIN))

    assert isinstance(pieces, list)
    assert "".join(pieces) in {"<1>", JOINED, "<1> In addition: <2>", "<1> Further: <2>"}


def test_the_same_question_gives_the_same_text(subject: Subject) -> None:
    assert subject.present(_text()) == subject.present(_text())


def test_the_model_has_a_name(subject: Subject) -> None:
    async def act(generator: Generator) -> str:
        return generator.model

    assert subject.present(act)
