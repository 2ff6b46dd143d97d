"""Personal data found by Presidio with a local spaCy model, and by our own rules."""

import hashlib
import importlib.util
import logging
import re
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from typing import Any, Final

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NerModelConfiguration, NlpArtifacts, SpacyNlpEngine
from presidio_analyzer.pattern_recognizer import REGEX_TIMEOUT_SECONDS
from presidio_analyzer.predefined_recognizers import SpacyRecognizer
from spacy.tokens import Doc

from ragplatform.adapters.ordinary import (
    is_calendar_date,
    without_ordinary_words,
)
from ragplatform.adapters.overlaps import resolve
from ragplatform.adapters.rules.tier import RuleTier
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DetectorError, ModelError
from ragplatform.model import Span

# Changes whenever this adapter could find other spans for a reason that no version below tells.
_ADAPTER: Final = "2"
_LANGUAGE: Final = "en"
_MIN_SCORE: Final = 0.4
_BATCH: Final = 64
# The tagger alone reads half again as fast as with the parts that only lemmas need, and finds the
# same: it has its own embedding layer.
_UNUSED: Final = ["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
# Long texts are read in windows. Presidio's cost grows with the square of matches in one text,
# spaCy's memory with its length; the overlap is longer than any value a tagger or pattern finds.
WINDOW: Final = 5000
OVERLAP: Final = 500
# spaCy's tokeniser takes brackets and the like off a word one at a time and reads the whole word
# again after each: the square of the length, 1.6 s for a question of 4,000 brackets.
_LONGEST_WORD: Final = 256
_LONG_WORD: Final = re.compile(rf"\S{{{_LONGEST_WORD + 1},}}")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_LABELS: Final = {
    "PERSON": "PERSON",
    "NORP": "NRP",
    "FAC": "LOCATION",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
    "DATE": "DATE_TIME",
    "TIME": "DATE_TIME",
}
_IGNORED_LABELS: Final = (
    "ORG CARDINAL EVENT LANGUAGE LAW MONEY ORDINAL PERCENT PRODUCT QUANTITY WORK_OF_ART".split()
)
# What the search may take, in seconds of its own thread's processor: several times what a slow
# machine needs. Time on the clock would refuse documents whenever other work is in the way.
_BUDGET: Final = 30.0
_BUDGET_PER_CHARACTER: Final = 0.0005


class _Budget:
    """The time that one search may still use, counted from when this was made."""

    def __init__(self, seconds: float) -> None:
        self._end = time.thread_time() + seconds

    def check(self) -> None:
        """Raise ``DetectorError`` when the time is used up."""
        if time.thread_time() >= self._end:
            raise DetectorError("the search took longer than a text of this length may take")


class PresidioDetector:
    """Finds personal data in English text. Safe to use from several threads, one at a time inside.

    Nothing is downloaded: the spaCy model is an installed package.
    """

    def __init__(
        self,
        *,
        model: str,
        batch_size: int = _BATCH,
        min_score: float = _MIN_SCORE,
        budget_s: float = _BUDGET,
        budget_per_character_s: float = _BUDGET_PER_CHARACTER,
    ) -> None:
        """Load the model and the recognisers.

        One call of ``detect`` may use ``budget_s`` seconds of its thread's processor, and
        ``budget_per_character_s`` more for each character it was given.

        Raises ``ModelError`` when the model's package is not installed.
        """
        # Presidio warns at every start of languages it was not asked for.
        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        self._batch_size = batch_size
        self._min_score = min_score
        self._budget_s = budget_s
        self._budget_per_character_s = budget_per_character_s
        self._tier = RuleTier()
        self._engine = _LocalSpacy(model)
        listed = [SpacyRecognizer(supported_language=_LANGUAGE)]
        self._analyzer = AnalyzerEngine(
            registry=RecognizerRegistry(listed, supported_languages=[_LANGUAGE]),
            nlp_engine=self._engine,
            supported_languages=[_LANGUAGE],
        )
        self._lock = threading.Lock()
        self._version = _version(model, self._engine.model_version, self._tier.version, min_score)

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""
        return self._version

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order, sorted by start, none overlapping another.

        Raises ``DetectorError`` rather than return a text unsearched, or hold up all other callers
        past its budget of time, which is looked at between steps. The error's message names the
        place of the failure only: what libraries say in theirs may quote the text.
        """
        # Half of a surrogate pair is no text that libraries take; a place holder keeps offsets.
        texts = [_SURROGATES.sub("\ufffd", text) for text in texts]
        try:
            with self._lock, self._engine.memory():
                budget = _Budget(
                    self._budget_s + self._budget_per_character_s * sum(map(len, texts))
                )
                tagged = self._tagged(texts, budget)
                return [
                    resolve(text, [*spans, *self._written(text, budget)])
                    for text, spans in zip(texts, tagged, strict=True)
                ]
        except DetectorError:
            raise
        except Exception as error:  # noqa: BLE001 # ends in an error of ours, always
            # A chained error would carry the library's message, and with it words of the text,
            # into every log that prints a traceback.
            raise DetectorError(f"the search failed: {_place_of(error)}") from None

    def _tagged(self, texts: Sequence[str], budget: _Budget) -> list[list[Span]]:
        """Return what Presidio finds in each text, read window by window."""
        windows = [
            (n, start, text[start:end])
            for n, text in enumerate(texts)
            for start, end in _windows(text)
        ]
        read = self._engine.read([text for _, _, text in windows], self._batch_size)
        found: list[list[Span]] = [[] for _ in texts]
        # Strict: a window that the tagger left out must not pass as one without findings.
        for (n, offset, text), artifacts in zip(windows, read, strict=True):
            found[n] += self._analyse(text, artifacts, offset)
            budget.check()
        return found

    def _analyse(self, text: str, artifacts: NlpArtifacts, offset: int) -> list[Span]:
        started = (time.perf_counter(), time.process_time())
        results = self._analyzer.analyze(
            text,
            _LANGUAGE,
            nlp_artifacts=artifacts,
            score_threshold=self._min_score,
            return_decision_process=False,
        )
        used = max(time.perf_counter() - started[0], time.process_time() - started[1])
        if used >= REGEX_TIMEOUT_SECONDS:
            # Presidio skips a pattern that ran out of time and only logs it: the text would pass
            # as if the pattern had found nothing.
            raise DetectorError("a pattern ran out of time")
        return [span for result in results for span in _spans(text, result, offset)]

    def _written(self, text: str, budget: _Budget) -> list[Span]:
        found = self._tier.find(text)
        budget.check()
        return [span for span in found if span.score >= self._min_score]


class _LocalSpacy(SpacyNlpEngine):
    """Presidio's spaCy engine that loads an installed package, never downloads, and only tags."""

    def __init__(self, package: str) -> None:
        configuration = NerModelConfiguration(
            model_to_presidio_entity_mapping=dict(_LABELS), labels_to_ignore=_IGNORED_LABELS
        )
        super().__init__(
            models=[{"lang_code": _LANGUAGE, "model_name": package}],
            ner_model_configuration=configuration,
        )
        if importlib.util.find_spec(package) is None:
            raise ModelError(
                f"the spaCy model {package!r} is not installed; install its package "
                f"(`pip install {package.replace('_', '-')}`) or name another by spacy_model"
            )
        self._tagger: Any = spacy.load(package, exclude=_UNUSED)
        self.model_version = str(self._tagger.meta["version"])
        self.nlp: Any = {_LANGUAGE: self._tagger}

    def memory(self) -> AbstractContextManager[object]:
        """Return a context in which what was read is forgotten at the end.

        Outside of one, the vocabulary keeps every word of every text as long as the process lives.
        """
        zone: AbstractContextManager[object] = self._tagger.memory_zone()
        return zone

    def read(self, texts: Sequence[str], batch_size: int) -> Iterator[NlpArtifacts]:
        """Yield what the tagger finds in each text, in order."""
        docs = (self._tokenised(text) for text in texts)
        for doc in self._tagger.pipe(docs, batch_size=batch_size):
            yield self._doc_to_nlp_artifact(doc, _LANGUAGE)

    def _tokenised(self, text: str) -> Any:
        """Return the text's tokens, none of them reaching over a cut in an endless word."""
        parts = [self._tagger.make_doc(part) for part in _cut_in_long_words(text)]
        return parts[0] if len(parts) == 1 else Doc.from_docs(parts, ensure_whitespace=False)

    def load(self) -> None:
        """Do nothing: the model was loaded from its package."""

    def _doc_to_nlp_artifact(self, doc: Any, language: str) -> NlpArtifacts:
        # The lists of lemmas and keywords serve only the context words, which we look up in the
        # text itself; making them took a fifth of the time.
        entities, scores = self._get_updated_entities(
            list(doc.ents), self._get_scores_for_entities(doc)
        )
        return NlpArtifacts(entities, doc, [], [], None, language, scores)


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """Yield the windows in which a text is read: whole words, each overlapping the one before."""
    start = 0
    while start + WINDOW < len(text):
        end = _space_before(text, start + WINDOW, start + WINDOW - OVERLAP)
        yield start, end
        start = _space_before(text, end - OVERLAP, end - 2 * OVERLAP)
    if start < len(text):
        yield start, len(text)


def _cut_in_long_words(text: str) -> list[str]:
    """Return the text in parts, cut only inside words that are longer than any real one."""
    cuts = [
        at
        for word in _LONG_WORD.finditer(text)
        for at in range(word.start() + _LONGEST_WORD, word.end(), _LONGEST_WORD)
    ]
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]


