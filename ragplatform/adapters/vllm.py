"""Writes text with a Llama model behind vLLM, through LangChain's chat model for its protocol."""

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final, cast

import httpx2
import openai
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, SystemMessage

from ragplatform.adapters.streamed_chat import StreamedChat
from ragplatform.egress import check_environment
from ragplatform.errors import EgressBlockedError, GeneratorError
from ragplatform.model import Cleared, Usage

_log = logging.getLogger(__name__)

# One more try bridges a restart of a proxy; more would hide a dead server from the caller.
_RETRIES: Final = 1
# Any constant does: with temperature 0 it only settles ties the same way each time.
_SEED: Final = 7
# What fences passages in prompts, and no answer needs. The demo's model began 7 of 22 answers by
# copying the fence, and went on with nothing else.
_NEVER_WRITTEN: Final = ("<<", ">>")
# Nothing is shown before its sentence is whole, so tokens one by one only cost: 0.4 ms of the
# processor each on their way from the socket (docs/measurements.md). The first and the last text
# come at once whatever this is. vLLM before 0.32 does not know it and sends each token.
_TOKENS_AN_EVENT: Final = 8
_READY_TIMEOUT_S: Final = 20.0
# These libraries log whole requests, prompt included, when somebody turns their level to DEBUG.
_TALKATIVE: Final = ("openai", "httpx2", "httpcore2", "langchain_openai", "langchain_core")
# What LangChain and the OpenAI client let through: their own errors, the transport's, and what
# a malformed stream makes of their parsers.
_FAILURES: Final = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.StreamError,
    TimeoutError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)


