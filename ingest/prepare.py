"""From one file's bytes to passages that may be embedded: parse, find, decide, transform, chunk."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias

from ingest import titles
from ingest.by_hand import put_on_again
from ingest.chunk import Piece, chunk
from ingest.claims import labelled
from ingest.facts import document_facts, of_part
from ingest.parse.document import Claims, PageBreak, ParsedDocument, Part
from ingest.parse.unpack import Allowance, Opened
from ingest.report import Tally
from ingest.work import Target, Work, given_labels
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import QuarantinedError
from ragplatform.model import Chunk, Facts, Labels, Passage, Span, chunk_id
from ragplatform.policy.classes import access_class, validate_labels
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.privacy.gate import Treatment
from ragplatform.privacy.orders import KEYWORD, gives_orders
from ragplatform.privacy.transform import Transformed

Found: TypeAlias = list[Span]
# The catalog's column.
_LONGEST_KIND: Final = 64
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


class Parser(Protocol):
    """Turns bytes into text, somewhere they can do no harm."""

    @property
    def version(self) -> str:
        """A word that changes whenever the same bytes could give another text."""

    @property
    def walls(self) -> str:
        """Which walls stood around what was parsed last, in words; "" where there are none."""

    def parse(self, data: bytes, name: str) -> ParsedDocument:
        """Return the document. Raises ``QuarantinedError`` with a reason."""

    def split(self, data: bytes, name: str) -> tuple[Part, ...]:
        """Return each subject's share of a file about several. Raises ``QuarantinedError``."""

    def unpack(self, data: bytes, name: str, allowance: Allowance) -> Opened:
        """Return the documents that lie in it. Raises ``QuarantinedError`` with a reason."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One file's text, with the labels that its own fields add."""

    work: Work
    document: ParsedDocument = field(repr=False)

    @property
    def texts(self) -> tuple[str, str, str]:
        """What is to be searched for personal data: the text, the file's name, the name spoken."""
        name = self.work.source.path.name
        return self.document.text, name, titles.spoken(name)


@dataclass(frozen=True, slots=True)
class Ready:
    """One file's passages, transformed and chunked; what is left is to embed and to write.

    ``transformed`` are its text and its name, whose values the vault will keep. ``work`` holds the
    file's bytes no more. ``waived`` are the reasons that would have kept it out, had people not
    decided otherwise.
    """

    work: Work
    media_type: str
    title: str = field(repr=False)
    transformed: tuple[Transformed, Transformed] = field(repr=False)
    labels: Labels
    passages: tuple[Passage, ...]
    waived: frozenset[str] = frozenset()
    dated: str = ""
    """The day that the document gives of itself, or ""."""
    kind: str = ""
    """What the document says that it is, in lower case, or ""."""
    orders: int = 0
    """How many of the passages speak to a model (see ``privacy.orders``)."""


