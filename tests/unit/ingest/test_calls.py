"""What a run was called with names an erased person no more."""

from pathlib import Path

import pytest

from ingest.calls import CallsPlace
from ingest.ledger import Ledger
from ingest.runs import Ended, Run
from ragplatform.errors import TamperedError

WORDS = {
    "r1": ["--label", "subject=mrn:1", "--", "/notes"],
    "r2": ["--label", "subject=mrn:2", "--", "/notes"],
}


def ref(tenant: str, raw_id: str) -> str:
    return f"s_{tenant}_{raw_id}"


def opened(run: Run) -> list[str]:
    if run.run not in WORDS:
        raise TamperedError("not what was written")
    return WORDS[run.run]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    book = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    for run, tenant in (("r1", "mercy"), ("r2", "mercy"), ("r3", "mercy"), ("r4", "harbor")):
        book.runs.start(run, tenant=tenant, collection="clinical", arguments="sealed")
        book.runs.finish(run, {}, ended=Ended.FAILED, keep_arguments=True)
    return book


def test_the_calls_that_name_a_person_go_and_those_that_nobody_can_read(ledger: Ledger) -> None:
    place = CallsPlace(runs=ledger.runs, opened=opened, subject_ref=ref)
    person = ref("mercy", "mrn:1")

    went = place.erase_subjects("mercy", frozenset({person}))

    assert went == {person: 1}
    kept = {run.run: run.arguments for run in ledger.runs.latest()}
    assert kept == {"r1": "", "r2": "sealed", "r3": "", "r4": "sealed"}
    ledger.close()
