"""Our recognisers in Presidio's shape: the written forms, and phone numbers found faster."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from ragplatform.adapters.forms import FORMS, LIKELY, Form

_FORMS: Final = "forms"
# Seven digits with at most four other characters between two of them, and what may lead them.
_PHONE_LIKE: Final = re.compile(r"[+＋(\[]{0,3}\d(?:[^\d\n]{0,4}\d){6,24}")
# The matcher looks at the characters beside a number, and for an extension behind it.
_BEFORE: Final = 4
_BEHIND: Final = 14


def find_forms(text: str, forms: Sequence[Form] = FORMS) -> Iterator[tuple[int, int, str, Form]]:
    """Yield start, end and type of every written form in the text, which may overlap."""
    for form in forms:
        for found in form.pattern.finditer(text):
            start, end = found.span("v") if "v" in form.pattern.groupindex else found.span()
            if start < 0 or start == end:
                continue
            if form.check is None or form.check(text[start:end]):
                yield start, end, form.entity, form
            elif form.otherwise:
                yield start, end, form.otherwise, form


class FormRecogniser(EntityRecognizer):
    """Finds identifiers by their written form; works on whole texts of any length."""

    def __init__(self, forms: Sequence[Form] = FORMS, supported_language: str = "en") -> None:
        self._forms = forms
        entities = {form.entity for form in forms} | {f.otherwise for f in forms if f.otherwise}
        super().__init__(
            supported_entities=sorted(entities),
            name=_FORMS,
            supported_language=supported_language,
        )

    def load(self) -> None:
        """Do nothing: the forms are compiled already."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return what the forms find, of the types asked for."""
        wanted = set(entities)
        return [
            self._result(start, end, entity, form)
            for start, end, entity, form in find_forms(text, self._forms)
            if entity in wanted
        ]

    def _result(self, start: int, end: int, entity: str, form: Form) -> RecognizerResult:
        score = form.score if entity == form.entity else LIKELY
        return RecognizerResult(
            entity_type=entity,
            start=start,
            end=end,
            score=score,
            analysis_explanation=AnalysisExplanation(_FORMS, score, form.name),
            recognition_metadata={
                RecognizerResult.RECOGNIZER_NAME_KEY: form.name,
                RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
            },
        )


class PhoneRecogniser(PhoneRecognizer):
    """Presidio's phone recogniser, run only where enough digits stand together.

    The original reads each text eight times, once a region, and takes more than half of what all
    patterns cost. Its candidates all need seven digits close together, so nothing is lost.
    """

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return the phone numbers of the text."""
        results: list[RecognizerResult] = []
        for start, end in _digit_runs(text):
            for result in super().analyze(text[start:end], entities):
                result.start += start
                result.end += start
                results.append(result)
        return results


def _digit_runs(text: str) -> Iterator[tuple[int, int]]:
    held: tuple[int, int] | None = None
    for found in _PHONE_LIKE.finditer(text):
        start = max(0, found.start() - _BEFORE)
        end = min(len(text), found.end() + _BEHIND)
        if held and start < held[1]:
            held = (held[0], end)
            continue
        if held:
            yield held
        held = (start, end)
    if held:
        yield held
