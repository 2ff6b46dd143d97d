"""What ``VllmGenerator`` does when the server, the network or the environment misbehave."""

import asyncio
import logging
import traceback
from collections.abc import Callable

import pytest

from ragplatform.adapters.vllm import VllmGenerator
from ragplatform.egress import Allowed, async_client
from ragplatform.errors import ConfigurationError, EgressBlockedError, GeneratorError
from ragplatform.model import Cleared, Usage
from tests.fakes_generator import OpenAiServer, openai_server

SECRET = "Jane Roe takes lithium"


def _ask(
    base_url: str,
    *,
    pattern: str | None = None,
    api_key: str | None = None,
    timeout_s: float = 10.0,
    stop_after: int | None = None,
) -> list[str]:
    return [one for one in _ask_all(base_url, pattern=pattern, api_key=api_key,
            timeout_s=timeout_s, stop_after=stop_after) if isinstance(one, str)]  # fmt: skip


def _ask_all(
    base_url: str,
    *,
    pattern: str | None = None,
    api_key: str | None = None,
    timeout_s: float = 10.0,
    stop_after: int | None = None,
) -> list[str | Usage]:
    async def act() -> list[str | Usage]:
        async with async_client(Allowed.of([]), timeout_s=timeout_s) as client:
            generator = VllmGenerator(
                base_url=base_url,
                model="small",
                api_key=api_key,
                http_client=client,
                timeout_s=timeout_s,
            )
            stream = generator.stream(
                "Answer.", Cleared(SECRET), cache_salt="salt", max_tokens=9, pattern=pattern
            )
            pieces = []
            async for piece in stream:
                pieces.append(piece)
                if len(pieces) == stop_after:
                    await stream.aclose()  # type: ignore[attr-defined]  # ours is a generator
                    break
            return pieces

    return asyncio.run(act())


@pytest.mark.parametrize("name", ["LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"])
def test_it_is_not_made_while_traces_would_leave(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "true")

    with pytest.raises(ConfigurationError, match=name):
        _ask("http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    "fields",
    [
        {"finish": None},
        {"finish": "abort"},
        {"cut_after": 2},
        {"error_after": 1},
        {"garbage": True},
        {"status": 500},
        {"status": 404},
        {"pieces": [], "finish": None},
    ],
    ids=str,
)
def test_a_text_that_did_not_end_is_an_error(fields: dict[str, object]) -> None:
    with openai_server(**fields) as server, pytest.raises(GeneratorError):
        _ask(server.base_url)


@pytest.mark.parametrize("fields", [{"status": 400}, {"status": 500}, {"error_after": 1}], ids=str)
def test_an_error_never_repeats_what_the_server_says(fields: dict[str, object]) -> None:
    with (
        openai_server(error=f"bad input: {SECRET}", param=SECRET, **fields) as server,
        pytest.raises(GeneratorError) as caught,
    ):
        _ask(server.base_url)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_refused_parameter_is_named() -> None:
    with (
        openai_server(status=400, param="input_tokens") as server,
        pytest.raises(GeneratorError, match="HTTP 400, parameter input_tokens"),
    ):
        _ask(server.base_url)


def test_a_server_that_ignores_the_pattern_is_found_out() -> None:
    with (
        openai_server(pieces=["free ", "speech"]) as server,
        pytest.raises(GeneratorError, match="does not match the pattern"),
    ):
        _ask(server.base_url, pattern="<1>")


def test_a_server_that_hangs_is_given_up() -> None:
    with (
        openai_server(delay_s=5) as server,
        pytest.raises(GeneratorError, match="no answer in time"),
    ):
        _ask(server.base_url, timeout_s=0.3)


def test_many_short_waits_are_one_long_wait() -> None:
    with (
        openai_server(pieces=["x"] * 50, delay_s=0.1) as server,
        pytest.raises(GeneratorError, match="no answer in time"),
    ):
        _ask(server.base_url, timeout_s=0.5)


def test_a_failing_server_is_asked_at_most_twice() -> None:
    with openai_server(status=500) as server, pytest.raises(GeneratorError):
        _ask(server.base_url)

    assert len(server.bodies) <= 2


def test_a_blocked_connection_is_reported_as_blocked() -> None:
    with pytest.raises(EgressBlockedError):
        _ask("http://192.0.2.1:8000/v1")


def test_closing_the_stream_hangs_up_on_the_server() -> None:
    with openai_server(pieces=["word "] * 500, delay_s=0.02) as server:
        pieces = _ask(server.base_url, stop_after=2)

        assert len(pieces) == 2
        assert server.hung_up.wait(timeout=5)


def test_nothing_of_the_prompt_is_logged_even_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), openai_server() as server:
        _ask(server.base_url)

    assert SECRET not in caplog.text


def test_a_text_cut_at_the_limit_ends_where_it_was_cut(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), openai_server(finish="length") as server:
        pieces = _ask(server.base_url)

    assert pieces == ["A ", "short ", "text."]
    assert "cut off at 9 tokens" in caplog.text


@pytest.mark.parametrize("pattern", [None, r"A short text\."])
def test_what_a_text_took_comes_last_and_nothing_of_the_cache(pattern: str | None) -> None:
    counted = {
        "prompt_tokens": 31, "completion_tokens": 4, "total_tokens": 35,
        "prompt_tokens_details": {"cached_tokens": 16},
    }  # fmt: skip
    with openai_server(usage=counted) as server:
        pieces = _ask_all(server.base_url, pattern=pattern)

    assert server.bodies[0]["stream_options"] == {"include_usage": True}
    assert pieces[-1] == Usage(31, 4)
    assert "".join(map(str, pieces[:-1])) == "A short text."


def test_the_request_is_salted_seeded_and_cold() -> None:
    body = _only_body(lambda url: _ask(url, pattern="A short text\\."))

    assert body["cache_salt"] == "salt"
    assert body["structured_outputs"] == {"regex": "A short text\\."}
    assert body["temperature"] == 0
    assert body["seed"] == 7
    assert body["max_completion_tokens"] == 9
    assert (body["stream"], body["stream_interval"]) == (True, 8)
    assert body["messages"] == [
        {"role": "system", "content": "Answer."},
        {"role": "user", "content": SECRET},
    ]


def test_a_model_that_writes_freely_cannot_write_what_fences_passages() -> None:
    assert _only_body(_ask)["bad_words"] == ["<<", ">>"]
    assert "bad_words" not in _only_body(lambda url: _ask(url, pattern="A short text\\."))


def test_a_key_in_the_environment_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://192.0.2.1/v1")
    with openai_server() as server:
        _ask(server.base_url)
        _ask(server.base_url, api_key="ours")

    assert [sent["authorization"] for sent in server.headers] == ["Bearer none", "Bearer ours"]


def _only_body(act: Callable[[str], object]) -> dict[str, object]:
    server: OpenAiServer
    with openai_server() as server:
        act(server.base_url)
    (body,) = server.bodies
    return body
