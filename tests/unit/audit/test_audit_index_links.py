"""What the index keeps of a record is what became of each thing that the record names."""

from dataclasses import replace

import pytest

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.index_links import UNNAMED, openings_of, passages_of, plain, subjects_of
from ragplatform.audit.record import Record, decode, encode
from ragplatform.audit.seal import Sealer
from tests.audit_story import ANNA, BEN, CARA, act, passage, retrieved
from tests.fakes_audit import SEALING_KEY


def recorded(event: AuditEvent) -> Record:
    sealer = Sealer("api.mercy", SEALING_KEY)
    line = encode(event, index=0, time="2026-03-01T08:00:00.000000Z", sealer=sealer)
    return decode(line, origin="api.mercy")


@pytest.mark.parametrize(
    ("event", "how"),
    [
        (retrieved("dr", passage("p", ANNA)), "shown"),
        (act(Action.ANSWERED, details={"cited": ["p"]}), "cited"),
        (act(Action.REVEALED, details={"chunk": "p", "document": "doc-p"}), "revealed"),
        (act(Action.REVEALED, outcome=Outcome.DENIED, details={"chunk": "p"}), "denied"),
        (act(Action.SOURCE_VIEWED, outcome=Outcome.DENIED, details={"chunk": "p"}), "denied"),
        (
            act(Action.DISAGREED, outcome=Outcome.DENIED,
                details={"chunk": "p", "document": "doc-p"}),
            "dropped",
        ),
    ],
)  # fmt: skip
def test_each_way_a_passage_is_named_is_told_apart(event: AuditEvent, how: str) -> None:
    assert {name: what for name, (what, _) in passages_of(recorded(event)).items()} == {"p": how}


def test_an_act_that_names_nothing_gives_nothing() -> None:
    record = recorded(act(Action.DENIED))

    assert (passages_of(record), subjects_of(record), openings_of(record)) == ({}, {}, {})


def test_everybody_a_record_is_about_is_found_also_whom_no_passage_names() -> None:
    event = replace(retrieved("dr", passage("p", ANNA, total=2)), subjects=[ANNA, BEN])

    assert subjects_of(recorded(event)) == {ANNA: "shown", BEN: "shown"}


def test_an_old_record_that_counts_more_people_than_it_names_says_so() -> None:
    record = recorded(retrieved("dr", passage("p", ANNA, total=2)))

    assert subjects_of(replace(record, format=1)) == {ANNA: "shown", UNNAMED: "shown"}


def test_a_glass_that_another_act_ran_under_is_in_force_and_not_opened() -> None:
    event = act(Action.REVEALED, details={"chunk": "p", "glass": ["o1"]}, subjects=[CARA])

    assert openings_of(recorded(event)) == {"o1": "in_force"}


def test_text_is_kept_as_both_databases_can_hold_it() -> None:
    assert plain("a\x00b") == "a\ufffdb"
