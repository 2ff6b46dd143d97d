"""The last look before text reaches its reader: personal data masked, pseudonyms revealed.

What is released is a function of the text alone, never of how the stream was split:

1. The text is cut into units. Where a unit ends depends on nothing behind that place.
2. The detector reads each unit together with the one before it. A value of up to a unit's length
   that crosses a border is therefore seen whole.
3. A unit is released when the unit behind it has been read too: nothing later touches it again.
   Of the first one, which is a sentence, all but the end leaves as soon as it was read: whoever
   waits for an answer waits for a sentence, not for two.
4. Pseudonyms that the reader may see become values after the screening, and are not screened.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ragplatform.errors import DetectorError, PlatformError
from ragplatform.model import Span
from ragplatform.ports import Detector
from ragplatform.privacy import tokens
from ragplatform.privacy.rules import PrivacyRules

# A unit this long gives recognisers their context; one sentence of prose has about 100 characters.
SHORTEST_UNIT: Final = 80
# The first unit may be this short, and this much of its end stays until the next one was read. A
# value goes on over the end of a sentence only if that was none, as in "12 Old Church Rd.".
FIRST_UNIT: Final = 48
FIRST_HELD: Final = 32
# Bounds memory and delay when a text has no sentence ends.
LONGEST_UNIT: Final = 400
_END: Final = re.compile(r"\n|(?<=[.!?…:;])\s")
_WORD_END: Final = re.compile(r"[\s\[]")
_BREAKS_OFF: Final = "the answer was cut off because it could not be screened"


@dataclass(frozen=True, slots=True)
class _Unit:
    """A run of the text; ``start`` is its offset. ``torn`` when it ends inside a word."""

    start: int
    text: str
    torn: bool

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def part(self, start: int, end: int) -> str:
        return self.text[start - self.start : end - self.start] if start < end else ""


class Screen:
    """Screens one answer for one reader. Not for two answers, nor for two threads at once."""

    def __init__(
        self,
        *,
        detector: Detector,
        rules: PrivacyRules,
        reveals: frozenset[str],
        lookup: Callable[[Collection[str]], Mapping[str, str]],
    ) -> None:
        """Make a screen; ``lookup`` gives the values behind tokens of types in ``reveals``."""
        self._detector = detector
        self._rules = rules
        self._reveals = reveals
        self._lookup = lookup
        self._counts: Counter[str] = Counter()
        self._buffer = ""
        self._offset = 0
        self._held: _Unit | None = None
        self._spans: list[Span] = []
        self._covered = 0
        self._at = 0
        """How far the text has been released."""
        self._torn = False
        self._failed = False
        self._finished = False

    @property
    def counts(self) -> Mapping[str, int]:
        """How many values of each type were masked so far, for the audit record."""
        return dict(self._counts)

    def redact(self, text: str) -> str:
        """Return a whole text screened; exactly what any split of it through ``feed`` gives.

        Raises ``DetectorError`` when the text could not be screened.
        """
        whole = Screen(
            detector=self._detector,
            rules=self._rules,
            reveals=self._reveals,
            lookup=self._lookup,
        )
        released = whole.feed(text) + whole.finish()
        self._counts.update(whole.counts)
        return released

    def feed(self, piece: str) -> str:
        """Take the next piece of the text; return what may be released now, often nothing.

        Raises ``DetectorError`` when screening failed, now or ever before: then nothing more is
        released.
        """
        self._guard()
        if self._finished:
            raise ValueError("the text has already been finished")
        return self._safely(lambda: self._advance(piece))

    def finish(self) -> str:
        """Return the rest of the text. Calling it again returns nothing.

        Raises ``DetectorError`` as ``feed`` does.
        """
        self._guard()
        if self._finished:
            return ""
        self._finished = True
        return self._safely(self._drain)

    def _guard(self) -> None:
        if self._failed:
            raise DetectorError(_BREAKS_OFF)

    def _safely(self, step: Callable[[], str]) -> str:
        """Run a step; whatever interrupts it, nothing more leaves this screen."""
        self._failed = True
        try:
            released = step()
        except DetectorError:
            raise
        except PlatformError as error:
            raise DetectorError(_BREAKS_OFF) from error
        self._failed = False
        return released

    def _advance(self, piece: str) -> str:
        self._buffer += piece
        released: list[str] = []
        at = 0
        while (cut := _cut(self._buffer, at, self._shortest)) is not None:
            end, torn = cut
            released.append(self._take(_Unit(self._offset, self._buffer[at:end], torn)))
            self._offset += end - at
            at = end
        self._buffer = self._buffer[at:]
        return "".join(released)

    def _drain(self) -> str:
        released = ""
        if self._buffer:
            released = self._take(_Unit(self._offset, self._buffer, torn=False))
            self._buffer = ""
        if self._held is not None:
            released += self._release(self._held, self._held.end)
            self._held = None
        return released

    @property
    def _shortest(self) -> int:
        return SHORTEST_UNIT if self._offset else FIRST_UNIT

    def _take(self, unit: _Unit) -> str:
        """Read a new unit beside the held one, and release that; of the first, what is settled."""
        held = self._held
        start = held.start if held else unit.start
        self._spans += self._found((held.text if held else "") + unit.text, start)
        self._held = unit
        if held:
            return self._release(held, held.end)
        return "" if unit.torn else self._release(unit, self._settled(unit))

    def _settled(self, unit: _Unit) -> int:
        """Return up to where nothing that comes could still change what was found in the unit."""
        end = unit.end - FIRST_HELD
        while end > unit.start and not unit.part(end - 1, end).isspace():
            end -= 1
        for span in sorted(self._spans, key=lambda span: -span.start):
            # A value that reaches over the place may grow: all of it waits.
            if span.start < end < span.end:
                end = span.start
        return max(end, unit.start)

    def _found(self, window: str, offset: int) -> list[Span]:
        """Return what must be masked in the window, our own marks left out."""
        # One text a call: what a batch holds beside a text must not change what is found in it.
        found = self._detector.detect([tokens.blank(window)])
        if len(found) != 1:
            raise DetectorError("the detector did not answer for the text it was given")
        return [
            replace(span, start=start + offset, end=end + offset)
            for span in found[0]
            if span.entity not in self._reveals and self._rules.acts_on(span)
            for start, end in _between_marks(window, span)
        ]

    def _release(self, unit: _Unit, end: int) -> str:
        """Return what is left of the unit, up to ``end``, as the reader may see it.

        Every span that starts there is known.
        """
        if self._torn and self._covered >= unit.start:
            # A value ran to the end of a unit that was cut inside a word: the word goes on here.
            rest = _WORD_END.search(unit.text)
            self._covered = max(
                self._covered, unit.start + (rest.start() if rest else len(unit.text))
            )
        self._torn = unit.torn
        out: list[str] = []
        at = max(self._at, self._covered)
        # Earliest first; of those that start together the surest, then the longest, gives the name.
        mine = [replace(s, start=max(s.start, self._at)) for s in self._spans if s.start < end]
        for span in sorted(mine, key=lambda s: (s.start, -s.score, -s.end, s.entity)):
            if self._covered <= span.start < span.end:
                out += (unit.part(at, span.start), tokens.mask(span.entity))
                self._counts[span.entity] += 1
            self._covered = max(self._covered, span.end)
            at = max(at, self._covered)
        self._spans = [span for span in self._spans if span.start >= end]
        out.append(unit.part(at, end))
        self._at = end
        return self._revealed("".join(out))

    def _revealed(self, text: str) -> str:
        """Return the text with the pseudonyms that the reader may see as values."""
        wanted = {found[0] for found in tokens.TOKEN.finditer(text) if found[1] in self._reveals}
        if not wanted:
            return text
        values = self._lookup(wanted)
        return tokens.TOKEN.sub(
            lambda found: values.get(found[0], found[0]) if found[0] in wanted else found[0], text
        )


def _between_marks(window: str, span: Span) -> Iterator[tuple[int, int]]:
    """Yield the parts of the span that are not our tokens or masks and hold a word."""
    done = span.start
    for mark in tokens.look_alikes(window):
        if mark.end() > span.start and mark.start() < span.end:
            yield from _trimmed(window, done, mark.start())
            done = mark.end()
    yield from _trimmed(window, done, span.end)


def _trimmed(window: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    part = window[start:end]
    if stripped := part.strip():
        left = start + len(part) - len(part.lstrip())
        yield left, left + len(stripped)


def _cut(text: str, start: int, shortest: int) -> tuple[int, bool] | None:
    """Return where the unit that begins at ``start`` ends, and whether that tears a word.

    None while the text does not say yet. The answer looks at no more than ``LONGEST_UNIT``
    characters and never changes when more text arrives.
    """
    limit = start + LONGEST_UNIT
    if found := _END.search(text, start + shortest - 1, min(limit, len(text))):
        return found.end(), False
    if len(text) < limit:
        return None
    for at in range(limit - 1, start + shortest - 1, -1):
        if text[at].isspace():
            return at + 1, False
    if half := tokens.OPEN_TOKEN.search(text, start + shortest, limit):
        return half.start(), True
    return limit, True
