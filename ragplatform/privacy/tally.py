"""What became of personal data, read from the passages of an index themselves.

Masks, pseudonyms and tagged values are marked in stored text. Values that were dropped, shifted or
made coarser leave no mark and cannot be counted here.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ragplatform.model import Mode, Passage
from ragplatform.privacy import tokens

_YEAR: Final = re.compile(r"(?<!\d)(?:18|19|20)\d{2}(?!\d)")
_AGE: Final = re.compile(r"(?<!\d)\d{1,3}(?!\d)")
_ZIP3: Final = re.compile(r"(?<!\d)\d{3}(?=\d{2}|\*\*)")
_FEMALE: Final = re.compile(r"\b(?:she|her|hers|female|woman|girl|mrs|ms)\b", re.I)
_MALE: Final = re.compile(r"\b(?:he|him|his|male|man|boy|mr)\b", re.I)
_BAND: Final = 10


@dataclass(frozen=True, slots=True)
class Quasi:
    """What is left in clear of a document that fits few people together with other things.

    ``places`` are the first three digits of ZIP codes, ``ages`` bands of ten years or years of
    birth, ``sex`` what most words of the text say, ``year`` the latest of a date. Each is empty
    where the text has none in clear.
    """

    places: tuple[str, ...]
    ages: tuple[str, ...]
    sex: str
    year: str


@dataclass(frozen=True, slots=True)
class DocumentTally:
    """One document: how often each type was treated in each way, and what it shows together."""

    marks: Mapping[tuple[str, Mode], int]
    quasi: Quasi
    passages: int


@dataclass(slots=True)
class Tally:
    """The documents of one collection, added one by one."""

    documents: int = 0
    passages: int = 0
    marks: Counter[tuple[str, Mode]] = field(default_factory=Counter)
    classes: Counter[Quasi] = field(default_factory=Counter)

    def add(self, document: DocumentTally) -> None:
        """Count one document."""
        self.documents += 1
        self.passages += document.passages
        self.marks.update(document.marks)
        self.classes[document.quasi] += 1

    @property
    def k(self) -> int:
        """The fewest documents that show the same quasi-identifiers; 0 without documents.

        Source: Sweeney, "k-anonymity: a model for protecting privacy", 2002, section 3, with a
        document for a row.
        """
        return min(self.classes.values(), default=0)

    def documents_in_classes(self, fewest: int, most: int | None) -> int:
        """Return how many documents share their quasi-identifiers in classes of such a size."""
        return sum(
            size
            for size in self.classes.values()
            if size >= fewest and (most is None or size <= most)
        )


def tally_document(passages: Iterable[Passage]) -> DocumentTally:
    """Return the tally of one document from all passages of one generation, in any order.

    Passages overlap: what stands in two of them is counted once, by its place in the document.
    """
    marks: set[tuple[int, str, Mode]] = set()
    in_clear: dict[str, set[str]] = {}
    sexes: Counter[str] = Counter()
    count = 0
    for passage in passages:
        count += 1
        for offset, entity, mode, value in _marks(passage):
            marks.add((passage.chunk.start + offset, entity, mode))
            if mode is Mode.TAG:
                in_clear.setdefault(entity, set()).add(value)
        sexes["female"] += len(_FEMALE.findall(passage.chunk.text))
        sexes["male"] += len(_MALE.findall(passage.chunk.text))
    return DocumentTally(
        marks=Counter((entity, mode) for _, entity, mode in marks),
        quasi=_quasi(in_clear, sexes),
        passages=count,
    )


def _marks(passage: Passage) -> Iterator[tuple[int, str, Mode, str]]:
    text = passage.chunk.text
    for found in tokens.look_alikes(text):
        mode = Mode.PSEUDONYMISE if tokens.TOKEN.fullmatch(found[0]) else Mode.MASK
        yield found.start(), found[1], mode, ""
    for span in passage.chunk.spans:
        yield span.start, span.entity, Mode.TAG, text[span.start : span.end]


def _quasi(in_clear: Mapping[str, set[str]], sexes: Counter[str]) -> Quasi:
    def read(form: re.Pattern[str], *entities: str) -> set[str]:
        values = (value for entity in entities for value in in_clear.get(entity, ()))
        return {part for value in values for part in form.findall(value)}

    births = read(_YEAR, "DATE_OF_BIRTH")
    bands = {_band(int(age)) for age in read(_AGE, "AGE", "AGE_OVER_89")}
    years = read(_YEAR, "DATE_TIME", "DATE_OF_BIRTH")
    female, male = sexes["female"], sexes["male"]
    return Quasi(
        places=tuple(sorted(read(_ZIP3, "ZIP_CODE"))),
        ages=tuple(sorted(births | bands)),
        sex="" if female == male else ("female" if female > male else "male"),
        year=max(years, default=""),
    )


def _band(age: int) -> str:
    low = age - age % _BAND
    return f"{low}-{low + _BAND - 1}"
