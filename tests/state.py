"""What tests put into catalog and ledger."""

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

from ingest.holds import Holds
from ingest.keeping import Keeping
from ingest.ledger import NOWHERE, Claim, Ledger, Place
from ingest.retention import Retention
from ragplatform.catalog import DocumentEntry
from ragplatform.model import Category, Labels, Mode, Passage, Sensitivity
from ragplatform.policy.classes import access_class

LABELS = Labels(
    "mercy",
    "clinical",
    Sensitivity.CONFIDENTIAL,
    "cardiology",
    frozenset({Category.PHI, Category.PII}),
    frozenset({"vip"}),
)
CLASS = access_class(LABELS)
ENTRY = DocumentEntry(
    document="d1",
    tenant="mercy",
    collection="clinical",
    title="Discharge of [PERSON:q7f2m9k4abcd2345]",
    media_type="application/pdf",
    access_class=CLASS,
    subjects=frozenset({"s2", "s1"}),
    generation="g1",
    chunks=7,
    treated={("PERSON", Mode.PSEUDONYMISE): 3, ("PHONE_NUMBER", Mode.DROP): 1},
    indexed_at=datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=2))),
    taken_in_at=datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=2))),
)


def entry_of(passage: Passage) -> DocumentEntry:
    """Return what the catalog holds of the document of this one passage."""
    return replace(
        ENTRY,
        document=passage.document,
        tenant=passage.labels.tenant,
        collection=passage.labels.collection,
        title=passage.title,
        media_type=passage.media_type,
        access_class=passage.access_class,
        subjects=passage.subjects,
        generation=passage.generation,
        chunks=1,
        treated={},
    )


def keeping_of(holds: Holds, today: date = date(2026, 11, 26)) -> Keeping:
    """Return what says whether a document may go: these holds, and no rules of retention."""
    return Keeping(holds=holds, retention=Retention((), "0" * 64), today=lambda: today)


def begin(
    ledger: Ledger,
    *,
    run: str = "r1",
    key: str = "k1",
    version: str = "g1",
    place: Place = NOWHERE,
) -> Claim:
    """Take a source in hand."""
    return ledger.begin(
        tenant="mercy",
        collection="clinical",
        source_key=key,
        sha256=f"content of {version}",
        document=f"doc-{key}",
        generation=version,
        run=run,
        display_name="note for [PERSON]",
        place=place,
    )
