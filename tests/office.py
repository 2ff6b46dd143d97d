"""A bench with what the life cycle of documents needs: holds, erasure, certificates, reports."""

from contextlib import ExitStack
from functools import partial

from ingest.certificate import Certifier
from ingest.forget import Erased, Eraser
from ingest.holds import Holds
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.relabel import Relabeller
from ingest.retention import Retention
from ingest.subject_report import SubjectReporter
from ragplatform import openers
from ragplatform.catalog import DocumentEntry
from ragplatform.model import Labels, Principal, Purpose, Sensitivity
from tests.fakes import Bench
from tests.state import entry_of, keeping_of


def officer(role: str) -> Principal:
    """Return somebody of the role."""
    return Principal(f"{role}-mercy", "mercy", frozenset({role}), clearance=Sensitivity.RESTRICTED)


class Office:
    """A bench with one patient's note, and everybody who decides about it."""

    def __init__(self, bench: Bench, undo: ExitStack) -> None:
        self.bench = bench
        self.store = bench.platform.store
        settings = bench.settings
        self.ledger = Ledger(settings.catalog_url)
        self.holds = Holds(settings.catalog_url, derive=openers.deriver(settings))
        undo.callback(self.ledger.close)
        undo.callback(self.holds.close)
        self.keeping = keeping_of(self.holds)
        self.certifier = Certifier(
            **self._shared("erasure"),
            privacy=self.store.privacy,
            ledger=self.ledger,
            logs=settings.audit_dir,
            signer=partial(openers.log_signer, settings),
            folder=settings.data_dir / "certificates",
        )
        self.first = self.note()

    def note(self, text: str = "Apixaban was stopped for Maria Lopez.", **labels: object) -> str:
        """Put a document of the patient in; return its id."""
        self.bench.put(text, subjects=["mrn:1"], **labels)
        passage = list(self.bench.index._entries.values())[-1].passage  # type: ignore[attr-defined]
        self.store.catalog.put_document(entry_of(passage))
        return passage.document

    def entry(self, document: str) -> DocumentEntry:
        """Return what the catalog holds of a document."""
        found = self.store.catalog.document(document)
        assert found is not None
        return found

    def labels(self, document: str) -> Labels:
        """Return a document's labels by the catalog."""
        return self.store.catalog.classes("mercy")[self.entry(document).access_class]

    def in_index(self, document: str) -> Labels:
        """Return a document's labels by the index."""
        [found] = self.store.index.passages(
            "mercy", document, self.entry(document).generation, limit=1
        )
        return found.labels

    def ruled(self, retention: Retention) -> None:
        """Let these rules of retention be in force."""
        self.keeping = Keeping(
            holds=self.holds, retention=retention, today=lambda: keeping_of(self.holds).today
        )

    def eraser(self, role: str = "erasure") -> Eraser:
        """Return what erases."""
        return Eraser(
            **self._shared(role),
            privacy=self.store.privacy,
            archive=openers.open_archive(self.bench.settings, self.store.vault),
            ledger=self.ledger,
            register=self.store.register,
            seals=openers.open_sealed_texts(self.bench.settings),
            keeping=self.keeping,
        )

    def erase(self) -> Erased:
        """Erase the patient."""
        return self.eraser().subject("mrn:1", dry_run=False)

    def relabeller(self, role: str = "compliance") -> Relabeller:
        """Return what relabels."""
        return Relabeller(**self._shared(role), keeping=self.keeping)

    def reporter(
        self, role: str = "records-officer", purpose: Purpose = Purpose.PATRQT
    ) -> SubjectReporter:
        """Return what reports on people."""
        settings = self.bench.settings
        return SubjectReporter(
            **{**self._shared(role), "purpose": purpose},
            privacy=self.store.privacy,
            register=self.store.register,
            holds=self.holds,
            keeping=self.keeping,
            audit_index=self.store.audit_index,
            logs=settings.audit_dir,
        )

    def _shared(self, role: str):  # type: ignore[no-untyped-def]
        return {
            "principal": officer(role),
            "purpose": Purpose.COMPLIANCE,
            "policies": self.store.policies,
            "index": self.store.index,
            "catalog": self.store.catalog,
            "audit": self.store.audit,
        }
