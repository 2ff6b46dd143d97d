"""Personal data found by rules, by our own tagger, and by what a deployment adds to them."""

import hashlib
import os
import re
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from ragplatform.adapters.ordinary import is_calendar_date, without_ordinary_words
from ragplatform.adapters.overlaps import resolve
from ragplatform.adapters.rules.tier import RuleTier
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DetectorError
from ragplatform.model import Span

if TYPE_CHECKING:
    # Presidio loads torch, transformers and spaCy where they are: nine seconds of processor time
    # that only a deployment with recognisers of its own has to spend.
    from presidio_analyzer import EntityRecognizer, RecognizerResult

# What Presidio's patterns may take, as it reads it itself.
REGEX_TIMEOUT_SECONDS = int(os.environ.get("REGEX_TIMEOUT_SECONDS", "60"))
# Changes whenever this adapter could find other spans for a reason that no version below tells.
_ADAPTER: Final = "4"
_MIN_SCORE: Final = 0.4
# The rules read so many characters in less time than it takes to wake another thread.
_SHORT: Final = 1000
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# The tagger says that something is a code or an organisation, the rules say which and prove it. And
# what may stand in a text must not win over what has to go, however sure the tagger is of it.
_SUREST: Final = 0.85
_WEAK: Final = 0.5
_MOST_SURE: Final = dict.fromkeys(
    "ORGANIZATION OCCUPATION TIME_REFERENCE QUASI_IDENTIFIER UNIQUE_CODE USERNAME".split(), _WEAK
)
# Presidio's recognisers take what its NLP engine read; there is none here.
_NO_ARTIFACTS: Final[Any] = None
# "U.S." and "P.A.D." are no names, and what bears a trade mark's sign is a product.
_TWO_LETTERS: Final = re.compile(r"[^\W\d_]{2}")
_TRADE_MARKS: Final = frozenset("®™©")
# A short or decimal number, or a word, is an amount, a billing code or a unit far more often than
# anybody's: what says that it is one's number is found by the rules.
_CODE: Final = re.compile(
    r"(?!\d{1,3}(?:,\d{3})*(?:\.\d+)?$|\d+\.\d+$)(?=(?:\D*\d){4})(?=.*[^\d.,]|\d{6}).+", re.DOTALL
)
# What a securities commission numbers is on public record: "Commission File Number 001-31719".
_PUBLIC_FILE: Final = re.compile(r"\d{1,3}-\d{3,6}(?:-\d{2})?")
_COMMISSION: Final = re.compile(
    r"(?i)\b(?:commission|(?-i:SEC)|registration statement|form (?:8-k|10-[kq]|s-\d))\b.{0,60}"
    r"\b(?:no|nos|number|numbers)\b[.:]?[\s(]*$",
    re.DOTALL,
)
_BEFORE: Final = 100
# "SFAS 123R" and "Statement No. 157" are standards of accounting, and no house has that number.
_BARE_NUMBER: Final = re.compile(r"\d{1,5}[A-Z]?")
_STANDARD: Final = re.compile(
    r"(?i)\b(?:s?fas|fasb|fin|asu|asc|eitf|apb|sab|statements?|standards?|interpretation|ifrs|ias)"
    r"(?: no\.?)?\s$"
)
_NAMED: Final = frozenset({"PERSON", "LOCATION", "NRP", "ORGANIZATION"})


