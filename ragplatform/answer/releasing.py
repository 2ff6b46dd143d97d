"""What becomes of an answer's sentences: held, screened, past the wall, then out.

All of it computes, so all of it is done in a thread, and what came together goes there together:
each way into a thread and back costs more than a sentence does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ragplatform.answer import exits, remarks
from ragplatform.answer.alarm import ExitAlarm
from ragplatform.answer.events import AnswerEvent, Cited, Delta
from ragplatform.answer.judging import Sentence
from ragplatform.answer.retrieve import Retrieved
from ragplatform.answer.writing import Writing
from ragplatform.model import AnswerMode, Citation, SentenceKind
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.screen import Screen


@dataclass(slots=True)
class Draft:
    """What there is so far of one answer."""

    asked: AnswerMode
    """How it was to be made; a refusal changes only ``mode``."""
    mode: AnswerMode
    model: str
    parts: list[str] = field(default_factory=list)
    """The pieces that have left."""
    sentences: list[Sentence] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    refusal: str | None = None
    tried: bool = False
    """Whether the model tried to answer in sentences of its own, whatever became of them."""
    writing: Writing | None = None
    """What is not on record yet of the model's part; None where it had none."""

    def count(self, kind: SentenceKind) -> int:
        """Return how many sentences of the kind there are."""
        return sum(one.kind is kind for one in self.sentences)


class Releasing:
    """Lets one answer out, sentence by sentence. Not for two answers, nor two threads at once."""

    def __init__(
        self,
        *,
        privacy: Privacy,
        alarm: ExitAlarm,
        retrieved: Retrieved,
        draft: Draft,
        screen: Screen,
        wall: exits.Wall,
    ) -> None:
        self._privacy = privacy
        self._alarm = alarm
        self._retrieved = retrieved
        self._draft = draft
        self._screen = screen
        self._wall = wall
        self._held: list[Sentence] = []
        self._waiting: list[Citation] = []

    @property
    def redactions(self) -> Mapping[str, int]:
        """How many values of each type were masked so far."""
        return self._screen.counts

    def take(self, sentences: Iterable[Sentence]) -> list[AnswerEvent]:
        """Take the next sentences; return what may leave now, in order.

        Raises ``DetectorError``, or ``UnsafeAnswerError`` after recording what was found.
        """
        events: list[AnswerEvent] = []
        for sentence in sentences:
            self._held.append(sentence)
            # An answer of nothing but unsupported sentences is none, so they wait for others.
            if self._draft.citations or sentence.citations:
                ready, self._held = self._held, []
                for one in ready:
                    self._say(one, events)
        return events

    def forget_unsupported(self) -> None:
        """Let go of the sentences that still wait for a supported one."""
        self._held = []

    def finish(self) -> list[AnswerEvent]:
        """Return the rest, with the platform's remarks on the whole, or why there is no answer.

        Raises as ``take``.
        """
        draft, events = self._draft, list[AnswerEvent]()
        if draft.citations:
            said = remarks.make(self._privacy, self._retrieved, tuple(draft.sentences))
            for remark in said:
                self._say(remark, events)
        self._release(self._screen.finish(), events)
        if not draft.citations:
            draft.refusal, told = remarks.refusal(self._privacy, self._retrieved)
            draft.mode = AnswerMode.REFUSAL
            events.append(Delta(self._screen.redact(told)))
        return events

    def _say(self, sentence: Sentence, events: list[AnswerEvent]) -> None:
        draft = self._draft
        space = " " if draft.sentences else ""
        draft.sentences.append(sentence)
        fresh = [one for one in sentence.citations if one not in draft.citations]
        draft.citations += fresh
        self._waiting += fresh
        self._release(self._screen.feed(space + sentence.text), events)

    def _release(self, screened: str, events: list[AnswerEvent]) -> None:
        """Add what may leave, then the citations that waited for it; see ``exits.Wall``."""
        text = self._wall.mended(screened)
        if found := self._wall.stops(text):
            pieces = (one.text for one in events if isinstance(one, Delta))
            left = "".join((*self._draft.parts, *pieces, text))
            self._alarm.cut(self._retrieved, found=found, where="leaving", text=left)
        if text:
            events += (Delta(text), *map(Cited, self._waiting))
            self._waiting.clear()
