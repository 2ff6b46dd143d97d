"""Our tagger and rules in Presidio's shape, for who already runs an ``AnalyzerEngine``.

    engine = TaggerEngine(tagger)
    listed = [TaggerRecogniser(engine), *rules.recognisers.recognisers("en")]
    AnalyzerEngine(registry=RecognizerRegistry(listed), nlp_engine=engine)

The platform itself calls the parts without Presidio's engine between them: that compares all
results of a text with each other, which grows with their square.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from ragplatform.adapters.tagger import NAME, Tagger
from ragplatform.model import Span


class TaggerEngine(NlpEngine):  # type: ignore[misc]  # presidio_analyzer has no types
    """Presidio's NLP engine with our tagger in it: no spaCy model, nothing downloaded.

    There are no lemmas, so Presidio's own context words do not raise scores.
    """

    def __init__(self, tagger: Tagger, language: str = "en") -> None:
        self._tagger = tagger
        self._language = language

    def load(self) -> None:
        """Do nothing: the tagger is loaded."""

    def is_loaded(self) -> bool:
        """Return True."""
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Return what the tagger finds, as the artifacts' entities."""
        return self._artifacts(self._tagger.find([text])[0], language)

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        batch_size: int = 1,
        n_process: int = 1,
        **_ignored: Any,
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """Yield each text with what the tagger finds in it."""
        listed = list(texts)
        for text, spans in zip(listed, self._tagger.find(listed), strict=True):
            yield text, self._artifacts(spans, language)

    def is_stopword(self, word: str, language: str) -> bool:
        """Return False: no context words are looked up here."""
        return False

    def is_punct(self, word: str, language: str) -> bool:
        """Return whether the word holds neither a letter nor a digit."""
        return not any(char.isalnum() for char in word)

    def get_supported_entities(self) -> list[str]:
        """Return the types that the tagger finds."""
        return sorted(self._tagger.entities)

    def get_supported_languages(self) -> list[str]:
        """Return the one language that this engine was made for."""
        return [self._language]

    def _artifacts(self, spans: list[Span], language: str) -> NlpArtifacts:
        scores = [span.score for span in spans]
        return NlpArtifacts(spans, [], [], [], self, language, scores)


class TaggerRecogniser(EntityRecognizer):  # type: ignore[misc]  # presidio_analyzer has no types
    """Hands on what the tagger found, in an analyzer whose engine is a ``TaggerEngine``."""

    def __init__(self, engine: TaggerEngine, supported_language: str = "en") -> None:
        super().__init__(
            supported_entities=engine.get_supported_entities(),
            name=NAME,
            supported_language=supported_language,
        )

    def load(self) -> None:
        """Do nothing: the engine has the tagger."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts
    ) -> list[RecognizerResult]:
        """Return what the tagger found, of the types asked for."""
        return [
            RecognizerResult(span.entity, span.start, span.end, span.score)
            for span in nlp_artifacts.entities
            if span.entity in entities
        ]
