"""From one file's bytes to passages that may be embedded: parse, find, decide, transform, chunk."""

import hashlib
import hmac
import os
import stat
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Final, Protocol

from ingest import titles
from ingest.chunk import Piece, chunk
from ingest.claims import labelled, mapping
from ingest.parse.document import MIXED_SUBJECTS, Claims, ParsedDocument, Part
from ingest.parse.unpack import Allowance, Opened
from ingest.report import Report
from ingest.sources import SourceFile
from ragplatform.errors import QuarantinedError
from ragplatform.model import Chunk, Labels, Passage, Principal, Purpose
from ragplatform.policy.classes import access_class, validate_labels
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.transform import Transformed

_NAMESPACE: Final = uuid.UUID("6f0c7f1e-1a52-4f0e-8a0b-6a1f3b0a2c11")


class Parser(Protocol):
    """Turns bytes into text, somewhere they can do no harm."""

    @property
    def version(self) -> str:
        """A word that changes whenever the same bytes could give another text."""

    def parse(self, data: bytes, name: str) -> ParsedDocument:
        """Return the document. Raises ``QuarantinedError`` with a reason."""

    def split(self, data: bytes, name: str) -> tuple[Part, ...]:
        """Return each subject's share of a file about several. Raises ``QuarantinedError``."""

    def unpack(self, data: bytes, name: str, allowance: Allowance) -> Opened:
        """Return the documents that lie in it. Raises ``QuarantinedError`` with a reason."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where documents go, and for whom the job acts."""

    principal: Principal
    purpose: Purpose
    collection: str


@dataclass(frozen=True, slots=True)
class Work:
    """One file that must go through. ``key`` is the keyed digest of its name.

    ``data`` is None for a file that is too large to be read. ``waived`` are the reasons that do not
    keep it out, since people decided so.
    """

    source: SourceFile
    data: bytes | None = field(repr=False)
    key: str
    sha256: str
    labels: Labels
    subjects: frozenset[str]
    document: str
    generation: str
    waived: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ready:
    """One file's passages, transformed and chunked; what is left is to embed and to write.

    ``transformed`` are its text and its name, whose values the vault will keep. ``waived`` are the
    reasons that would have kept it out, had people not decided otherwise.
    """

    work: Work
    media_type: str
    title: str = field(repr=False)
    transformed: tuple[Transformed, Transformed] = field(repr=False)
    labels: Labels
    passages: tuple[Passage, ...]
    waived: frozenset[str] = frozenset()


