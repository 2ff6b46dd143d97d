"""What clients of OpenAI's API send: what is understood of it, what is not obeyed, what is refused.

Fields that are not listed are passed over, as OpenAI's own clients send new ones with each release.
Inside ``rag`` they are refused: there a misspelt filter would widen a search.

Source: OpenAI, API reference of chat completions, responses and embeddings, as of openai-python 3.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ragplatform.api.schemas import HALF_PAIR, Body, Collection, Filters
from ragplatform.errors import UnsupportedError
from ragplatform.model import Purpose

# Long conversations bring their answers along; more than this is no conversation of a person.
MOST_MESSAGES: Final = 1000
MOST_TEXTS: Final = 256

# Understood, and not obeyed: how answers are made and how long they are is the deployment's to say.
IGNORED: Final = frozenset(
    {
        *("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "logit_bias", "verbosity"),
        *("reasoning_effort", "reasoning", "service_tier", "prediction", "truncation", "text"),
        *("tools", "functions", "parallel_tool_calls", "instructions", "include", "metadata"),
        *("store", "max_tool_calls", "prompt_cache_key", "safety_identifier", "user"),
    }
)
_FREE_CHOICE: Final = (None, "auto", "none")


class RagIn(Body):
    """What OpenAI's API has no field for. ``purpose`` may stand in header or model name instead."""

    purpose: Purpose | None = Field(None, description="Why you ask, such as TREAT.")
    collections: list[Collection] | None = Field(
        None, max_length=50, description="Search only these; default: all that you may read."
    )
    filters: Filters | None = Field(
        None, description="Keep the search to passages of these documents, types, dates and so on."
    )
    mode: Literal["extractive", "abstractive"] | None = Field(
        None, description="How to make the answer; default: the deployment's setting."
    )
    sources: bool = Field(False, description="Return the passages found in `rag.sources` as well.")


class Part(BaseModel):
    """One part of a message's content."""

    type: str = Field(max_length=64)
    text: str | None = None


class Message(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    def said(self) -> str:
        """Return the text of what the caller wrote. Raises ``UnsupportedError`` for other parts."""
        if not isinstance(self.content, list):
            return _whole(self.content or "", "messages")
        for part in self.content:
            if part.type not in {"text", "input_text", "output_text"} or part.text is None:
                raise UnsupportedError(
                    "messages", "only parts of type text are read: no image, sound or file"
                )
        return _whole("\n".join(part.text or "" for part in self.content), "messages")


class StreamOptions(BaseModel):
    """What a stream is to hold beside the answer."""

    include_usage: bool | None = None


class ClientBody(BaseModel):
    """What the bodies of chat completions and responses share."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(min_length=1, max_length=128)]
    stream: bool | None = False
    rag: RagIn | None = None
    tool_choice: JsonValue = None

    @property
    def others(self) -> Mapping[str, Any]:
        """The fields that have no place of their own here."""
        return self.model_extra or {}

    def ignored(self) -> list[str]:
        """Return which understood fields were given and are not obeyed, by name."""
        return sorted(name for name, value in self.others.items() if name in IGNORED and value)

    def require_possible(self) -> None:
        """Raise ``UnsupportedError`` for what would change what the client gets, and cannot be."""
        if self.tool_choice not in _FREE_CHOICE:
            raise UnsupportedError(
                "tool_choice", "no tool is ever called here; auto and none are understood"
            )


class ChatBody(ClientBody):
    """A conversation whose last question is to be answered."""

    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    stream_options: StreamOptions | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: dict[str, JsonValue] | None = None
    modalities: list[str] | None = None
    audio: JsonValue = None
    function_call: JsonValue = None
    web_search_options: JsonValue = None

    def require_possible(self) -> None:
        """Raise ``UnsupportedError`` as for every body, and for what only chats ask."""
        super().require_possible()
        if self.function_call not in _FREE_CHOICE:
            raise UnsupportedError("function_call", "no function is ever called here")
        if self.n not in (None, 1):
            raise UnsupportedError("n", "one question has one answer: wanted 1")
        if self.logprobs or self.top_logprobs:
            raise UnsupportedError("logprobs", "an answer is checked text, not a model's tokens")
        if self.response_format and self.response_format.get("type") != "text":
            raise UnsupportedError("response_format", "answers are text with citations")
        if self.audio or set(self.modalities or ()) - {"text"}:
            raise UnsupportedError("modalities", "answers are text")
        if self.web_search_options is not None:
            raise UnsupportedError("web_search_options", "nothing outside this network is searched")

    def conversation(self) -> tuple[str, list[str]]:
        """Return the last question of the user, and the earlier ones, oldest first."""
        return _conversation(self.messages, "messages")


class ResponsesBody(ClientBody):
    """A question, or a conversation, in the shape of the responses API."""

    input: str | Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]
    previous_response_id: str | None = None
    conversation_: JsonValue = Field(None, alias="conversation")
    background: bool | None = None
    top_logprobs: int | None = None
    text: JsonValue = None

    def require_possible(self) -> None:
        """Raise ``UnsupportedError`` as for every body, and for what only responses ask."""
        super().require_possible()
        if self.previous_response_id or self.conversation_:
            raise UnsupportedError(
                "previous_response_id", "no response is kept: send the conversation as `input`"
            )
        if self.background:
            raise UnsupportedError("background", "use /v1/batches")
        if self.top_logprobs:
            raise UnsupportedError("top_logprobs", "an answer is checked text, not tokens")
        wanted = self.text.get("format") if isinstance(self.text, dict) else None
        if isinstance(wanted, dict) and wanted.get("type") not in (None, "text"):
            raise UnsupportedError("text", "answers are text with citations")

    def conversation(self) -> tuple[str, list[str]]:
        """Return the last question of the user, and the earlier ones, oldest first."""
        if isinstance(self.input, str):
            return _whole(self.input, "input").strip(), []
        return _conversation(self.input, "input")


class EmbeddingsBody(BaseModel):
    """Texts to be turned into vectors."""

    model: Annotated[str, Field(min_length=1, max_length=128)]
    input: JsonValue
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = None
    rag: RagIn | None = None

    def texts(self) -> list[str]:
        """Return the texts. Raises ``UnsupportedError`` for anything else, and for too many."""
        given = [self.input] if isinstance(self.input, str) else self.input
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_TEXTS:
            raise UnsupportedError("input", f"wanted a text, or 1 to {MOST_TEXTS} of them")
        texts = [one for one in given if isinstance(one, str) and one]
        if len(texts) != len(given):
            raise UnsupportedError(
                "input",
                "wanted texts that are not empty; tokens would be another model's "
                "(LangChain: check_embedding_ctx_length=False)",
            )
        return [_whole(text, "input") for text in texts]


def _whole(text: str, param: str) -> str:
    """Return the text. Raises ``UnsupportedError`` for one that has no UTF-8 form."""
    if HALF_PAIR.search(text):
        raise UnsupportedError(param, "half a pair of surrogates is no text")
    return text


def _conversation(messages: Sequence[Message], param: str) -> tuple[str, list[str]]:
    said = [message.said().strip() for message in messages if message.role == "user"]
    if not said or not said[-1]:
        raise UnsupportedError(param, "the last message of the user is the question: it has none")
    return said[-1], [one for one in said[:-1] if one]
