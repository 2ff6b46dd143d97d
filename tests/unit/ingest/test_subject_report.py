"""A person's report holds what is about them, and shows what policy lets its maker see."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ingest.subject_page import Form, written
from ragplatform.answer.retrieve import Request
from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import DeniedError
from ragplatform.model import Purpose
from tests.fakes import Bench
from tests.office import Office


@pytest.fixture
def office(bench: Callable[..., Bench]) -> Iterator[Office]:
    with ExitStack() as undo:
        yield Office(bench(), undo)


def keep_values(office: Office) -> None:
    store = office.store
    ref = store.vault.subject_ref("mercy", "mrn:1")
    values = [("PERSON", "Maria Lopez"), ("US_SSN", "078-05-1120")]
    store.vault.store("mercy", ref, values)


def test_it_lists_documents_values_and_who_saw_what(office: Office) -> None:
    keep_values(office)
    doctor = office.bench.people["doctor"]
    request = Request(doctor, Purpose.TREAT, "Why was apixaban stopped for Maria Lopez?", limit=1)
    office.bench.platform.retriever.retrieve(request, Action.ASKED)

    found = office.reporter().report("mrn:1", form="json")

    [document] = found["documents"]  # type: ignore[misc, union-attr]
    assert document["document"] == office.first  # type: ignore[index, call-overload]
    assert len(document["passages"]) == 1  # type: ignore[arg-type, index, call-overload]
    assert [one["value"] for one in found["values"]] == ["Maria Lopez"]  # type: ignore[index, union-attr, call-overload]
    assert found["values_withheld"] == {"US_SSN": 1}
    assert {one["to"] for one in found["disclosures"]} == {doctor.id}  # type: ignore[index, union-attr, call-overload]


def test_what_policy_keeps_from_its_maker_is_named_and_not_shown(office: Office) -> None:
    closed = office.note(restrictions=frozenset({"psychotherapy"}))

    found = office.reporter().report("mrn:1", form="json")

    [document] = [one for one in found["documents"] if one["document"] == closed]  # type: ignore[index, union-attr, call-overload]
    assert document["passages"] == []  # type: ignore[index, call-overload]
    assert document["passages_withheld_by"]  # type: ignore[index, call-overload]


@pytest.mark.parametrize("role", ["erasure", "ingest", "operator", "physician", "legal"])
def test_who_may_not_make_one_learns_nothing_and_is_on_record(office: Office, role: str) -> None:
    with pytest.raises(DeniedError):
        office.reporter(role, Purpose.COMPLIANCE).report("mrn:1", form="json")

    [record] = office.bench.records(action=Action.SUBJECT_REPORTED)
    assert record.outcome is Outcome.DENIED
    assert record.subjects == (office.store.vault.subject_ref("mercy", "mrn:1"),)


def test_it_is_on_record_before_anything_is_shown_and_names_earlier_ones(office: Office) -> None:
    office.reporter().report("mrn:1", form="json")

    again = office.reporter().report("mrn:1", form="html")

    records = office.bench.records(action=Action.SUBJECT_REPORTED)
    assert [r.details.get("documents") for r in records] == [None, 1, None, 1]
    assert len(again["reports_before"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("form", list(Form))
def test_every_form_holds_the_same_and_no_title_becomes_markup(office: Office, form: Form) -> None:
    keep_values(office)
    found = office.reporter().report("mrn:1", form=form.value)
    found["documents"][0]["title"] = "<script>x</script>"  # type: ignore[index, call-overload]

    text = written(found, form)

    assert "Apixaban was stopped" in text
    assert "Maria Lopez" in text
    if form is Form.JSON:
        assert json.loads(text) == json.loads(json.dumps(found))
    else:
        assert "<script>" not in text