class Preparer:
    """Takes files through the gates that need nothing but the file."""

    def __init__(
        self,
        *,
        target: Target,
        parser: Parser,
        privacy: Privacy,
        policies: Policies,
        pipeline: str,
        name_key: bytes,
        largest_file: int,
    ) -> None:
        self._target = target
        self._parser = parser
        self._privacy = privacy
        self._policies = policies
        self._pipeline = pipeline
        self._name_key = name_key
        self._largest_file = largest_file

    def fingerprint(self, source: SourceFile) -> Work:
        """Read the file and name what it would become.

        Raises ``InvalidRequestError`` for labels that cannot be stored, ``OSError`` when it cannot
        be read.
        """
        data, sha256 = self._read(source)
        labels = self._given_labels(source)
        validate_labels(labels)
        where = f"{labels.tenant}/{labels.collection}"
        key = hmac.new(self._name_key, f"{where}/{source.name}".encode(), hashlib.sha256)
        subjects = self._subjects(source)
        version = "\0".join(
            (
                *(sha256, self._pipeline, access_class(labels)),
                *(*sorted(subjects), *mapping(source.labels)),
            )
        )
        return Work(
            source=source,
            data=data,
            key=key.hexdigest(),
            sha256=sha256,
            labels=labels,
            subjects=subjects,
            document=str(uuid.uuid5(_NAMESPACE, f"{where}/{key.hexdigest()}")),
            generation=hashlib.sha256(version.encode()).hexdigest()[:16],
        )

    def _read(self, source: SourceFile) -> tuple[bytes | None, str]:
        """Return the file's bytes, or None if they are too many, and their digest.

        Raises ``QuarantinedError`` for what is no regular file: reading a pipe may never end.
        """
        if source.refused:
            raise QuarantinedError(source.refused, "what it lies in keeps this out of reach")
        if source.content is not None:
            return source.content, hashlib.sha256(source.content).hexdigest()
        with _open_regular(source.path) as file:
            data = file.read(self._largest_file + 1)
            if len(data) <= self._largest_file:
                return data, hashlib.sha256(data).hexdigest()
            file.seek(0)
            return None, hashlib.file_digest(file, "sha256").hexdigest()

    def _given_labels(self, source: SourceFile) -> Labels:
        given = source.labels
        mixed = {MIXED_SUBJECTS} if len(given.subjects) > 1 else set()
        return Labels(
            tenant=self._target.principal.tenant,
            collection=self._target.collection,
            sensitivity=given.sensitivity,
            department=given.department,
            restrictions=given.restrictions | mixed,
            retain_until=given.retain_until,
        )

    def _subjects(self, source: SourceFile) -> frozenset[str]:
        tenant = self._target.principal.tenant
        return frozenset(self._privacy.subject_ref(tenant, raw) for raw in source.labels.subjects)

    def _claimed(self, work: Work, claims: Claims) -> Work:
        """Return the work with the labels that its document's own fields add to the given ones."""
        given = labelled(work.source.labels, claims)
        if given == work.source.labels:
            return work
        source = replace(work.source, labels=given)
        labels = self._given_labels(source)
        validate_labels(labels)
        return replace(work, source=source, labels=labels, subjects=self._subjects(source))

    def prepare(self, work: Work, report: Report) -> Ready:
        """Parse, find personal data, decide, transform and chunk.

        Raises ``QuarantinedError`` with the reason why the file must stay out, ``DetectorError``
        when it could not be searched.
        """
        if work.data is None:
            raise QuarantinedError("too_large", f"the file has over {self._largest_file:,} bytes")
        with report.stage("parse"):
            parsed = self._parser.parse(work.data, work.source.path.name)
        report.characters += len(parsed.text)
        work = self._claimed(work, parsed.claims)
        name = work.source.path.name
        with report.stage("detect"):
            texts = [parsed.text, name, titles.spoken(name)]
            spans, *in_name = self._privacy.inspect(texts)
        with report.stage("transform"):
            whose = self._whose(work)
            body = self._privacy.transform(parsed.text, spans, work.labels, whose)
            collection = work.labels.collection
            acted_on = [self._privacy.acted_on(found, collection) for found in (*in_name, spans)]
            personal = titles.personal(name, acted_on[:-1], parsed.text, acted_on[-1])
            title = self._privacy.transform(titles.spoken(name), personal, work.labels, whose)
        report.personal_data.update(body.counts)
        reasons = body.quarantines | title.quarantines
        if kept_out := sorted(reasons - work.waived):
            raise QuarantinedError(kept_out[0], "policy keeps documents that hold this out")
        labels = replace(work.labels, categories=frozenset(s.category for s in acted_on[-1]))
        self._require_permission(labels)
        with report.stage("chunk"):
            # Titles and headings carry no spans to be cleared by: what is tagged goes from them.
            shown = self._privacy.without_tagged(title.text, title.kept)
            passages = tuple(self._passages(work, parsed, body, shown, labels))
        if not passages:
            raise QuarantinedError("empty", "the document holds no text")
        return Ready(work, parsed.media_type, shown, (body, title), labels, passages, reasons)

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
            why = ", ".join((*decision.policies, *decision.errors)) or "no policy permits it"
            raise QuarantinedError("denied", f"policy denies ingest: {why}")

    def _passages(
        self, work: Work, parsed: ParsedDocument, body: Transformed, title: str, labels: Labels
    ) -> Iterator[Passage]:
        guarded = sorted(
            [
                *((span.start, span.end) for span in body.kept),
                *self._privacy.token_ranges(body.text),
            ]
        )
        moved = parsed.moved(body.text, body.position)
        pieces = chunk(body.text, guarded=guarded, headings=moved.headings)
        pages = [(page.offset, page.number) for page in moved.pages]
        headings = self._clean_headings(moved, body)
        for ordinal, piece in enumerate(pieces):
            name = f"{work.document}/{work.generation}/{ordinal}"
            yield Passage(
                chunk=_chunk(
                    str(uuid.uuid5(_NAMESPACE, name)),
                    ordinal,
                    replace(piece, heading=tuple(headings[title] for title in piece.heading)),
                    body,
                    pages,
                ),
                document=work.document,
                title=title,
                labels=labels,
                access_class=access_class(labels),
                subjects=work.subjects,
                generation=work.generation,
                media_type=parsed.media_type,
            )

    def _clean_headings(self, moved: ParsedDocument, body: Transformed) -> dict[str, str]:
        """Return each heading's text with what is tagged in it masked."""
        clean: dict[str, str] = {}
        for heading in moved.headings:
            start, end = heading.offset, heading.offset + len(heading.title)
            inside = [
                replace(s, start=max(s.start, start) - start, end=min(s.end, end) - start)
                for s in body.kept
                if s.start < end and start < s.end
            ]
            masked = self._privacy.without_tagged(heading.title, inside)
            # The same words may be tagged in one place and missed in another.
            if clean.get(heading.title, heading.title) == heading.title:
                clean[heading.title] = masked
        return clean


def _chunk(
    identity: str, ordinal: int, piece: Piece, body: Transformed, pages: Sequence[tuple[int, int]]
) -> Chunk:
    inside = [s for s in body.kept if piece.start <= s.start and s.end <= piece.end]
    return Chunk(
        id=identity,
        ordinal=ordinal,
        text=body.text[piece.start : piece.end],
        start=piece.start,
        end=piece.end,
        page=_page_at(pages, piece.start),
        page_end=_page_at(pages, piece.end - 1),
        page_breaks=tuple(
            (start - piece.start, number)
            for start, number in pages
            if piece.start < start < piece.end
        ),
        heading=piece.heading,
        spans=tuple(
            replace(s, start=s.start - piece.start, end=s.end - piece.start) for s in inside
        ),
    )


def _page_at(pages: Sequence[tuple[int, int]], offset: int) -> int | None:
    number = None
    for start, page in pages:
        if number is None or start <= offset:
            number = page
    return number


def _open_regular(path: Path) -> BufferedReader:
    # The check is made on what was opened: the name may come to mean something else in between.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise QuarantinedError("not_a_file", "this is a pipe, a device or a socket")
    return os.fdopen(handle, "rb")
