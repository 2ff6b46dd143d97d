"""A small deployment with a quarantine: real stores, policies and log; small, certain models."""

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ingest.aside import Aside, Item
from ingest.job import Job
from ingest.quarantine import Quarantine
from ingest.quarantine_rules import QuarantineRules, Rule
from ingest.report import FileResult, Report
from ingest.sources import GivenLabels, SourceFile
from ingest.sweep import Sweep
from ingest.work import Target
from ragplatform.access.desk import Caller
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.audit import query
from ragplatform.audit.events import Action
from ragplatform.audit.record import Record
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import (
    AllOf,
    AnyOf,
    Clause,
    Principal,
    Purpose,
    Sensitivity,
    Span,
    TermWeights,
)
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.rules import PrivacyRules
from tests.fakes_privacy import RegexDetector
from tests.ingest_crash import (
    DIM,
    LARGEST,
    MASTER,
    POLICIES,
    DigestEmbedder,
    Fuse,
    Parts,
    PlainParser,
    opened,
)
from tests.jobs import job_here

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
SECRET = "hunter2-hunter2"
LEAK = f"Maria Lopez, MRN 4471230, rang. The password is {SECRET} for now."
_SECRET = re.compile(re.escape(SECRET))


class SecretsToo(RegexDetector):
    """Finds one password beside what it is based on finds."""

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        found = super().detect(texts)
        for text, spans in zip(texts, found, strict=True):
            spans += [
                Span(m.start(), m.end(), "SECRET", CATEGORY_OF["SECRET"], 1.0, "regex")
                for m in _SECRET.finditer(text)
            ]
            spans.sort(key=lambda span: span.start)
        return found


class UpgradedParser(PlainParser):
    """A later version, which also reads what the first one took for a program."""

    version = "plain-2"

    def parse(self, data: bytes, name: str):  # as its base
        return super().parse(data.replace(b"\0", b" "), name)


def person(name: str, *roles: str, tenant: str = "mercy") -> Caller:
    """Somebody who acts, by default a privacy officer."""
    who = Principal(
        name, tenant, frozenset(roles or {"privacy-officer"}), clearance=Sensitivity.RESTRICTED
    )
    return Caller(who, Purpose.COMPLIANCE, uuid.uuid4().hex)


ANNA, BEN = person("anna"), person("ben")
WHY = "It is the sample password of the manual."


@dataclass(slots=True)
class World:
    """The stores, and what tests do with them."""

    parts: Parts
    data: Path
    rules: Sequence[Rule] = ()
    expecting: frozenset[str] = frozenset()
    refusing: frozenset[str] = frozenset()
    parser: PlainParser = field(default_factory=PlainParser)
    now: datetime = NOW
    kept: Mapping[str, str] = field(default_factory=dict)
    put_by: str = "ingest-mercy"

    @property
    def aside(self) -> Aside:
        return self.parts.aside

    @property
    def desk(self) -> Quarantine:
        return Quarantine(
            aside=self.aside,
            catalog=self.parts.catalog,
            ledger=self.parts.ledger,
            policies=self.parts.policies,
            privacy=self.parts.privacy,
            parser=self.parser,
            audit=self.parts.audit,
            why_kept=lambda item: self.kept.get(item.document),
            take_in=self._take_back,
            now=lambda: self.now,
            approval=timedelta(hours=72),
        )

    def ingest(
        self, files: Mapping[str, str | bytes], *, labels: GivenLabels | None = None
    ) -> list[FileResult]:
        """Take texts in by their names."""
        given = labels or GivenLabels()
        sources = [
            SourceFile(Path(name), name, given, text.encode() if isinstance(text, str) else text)
            for name, text in files.items()
        ]
        return self._take_in("mercy", "clinical", sources)

    def put_aside(
        self,
        text: str | bytes = LEAK,
        name: str = "note.txt",
        put_by: str = "ingest-mercy",
        **labels: object,
    ) -> Item:
        """Take one text in that is put aside; return what is kept of it."""
        self.put_by = put_by
        self.ingest({name: text}, labels=GivenLabels(**labels) if labels else None)
        self.put_by = "ingest-mercy"
        [item] = self.aside.items("mercy")
        return item

    def texts(self) -> list[str]:
        """Return all that is in the index, in no order."""
        everything = AnyOf((AllOf((Clause("tenant", frozenset({"mercy"})),)),))
        hits = self.parts.index.search_within([1.0] * DIM, TermWeights((), ()), everything, 1000)
        return [hit.passage.chunk.text for hit in hits]

    def records(self, action: Action) -> list[Record]:
        """Return the records of an action, oldest first."""
        logs = sorted(path for path in (self.data / "audit").iterdir() if path.is_dir())
        return [one for log in logs for one in query.read(log, action=action)]

    def report(self, files: Mapping[str, str]) -> Report:
        """Take texts in; return the run's report."""
        report = Report(run=uuid.uuid4().hex)
        sources = [
            SourceFile(Path(name), name, GivenLabels(), text.encode())
            for name, text in files.items()
        ]
        self._job(report, "clinical", []).run(sources, report)
        return report

    def sweep(self) -> list[FileResult]:
        """Run over a source that has nothing any more."""
        report, results = Report(run=uuid.uuid4().hex), list[FileResult]()
        self._job(report, "clinical", results).run([], report, sweep=Sweep("", list))
        return results

    def _take_in(
        self, tenant: str, collection: str, sources: Iterable[SourceFile]
    ) -> list[FileResult]:
        report, results = Report(run=uuid.uuid4().hex), list[FileResult]()
        self._job(report, collection, results).run(sources, report)
        return results

    def _take_back(self, items: Sequence[Item]) -> list[FileResult]:
        sources = [self.aside.contents(item).source(again=True) for item in items]
        return self._take_in(items[0].tenant, items[0].collection, sources)

    def _rules(self) -> QuarantineRules:
        return QuarantineRules(
            self.rules, expecting=self.expecting, today=self._today, refusing=self.refusing
        )

    def _today(self) -> date:
        return self.now.date()

    def _job(self, report: Report, collection: str, results: list[FileResult]) -> Job:
        who = Principal(self.put_by, "mercy", frozenset({"ingest"}))
        parts = self.parts
        return job_here(
            run=report.run,
            target=Target(who, Purpose.HOPERAT, collection),
            parser=self.parser,
            privacy=parts.privacy,
            policies=parts.policies,
            embedder=DigestEmbedder(),
            weigher=Bm25Weigher(),
            index=parts.index,
            archive=parts.archive,
            catalog=parts.catalog,
            ledger=parts.ledger,
            keeping=parts.keeping,
            audit=parts.audit,
            aside=self.aside,
            rules=self._rules(),
            silence_documents=3,
            name_key=MASTER,
            largest_file=LARGEST,
            on_result=results.append,
        )


@contextmanager
def world(data: Path) -> Iterator[World]:
    """Open a deployment in a folder."""
    with opened(data, Fuse()) as parts:
        privacy = Privacy(
            detector=SecretsToo(),
            rules=PrivacyRules.load(POLICIES / "privacy.toml"),
            vault=parts.vault,
        )
        yield World(replace(parts, privacy=privacy), data)
