"""What an answer is made of while it streams."""

from dataclasses import dataclass, field
from typing import TypeAlias

from ragplatform.model import Answer, Citation, Labels


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage as this reader may see it; ``number`` is what ``[n]`` in the answer points at.

    ``title`` is the name of the document's file, its personal values as this reader may see them.
    The labels are what the document itself calls the pages, None where it does not.
    """

    number: int
    chunk: str
    document: str
    title: str = field(repr=False)
    text: str = field(repr=False)
    collection: str
    media_type: str
    page: int | None
    page_end: int | None
    start: int
    end: int
    heading: tuple[str, ...]
    score: float | None
    labels: Labels
    page_label: str | None = None
    page_end_label: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """The passages that the answer will draw on. Comes first."""

    passages: tuple[ShownPassage, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer's text, screened and supported."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation of the piece just sent."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Final:
    """The whole answer. Comes last, after the audit record is durable."""

    answer: Answer


AnswerEvent: TypeAlias = Sources | Delta | Cited | Final
