"""Many people are erased by one order: each by themselves, and none is certified too early."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from ingest import many_erasures
from ingest.certificate import check_certificate
from ingest.erasure_orders import ErasureOrders, Fate, Kind, Named
from ingest.forget import Eraser
from ingest.holds import Held, Hold
from ingest.many_erasures import ManyErasures
from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import DeniedError, UnavailableError
from ragplatform.model import Purpose
from tests.fakes import Bench
from tests.office import Office, officer
from tests.state import entry_of

PEOPLE = [f"mrn:{number}" for number in range(1, 6)]


class Clinic(Office):
    """An office with a note about each of five people, one of two of them, and orders."""

    def __init__(self, bench: Bench, undo: ExitStack) -> None:
        super().__init__(bench, undo)
        self.orders = ErasureOrders(bench.settings.catalog_url)
        undo.callback(self.orders.close)
        for raw in PEOPLE[1:]:
            self.about(raw)
        self.about(*PEOPLE[3:])
        self.refs = self.eraser().refs(PEOPLE)
        self.scrubs = 0

    def about(self, *raw_ids: str) -> None:
        self.bench.put("Apixaban was stopped.", subjects=raw_ids)
        passage = list(self.bench.index._entries.values())[-1].passage  # type: ignore[attr-defined]
        self.store.catalog.put_document(entry_of(passage))

    def order(self) -> str:
        erasure = "0" * 31 + "1"
        who = officer("erasure")
        self.eraser().order(erasure, self.refs)
        self.orders.place(erasure, who, Purpose.COMPLIANCE, Kind.SUBJECT, self.refs)
        return erasure

    def many(
        self, *, role: str = "erasure", stopped: Callable[[], bool] = lambda: False
    ) -> ManyErasures:
        return ManyErasures(
            orders=self.orders,
            tenant="mercy",
            eraser=self.eraser(role),
            certifier=self.certifier,
            told=lambda one: None,
            stopped=stopped,
        )

    def eraser(self, role: str = "erasure") -> Eraser:
        made = super().eraser(role)
        scrub = made._scrub

        def counted() -> None:
            self.scrubs += 1
            scrub()

        made._scrub = counted  # type: ignore[method-assign]
        return made

    def hold(self, raw_id: str) -> None:
        ref = self.store.privacy.subject_ref("mercy", raw_id)
        case = self.holds.case_ref("mercy", "a case")
        now = datetime.now(UTC)
        self.holds.place(Hold("mercy", case, Held.SUBJECT, ref, "legal", now, "a case", "why"))

    def fates(self) -> list[Fate]:
        named = self.orders.named("0" * 31 + "1", after=0, limit=10)
        return [one.fate for one in named]

    def certificate(self, named: Named) -> str:
        folder = self.bench.settings.data_dir / "certificates"
        return (folder / f"{named.certificate}.json").read_text()


@pytest.fixture
def clinic(bench: Callable[..., Bench]) -> Iterator[Clinic]:
    with ExitStack() as undo:
        yield Clinic(bench(), undo)


def test_each_has_a_certificate_of_their_own_and_files_are_scrubbed_once(clinic: Clinic) -> None:
    erasure = clinic.order()

    standing = clinic.many().run(erasure)

    assert (standing.counts[Fate.CERTIFIED], standing.total, clinic.scrubs) == (5, 5, 1)
    named = clinic.orders.named(erasure, after=0, limit=10)
    said = [check_certificate(clinic.certificate(one)).said for one in named]
    assert [one["subjects"] for one in said] == [[ref] for ref in clinic.refs]
    # What was about two of them is on the certificates of both.
    assert [len(one["documents"]) for one in said] == [1, 1, 1, 2, 2]  # type: ignore[arg-type]
    assert "mrn:" not in json.dumps(said)
    assert clinic.store.catalog.documents("mercy") == []


def test_who_is_held_stays_with_all_that_is_about_them_and_the_others_go(clinic: Clinic) -> None:
    clinic.hold(PEOPLE[4])

    standing = clinic.many().run(clinic.order())

    # The fourth shares a document with the one who is held.
    waits, gone = Fate.KEPT, Fate.CERTIFIED
    assert clinic.fates() == [gone, gone, gone, waits, waits]
    assert not standing.all_well
    assert len(clinic.store.catalog.documents("mercy")) == 3
    named = clinic.orders.named(standing.erasure, after=3, limit=10)
    assert all("hold" in one.why for one in named)
    denied = [
        one for one in clinic.bench.records(action=Action.ERASED) if one.outcome is Outcome.DENIED
    ]
    assert {ref for one in denied for ref in one.subjects} == set(clinic.refs[3:])


def test_nobody_is_certified_before_the_files_are_scrubbed(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasure = clinic.order()
    many = clinic.many()

    def away() -> None:
        raise UnavailableError("the index is away")

    monkeypatch.setattr(many._eraser, "_scrub", away)
    with pytest.raises(UnavailableError):
        many.run(erasure)

    assert clinic.fates() == [Fate.WAITING] * 5
    assert clinic.bench.records(action=Action.ERASURE_CERTIFIED) == []
    assert clinic.many().run(erasure).all_well


def test_an_order_that_was_cut_off_goes_on_where_it_stopped(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_erasures, "BATCH", 2)
    erasure = clinic.order()
    rounds = iter([False, True])

    first = clinic.many(stopped=lambda: next(rounds)).run(erasure)

    assert (first.done, clinic.fates().count(Fate.CERTIFIED)) == (False, 2)
    who = officer("erasure")
    again = clinic.orders.unfinished(who, Purpose.COMPLIANCE, clinic.refs[::-1])
    assert again == erasure
    assert clinic.many().run(erasure).all_well
    assert len(clinic.bench.records(action=Action.ERASURE_CERTIFIED)) == 5
    assert clinic.orders.unfinished(who, Purpose.COMPLIANCE, clinic.refs) is None


def test_who_may_erase_nobody_erases_nobody_by_an_order(clinic: Clinic) -> None:
    erasure = clinic.order()

    for role in ("physician", "legal", "operator"):
        with pytest.raises(DeniedError):
            clinic.many(role=role).run(erasure)
        with pytest.raises(DeniedError):
            clinic.eraser(role).order("0" * 32, clinic.refs)
        with pytest.raises(DeniedError):
            clinic.eraser(role).look(erasure)

    assert clinic.fates() == [Fate.WAITING] * 5


def test_a_document_that_waits_by_an_order_goes_like_a_person(clinic: Clinic) -> None:
    erasure, who = "0" * 31 + "1", officer("erasure")
    ids = [clinic.first, "none"]
    clinic.orders.place(erasure, who, Purpose.COMPLIANCE, Kind.DOCUMENT, ids)

    standing = clinic.many().run(erasure)

    assert clinic.fates() == [Fate.CERTIFIED, Fate.KEPT]
    assert (standing.all_well, clinic.store.catalog.document(clinic.first)) == (False, None)
