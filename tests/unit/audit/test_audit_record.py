"""Records hold no clear text by accident, have one way to be written, and open only whole."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.audit.details import Detail, Kind
from ragplatform.audit.events import Action
from ragplatform.audit.record import Record, canonical, decode, encode, stamp, unseal
from ragplatform.audit.seal import Sealed, Sealer
from ragplatform.audit.vocabulary import VOCABULARY
from ragplatform.errors import AuditError, ConfigurationError, TamperedError
from tests.fakes_audit import ORIGIN, SEALING_KEY, event

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # Hypothesis adds the zone itself
TIME = "2026-01-02T03:04:05.000006Z"
CLEAR = {"question": "Is Ms Adams still on metformin?", "answer": ""}


def written(**changes: Any) -> Record:
    line = encode(event(**changes), index=7, time=TIME, sealer=Sealer(ORIGIN, SEALING_KEY))
    return decode(line, origin=ORIGIN)


@pytest.mark.parametrize(
    "changes",
    [
        {"details": {"passage": "xxxxxxxx"}},
        {"details": {"collections": ["x" * 257]}},
        {"details": {"collections": "xxxxxxxx"}},
        {"details": {"collections": ["xxxxxxxx\n"]}},
        {"details": {"scope": "xxxxxxxx xxxxxxxx"}},
        {"details": {"number": -1}},
        {"details": {"number": True}},
        {"details": {"number": "xxxxxxxx"}},
        {"details": {"x" * 257: 1}},
        {"action": Action.ANALYSED, "details": {"found": {"x" * 257: 1}}},
        {"action": Action.ANALYSED, "details": {"found": {"PERSON": "xxxxxxxx"}}},
        {"action": Action.ANALYSED, "details": {}},
        {"action": Action.RETRIEVED, "details": {"passages": [{"text": "xxxxxxxx"}]}},
        {"action": Action.RETRIEVED, "details": {"passages": ["xxxxxxxx"]}},
        {"subjects": ["x" * 257]},
        {"trace": "x" * 257},
        {"actor": "x" * 257},
        {"tenant": None},
        {"details": {"number": float("nan")}},
        {"details": {"number": b"bytes"}},
        {"details": {"collections": {1, 2}}},
        {"details": {"collections": ["\ud800"]}},
        {"sealed": {"passage": "x"}},
        {"sealed": {"Question": "x"}},
        {"sealed": {"question": "x" * 50_000}},
        {"sealed": {"question": "\ud800"}},
        {"action": "chatted", "details": {}},
    ],
)
def test_an_event_that_cannot_be_recorded_as_it_stands_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(AuditError) as caught:
        written(**changes)

    assert "xxxxx" not in str(caught.value)


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b"null", b'{"action":"asked"}', b"\xff", b'{"sealed":{"parts":1}}']
)
def test_a_line_that_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(TamperedError):
        decode(line, origin=ORIGIN)


def test_sealed_text_does_not_stand_in_the_record() -> None:
    line = encode(event(sealed=CLEAR), index=7, time=TIME, sealer=Sealer(ORIGIN, SEALING_KEY))

    assert b"metformin" not in line
    assert "metformin" not in repr(event(sealed=CLEAR))
    assert unseal(decode(line, origin=ORIGIN), SEALING_KEY) == CLEAR


def test_one_flipped_bit_anywhere_in_a_sealed_part_is_found() -> None:
    record = written(sealed=CLEAR)
    assert record.sealed is not None
    for name, box in [("", record.sealed.key), *record.sealed.parts.items()]:
        for bit in range(len(box) * 8):
            bad = bytearray(box)
            bad[bit // 8] ^= 1 << bit % 8
            parts = dict(record.sealed.parts)
            sealed = Sealed(bytes(bad), parts) if not name else None
            sealed = sealed or Sealed(record.sealed.key, parts | {name: bytes(bad)})
            with pytest.raises(TamperedError):
                unseal(replace(record, sealed=sealed), SEALING_KEY)


@pytest.mark.parametrize(
    "changes", [{"index": 8}, {"origin": "ragplatform/other"}, {"tenant": "harbor"}]
)
def test_a_sealed_part_opens_in_its_own_place_alone(changes: dict[str, Any]) -> None:
    with pytest.raises(TamperedError):
        unseal(replace(written(sealed=CLEAR), **changes), SEALING_KEY)


def test_a_sealed_part_passed_off_as_another_does_not_open() -> None:
    record = written(sealed={"question": "a", "answer": "b"})
    assert record.sealed is not None
    parts = record.sealed.parts
    swapped = Sealed(record.sealed.key, {"question": parts["answer"], "answer": parts["question"]})

    with pytest.raises(TamperedError):
        unseal(replace(record, sealed=swapped), SEALING_KEY)


def test_another_sealing_key_does_not_open() -> None:
    with pytest.raises(TamperedError):
        unseal(written(sealed=CLEAR), bytes(32))
    with pytest.raises(ConfigurationError):
        unseal(written(sealed=CLEAR), bytes(16))


def test_a_record_without_sealed_parts_opens_to_nothing() -> None:
    assert unseal(written(), bytes(32)) == {}


def test_the_same_text_sealed_twice_differs() -> None:
    first, second = written(sealed=CLEAR).sealed, written(sealed=CLEAR).sealed

    assert first is not None
    assert second is not None
    assert set(first.parts.values()).isdisjoint(second.parts.values())


CODES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:/+ -]{0,63}", fullmatch=True)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=256)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.ID: PRINTABLE,
    Kind.CODE: CODES,
    Kind.DIGEST: st.from_regex(r"[0-9a-z]{8,64}", fullmatch=True),
    Kind.COUNT: st.integers(0, 2**53),
    Kind.FLAG: st.booleans(),
    Kind.MOMENT: st.datetimes(EPOCH, timezones=st.just(UTC)).map(stamp),
    Kind.COUNTS: st.dictionaries(CODES, st.integers(0, 2**53), max_size=4),
    Kind.NOTE: PRINTABLE,
}


def values(detail: Detail) -> st.SearchStrategy[Any]:
    one = objects(detail.parts) if detail.kind is Kind.PART else VALUES[detail.kind]
    return st.lists(one, max_size=3) if detail.many else one


def objects(details: Sequence[Detail]) -> st.SearchStrategy[dict[str, Any]]:
    needed = {one.name: values(one) for one in details if one.required}
    return st.fixed_dictionaries(
        needed, optional={one.name: values(one) for one in details if not one.required}
    )


@given(st.data(), st.sampled_from(Action))
def test_what_is_recorded_is_what_is_read_and_takes_one_line(
    data: st.DataObject, action: Action
) -> None:
    details = data.draw(objects(VOCABULARY[action].details))
    line = encode(
        event(details=details, action=action), index=7, time=TIME, sealer=Sealer("o", bytes(32))
    )
    record = decode(line, origin="o")

    assert b"\n" not in line
    assert b"\x00" not in line
    assert record.details == details
    assert record.action is action
    assert record.index == 7
    assert stamp(record.time) == TIME


def test_a_record_says_who_through_whom_for_whom_and_under_which_policies() -> None:
    said = {"client": "chat", "proof": "key:ab", "policy": "cd", "trace": "ef"}
    record = written(**said, subjects={"s_b", "s_a"})

    assert {name: getattr(record, name) for name in said} == said
    assert record.subjects == ("s_a", "s_b")
    assert written(request_id="r-9").trace == "r-9"


def test_a_record_of_the_first_format_is_read_as_if_it_were_of_the_second() -> None:
    passage = {"chunk": "c", "subjects": ["s_b", "s_a"]}
    details = {"policy": "cd", "via": "chat", "passages": [passage], "subject": "s_c"}
    old = {"action": "retrieved", "actor": "u", "format": 1, "index": 0, "outcome": "success"}
    old |= {"purpose": "TREAT", "request": "r", "sealed": None, "tenant": "mercy", "time": TIME}
    record = decode(canonical(old | {"details": details}), origin="o")

    assert (record.client, record.policy, record.trace) == ("chat", "cd", "r")
    assert record.subjects == ("s_a", "s_b", "s_c")


def test_a_record_of_a_format_to_come_is_not_guessed_at() -> None:
    line = encode(event(), index=0, time=TIME, sealer=Sealer("o", bytes(32)))

    with pytest.raises(TamperedError):
        decode(line.replace(b'"format":2', b'"format":3'), origin="o")


def test_a_record_does_not_depend_on_the_order_of_details() -> None:
    def line(details: dict[str, Any]) -> bytes:
        sealer = Sealer(ORIGIN, SEALING_KEY)
        return encode(event(details=details), index=0, time=TIME, sealer=sealer)

    assert line({"number": 1, "glass": ["a"]}) == line({"glass": ["a"], "number": 1})


def test_times_are_written_in_utc() -> None:
    east = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    assert stamp(east) == "2025-12-31T23:00:00.000000Z"
    assert stamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