def _space_before(text: str, at: int, lowest: int) -> int:
    """Return the last place from ``lowest`` to ``at`` behind a space, or ``at`` in a long word."""
    for place in range(at, lowest, -1):
        if text[place - 1].isspace():
            return place
    return at


def _spans(text: str, result: RecognizerResult, offset: int) -> Iterator[Span]:
    """Yield the result as spans of our types; nothing when it is not personal data after all."""
    entity = result.entity_type
    metadata = result.recognition_metadata
    source = metadata[RecognizerResult.RECOGNIZER_NAME_KEY]
    whole = Span(result.start, result.end, entity, CATEGORY_OF[entity], result.score, source)
    for span in _plausible(text, whole):
        yield replace(span, start=span.start + offset, end=span.end + offset)


def _plausible(text: str, span: Span) -> Iterable[Span]:
    value = text[span.start : span.end]
    if span.entity == "DATE_TIME" and not is_calendar_date(value):
        return ()
    if span.source != "SpacyRecognizer" or span.entity not in {"PERSON", "LOCATION", "NRP"}:
        return (span,)
    return _lines(value, span)


def _lines(value: str, span: Span) -> Iterator[Span]:
    """Yield each line of a tagged name without the ordinary words around it.

    The tagger often runs on from a signature into the next line's label.
    """
    at = span.start
    for line in value.splitlines(keepends=True):
        start, end = without_ordinary_words(line)
        if start < end:
            yield replace(span, start=at + start, end=at + end)
        at += len(line)


def _version(model: str, model_version: str, rules_version: str, min_score: float) -> str:
    parts = [_ADAPTER, version("presidio-analyzer"), version("spacy"), model, model_version]
    parts += [rules_version, str(min_score)]
    return "presidio-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _place_of(error: BaseException) -> str:
    """Return the error's class and the line it came from: all that is safe to log."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    where = f" at {last.filename.rpartition('/')[2]}:{last.lineno}" if last else ""
    return f"{type(error).__name__}{where}"
