"""Our tagger in Presidio's shape, for who already runs an ``AnalyzerEngine``.

    listed = [TaggerRecogniser(tagger), *rules.recognisers.recognisers("en")]
    AnalyzerEngine(registry=RecognizerRegistry(listed), nlp_engine=PlainEngine())

The platform itself calls its parts without that engine between them: it compares all results of a
text with each other, which grows with their square.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import spacy
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from ragplatform.adapters.tagger import Tagger
from ragplatform.entities import TAGGER


class TaggerRecogniser(EntityRecognizer):
    """Finds what the tagger finds, in texts of any length."""

    def __init__(self, tagger: Tagger, supported_language: str = "en") -> None:
        self._tagger = tagger
        super().__init__(
            supported_entities=sorted(tagger.entities),
            name=TAGGER,
            supported_language=supported_language,
            version=tagger.version,
        )

    def load(self) -> None:
        """Do nothing: the tagger is loaded."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return what the tagger finds, of the types asked for."""
        return [
            RecognizerResult(span.entity, span.start, span.end, span.score)
            for span in self._tagger.find([text])[0]
            if span.entity in entities
        ]


class PlainEngine(NlpEngine):
    """Presidio's NLP engine without a model: it cuts texts into words and names nothing.

    Recognisers with context words find them as they are written, not by their lemmas.
    """

    def __init__(self, language: str = "en") -> None:
        self._language = language
        self._words = spacy.blank(language)

    def load(self) -> None:
        """Do nothing: there is no model, and none is downloaded."""

    def is_loaded(self) -> bool:
        """Return True."""
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Return the words of the text."""
        doc = self._words.make_doc(text)
        return NlpArtifacts(
            entities=[],
            tokens=doc,
            tokens_indices=[token.idx for token in doc],
            lemmas=[token.lower_ for token in doc],
            nlp_engine=self,
            language=language,
        )

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        batch_size: int = 1,
        n_process: int = 1,
        **_ignored: Any,
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """Yield each text with its words."""
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word: str, language: str) -> bool:
        """Return whether the word says little by itself, such as "the"."""
        return word in self._words.Defaults.stop_words

    def is_punct(self, word: str, language: str) -> bool:
        """Return whether the word holds neither a letter nor a digit."""
        return not any(char.isalnum() for char in word)

    def get_supported_entities(self) -> list[str]:
        """Return nothing: entities come from recognisers."""
        return []

    def get_supported_languages(self) -> list[str]:
        """Return the one language that this engine was made for."""
        return [self._language]
