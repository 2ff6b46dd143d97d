"""What goes over the wire. Bounds are here; meaning is in the core."""

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ragplatform.answer.events import ShownPassage
from ragplatform.answer.retrieve import LONGEST_QUESTION
from ragplatform.model import (
    Answer,
    AnswerMode,
    AnswerSentence,
    Category,
    Citation,
    Labels,
    Mode,
    Narrow,
    Purpose,
    Sensitivity,
    SentenceKind,
)
from ragplatform.redaction import Finding, Redacted
from ragplatform.reports import organisation_key, symbol

HALF_PAIR: Final = re.compile("[\ud800-\udfff]")

Collection = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class Body(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt filter is not ignored."""

    model_config = ConfigDict(extra="forbid")


History = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION)]],
    Field(
        max_length=20,
        description="Your earlier questions of this conversation, oldest first: they help to "
        "understand this one, and are read with the rights of now.",
    ),
]


Words = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=50)
]


class Filters(Body):
    """What to keep a search to. All conditions hold, each by one of its values.

    They only ever take away from what you may read. A passage of which a fact is not known fits no
    condition on that fact.
    """

    documents: Words | None = Field(None, description="Ids of documents, as sources give them.")
    media_types: Words | None = Field(None, examples=[["application/pdf"]])
    subjects: Words | None = Field(
        None, description="Ids of patients or clients, as the source gives them."
    )
    types: Words | None = Field(
        None, description="What the document is.", examples=[["10-k", "annual-report"]]
    )
    organisations: Words | None = Field(
        None, description="Whose document it is, by name or ticker symbol."
    )
    years: list[Annotated[int, Field(ge=1900, le=2199)]] | None = Field(
        None, min_length=1, max_length=50, description="(Fiscal) years that it reports."
    )
    quarters: list[Annotated[str, Field(pattern=r"^\d{4}-[qQ][1-4]$")]] | None = Field(
        None, min_length=1, max_length=50, examples=[["2023-q2"]]
    )
    parts: Words | None = Field(
        None, description="Parts of a report.", examples=[["balance-sheet", "cash-flow"]]
    )
    dated_from: date | None = Field(None, description="Earliest day of the document's own date.")
    dated_to: date | None = Field(None, description="Latest day, included.")

    def narrow(self, subject_ref: Callable[[str], str]) -> Narrow | None:
        """Return the conditions, ``subjects`` by their keyed references; None without any."""
        if not self.model_fields_set or all(value is None for _, value in self):
            return None
        return Narrow(
            documents=_set(self.documents),
            media_types=_lower(self.media_types),
            subjects=None if self.subjects is None else frozenset(map(subject_ref, self.subjects)),
            kinds=_lower(self.types),
            organisations=_names(self.organisations),
            years=None if self.years is None else frozenset(map(str, self.years)),
            quarters=_lower(self.quarters),
            parts=_lower(self.parts),
            earliest=None if self.dated_from is None else self.dated_from.isoformat(),
            latest=None if self.dated_to is None else self.dated_to.isoformat(),
        )


def _set(values: Sequence[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _names(values: Sequence[str] | None) -> frozenset[str] | None:
    """Return names as documents are found by them; each may be a symbol as well."""
    if values is None:
        return None
    return frozenset(key for value in values for key in (organisation_key(value), symbol(value)))


def _lower(values: Sequence[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(value.lower() for value in values)


class Asking(Body):
    """What every question of ours says."""

    question: str = Field(
        min_length=1, max_length=LONGEST_QUESTION, examples=["Why was apixaban stopped?"]
    )
    purpose: Purpose = Field(description="Why you ask; policy decides whether you may.")
    collections: list[Collection] | None = Field(
        None, max_length=50, description="Search only these; default: all that you may read."
    )
    history: History = Field(default_factory=list)
    filters: Filters | None = Field(
        None, description="Keep the search to passages of these documents, types, dates and so on."
    )


class SearchBody(Asking):
    """A search for passages."""

    limit: int = Field(10, ge=1, le=50, description="Most passages to return.")


class ModeBody(Asking):
    """A question to be answered in one piece."""

    mode: Literal["extractive", "abstractive"] | None = Field(
        None, description="How to make the answer; default: the deployment's setting."
    )


class AskBody(ModeBody):
    """A question to be answered."""

    stream: bool = Field(False, description="Send server-sent events instead of one JSON document.")


class SourceLabels(BaseModel):
    """What policy goes by for a document that you may read."""

    sensitivity: str
    department: str
    categories: list[Category] = Field(description="Legal kinds of the personal data in it.")
    restrictions: list[str]
    state: str

    @classmethod
    def of(cls, labels: Labels) -> "SourceLabels":
        """Return the labels for the wire."""
        return cls(
            sensitivity=Sensitivity(labels.sensitivity).name.lower(),
            department=labels.department,
            categories=sorted(labels.categories),
            restrictions=sorted(labels.restrictions),
            state=labels.state,
        )


class Source(BaseModel):
    """One passage as you may see it. Offsets count characters of the document's text."""

    number: int
    chunk: str
    document: str
    title: str = Field(description="Name of the document's file.")
    text: str
    collection: str
    media_type: str
    page: int | None = Field(description="First page, from 1; null where there are no pages.")
    page_end: int | None
    page_label: str | None = Field(
        description="What the document itself calls its first page, as `iv` or `F-12`; null where "
        "it calls it nothing, or something that may hold more than a page's number."
    )
    page_end_label: str | None
    start: int
    end: int
    heading: list[str]
    score: float | None = Field(description="Rank score; compares only within one response.")
    labels: SourceLabels

    @classmethod
    def of(cls, shown: ShownPassage) -> "Source":
        """Return the passage for the wire."""
        return cls(
            number=shown.number,
            chunk=shown.chunk,
            document=shown.document,
            title=shown.title,
            text=shown.text,
            collection=shown.collection,
            media_type=shown.media_type,
            page=shown.page,
            page_end=shown.page_end,
            page_label=shown.page_label,
            page_end_label=shown.page_end_label,
            start=shown.start,
            end=shown.end,
            heading=list(shown.heading),
            score=shown.score,
            labels=SourceLabels.of(shown.labels),
        )


class CitationOut(BaseModel):
    """Where a sentence's evidence stands; ``number`` is the ``[n]`` in the text."""

    number: int
    chunk: str
    document: str
    title: str
    page: int | None
    page_label: str | None = Field(description="What the document itself calls the page, or null.")
    start: int
    end: int
    quote: str

    @classmethod
    def of(cls, citation: Citation) -> "CitationOut":
        """Return the citation for the wire."""
        return cls(
            number=citation.number,
            chunk=citation.chunk,
            document=citation.document,
            title=citation.title,
            page=citation.page,
            page_label=citation.page_label,
            start=citation.start,
            end=citation.end,
            quote=citation.quote,
        )


class SentenceOut(BaseModel):
    """One sentence of the answer, the passages it cites, and how far they support it."""

    text: str
    kind: SentenceKind = Field(
        description="quoted: stands so in its passage. supported: the model's, and its passage "
        "says it. unsupported: the model's, and no passage says it. conflict: a passage that "
        "contradicts the answer. gap: what no passage answers. refusal: no answer."
    )
    citations: list[int] = Field(description="Numbers of the passages that it cites.")
    coverage: float | None = Field(
        description="Share of its content words that its evidence holds; null for quotes."
    )
    failed: str | None = Field(description="Which check found no support, or null.")

    @classmethod
    def of(cls, sentence: AnswerSentence) -> "SentenceOut":
        """Return the sentence for the wire."""
        coverage = None if sentence.coverage is None else round(sentence.coverage, 3)
        return cls(
            text=sentence.text,
            kind=sentence.kind,
            citations=list(sentence.citations),
            coverage=coverage,
            failed=sentence.failed,
        )


class AnswerOut(BaseModel):
    """An answer. ``refusal`` is null, or the reason why the text holds no answer."""

    request_id: str
    answer: str
    mode: AnswerMode
    refusal: str | None
    citations: list[CitationOut]
    sentences: list[SentenceOut] = Field(description="The answer taken apart, in order.")
    passages: list[str] = Field(description="Chunks before the answer, by number.")
    model: str = Field(description="The model that wrote or joined; empty when none was needed.")
    model_digest: str = Field(description="Digest of its pinned files, or empty.")
    adapter: str = Field(description="The adapter on the model; empty without one.")
    adapter_digest: str
    policy_digest: str = Field(description="Digest of the policies that decided what was read.")
    question: str = Field(
        description="What was searched by, where earlier questions completed yours; else empty."
    )
    dropped_sentences: int = Field(description="Sentences of the model that no passage supports.")
    redactions: dict[str, int] = Field(description="Values masked in the answer, by type.")

    @classmethod
    def of(cls, answer: Answer) -> "AnswerOut":
        """Return the answer for the wire."""
        return cls(
            request_id=answer.request_id,
            answer=answer.text,
            mode=answer.mode,
            refusal=answer.refusal,
            citations=[CitationOut.of(citation) for citation in answer.citations],
            sentences=[SentenceOut.of(sentence) for sentence in answer.sentences],
            passages=list(answer.passages),
            model=answer.model,
            model_digest=answer.weights.digest,
            adapter=answer.weights.adapter,
            adapter_digest=answer.weights.adapter_digest,
            policy_digest=answer.policy_digest,
            question=answer.question,
            dropped_sentences=answer.dropped_sentences,
            redactions=dict(answer.redactions),
        )


class AskOut(AnswerOut):
    """An answer with its sources."""

    sources: list[Source]

    @classmethod
    def whole(cls, answer: Answer, passages: Sequence[ShownPassage]) -> "AskOut":
        """Return the answer and its sources for the wire."""
        own = AnswerOut.of(answer)
        told = {name: getattr(own, name) for name in AnswerOut.model_fields}
        return cls(**told, sources=[Source.of(passage) for passage in passages])


class SearchOut(BaseModel):
    """Passages, best first."""

    request_id: str
    results: list[Source]


class TextsBody(Body):
    """Texts that the caller brings: one as ``text``, or several as ``texts``."""

    text: str | None = Field(None, examples=["Call Maria Lopez on 617-555-0123."])
    texts: list[str] | None = Field(None, min_length=1, max_length=1000)
    purpose: Purpose = Field(description="Why you ask; policy decides whether you may.")
    collection: Collection | None = Field(
        None, description="Apply the rules of this collection; default: the general ones."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "TextsBody":
        if (self.text is None) == (self.texts is None):
            raise ValueError("give text or texts")
        if any(HALF_PAIR.search(text) for text in self.given):
            # It has no UTF-8 form, so a redacted text could not be sent back.
            raise ValueError("half a pair of surrogates is no text")
        return self

    @property
    def given(self) -> Sequence[str]:
        """The texts, in order."""
        return [self.text] if self.text is not None else self.texts or []


class AnalyzeBody(TextsBody):
    """A search for personal data."""

    language: Literal["de", "en", "es", "fr"] | None = Field(
        None,
        description="What the texts are written in. All of these are searched for whatever you "
        "say; a language that would not be is refused.",
    )
    min_score: float | None = Field(
        None, ge=0, le=1, description="Report from this score on; default: the rules' thresholds."
    )


class RedactBody(TextsBody):
    """Texts to be returned without personal data."""

    mode: Literal["mask", "policy"] = Field(
        "mask",
        description="mask: `[TYPE]` for every value; policy: what the deployment's rules say for "
        "the collection.",
    )


class SpanOut(BaseModel):
    """One piece of personal data; offsets count code points of its text, half-open."""

    start: int
    end: int
    type: str
    category: Category
    score: float
    recogniser: str = Field(description="What found it.")
    mode: Mode = Field(description="What the rules do with it when it reaches their threshold.")

    @classmethod
    def of(cls, finding: Finding) -> "SpanOut":
        """Return the finding for the wire, without its value."""
        span = finding.span
        return cls(
            start=span.start,
            end=span.end,
            type=span.entity,
            category=span.category,
            score=round(span.score, 4),
            recogniser=span.source,
            mode=finding.verdict.mode,
        )


class AnalyzedText(BaseModel):
    """What was found in one text: sorted, none overlapping another."""

    spans: list[SpanOut]


class AnalyzeOut(BaseModel):
    """One result for each text, in order. The texts are not repeated."""

    request_id: str
    results: list[AnalyzedText]


class RedactedText(BaseModel):
    """One text without personal data."""

    text: str | None = Field(description="Null when a rule keeps such a text out altogether.")
    replaced: dict[str, int] = Field(description="Values that went, by type.")
    kept: dict[str, int] = Field(description="Values left in clear by mode `tag`, by type.")
    quarantine: str | None = Field(description="Why there is no text.")

    @classmethod
    def of(cls, redacted: Redacted) -> "RedactedText":
        """Return the text for the wire."""
        return cls(
            text=redacted.text,
            replaced=dict(redacted.replaced),
            kept=dict(redacted.kept),
            quarantine=redacted.quarantine,
        )


class RedactOut(BaseModel):
    """One result for each text, in order."""

    request_id: str
    results: list[RedactedText]


class WhoOut(BaseModel):
    """Who you are to the platform, and for which purposes you may ask."""

    id: str
    name: str
    tenant: str
    roles: list[str]
    departments: list[str]
    clearance: str
    related_subjects: int
    purposes: list[Purpose]
    reviewer: bool = Field(description="Whether you may read the audit log.")


class Health(BaseModel):
    """The state of each part: ``ok``, or a word that says what is wrong."""

    status: Literal["ok", "degraded", "unavailable"]
    parts: dict[str, str] = Field(default_factory=dict)
    dark_tenant_logs: int = Field(
        0, description="Tenants whose audit log takes no records, so that they get no answers."
    )
