"""From raw text and its spans to text that may be indexed, by the rules of ``privacy.toml``."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ragplatform.model import Mode, Span
from ragplatform.privacy import dates, tokens
from ragplatform.privacy.generalise import generalise
from ragplatform.privacy.occurrences import cut_by_gone
from ragplatform.privacy.pseudonyms import Tokeniser
from ragplatform.privacy.rules import PrivacyRules

# What a foreign opening bracket becomes; one character for one, so that offsets stay true.
_NEUTRAL_BRACKET: Final = "("
# What is written by these reads as text, not as a mark.
_PLAIN: Final = frozenset({Mode.SHIFT, Mode.GENERALISE})
# What these treat stands in the text as it was.
IN_CLEAR: Final = frozenset({Mode.KEEP, Mode.TAG})


@dataclass(frozen=True, slots=True)
class Transformed:
    """A text after the rules were applied.

    ``kept`` lists what is still in clear (mode ``tag``), with offsets into ``text``. ``counts``
    says how often each type was found, ``methods`` what was done with it, for a reviewer: a date
    that could not be shifted counts under mask. ``values`` are the values to store in the vault,
    each once. ``quarantine`` is a stable word when the document must stay out; the other fields are
    then not to be used, unless people decided that it comes in all the same.
    """

    text: str = field(repr=False)
    kept: tuple[Span, ...]
    counts: Mapping[str, int]
    methods: Mapping[tuple[str, Mode], int]
    values: tuple[tuple[str, str], ...] = field(repr=False)
    quarantine: str | None
    _edges: tuple[tuple[int, int], ...] = field(repr=False)
    _lengths: tuple[int, int]

    @property
    def quarantines(self) -> frozenset[str]:
        """Every reason for which the document must stay out; their values are masked in ``text``.

        ``quarantine`` is the one that comes first in the text.
        """
        held = (entity for entity, mode in self.methods if mode is Mode.QUARANTINE)
        return frozenset(map(_quarantine_reason, held))

    def position(self, offset: int) -> int:
        """Return where an offset of the original text lies in ``text``.

        Never decreases; 0 goes to 0 and the end to the end. An offset inside a replaced value goes
        to the replacement's start, so that a page border never cuts a token. Raises ``ValueError``
        outside the original text.
        """
        original, result = self._lengths
        if not 0 <= offset <= original:
            raise ValueError(f"offset {offset} lies outside a text of {original} characters")
        if offset == original:
            return result
        at = bisect_right(self._edges, (offset, result + 1)) - 1
        start, moved = self._edges[at]
        # Edges alternate: start of a replacement, then start of the plain text behind it.
        return moved if at % 2 else moved + (offset - start)


def transform(
    text: str,
    spans: Sequence[Span],
    *,
    rules: PrivacyRules,
    collection: str | None,
    tokeniser: Tokeniser,
    shift: int | None,
    this_year: int,
) -> Transformed:
    """Return the text with every span treated as the rules say.

    1. Spans that are too uncertain are left out.
    2. A value that is to go goes out of the longer values that may stay.
    3. Each span is replaced or kept; the map of positions is written as it happens.
    4. What only looks like a token or mask of ours is made harmless, so that a document cannot
       smuggle in a pseudonym that would later be revealed as somebody's name.

    ``spans`` are sorted and do not overlap. ``shift`` is the number of days by which the subject's
    dates move; without one they are masked. Raises ``ValueError`` when they do.
    """
    _check(text, spans)
    modes = {span.entity: rules.mode(span.entity, collection) for span in spans}
    certain = [span for span in spans if rules.counts(span, collection)]  # 1
    all_spans = cut_by_gone(  # 2
        text, certain, go=lambda span: modes[span.entity] not in IN_CLEAR
    )
    writer = _Writer(text, tokeniser, shift, this_year)  # 3
    for span in all_spans:
        writer.write(span, modes[span.entity])
    return writer.finish()  # 4


def _quarantine_reason(entity: str) -> str:
    return f"contains_{entity.lower()}"


def _check(text: str, spans: Sequence[Span]) -> None:
    end = 0
    for span in spans:
        if not end <= span.start < span.end <= len(text):
            raise ValueError("spans must be sorted, apart, not empty, and inside the text")
        end = span.end


class _Writer:
    """Writes the new text from left to right, and remembers how positions moved."""

    def __init__(self, text: str, tokeniser: Tokeniser, shift: int | None, this_year: int) -> None:
        self._text = text
        self._tokeniser = tokeniser
        self._shift = shift
        self._this_year = this_year
        self._parts: list[str] = []
        self._length = 0
        self._done = 0
        self._edges: list[tuple[int, int]] = [(0, 0)]
        self._kept: list[Span] = []
        self._own: set[int] = set()
        self._counts: Counter[str] = Counter()
        self._methods: Counter[tuple[str, Mode]] = Counter()
        self._values: dict[tuple[str, str], None] = {}
        self._quarantine: str | None = None

    def write(self, span: Span, mode: Mode) -> None:
        self._counts[span.entity] += 1
        if mode is Mode.QUARANTINE and self._quarantine is None:
            self._quarantine = _quarantine_reason(span.entity)
        if mode is Mode.KEEP:
            self._methods[span.entity, mode] += 1
            return
        self._copy(span.start)
        if mode is Mode.TAG:
            self._methods[span.entity, mode] += 1
            self._kept.append(
                replace(span, start=self._length, end=self._length + span.end - span.start)
            )
            self._copy(span.end)
            return
        self._edges.append((span.start, self._length))
        value = self._text[span.start : span.end]
        written, method = self._written(span.entity, value, mode)
        self._methods[span.entity, method] += 1
        if written:
            if method not in _PLAIN:
                self._own.add(self._length)
            self._parts.append(written)
            self._length += len(written)
        self._done = span.end
        self._edges.append((span.end, self._length))

    def _written(self, entity: str, value: str, mode: Mode) -> tuple[str, Mode]:
        """Return what stands in for the value, and by which mode: what cannot be read is masked."""
        written: str | None = None
        if mode is Mode.DROP:
            written = ""
        elif mode is Mode.PSEUDONYMISE:
            self._values[entity, value] = None
            written = self._tokeniser(entity, value)
        elif mode is Mode.SHIFT and self._shift is not None:
            written = dates.shifted(value, self._shift)
        elif mode is Mode.GENERALISE:
            written = generalise(entity, value, this_year=self._this_year)
        if written is not None:
            return written, mode
        return tokens.mask(entity), mode if mode is Mode.QUARANTINE else Mode.MASK

    def _copy(self, end: int) -> None:
        self._parts.append(self._text[self._done : end])
        self._length += end - self._done
        self._done = end

    def finish(self) -> Transformed:
        self._copy(len(self._text))
        written = "".join(self._parts)
        return Transformed(
            text=_neutralised(written, self._own),
            kept=tuple(self._kept),
            counts=dict(self._counts),
            methods=dict(self._methods),
            values=tuple(self._values),
            quarantine=self._quarantine,
            _edges=tuple(self._edges),
            _lengths=(len(self._text), len(written)),
        )


def _neutralised(text: str, own: set[int]) -> str:
    """Return the text with the bracket of every mark that is not ours turned round.

    This looks at the finished text: parts that were harmless apart can meet where a value between
    them was dropped. A mark holds one opening bracket, so ours and theirs never share one.
    """
    return "".join(_bracketed(text, own))


def _bracketed(text: str, own: set[int]) -> Iterator[str]:
    done = 0
    for found in tokens.look_alikes(text):
        if found.start() in own:
            continue
        body = re.sub(r":", ";", found[0][1:-1])
        yield text[done : found.start()]
        yield f"{_NEUTRAL_BRACKET}{body})"
        done = found.end()
    yield text[done:]
