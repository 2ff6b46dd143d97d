"""Other labels for documents that are there: by policy, on record, never past a hold."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ingest.by_hand import opens, relabelled
from ingest.holds import Held, Hold
from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import DeniedError, IndexUnavailableError, InvalidRequestError
from ragplatform.model import Labels, Sensitivity
from ragplatform.policy.classes import access_class
from tests.fakes import Bench
from tests.office import Office


@pytest.fixture
def office(bench: Callable[..., Bench]) -> Iterator[Office]:
    with ExitStack() as undo:
        yield Office(bench(), undo)


def hold(office: Office) -> None:
    case = office.holds.case_ref("mercy", "Smith v. Mercy")
    now = datetime.now(UTC)
    office.holds.place(
        Hold("mercy", case, Held.DOCUMENT, office.first, "legal-mercy", now, "Smith", "as told")
    )


def test_new_labels_hold_in_catalog_and_index_and_are_on_record(office: Office) -> None:
    before = office.entry(office.first).access_class

    done = office.relabeller().document(office.first, {"sensitivity": "restricted"})

    assert (done.documents, done.passages) == (1, 1)
    assert office.labels(office.first).sensitivity is Sensitivity.RESTRICTED
    assert office.in_index(office.first) == office.labels(office.first)
    [record] = office.bench.records(action=Action.RELABELLED)
    after = office.entry(office.first).access_class
    assert record.details == {"document": office.first, "before": before, "after": after}
    assert access_class(office.labels(office.first)) == after != before


def test_a_whole_collection_is_relabelled_or_nothing_of_it(office: Office) -> None:
    second = office.note(restrictions=frozenset({"legal-hold"}))

    with pytest.raises(DeniedError):
        office.relabeller().collection("clinical", {"restrictions": []})
    assert "legal-hold" in office.labels(second).restrictions
    assert office.labels(office.first) == office.in_index(office.first)
    assert office.relabeller().collection("clinical", {"retain_until": "2031-12-31"}).documents == 2
    assert office.labels(office.first).retain_until == "2031-12-31"


@pytest.mark.parametrize("role", ["erasure", "ingest", "operator", "physician", "access-admin"])
def test_who_may_not_relabel_changes_nothing_and_is_on_record(office: Office, role: str) -> None:
    before = office.labels(office.first)

    with pytest.raises(DeniedError):
        office.relabeller(role).document(office.first, {"sensitivity": "public"})

    assert office.labels(office.first) == office.in_index(office.first) == before
    [record] = office.bench.records(action=Action.RELABELLED)
    assert record.outcome is Outcome.DENIED


@pytest.mark.parametrize(
    "changes",
    [{"sensitivity": "public"}, {"department": "oncology"}],
)
@pytest.mark.parametrize("role", ["compliance", "privacy-officer", "legal"])
def test_what_is_on_hold_is_opened_by_nobody_and_may_be_closed(
    office: Office, role: str, changes: dict[str, str]
) -> None:
    hold(office)

    with pytest.raises(DeniedError, match="legal hold"):
        office.relabeller(role).document(office.first, changes)

    office.relabeller(role).document(office.first, {"sensitivity": "restricted"})
    assert office.labels(office.first).sensitivity is Sensitivity.RESTRICTED


def test_only_legal_takes_the_label_of_a_hold_away(office: Office) -> None:
    document = office.note(restrictions=frozenset({"legal-hold"}))

    with pytest.raises(DeniedError, match="legal hold"):
        office.relabeller("compliance").document(document, {"restrictions": []})
    office.relabeller("legal").document(document, {"restrictions": []})

    assert office.labels(document).restrictions == frozenset()


def test_a_restriction_that_no_rule_knows_is_refused(office: Office) -> None:
    with pytest.raises(DeniedError, match="known-restrictions"):
        office.relabeller().document(office.first, {"restrictions": ["psycotherapy"]})


def test_one_that_was_cut_off_is_finished(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> int:
        raise IndexUnavailableError("the engine is away")

    with monkeypatch.context() as broken:
        broken.setattr(office.store.index, "relabel", away)
        with pytest.raises(IndexUnavailableError):
            office.relabeller().document(office.first, {"sensitivity": "restricted"})
    assert office.store.catalog.unsettled_labels("mercy") == [office.first]

    assert office.relabeller().finish().documents == 1

    assert office.in_index(office.first).sensitivity is Sensitivity.RESTRICTED
    assert office.in_index(office.first) == office.labels(office.first)
    assert office.relabeller().finish().documents == 0


def test_another_tenants_document_is_not_there(office: Office) -> None:
    with pytest.raises(InvalidRequestError):
        office.relabeller().document("no-such", {"sensitivity": "public"})


@pytest.mark.parametrize("changes", [{"sensitivity": "secret"}, {"colour": "red"}, {"state": 1}])
def test_a_label_that_is_none_is_refused(changes: dict[str, str | int]) -> None:
    with pytest.raises(InvalidRequestError):
        relabelled(Labels("mercy", "clinical"), changes)


@pytest.mark.parametrize(
    ("change", "opened"),
    [
        ({"sensitivity": Sensitivity.PUBLIC}, True),
        ({"sensitivity": Sensitivity.RESTRICTED}, False),
        ({"restrictions": frozenset()}, True),
        ({"restrictions": frozenset({"vip", "part2"})}, False),
        ({"retain_until": ""}, True),
        ({"retain_until": "2040-01-01"}, False),
        ({"state": "draft"}, False),
        ({"department": "x"}, True),
    ],
)
def test_less_of_anything_that_closes_is_opening(change: dict[str, object], opened: bool) -> None:
    before = Labels(
        "mercy",
        "clinical",
        Sensitivity.CONFIDENTIAL,
        restrictions=frozenset({"vip"}),
        retain_until="2031-12-31",
    )

    assert opens(before, replace(before, **change)) is opened  # type: ignore[arg-type]
