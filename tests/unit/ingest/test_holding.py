"""Legal holds: by case, by policy, on record, and stronger than every role."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date

import pytest
import sqlalchemy as sa

from ingest.holding import HoldDesk, Target
from ingest.holds import Held, Holds
from ingest.ledger import Ledger
from ragplatform import openers
from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import DeniedError, InvalidRequestError, UnavailableError
from ragplatform.model import Principal, Purpose, Sensitivity
from tests.fakes import Bench
from tests.state import begin, entry_of, keeping_of

WHY = "Subpoena of 3 March, do not touch"


def officer(role: str) -> Principal:
    return Principal(f"{role}-mercy", "mercy", frozenset({role}), clearance=Sensitivity.RESTRICTED)


class Courtroom:
    """A bench with its holds, and a desk for every role."""

    def __init__(self, bench: Bench, undo: ExitStack) -> None:
        self.bench = bench
        settings = bench.settings
        self.holds = Holds(settings.catalog_url, derive=openers.deriver(settings))
        self.ledger = Ledger(settings.catalog_url)
        undo.callback(self.holds.close)
        undo.callback(self.ledger.close)

    def desk(self, role: str = "legal") -> HoldDesk:
        store = self.bench.platform.store
        return HoldDesk(
            principal=officer(role),
            purpose=Purpose.COMPLIANCE,
            policies=store.policies,
            people=store.vault,
            catalog=store.catalog,
            ledger=self.ledger,
            holds=self.holds,
            audit=store.audit,
        )

    def stored(self) -> str:
        self.bench.put("Apixaban was stopped for Maria Lopez.", subjects=["mrn:1"])
        passage = list(self.bench.index._entries.values())[-1].passage  # type: ignore[attr-defined]
        self.bench.platform.store.catalog.put_document(entry_of(passage))
        return passage.document

    def kept(self, document: str, today: date = date(2026, 11, 26)) -> str | None:
        catalog = self.bench.platform.store.catalog
        entry = catalog.document(document)
        assert entry is not None
        labels = catalog.classes("mercy")[entry.access_class]
        return keeping_of(self.holds, today).why_kept(entry, labels)


@pytest.fixture
def court(bench: Callable[..., Bench]) -> Iterator[Courtroom]:
    with ExitStack() as undo:
        yield Courtroom(bench(), undo)


@pytest.mark.parametrize("kind", list(Held))
def test_a_hold_on_any_of_the_three_keeps_the_document(court: Courtroom, kind: Held) -> None:
    document = court.stored()
    names = {Held.DOCUMENT: document, Held.SUBJECT: "mrn:1", Held.COLLECTION: "clinical"}

    placed = court.desk().place("Smith v. Mercy", Target(kind, names[kind]), reason=WHY)

    assert placed.documents == 1
    assert court.kept(document) == "it is on legal hold for 1 case"


def test_a_hold_on_a_collection_does_not_count_what_is_gone(court: Courtroom) -> None:
    court.ledger.commit_gone(begin(court.ledger))

    placed = court.desk().place("OCR", Target(Held.COLLECTION, "clinical"), reason=WHY)

    assert placed.documents == 0


def test_it_goes_only_when_every_case_has_ended(court: Courtroom) -> None:
    document = court.stored()
    court.desk().place("Smith v. Mercy", Target(Held.DOCUMENT, document), reason=WHY)
    court.desk().place("OCR inquiry 12", Target(Held.SUBJECT, "mrn:1"), reason=WHY)

    assert court.kept(document) == "it is on legal hold for 2 cases"
    assert court.desk().release("Smith v. Mercy", None, reason="The case was settled.") == 1
    assert court.kept(document) == "it is on legal hold for 1 case"
    assert court.desk().release("OCR inquiry 12", None, reason="The inquiry is closed.") == 1
    assert court.kept(document) is None


@pytest.mark.parametrize(
    "role",
    ["erasure", "ingest", "operator", "compliance", "privacy-officer", "access-admin", "physician"],
)
def test_no_other_role_places_or_releases_and_the_attempt_is_on_record(
    court: Courtroom, role: str
) -> None:
    document = court.stored()
    court.desk().place("Smith v. Mercy", Target(Held.DOCUMENT, document), reason=WHY)

    with pytest.raises(DeniedError):
        court.desk(role).release("Smith v. Mercy", None, reason="I would rather not.")
    with pytest.raises(DeniedError):
        court.desk(role).place("Another", Target(Held.DOCUMENT, document), reason=WHY)

    assert court.kept(document) == "it is on legal hold for 1 case"
    [denied] = court.bench.records(action=Action.RELEASED)
    assert denied.outcome is Outcome.DENIED


def test_records_and_rows_hold_no_name_of_a_case(court: Courtroom) -> None:
    document = court.stored()
    court.desk().place("Smith v. Mercy", Target(Held.DOCUMENT, document), reason=WHY)

    [record] = court.bench.records(action=Action.HELD)
    assert record.details["document"] == document
    assert openers.unsealed(court.bench.settings, record) == {"reason": WHY}
    files = [p.read_bytes() for p in court.bench.settings.data_dir.rglob("*") if p.is_file()]
    assert not any(b"Smith" in content or b"Subpoena" in content for content in files)
    [hold] = court.desk().list()
    assert (hold.name, hold.reason) == ("Smith v. Mercy", WHY)


def test_a_mistyped_target_is_refused_since_it_would_keep_nothing(court: Courtroom) -> None:
    court.stored()

    for target in (Target(Held.DOCUMENT, "no-such"), Target(Held.COLLECTION, "clincal")):
        with pytest.raises(InvalidRequestError):
            court.desk().place("Smith v. Mercy", target, reason=WHY)


def test_holds_that_cannot_be_read_keep_everything(court: Courtroom) -> None:
    document = court.stored()
    with court.holds._transaction() as connection:
        connection.execute(sa.text("DROP TABLE legal_holds"))

    with pytest.raises(UnavailableError):
        court.kept(document)


def test_a_case_of_one_tenant_holds_nothing_of_another(court: Courtroom) -> None:
    document = court.stored()
    court.desk().place("Smith v. Mercy", Target(Held.DOCUMENT, document), reason=WHY)
    entry = court.bench.platform.store.catalog.document(document)
    assert entry is not None

    found = court.holds.cases_on(
        "harbor", document=document, collection=entry.collection, subjects=entry.subjects
    )

    assert found == frozenset()
