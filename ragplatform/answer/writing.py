"""What goes to the model and what comes back: prompts of cleared parts, and a bounded reply."""

import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final

import anyio.to_thread

from ragplatform.answer import exits, prompt, quotes
from ragplatform.answer.alarm import ExitAlarm
from ragplatform.answer.retrieve import ClearedPassage, Retrieved
from ragplatform.answer.salts import cache_salt
from ragplatform.answer.sentences import SentenceStream
from ragplatform.errors import GeneratorError
from ragplatform.model import Cleared, Usage
from ragplatform.ports import Generator
from ragplatform.privacy.gate import Privacy

# What one audit record can seal, with room for marks, remarks and any script of the world. A longer
# answer could be shown and not recorded.
LONGEST_ANSWER: Final = 10_000
# Small models end in a loop and would stay in it to the last token, which takes a minute on a
# processor. Whoever writes a sentence for the third time says nothing new any more.
_ONCE_MORE: Final = 2


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How long an answer and its prompt may be. ``prompt_characters`` bounds the passages."""

    max_tokens: int
    prompt_characters: int


@dataclass(slots=True)
class Writing:
    """What went to the model, by passage, and how much came back."""

    given: list[str]
    left_out: dict[str, int]
    characters: int = 0
    usage: Usage | None = None
    complete: bool = False
    hung_up: bool = False
    """Whether the rest was not waited for, since the model had lost its way."""


class Writer:
    """Asks the model, for quotes to be joined or for an answer in its own words."""

    def __init__(
        self,
        *,
        privacy: Privacy,
        generator: Generator,
        limits: AnswerLimits,
        salt_key: bytes,
        today: Callable[[], date],
        alarm: ExitAlarm,
    ) -> None:
        self._privacy = privacy
        self._generator = generator
        self._limits = limits
        self._salt_key = salt_key
        self._today = today
        self._alarm = alarm

    @property
    def model(self) -> str:
        """The model's name."""
        return self._generator.model

    def canary(self, retrieved: Retrieved) -> str:
        """Return the word that stands in the instructions for this scope and nowhere else."""
        return exits.canary(self._salt_key, retrieved.scope.key)

    def fit(self, passages: Sequence[ClearedPassage]) -> list[ClearedPassage]:
        """Return the best passages that fit the prompt's budget, best first."""
        fitting, left = [], self._limits.prompt_characters
        for passage in passages:
            left -= sum(len(text) + 1 for text in passage.texts)
            if left < 0:
                break
            fitting.append(passage)
        return fitting

    async def write(
        self, retrieved: Retrieved, passages: Sequence[ClearedPassage], writing: Writing
    ) -> AsyncGenerator[list[str], None]:
        """Yield the model's whole sentences on the passages, citation marks and all, as they come.

        ``writing`` tells meanwhile how much came. A model that copies its prompt or goes round in
        circles is hung up on. Raises ``GeneratorError``.
        """
        # Unpredictable to whoever wrote the documents, so that a passage cannot close it.
        fence = self._salt(retrieved)[:8]
        parts = [
            self._privacy.compose(
                prompt.PASSAGE,
                fence=fence,
                number=p.number,
                text=self._privacy.join(p.sentences, "\n"),
            )
            for p in passages
        ]
        parts.append(self._privacy.compose(prompt.QUESTION, question=retrieved.question))
        cutter, said = SentenceStream(), Counter[str]()
        instructions = prompt.WRITE + prompt.CANARY.format(canary=self.canary(retrieved))
        async with aclosing(self._generate(retrieved, writing, instructions, parts)) as stream:
            async for piece in stream:
                whole = []
                for text in cutter.feed(piece):
                    said[text.strip()] += 1
                    writing.hung_up = fence in text or said[text.strip()] > _ONCE_MORE
                    if writing.hung_up:
                        break
                    whole.append(text)
                if whole:
                    yield whole
                if writing.hung_up:
                    return
        # A last sentence without its end was cut off by the token limit.
        ended = (".", "!", "?", "]", '"')
        rest = [one for one in cutter.finish() if one.rstrip().endswith(ended) and fence not in one]
        if rest:
            yield rest

    async def join(self, retrieved: Retrieved, texts: Sequence[Cleared], writing: Writing) -> str:
        """Return the joining of the quotes that the model chose, or the plain one.

        Raises ``GeneratorError``.
        """
        parts = [
            self._privacy.compose(prompt.QUOTE, number=n, text=text)
            for n, text in enumerate(texts, 1)
        ]
        pattern = quotes.joining_pattern(len(texts))
        joined = ""
        async for piece in self._generate(retrieved, writing, prompt.JOIN, parts, pattern):
            joined += piece
        # A server that ignores the pattern must not get a word of its own into the answer.
        return joined if re.fullmatch(pattern, joined) else quotes.join_plainly(len(texts))

    async def _generate(
        self,
        retrieved: Retrieved,
        writing: Writing,
        instructions: str,
        parts: Sequence[Cleared],
        pattern: str | None = None,
    ) -> AsyncGenerator[str, None]:
        stream = self._generator.stream(
            instructions,
            self._privacy.join(parts),
            cache_salt=self._salt(retrieved),
            max_tokens=self._limits.max_tokens,
            pattern=pattern,
        )
        leak, written = exits.Leak(self.canary(retrieved)), ""
        async for piece in stream:
            if isinstance(piece, Usage):
                writing.usage = piece
                continue
            writing.characters += len(piece)
            if writing.characters > LONGEST_ANSWER:
                raise GeneratorError("the model server wrote more than it was asked for")
            written += piece
            if leak.found_in(piece):
                cut = partial(self._alarm.cut, found="canary", where="written", text=written)
                await anyio.to_thread.run_sync(cut, retrieved, abandon_on_cancel=False)
            yield piece
        writing.complete = True

    def _salt(self, retrieved: Retrieved) -> str:
        """Return a salt that only equal rights share, so that cache timing tells nobody else."""
        return cache_salt(self._salt_key, retrieved.scope, retrieved.rights, self._today())
