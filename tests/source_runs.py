"""Runs of configured sources with real stores and small deterministic models, in this process."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingest.attendance import attended
from ingest.ledger import Entry, Ledger
from ingest.report import FileResult, Report
from ingest.sources import SourceFile
from ingest.sources.config import SourceConfig, read_sources
from ingest.sources.intake import Intake
from ingest.sources.marks import Marks
from ingest.sources.port import Found, Listing, Source
from ingest.sweep import Guard, Sweep
from ingest.work import Fingerprinter, Target
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.model import Principal, Purpose, Sensitivity
from tests.ingest_crash import DIM, LARGEST, MASTER, DigestEmbedder, Fuse, RecordParser, opened
from tests.jobs import UNGUARDED, job_here
from tests.stored import Stored, look

WHO = Principal("ingest-mercy", "mercy", frozenset({"ingest"}), clearance=Sensitivity.RESTRICTED)
WHERE = Target(WHO, Purpose.HOPERAT, "clinical")
HEAD = """
[[source]]
name = "ward"
kind = "folder"
place = "/srv/ward"
tenant = "mercy"
collection = "clinical"
"""


@dataclass(slots=True)
class Counting:
    """A source that counts what is read of it, and may be told to break."""

    source: Source
    reads: list[str] = field(default_factory=list)

    def list(self, cursor: str) -> Listing:
        return self.source.list(cursor)

    def read(self, found: Found, limit: int) -> bytes:
        self.reads.append(found.name)
        return self.source.read(found, limit)

    def close(self) -> None:
        self.source.close()


@dataclass(frozen=True, slots=True)
class _Known:
    fingerprint: Fingerprinter
    ledger: Ledger

    def key(self, source: SourceFile) -> str:
        return self.fingerprint.key(source)

    def entries(self, keys: Collection[str]) -> Mapping[str, Entry]:
        return self.ledger.known("mercy", "clinical", keys)


@dataclass(slots=True)
class Deployment:
    """One deployment in a folder, and the configuration of its one source."""

    folder: Path
    more: str = ""
    results: list[FileResult] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)

    def config(self) -> SourceConfig:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "sources.toml"
        file.write_text(HEAD + self.more)
        return read_sources(file)["ward"]

    def run(self, source: Source, *, guard: Guard = UNGUARDED, largest: int = LARGEST) -> Report:
        """Run once over the source."""
        config, counting = self.config(), Counting(source)
        report = Report(run=os.urandom(8).hex())
        self.results = []
        data = self.folder / "data"
        with opened(data, Fuse()) as parts, attended(parts.ledger, report, WHERE) as attendance:
            job = job_here(
                run=report.run,
                target=WHERE,
                parser=RecordParser(),
                privacy=parts.privacy,
                policies=parts.policies,
                embedder=DigestEmbedder(),
                weigher=Bm25Weigher(),
                index=parts.index,
                archive=parts.archive,
                catalog=parts.catalog,
                ledger=parts.ledger,
                audit=parts.audit,
                aside=parts.aside,
                name_key=MASTER,
                largest_file=largest,
                on_result=self.results.append,
                guard=guard,
                stop=attendance.asked_to_end,
            )
            fingerprint = Fingerprinter(
                target=WHERE,
                subject_ref=parts.privacy.subject_ref,
                pipeline="p",
                name_key=MASTER,
                largest_file=largest,
            )
            url = f"sqlite:///{data / 'catalog.db'}"
            marks = Marks(url, tenant="mercy", source="ward", key=MASTER)
            intake = Intake(
                config=config,
                source=counting,
                marks=marks,
                known=_Known(fingerprint, parts.ledger),
                pipeline="p",
                largest=largest,
                sleep=lambda _: None,
            )
            try:
                sweep = Sweep("ward", intake.names, intake.gone)
                job.run(intake.files(), report, sweep=sweep)
                intake.settled(all_well=report.all_well)
            finally:
                marks.close()
                self.reads = counting.reads
        return report

    def states(self) -> dict[str, str]:
        """Return how each file of the last run ended: its state, or the reason for another."""
        return {one.name: one.reason or str(one.state) for one in self.results}

    def stored(self) -> Stored:
        """Return what the stores hold, which agree with each other."""
        stored = look(self.folder / "data", dim=DIM, master=MASTER)
        assert not stored.wrong_after_a_run()
        return stored