class NameFinder(Protocol):
    """Finds what has no written form: our tagger, or a larger model in its place."""

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order."""


class IdentifierDetector:
    """Finds personal data. Safe to use from several threads; the same text gives the same spans."""

    def __init__(
        self,
        *,
        rules: RuleTier,
        tagger: NameFinder,
        added: Sequence["EntityRecognizer"],
        threads: int | None = None,
    ) -> None:
        """Join the parts, with as many threads as this process has cores unless given.

        ``added`` are a deployment's own recognisers, in Presidio's shape.

        A result of theirs whose type is none of ``ragplatform.entities`` stops the search: nobody
        could say what is to happen to it.
        """
        self._rules = rules
        self._tagger = tagger
        self._added = tuple(added)
        self._beside = ThreadPoolExecutor(
            threads or len(os.sched_getaffinity(0)), thread_name_prefix="detector"
        )
        parts = [_ADAPTER, rules.version, tagger.version, str(_MIN_SCORE)]
        parts += [f"{_name(one)} {one.version}" for one in self._added]
        self._version = "detector-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""
        return self._version

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order, sorted by start, none overlapping another.

        Raises ``DetectorError`` rather than return a text unsearched. The error's message names
        the place of the failure only: what libraries say in theirs may quote the text.
        """
        # Half of a surrogate pair is no text that libraries take; a place holder keeps offsets.
        texts = [_SURROGATES.sub("\ufffd", text) for text in texts]
        try:
            tagged, ruled = self._read(texts)
            return [
                resolve(text, [*_likely(text, spans), *rest])
                for text, spans, rest in zip(texts, tagged, ruled, strict=True)
            ]
        except DetectorError:
            raise
        except Exception as error:  # noqa: BLE001 # ends in an error of ours, always
            # A chained error would carry the library's message, and with it words of the text,
            # into every log that prints a traceback.
            raise DetectorError(f"the search failed: {_place_of(error)}") from None

    def _read(self, texts: Sequence[str]) -> tuple[list[list[Span]], list[list[Span]]]:
        """Return what the tagger finds in each text, and what the rules find."""
        if sum(map(len, texts)) <= _SHORT:
            tagged = self._tagger.find(texts)
            return tagged, [list(self._by_rules(text)) for text in texts]
        # The tagger computes outside Python's lock, so that the rules read meanwhile.
        beside = self._beside.submit(self._tagger.find, texts)
        ruled = [list(self._by_rules(text)) for text in texts]
        return beside.result(), ruled

    def _by_rules(self, text: str) -> Iterator[Span]:
        found = [*self._rules.find(text), *self._by_added(text)]
        yield from (span for span in found if span.score >= _MIN_SCORE)

    def _by_added(self, text: str) -> Iterator[Span]:
        for recogniser in self._added:
            started = (time.perf_counter(), time.thread_time())
            results = recogniser.analyze(text, recogniser.supported_entities, _NO_ARTIFACTS)
            used = max(time.perf_counter() - started[0], time.thread_time() - started[1])
            if used >= REGEX_TIMEOUT_SECONDS:
                # Presidio skips a pattern that ran out of time and only logs it: the text would
                # pass as if the pattern had found nothing.
                raise DetectorError(f"the recogniser {_name(recogniser)} ran out of time")
            yield from (_span(recogniser, result) for result in results)


def _span(recogniser: "EntityRecognizer", result: "RecognizerResult") -> Span:
    name, entity = _name(recogniser), result.entity_type
    if entity not in CATEGORY_OF:
        raise DetectorError(f"the recogniser {name} found {entity}, no known type")
    return Span(result.start, result.end, entity, CATEGORY_OF[entity], result.score, name)


def _name(recogniser: "EntityRecognizer") -> str:
    return str(recogniser.name)  # type: ignore[has-type]  # the class has no annotations


def _likely(text: str, tagged: Iterable[Span]) -> Iterator[Span]:
    for span in tagged:
        for one in _plausible(text, span):
            yield replace(one, score=min(one.score, _MOST_SURE.get(one.entity, _SUREST)))


def _plausible(text: str, span: Span) -> Iterator[Span]:
    """Yield what of the tagger's span can be of its type; a date that is none gets another type."""
    value = text[span.start : span.end]
    if span.entity == "PERSON" and (
        not _TWO_LETTERS.search(value) or text[span.end : span.end + 1] in _TRADE_MARKS
    ):
        return
    if (
        span.entity == "STREET_ADDRESS"
        and _BARE_NUMBER.fullmatch(value)
        and _before(_STANDARD, text, span.start)
    ):
        return
    if span.entity == "UNIQUE_CODE" and (
        not _CODE.fullmatch(value)
        or (_PUBLIC_FILE.fullmatch(value) and _before(_COMMISSION, text, span.start))
    ):
        return
    if span.entity == "DATE_TIME" and not is_calendar_date(value):
        yield replace(span, entity="TIME_REFERENCE")
    elif span.entity in _NAMED:
        yield from _lines(value, span)
    else:
        yield span


def _before(form: re.Pattern[str], text: str, at: int) -> bool:
    """Return whether the form stands right before the place."""
    return form.search(text, max(0, at - _BEFORE), at) is not None


def _lines(value: str, span: Span) -> Iterator[Span]:
    """Yield each line of a tagged name without the ordinary words around it.

    The tagger may run on from a signature into the next line's label.
    """
    at = span.start
    for line in value.splitlines(keepends=True):
        start, end = without_ordinary_words(line)
        if start < end:
            yield replace(span, start=at + start, end=at + end)
        at += len(line)


def _place_of(error: BaseException) -> str:
    """Return the error's class and the line it came from: all that is safe to log."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    where = f" at {last.filename.rpartition('/')[2]}:{last.lineno}" if last else ""
    return f"{type(error).__name__}{where}"
