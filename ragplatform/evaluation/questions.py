"""The file of an evaluation: one question a line, with what should be found and said.

``{"id": "q1", "question": "...", "relevant": [{"file": "a.pdf", "page": 2}], "answers": ["..."]}``
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ragplatform.errors import ConfigurationError
from ragplatform.model import Purpose


class Expected(StrEnum):
    """What should become of a question."""

    ANSWER = "answer"
    ABSTAIN = "abstain"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of evidence. It is where all that is given of it holds.

    ``file`` is the name of the source file, ``page`` counts from 1, ``start`` and ``end`` are
    offsets into the document's text, ``quote`` words that stand there. ``grade`` says how much it
    is worth.
    """

    document: str | None = None
    file: str | None = None
    page: int | None = None
    start: int | None = None
    end: int | None = None
    quote: str | None = field(default=None, repr=False)
    grade: float = 1.0


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """One question. ``person`` is who asks it, "" for whoever runs the evaluation.

    ``answers`` are different ways to say the right answer. Without ``relevant`` nothing is said of
    the ranking, without ``answers`` nothing of the words.
    """

    id: str
    question: str = field(repr=False)
    expected: Expected
    person: str
    purpose: Purpose | None
    collections: frozenset[str] | None
    relevant: tuple[Item, ...]
    answers: tuple[str, ...] = field(repr=False)


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    document: str | None = Field(None, min_length=1)
    file: str | None = Field(None, min_length=1)
    page: int | None = Field(None, ge=1)
    start: int | None = Field(None, ge=0)
    end: int | None = Field(None, ge=1)
    quote: str | None = Field(None, min_length=1)
    grade: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _names_a_place(self) -> "_Item":
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end go together")
        if self.start is not None and self.document is None and self.file is None:
            raise ValueError("offsets need document or file")
        if all(one is None for one in (self.document, self.file, self.quote)):
            raise ValueError("give document, file or quote")
        return self


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
    question: str = Field(min_length=1, max_length=4000)
    expect: Literal["answer", "abstain", "denied"] = "answer"
    person: str = Field("", alias="as")
    purpose: Purpose | None = None
    collections: list[str] | None = None
    relevant: list[_Item] = Field(default_factory=list)
    answers: list[str] = Field(default_factory=list)


def read_questions(path: Path) -> list[EvalQuestion]:
    """Return the questions of a file, in order.

    Raises ``ConfigurationError`` that names the line and the field, and never repeats a text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as UTF-8 text") from error
    found = [
        _question(path, number, line)
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]
    if not found:
        raise ConfigurationError(f"{path}: there is no question in it")
    _require_different(path, (one.id for one in found))
    return found


def _require_different(path: Path, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise ConfigurationError(f"{path}: the id {one!r} stands there twice")
        seen.add(one)


def _question(path: Path, number: int, line: str) -> EvalQuestion:
    try:
        given = _Line.model_validate(_object(line))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'line'}: {one['type']}"
            for one in error.errors()[:5]
        )
        raise ConfigurationError(f"{path}, line {number}: {wrong}") from None
    except ValueError:
        raise ConfigurationError(f"{path}, line {number}: no JSON object") from None
    return EvalQuestion(
        id=given.id,
        question=given.question,
        expected=Expected(given.expect),
        person=given.person,
        purpose=given.purpose,
        collections=None if given.collections is None else frozenset(given.collections),
        relevant=tuple(Item(**one.model_dump()) for one in given.relevant),
        answers=tuple(given.answers),
    )


def _object(line: str) -> Mapping[str, object]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004  # said of the line, not of a type of ours
    return found
