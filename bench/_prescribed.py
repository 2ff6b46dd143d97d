"""The platform's service with what its model server writes prescribed, token by token.

    python -m bench._prescribed serve

A model as small as the demo's ends most answers after a few words, or goes round in circles until
it is hung up on. So that an answer has its length and its sentences pass the checks, as a large
model's do, the server is asked for a text of the prompt's own sentences by structured output: it
computes every token as it would any other.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from bench._model import reply
from ragplatform.__main__ import app
from ragplatform.adapters.streamed_chat import StreamedChat

# About 400 tokens of English; the server cuts it at the answer's own limit.
_SENTENCES, _CHARACTERS = 60, 1600


def prescribed(prompt: str) -> dict[str, Any]:
    """Return what a request asks beside, so that its text is of the prompt's sentences."""
    body = {"messages": [{"content": prompt}]}
    text = " ".join(reply(body, _SENTENCES).split())[:_CHARACTERS]
    return {"structured_outputs": {"choice": [text]}}


class PrescribedChat(StreamedChat):
    """The adapter's chat model, which asks for the prescribed text."""

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        own = {**(kwargs.pop("extra_body", None) or {}), **prescribed(str(messages[-1].content))}
        async with aclosing(super()._astream(messages, *args, extra_body=own, **kwargs)) as chunks:
            async for chunk in chunks:
                yield chunk


if __name__ == "__main__":
    from ragplatform.adapters import vllm

    vllm.StreamedChat = PrescribedChat  # type: ignore[misc]
    app()
