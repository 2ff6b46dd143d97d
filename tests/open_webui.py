"""Requests as Open WebUI sends them, written after its source, release 0.11.

``backend/open_webui/routers/openai.py`` (which members of a body go upstream: ``metadata`` does
not), ``utils/headers.py`` (who asks), ``utils/middleware.py`` (tools, and what becomes of a
stream), ``config.py`` (instructions of its tasks).
"""

import json
import time
from collections.abc import Iterable
from typing import Any

from joserfc import jws
from joserfc.jwk import OctKey

CHAT = "9d6f2f0e-5f0b-4b67-9a0e-5d0a4b8c1f11"
MESSAGE = "5f3c54a0-7f3b-4a51-8a0c-0f7c9b1d2e33"
# Three of those that it offers to every model unless an administrator switches them off.
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name.replace('_', ' ').capitalize()}.",
            "parameters": {"type": "object", "properties": {}, "required": []},
        },
    }
    for name in ("get_current_timestamp", "search_memories", "query_knowledge_files")
]
_GUIDELINES = """### Guidelines:
- Write in the chat's primary language; default to English if multilingual.
- Prioritize accuracy over creativity.
"""
_HISTORY = """### Chat History:
<chat_history>
USER: {question}
ASSISTANT: {answer}
</chat_history>"""
TASKS = {
    "title_generation": "### Task:\nGenerate a concise title summarizing the chat history.\n"
    + _GUIDELINES
    + '### Output:\nJSON format: { "title": "your concise title here" }\n'
    + _HISTORY,
    "tags_generation": "### Task:\nGenerate 1-3 broad tags categorizing the main themes.\n\n"
    + _GUIDELINES
    + '### Output:\nJSON format: { "tags": ["tag1", "tag2", "tag3"] }\n\n'
    + _HISTORY,
    "follow_up_generation": "### Task:\nSuggest 3-5 relevant follow-up questions.\n"
    + _GUIDELINES
    + '### Output:\nJSON format: { "follow_ups": ["Question 1?", "Question 2?"] }\n'
    + _HISTORY,
    "query_generation": "### Task:\nAnalyze the chat history to determine the necessity of "
    "generating search queries.\n"
    + _GUIDELINES
    + '### Output:\nStrictly return in JSON format:\n{\n  "queries": ["query1", "query2"]\n}\n\n'
    + _HISTORY,
}


def statement(user: str, secret: str, *, now: float | None = None) -> str:
    """Return the signed statement of who asks."""
    at = int(time.time() if now is None else now)
    claims = {"sub": user, "email": f"{user}@mercy.test", "name": "Dr Lee", "role": "user",
              "iss": "open-webui", "iat": at, "exp": at + 300}  # fmt: skip
    key = OctKey.import_key(secret)
    return jws.serialize_compact({"alg": "HS256"}, json.dumps(claims).encode(), key)


def headers(key: str, user: str = "") -> dict[str, str]:
    """Return the headers of one request of a chat; ``user`` is the signed statement."""
    sent = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {key}",
        "User-Agent": "Python/3.11 aiohttp/3.13.2",
        "Accept": "*/*",
        "X-OpenWebUI-Chat-Id": CHAT,
        "X-OpenWebUI-Message-Id": MESSAGE,
    }
    return sent | ({"X-OpenWebUI-User-Jwt": user} if user else {})


def chat(question: str, *earlier: tuple[str, str], model: str = "ragplatform:TREAT") -> Any:
    """Return the body of a question in a chat, after the questions and answers before it."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a helpful assistant for the ward."}
    ]
    for asked, answered in earlier:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    messages.append({"role": "user", "content": [{"type": "text", "text": question}]})
    return {
        "stream": True,
        "model": model,
        "messages": messages,
        "stream_options": {"include_usage": True},
        "tools": TOOLS,
        "temperature": 0.7,
    }


def task(name: str, question: str, answer: str, *, model: str = "ragplatform:TREAT") -> Any:
    """Return the body of a task that it gives a model after an answer."""
    text = TASKS[name].replace("{question}", question).replace("{answer}", answer)
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "stream": False,
        "max_completion_tokens": 1000,
    }


def shown(chunks: Iterable[dict[str, Any]]) -> tuple[str, list[str], Any]:
    """Return what its screen makes of a stream: the text, the sources in order, the error.

    The ``n``-th source is what a reader opens at ``[n]``; those of one name are one.
    """
    text, sources, error = "", list[str](), None
    for chunk in chunks:
        choices = chunk.get("choices", [])
        if not choices:
            error = chunk.get("error") or error
            continue
        delta = choices[0].get("delta", {})
        text += delta.get("content") or ""
        for note in delta.get("annotations") or []:
            if note.get("type") == "url_citation" and "url_citation" in note:
                sources.append(note["url_citation"].get("title", note["url_citation"]["url"]))
    return text, list(dict.fromkeys(sources)), error