class VllmGenerator:
    """A ``ports.Generator`` on a vLLM server.

    ``http_client`` comes from ``ragplatform.egress``, the only maker of HTTP clients.
    ``timeout_s`` bounds the time spent waiting for the server over one whole answer.

    Raises ``ConfigurationError`` while a variable is set that makes LangChain send traces out.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        api_key: str | None,
        http_client: httpx2.AsyncClient,
        timeout_s: float,
    ) -> None:
        check_environment(os.environ)
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)

        async def key() -> str:
            # A coroutine, so that LangChain builds no synchronous HTTP client beside ours; and
            # never empty, or it would take OPENAI_API_KEY from the environment.
            return api_key or "none"

        self._model = model
        self._timeout_s = timeout_s
        self._chat = StreamedChat(
            base_url=base_url,
            model=model,
            api_key=key,
            http_async_client=http_client,
            timeout=http_client.timeout,
            max_retries=_RETRIES,
            temperature=0.0,
            seed=_SEED,
            use_responses_api=False,
            stream_usage=True,
            openai_proxy=None,
            # Our own bound holds over the whole answer; theirs counts single pieces.
            stream_chunk_timeout=None,
            cache=False,
        )

    @property
    def model(self) -> str:
        """The name under which vLLM serves the model."""
        return self._model

    def stream(
        self,
        instructions: str,
        prompt: Cleared,
        *,
        cache_salt: str,
        max_tokens: int,
        pattern: str | None = None,
    ) -> AsyncIterator[str | Usage]:
        """Yield the model's text piece by piece; with ``pattern``, as one piece that matches it.

        What the server says the text took comes last.

        A text cut off by ``max_tokens`` ends without error where it was cut, and the cut is
        logged. With ``pattern`` a cut text is an error.

        Raises ``GeneratorError`` when the server does not answer, refuses, or stops early; never
        with text of the prompt or of the server's reply.
        """
        if not isinstance(prompt, Cleared):
            raise TypeError(f"prompt is a {type(prompt).__name__}; only Cleared goes to a model")
        if not cache_salt:
            raise ValueError("cache_salt is empty: the prefix cache would leak across scopes")
        messages = [SystemMessage(instructions), HumanMessage(prompt.text)]
        body: dict[str, object] = {"cache_salt": cache_salt, "stream_interval": _TOKENS_AN_EVENT}
        if pattern is None:
            body["bad_words"] = list(_NEVER_WRITTEN)
            return self._pieces(messages, body, max_tokens)
        # vLLM ignores request fields that it does not know, as it did with the older
        # `guided_regex`. So the whole text is held back until it is seen to match.
        body["structured_outputs"] = {"regex": pattern}
        return self._matched(messages, body, max_tokens, re.compile(pattern))

    async def ready(self) -> bool:
        """Return whether one token can be had now, within 20 seconds."""
        question: list[BaseMessage] = [HumanMessage("Say yes.")]
        limit = min(self._timeout_s, _READY_TIMEOUT_S)
        try:
            async with asyncio.timeout(limit):
                await self._chat.ainvoke(
                    question, max_tokens=1, extra_body={"cache_salt": "readiness"}
                )
        except EgressBlockedError:
            raise
        except _FAILURES as error:
            _raise_if_blocked(error)
            _log.info("model server is not ready: %s", _describe(error))
            return False
        return True

    async def _matched(
        self,
        messages: list[BaseMessage],
        body: Mapping[str, object],
        max_tokens: int,
        pattern: re.Pattern[str],
    ) -> AsyncIterator[str | Usage]:
        pieces = [piece async for piece in self._pieces(messages, body, max_tokens)]
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        if not pattern.fullmatch(text):
            raise GeneratorError(
                f"the model's text does not match the pattern asked of it, or was cut off at "
                f"{max_tokens} tokens"
            )
        yield text
        for piece in pieces:
            if isinstance(piece, Usage):
                yield piece

    async def _pieces(
        self, messages: list[BaseMessage], body: Mapping[str, object], max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        finish, usage = "", None
        # LangChain declares an iterator and returns a generator, which has to be closed.
        source = cast(
            "AsyncGenerator[AIMessageChunk, None]",
            self._chat.astream(messages, max_tokens=max_tokens, extra_body=dict(body)),
        )
        async with contextlib.aclosing(self._timed(source)) as chunks:
            async for chunk in chunks:
                finish = str(chunk.response_metadata.get("finish_reason") or finish)
                if chunk.text:
                    yield str(chunk.text)
                # How much of the prompt came from a cache would tell what others asked: never read.
                if counted := chunk.usage_metadata:
                    usage = Usage(counted["input_tokens"], counted["output_tokens"])
        if finish == "length":
            _log.info("the model's text was cut off at %d tokens", max_tokens)
        elif finish != "stop":
            raise GeneratorError(
                f"the model server ended its text early (finish reason {finish or 'none'!r})"
            )
        if usage is not None:
            yield usage

    async def _timed(
        self, source: AsyncGenerator[AIMessageChunk, None]
    ) -> AsyncGenerator[AIMessageChunk, None]:
        loop = asyncio.get_running_loop()
        left = self._timeout_s
        async with contextlib.aclosing(source):
            while True:
                before = loop.time()
                try:
                    async with asyncio.timeout(left):
                        chunk = await anext(source)
                except StopAsyncIteration:
                    return
                except _FAILURES as error:
                    _raise_if_blocked(error)
                    # Not chained: the server's reply, and so the error, may repeat the prompt.
                    raise GeneratorError(f"the model server failed: {_describe(error)}") from None
                # Only waiting counts: a slow reader downstream is not the server's fault.
                left -= loop.time() - before
                yield chunk


def _raise_if_blocked(error: BaseException) -> None:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, EgressBlockedError):
            raise link
        link = link.__cause__ or link.__context__


def _describe(error: Exception) -> str:
    """Say what failed in words of ours: kind, status and parameter, never the server's text."""
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        return "no answer in time"
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError):
        return "no connection, or it broke; is the server running?"
    if isinstance(error, openai.APIStatusError):
        advice = {401: "; check its API key", 403: "; check its API key"}
        advice[404] = "; it does not serve this model name"
        name = error.param if re.fullmatch(r"[a-z_]{1,40}", error.param or "") else None
        which = f", parameter {name}" if name else ""
        return f"HTTP {error.status_code}{which}{advice.get(error.status_code, '')}"
    return f"its reply could not be read ({type(error).__name__})"