class Preparer:
    """Takes files through the gates that need nothing but the file."""

    def __init__(
        self,
        *,
        target: Target,
        parser: Parser,
        privacy: Treatment,
        policies: Policies,
        largest_file: int,
    ) -> None:
        self._target = target
        self._parser = parser
        self._privacy = privacy
        self._policies = policies
        self._largest_file = largest_file

    def _claimed(self, work: Work, claims: Claims) -> Work:
        """Return the work with the labels that its document's own fields add to the given ones."""
        given = labelled(work.source.labels, claims)
        if given == work.source.labels:
            return work
        source = replace(work.source, labels=given)
        labels = given_labels(self._target, given)
        validate_labels(labels)
        tenant = self._target.principal.tenant
        subjects = frozenset(self._privacy.subject_ref(tenant, raw) for raw in given.subjects)
        return replace(work, source=source, labels=labels, subjects=subjects)

    def parse(self, work: Work, tally: Tally) -> Parsed:
        """Return the file's text. Raises ``QuarantinedError`` when it has none that may be read."""
        if work.source.refused:
            why = "what it lies in keeps this out of reach"
            raise QuarantinedError(work.source.refused, why)
        if work.data is None:
            raise QuarantinedError("too_large", f"the file has over {self._largest_file:,} bytes")
        with tally.stage("parse"):
            parsed = self._parser.parse(work.data, work.source.path.name)
        tally.walls.add(self._parser.walls)
        tally.characters += len(parsed.text)
        work = self._claimed(work, parsed.claims)
        # Not part of the generation: other labels alone must not embed a document anew.
        work = replace(work, labels=put_on_again(work.labels, work.by_hand))
        source = replace(work.source, content=None)
        return Parsed(replace(work, source=source, data=None), parsed)

    def inspect(self, parsed: Sequence[Parsed], tally: Tally) -> list[tuple[Found, Found, Found]]:
        """Return the personal data in the three texts of each, searched all at once.

        Raises ``DetectorError`` when they could not be searched.
        """
        with tally.stage("detect"):
            found = iter(self._privacy.inspect([text for one in parsed for text in one.texts]))
        return [(next(found), next(found), next(found)) for _ in parsed]

    def finish(self, parsed: Parsed, found: tuple[Found, Found, Found], tally: Tally) -> Ready:
        """Decide, transform and chunk.

        ``found`` is what ``inspect`` gave for it. Raises ``QuarantinedError`` with the reason why
        the file must stay out.
        """
        work, document = parsed.work, parsed.document
        text, name, spoken = parsed.texts
        spans, *in_name = found
        with tally.stage("transform"):
            whose = self._whose(work)
            body = self._privacy.transform(text, spans, work.labels, whose)
            collection = work.labels.collection
            acted_on = [self._privacy.acted_on(some, collection) for some in (*in_name, spans)]
            personal = titles.personal(name, acted_on[:-1], text, acted_on[-1])
            title = self._privacy.transform(spoken, personal, work.labels, whose)
        tally.personal_data.update(body.counts)
        reasons = body.quarantines | title.quarantines
        # Of the whole text, so that no border of a passage parts an order.
        if speaks := gives_orders(body.text):
            reasons |= {KEYWORD}
        if kept_out := sorted(reasons - work.waived):
            raise QuarantinedError(kept_out[0], "policy keeps documents that hold this out")
        labels = replace(work.labels, categories=frozenset(s.category for s in acted_on[-1]))
        self._require_permission(labels)
        with tally.stage("chunk"):
            # Titles and headings carry no spans to be cleared by: what is tagged goes from them.
            shown = self._privacy.without_tagged(title.text, title.kept)
            facts = self._facts(document, body, title, work.labels, whose)
            passages = tuple(self._passages(work, document, body, shown, labels, facts))
        if not passages:
            raise QuarantinedError("empty", "the document holds no text")
        return Ready(
            work=work,
            media_type=document.media_type,
            title=shown,
            transformed=(body, title),
            labels=labels,
            passages=passages,
            waived=reasons,
            dated=document.claims.date,
            kind=document.claims.type.lower()[:_LONGEST_KIND],
            orders=max(1, sum(gives_orders(p.chunk.text) for p in passages)) if speaks else 0,
        )

    def _whose(self, work: Work) -> str:
        """Return by whom the document's dates move: its one subject, or else itself."""
        if len(work.subjects) == 1:
            return next(iter(work.subjects))
        return self._privacy.subject_ref(work.labels.tenant, f"document:{work.document}")

    def _require_permission(self, labels: Labels) -> None:
        target = self._target
        decision = self._policies.decide(
            target.principal, "ingest", target.purpose, labels, STRANGER
        )
        if not decision.allowed:
            why = decision.why_not
            raise QuarantinedError("denied", f"policy denies ingest: {why}")

    def _facts(
        self,
        parsed: ParsedDocument,
        body: Transformed,
        title: Transformed,
        labels: Labels,
        whose: str,
    ) -> Facts:
        """Return what the document says of itself, after policy had its way with it."""
        day = parsed.claims.date
        if day:
            # A field's day is a date like any other: kept, moved or hidden as those of the text.
            span = Span(0, len(day), "DATE_TIME", CATEGORY_OF["DATE_TIME"], 1.0, "field")
            day = self._privacy.transform(day, [span], labels, whose).text
        return document_facts(body.text, title.text, day if _DAY.fullmatch(day) else "")

    def _passages(
        self,
        work: Work,
        parsed: ParsedDocument,
        body: Transformed,
        title: str,
        labels: Labels,
        facts: Facts,
    ) -> Iterator[Passage]:
        guarded = sorted(
            [
                *((span.start, span.end) for span in body.kept),
                *self._privacy.token_ranges(body.text),
            ]
        )
        moved = parsed.moved(body.text, body.position)
        starts = [page.offset for page in moved.pages]
        pieces = chunk(body.text, guarded=guarded, headings=moved.headings, pages=starts)
        headings = self._clean_headings(moved, body)
        for ordinal, piece in enumerate(pieces):
            path = [headings[title] for title in piece.heading]
            if piece.caption is not None:
                path.append(self._masked(body, *piece.caption))
            yield Passage(
                chunk=_chunk(
                    chunk_id(work.document, work.generation, ordinal),
                    ordinal,
                    replace(piece, heading=tuple(path)),
                    body,
                    moved.pages,
                ),
                document=work.document,
                title=title,
                labels=labels,
                access_class=access_class(labels),
                subjects=work.subjects,
                generation=work.generation,
                media_type=parsed.media_type,
                facts=of_part(facts, body.text, piece, starts, first=not ordinal),
            )

    def _masked(self, body: Transformed, start: int, end: int) -> str:
        """Return a run of the text on one line, with what is tagged in it masked."""
        inside = [
            replace(s, start=max(s.start, start) - start, end=min(s.end, end) - start)
            for s in body.kept
            if s.start < end and start < s.end
        ]
        return " ".join(self._privacy.without_tagged(body.text[start:end], inside).split())

    def _clean_headings(self, moved: ParsedDocument, body: Transformed) -> dict[str, str]:
        """Return each heading's text with what is tagged in it masked."""
        clean: dict[str, str] = {}
        for heading in moved.headings:
            start, end = heading.offset, heading.offset + len(heading.title)
            masked = self._masked(body, start, end)
            # The same words may be tagged in one place and missed in another.
            if clean.get(heading.title, heading.title) == heading.title:
                clean[heading.title] = masked
        return clean


def _chunk(
    identity: str, ordinal: int, piece: Piece, body: Transformed, pages: Sequence[PageBreak]
) -> Chunk:
    inside = [s for s in body.kept if piece.start <= s.start and s.end <= piece.end]
    first = _page_at(pages, piece.start)
    begun = [page for page in pages if piece.start < page.offset < piece.end]
    there = [*([first] if first else []), *begun]
    return Chunk(
        id=identity,
        ordinal=ordinal,
        text=body.text[piece.start : piece.end],
        start=piece.start,
        end=piece.end,
        page=there[0].number if there else None,
        page_end=there[-1].number if there else None,
        page_breaks=tuple((page.offset - piece.start, page.number) for page in begun),
        page_labels=tuple((page.number, page.label) for page in there if page.label),
        heading=piece.heading,
        spans=tuple(
            replace(s, start=s.start - piece.start, end=s.end - piece.start) for s in inside
        ),
    )


def _page_at(pages: Sequence[PageBreak], offset: int) -> PageBreak | None:
    """Return the page that holds the offset; what stands before the first page is on it."""
    index = bisect_right(pages, offset, key=lambda page: page.offset)
    return pages[max(index - 1, 0)] if pages else None
