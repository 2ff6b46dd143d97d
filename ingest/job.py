"""One ingest run: each file through every gate on a document's way in, in small batches.

Every step can be repeated: ids are made from content, so a run that was killed anywhere is mended
by running it again.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.transform import Transformed

from ingest.ledger import Ledger, State
from ingest.parse.document import ParsedDocument
from ingest.report import FileResult, FileState, Report
from ingest.sources import SourceFile
from ragplatform.audit.log import AuditLog
from ragplatform.catalog import Catalog
from ragplatform.errors import QuarantinedError
from ragplatform.model import Labels, Passage, Principal, Purpose
from ragplatform.policy.classes import access_class, validate_labels
from ragplatform.policy.engine import Policies
from ragplatform.ports import Embedder, Index, TermWeigher

# Changes whenever this code would make other chunks from the same text.
PIPELINE: Final = "1"
_BATCH_FILES: Final = 16
_BATCH_BYTES: Final = 4 * 1024 * 1024
_NAMESPACE: Final = uuid.UUID("6f0c7f1e-1a52-4f0e-8a0b-6a1f3b0a2c11")


class Parser(Protocol):
    """Turns bytes into text, somewhere they can do no harm."""

    @property
    def version(self) -> str:
        """A word that changes whenever the same bytes could give another text."""

    def parse(self, data: bytes, name: str) -> ParsedDocument:
        """Return the document. Raises ``QuarantinedError`` with a reason."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where documents go, and for whom the job acts."""

    principal: Principal
    purpose: Purpose
    collection: str


@dataclass(frozen=True, slots=True)
class _Work:
    """One file that must go through, before it is parsed."""

    source: SourceFile
    data: bytes = field(repr=False)
    key: str
    sha256: str
    labels: Labels
    subjects: frozenset[str]
    document: str
    generation: str


@dataclass(frozen=True, slots=True)
class _Ready:
    """One file whose transformed text is chunked; ``vectors`` come later, for many at once."""

    work: _Work
    parsed: ParsedDocument
    body: Transformed
    title: Transformed
    labels: Labels
    passages: tuple[Passage, ...]


class Job:
    """Runs ingest into one collection. One job at a time; many processes may each run one."""

    def __init__(
        self,
        *,
        target: Target,
        parser: Parser,
        privacy: Privacy,
        policies: Policies,
        embedder: Embedder,
        weigher: TermWeigher,
        index: Index,
        catalog: Catalog,
        ledger: Ledger,
        audit: AuditLog,
        name_key: bytes,
        largest_file: int,
        on_result: Callable[[FileResult], None],
    ) -> None:
        self._target = target
        self._parser = parser
        self._privacy = privacy
        self._policies = policies
        self._embedder = embedder
        self._weigher = weigher
        self._index = index
        self._catalog = catalog
        self._ledger = ledger
        self._audit = audit
        self._name_key = name_key
        self._largest_file = largest_file
        self._on_result = on_result
        parts = (
            PIPELINE,
            parser.version,
            privacy.version,
            embedder.version,
            weigher.version,
        )
        self.pipeline: Final = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def run(self, sources: Iterable[SourceFile], report: Report) -> None:
        """Take every source in, quarantine it, or find it unchanged; count it in ``report``.

        Raises ``UnavailableError`` when a part that every file needs is away: what was finished
        stays, and running again goes on from there.
        """
        for batch in _batches(self._changed(sources, report)):
            ready = [r for work in batch if (r := self._prepare(work, report))]
            self._store(ready, report)

    def _changed(self, sources: Iterable[SourceFile], report: Report) -> Iterator[_Work]:
        """Yield the files whose content, labels or pipeline differ from the ledger."""
        for source in sources:
            with report.stage("fingerprint"):
                work = self._guard(source, report, lambda s=source: self._fingerprint(s))
            if work is not None and not self._settled(work, report):
                yield work

    def _fingerprint(self, source: SourceFile) -> _Work:
        size = source.path.stat().st_size
        if size > self._largest_file:
            raise QuarantinedError("too_large", f"the file has {size} bytes")
        data = source.path.read_bytes()
        target, given = self._target, source.labels
        labels = Labels(
            tenant=target.principal.tenant,
            collection=target.collection,
            sensitivity=given.sensitivity,
            department=given.department,
            restrictions=given.restrictions,
        )
        validate_labels(labels)
        key = self._key(source.name)
        sha256 = hashlib.sha256(data).hexdigest()
        subjects = frozenset(
            self._privacy.subject_ref(labels.tenant, subject) for subject in given.subjects
        )
        document = str(uuid.uuid5(_NAMESPACE, f"{labels.tenant}/{labels.collection}/{key}"))
        version = "\0".join((sha256, self.pipeline, access_class(labels), *sorted(subjects)))
        generation = hashlib.sha256(version.encode()).hexdigest()[:16]
        return _Work(source, data, key, sha256, labels, subjects, document, generation)

    def _key(self, name: str) -> str:
        """Return the name under which the ledger knows a source: raw paths may hold names."""
        where = f"{self._target.principal.tenant}/{self._target.collection}/{name}"
        return hmac.new(self._name_key, where.encode(), hashlib.sha256).hexdigest()

    def _settled(self, work: _Work, report: Report) -> bool:
        entry = self._ledger.lookup(work.labels.tenant, work.labels.collection, work.key)
        if entry is None or entry.generation != work.generation:
            return False
        if entry.state is State.INDEXED:
            self._tell(work, report, FileState.UNCHANGED, entry.display_name)
        elif entry.state is State.QUARANTINED:
            # The same bytes through the same pipeline end the same way.
            self._tell(work, report, FileState.QUARANTINED, entry.display_name, entry.reason)
        else:
            return False
        return True

    def _prepare(self, work: _Work, report: Report) -> _Ready | None:
        return self._guard(work, report, lambda: self._steps(work, report))

    def _steps(self, work: _Work, report: Report) -> _Ready:
        """Parse, find, decide, transform and chunk one file: steps 2 to 4 of its way in."""
        with report.stage("parse"):
            parsed = self._parser.parse(work.data, work.source.path.name)
        report.characters += len(parsed.text)
        with report.stage("detect"):
            body_spans, title_spans = self._privacy.inspect([parsed.text, _spoken(work.source)])
        subject = self._vault_subjects(work)
        with report.stage("transform"):
            body = self._privacy.transform(parsed.text, body_spans, work.labels, subject)
            title = self._privacy.transform(
                _spoken(work.source),
                _named_in(title_spans, body_spans, parsed.text, _spoken(work.source)),
                work.labels,
                subject,
            )
        report.personal_data.update(body.counts)
        if reason := body.quarantine or title.quarantine:
            raise QuarantinedError(reason, "policy keeps documents that hold this out of the index")
        labels = self._labelled(work.labels, body_spans)
        decision = self._policies.decide(
            self._target.principal, "ingest", self._target.purpose, labels, related=False
        )
        if not decision.allowed:
            why = ", ".join((*decision.policies, *decision.errors)) or "no policy permits it"
            raise QuarantinedError("denied", f"policy denies ingest: {why}")
        with report.stage("chunk"):
            passages = tuple(self._passages(work, parsed, body, title, labels))
        if not passages:
            raise QuarantinedError("empty", "the document holds no text")
        return _Ready(work, parsed, body, title, labels, passages)
