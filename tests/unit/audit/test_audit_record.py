"""Records hold no clear text by accident, have one way to be written, and open only whole."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.audit.events import Action
from ragplatform.audit.record import Record, decode, encode, stamp, unseal
from ragplatform.audit.seal import Sealed, Sealer
from ragplatform.errors import AuditError, ConfigurationError, TamperedError
from tests.fakes_audit import ORIGIN, SEALING_KEY, event

TIME = "2026-01-02T03:04:05.000006Z"
CLEAR = {"question": "Is Ms Adams still on metformin?", "answer": ""}


def written(**changes: Any) -> Record:
    line = encode(event(**changes), index=7, time=TIME, sealer=Sealer(ORIGIN, SEALING_KEY))
    return decode(line, origin=ORIGIN)


@pytest.mark.parametrize(
    "changes",
    [
        {"details": {"passage": "x" * 257}},
        {"details": {"list": [["x" * 257]]}},
        {"details": {"x" * 257: 1}},
        {"details": {"nested": {"x" * 257: 1}}},
        {"actor": "x" * 257},
        {"tenant": None},
        {"details": {"value": float("nan")}},
        {"details": {"value": b"bytes"}},
        {"details": {"value": {1, 2}}},
        {"details": {"value": "\ud800"}},
        {"sealed": {"Question": "x"}},
        {"sealed": {"question": "x" * 50_000}},
        {"sealed": {"question": "\ud800"}},
        {"action": "chatted"},
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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=9), JSON, max_size=5), st.sampled_from(Action))
def test_what_is_recorded_is_what_is_read_and_takes_one_line(
    details: dict[str, Any], action: Action
) -> None:
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


def test_a_record_does_not_depend_on_the_order_of_details() -> None:
    def line(details: dict[str, Any]) -> bytes:
        sealer = Sealer(ORIGIN, SEALING_KEY)
        return encode(event(details=details), index=0, time=TIME, sealer=sealer)

    assert line({"b": 1, "a": {"d": 1, "c": 2}}) == line({"a": {"c": 2, "d": 1}, "b": 1})


def test_times_are_written_in_utc() -> None:
    east = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    assert stamp(east) == "2025-12-31T23:00:00.000000Z"
    assert stamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
