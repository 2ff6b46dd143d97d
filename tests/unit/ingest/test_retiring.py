"""What is past its time goes, on record, and what anything keeps stays."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest import retiring
from ingest.retention import Retention
from ragplatform.audit.events import Action
from ragplatform.errors import DeniedError
from tests.fakes import Bench
from tests.office import Office

SHORT = """
[[rule]]
id = "short"
why = "a contract"
match = { department = "portal" }
keep_at_most = "30 days"
"""
LONG = """
[[rule]]
id = "long"
why = "a law"
match = { department = "records" }
keep_at_least = "60 years"
keep_at_most = "70 years"
"""


@pytest.fixture
def office(bench: Callable[..., Bench], tmp_path: Path) -> Iterator[Office]:
    (tmp_path / "retention.toml").write_text(SHORT + LONG)
    with ExitStack() as undo:
        found = Office(bench(), undo)
        found.ruled(Retention.load(tmp_path / "retention.toml"))
        yield found


def test_what_is_due_goes_under_its_rule_and_nothing_else_does(office: Office) -> None:
    old = office.note(department="portal")
    held = office.note(department="portal", restrictions=frozenset({"legal-hold"}))

    found = list(retiring.due(office.store.catalog, office.keeping, "mercy"))
    gone = retiring.apply(found, office.eraser())

    assert {one.entry.document for one in found} == {old, held}
    assert gone.documents == [old]
    assert {one.document for one in office.store.catalog.documents("mercy")} == {
        office.first,
        held,
    }
    [record] = office.bench.records(action=Action.ERASED)
    assert record.details["rule"] == "short"
    assert record.details["retention"] == office.keeping.retention.digest


@pytest.mark.parametrize(
    "role", ["erasure", "compliance", "privacy-officer", "legal", "operator", "ingest"]
)
def test_a_minimum_is_shortened_by_no_role(office: Office, role: str) -> None:
    document = office.note(department="records")

    with pytest.raises(DeniedError):
        office.eraser(role).document(document, dry_run=False)
    with pytest.raises(DeniedError):
        office.eraser(role).subject("mrn:1", dry_run=False)

    assert office.entry(document).document == document


def test_it_is_told_by_which_rule_a_document_stays(office: Office) -> None:
    document = office.note(department="records")

    found = retiring.explain(office.store.catalog, office.keeping, "mercy", document)

    assert found.terms.kept_by is not None
    assert found.terms.kept_by.id == "long"
    assert found.kept == "retention rule long keeps it until 2086-03-01"
