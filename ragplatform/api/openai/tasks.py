"""What chat screens ask of a model beside questions: a title, tags, what could be asked next.

Nothing is searched and no model writes for that: a title is the beginning of the first question,
all else is empty. A search with the words of the screen's own instructions would show passages
that nobody asked for, and put an act on record that nobody did.

Source: Open WebUI 0.11, ``open_webui/config.py``, ``DEFAULT_*_GENERATION_PROMPT_TEMPLATE``; its
administrators may change them, and send the name of the task in a header in place of them.
"""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fastapi import Request

from ragplatform.api.openai.schemas import ChatBody
from ragplatform.audit.events import Action, event_of
from ragplatform.model import Json, Principal
from ragplatform.wiring import Platform

TASK_HEADER: Final = "X-OpenWebUI-Task"
_LONGEST_TITLE: Final = 60
_INSTRUCTION: Final = "### Task:"
_HISTORY: Final = re.compile(r"<chat_history>(.*)</chat_history>", re.DOTALL)
_ASKED: Final = re.compile(r"^\s*USER:\s*(.+)$", re.MULTILINE)
# What each kind of instruction alone holds, and the name that Open WebUI gives to the task.
_KINDS: Final = MappingProxyType(
    {
        "title_generation": re.compile(r"JSON format:\s*\{\s*\"title\""),
        "tags_generation": re.compile(r"JSON format:\s*\{\s*\"tags\""),
        "follow_up_generation": re.compile(r"JSON format:\s*\{\s*\"follow_ups\""),
        "query_generation": re.compile(r"\{\s*\"queries\""),
        "autocomplete_generation": re.compile(r"autocompletion system"),
        "image_prompt_generation": re.compile(r"\"prompt\": \"Your detailed description here"),
        "emoji_generation": re.compile(r"facial expression through a fitting emoji"),
        "moa_response_generation": re.compile(r"a set of responses from various models"),
    }
)
_EMPTY: Final[Mapping[str, Json]] = MappingProxyType(
    {
        "tags_generation": {"tags": []},
        "follow_up_generation": {"follow_ups": []},
        "query_generation": {"queries": []},
        "autocomplete_generation": {"text": ""},
        "image_prompt_generation": {"prompt": ""},
    }
)


def answered_task(
    platform: Platform, request: Request, who: Principal, body: ChatBody
) -> str | None:
    """Return what a chat screen gets for a task of its own, on record; None for a question.

    Raises ``AuditError`` when it could not be recorded.
    """
    text = _last(body)
    task = task_of(text, request.headers.get(TASK_HEADER, ""))
    if task is None:
        return None
    platform.store.audit.append(
        event_of(
            who,
            Action.CHAT_TASK,
            request_id=request.state.request_id,
            trace=request.state.trace,
            purpose=None,
            policy=platform.policies.digest,
            details={"task": task},
        )
    )
    if task == "title_generation":
        return json.dumps({"title": _title(text)}, ensure_ascii=False)
    return json.dumps(_EMPTY[task]) if task in _EMPTY else ""


def task_of(text: str, named: str) -> str | None:
    """Return the task that a text is the instruction of, or that a header names, or None."""
    if named in _KINDS:
        return named
    if not text.startswith(_INSTRUCTION):
        return None
    return next((name for name, kind in _KINDS.items() if kind.search(text)), None)


def _last(body: ChatBody) -> str:
    return next((m.said() for m in reversed(body.messages) if m.role == "user"), "").strip()


def _title(text: str) -> str:
    """Return the beginning of the first question in the history that the instruction holds."""
    history = _HISTORY.search(text)
    asked = _ASKED.search(history[1]) if history else None
    if asked is None:
        return ""
    words = " ".join(asked[1].split())
    return words if len(words) <= _LONGEST_TITLE else f"{words[: _LONGEST_TITLE - 1].rstrip()}…"
