"""What policy or the law keeps is erased by nobody, and the attempt is on record."""

from collections.abc import Callable, Iterator
from datetime import date

import pytest

from ingest.forget import Eraser
from ingest.holds import Holds
from ingest.ledger import Ledger
from ragplatform import openers
from ragplatform.answer.retrieve import Request
from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import DeniedError, ForgottenError
from ragplatform.model import Principal, Purpose, Sensitivity
from tests.fakes import Bench
from tests.state import entry_of, keeping_of

Opened = list[Ledger | Holds]
OFFICER = Principal(
    "erasure-mercy", "mercy", frozenset({"erasure"}), clearance=Sensitivity.RESTRICTED
)
LAST_DAY = date(2031, 12, 31)


@pytest.fixture
def ledger() -> Iterator[Opened]:
    made: Opened = []
    yield made
    for one in made:
        one.close()


def eraser(one: Bench, made: Opened, today: date) -> Eraser:
    store = one.platform.store
    book = Ledger(one.settings.catalog_url)
    holds = Holds(one.settings.catalog_url, derive=openers.deriver(one.settings))
    made += [book, holds]
    return Eraser(
        principal=OFFICER,
        purpose=Purpose.COMPLIANCE,
        policies=store.policies,
        privacy=store.privacy,
        index=store.index,
        archive=openers.open_archive(one.settings, store.vault),
        catalog=store.catalog,
        ledger=book,
        register=store.register,
        audit=store.audit,
        seals=openers.open_sealed_texts(one.settings),
        keeping=keeping_of(holds, today),
    )


def stored(one: Bench, **labels: object) -> str:
    """Put a document of one patient in; return its id."""
    one.put("Apixaban was stopped for Maria Lopez.", subjects=["mrn:1"], **labels)
    passage = list(one.index._entries.values())[-1].passage  # type: ignore[attr-defined]
    one.platform.store.catalog.put_document(entry_of(passage))
    return passage.document


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"retain_until": "2031-12-31"}, "2031-12-31"),
        ({"restrictions": frozenset({"legal-hold"})}, "base.legal-hold"),
    ],
)
def test_what_has_to_be_kept_stays_whole_and_the_attempt_is_recorded(
    bench: Callable[..., Bench],
    ledger: Opened,
    labels: dict[str, object],
    reason: str,
) -> None:
    one = bench()
    document = stored(one, **labels)

    for attempt in (
        lambda: eraser(one, ledger, LAST_DAY).document(document, dry_run=False),
        lambda: eraser(one, ledger, LAST_DAY).subject("mrn:1", dry_run=False),
    ):
        with pytest.raises(DeniedError, match=reason):
            attempt()

    assert one.index.count() == 1
    assert one.platform.store.catalog.document(document) is not None
    denied = one.records(action=Action.ERASED)
    assert [record.outcome for record in denied] == [Outcome.DENIED] * 2
    assert all(reason in str(record.details["reason"]) for record in denied)


def test_one_document_on_hold_keeps_all_of_a_person_from_being_erased(
    bench: Callable[..., Bench], ledger: Opened
) -> None:
    one = bench()
    stored(one)
    stored(one, retain_until="2031-12-31")

    with pytest.raises(DeniedError):
        eraser(one, ledger, LAST_DAY).subject("mrn:1", dry_run=False)

    assert one.index.count() == 2


def test_the_day_after_it_may_be_erased(bench: Callable[..., Bench], ledger: Opened) -> None:
    one = bench()
    document = stored(one, retain_until="2031-12-31")

    gone = eraser(one, ledger, date(2032, 1, 1)).document(document, dry_run=False)

    assert gone.documents == [document]
    assert one.index.count() == 0


def test_what_was_asked_about_an_erased_person_becomes_unreadable_and_nothing_else_does(
    bench: Callable[..., Bench], ledger: Opened
) -> None:
    one = bench()
    stored(one)
    one.put(
        "Visiting hours end at eight.", department="administration", sensitivity=Sensitivity.PUBLIC
    )
    about, other = "Why was apixaban stopped for Maria Lopez?", "When do visiting hours end?"
    for person, question in (("doctor", about), ("stranger", other)):
        request = Request(one.people[person], Purpose.TREAT, question, limit=1)
        one.platform.retriever.retrieve(request, Action.ASKED)

    eraser(one, ledger, LAST_DAY).subject("mrn:1", dry_run=False)

    asked = one.records(action=Action.ASKED)
    opened = [openers.unsealed(one.settings, record) for record in asked[1:]]
    assert opened == [{"question": other}]
    with pytest.raises(ForgottenError):
        openers.unsealed(one.settings, asked[0])
    [told] = one.records(action=Action.SEAL_DESTROYED)
    assert told.details == {"origin": "api.mercy", "records": [asked[0].index]}
    assert openers.verify_audit(one.settings, one.settings.audit_dir / "api.mercy").ok
