"""A detector of regular expressions: deterministic, fast, and honest about the port's promises."""

import re
from collections.abc import Iterator, Sequence

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DetectorError
from ragplatform.model import Span

KNOWN_NAMES = ("Maria Lopez", "John Smith", "Okafor", "Anna Müller")

_FORMS = {
    "EMAIL_ADDRESS": re.compile(r"\b[\w.+-]{1,40}@[\w-]{1,40}\.[a-z]{2,10}\b"),
    "US_SSN": re.compile(r"\b\d{3}-\d{2}-\d{4}\b"),
    "PHONE_NUMBER": re.compile(r"\(?\b\d{3}\)?[- ]\d{3}-\d{4}\b"),
    "MEDICAL_RECORD_NUMBER": re.compile(r"(?<=MRN )\d{6,8}\b"),
    "PERSON": re.compile(rf"\b(?:{'|'.join(KNOWN_NAMES)})\b"),
}


class RegexDetector:
    """Finds SSNs, e-mail addresses, phone numbers, MRNs and a few known names."""

    version = "regex-1"

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        return [list(self._spans(text)) for text in texts]

    def _spans(self, text: str) -> Iterator[Span]:
        found = sorted(
            (match.start(), -match.end(), entity)
            for entity, form in _FORMS.items()
            for match in form.finditer(text)
        )
        done = 0
        for start, minus_end, entity in found:
            if start >= done:
                done = -minus_end
                yield Span(start, done, entity, CATEGORY_OF[entity], 0.9, "regex")


class FailingDetector:
    """Fails from the ``after``-th call on."""

    version = "failing"

    def __init__(self, after: int = 0) -> None:
        self._left = after
        self._inner = RegexDetector()

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        if self._left <= 0:
            raise DetectorError("the fake fails as told")
        self._left -= 1
        return self._inner.detect(texts)
