"""Bulk scanning: one line out for one line in, in order, or an error that names the line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.commands import bulk
from ragplatform.errors import DetectorError, InvalidRequestError
from tests.fakes_privacy import FailingDetector, RegexDetector

FIND = RegexDetector().detect


def lines(*documents):
    return [json.dumps(document).encode() + b"\n" for document in documents]


def answered(given, find=FIND):
    """Return what was written before the end, and the error that ended it, if one did."""
    written = []
    try:
        written.extend(map(json.loads, bulk.answers(given, find)))
    except (InvalidRequestError, DetectorError) as error:
        return written, error
    return written, None


def test_every_text_is_answered_in_order_with_offsets_of_code_points():
    given = lines(
        {"id": "a", "text": "😀 Maria Lopez"}, {"id": 7, "text": ""}, {"id": "", "text": "x"}
    )

    written, error = answered(given)

    assert error is None
    assert written == [
        {
            "id": "a",
            "spans": [
                {"start": 2, "end": 13, "type": "PERSON", "category": "PII", "score": 0.9},
            ],
        },
        {"id": 7, "spans": []},
        {"id": "", "spans": []},
    ]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (rb"\ud83d\ude00 Maria Lopez", 2),
        (rb"\ud83d Maria Lopez", 2),
        (rb"\u0000 Maria Lopez", 2),
        ("\u2028 Maria Lopez".encode(), 2),
        ("é Maria Lopez".encode(), 2),
    ],
)
def test_offsets_are_those_of_the_text_that_json_means(text, start):
    [line], _ = answered([b'{"id": 1, "text": "' + text + b'"}'])

    assert line["spans"][0]["start"] == start


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"id": 1}',
        b'{"text": "x"}',
        b'{"id": 1, "text": null}',
        b'{"id": 1, "text": ["x"]}',
        b'{"id": true, "text": "x"}',
        b'{"id": 1.5, "text": "x"}',
        b'{"id": null, "text": "x"}',
        b'{"id": 1, "text": "\xff"}',
        b'{"id": 1, "text": "a\nb"}',
        b'{"id": 1, "text": "x"} {"id": 2, "text": "x"}',
        b'{"id": 1, "text": "x", "more": ' + b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b', "text": "x"}',
    ],
)
def test_a_bad_line_stops_there_and_is_named_but_never_quoted(bad):
    secret = b'"Maria Lopez"'
    given = [
        *lines({"id": 1, "text": "x"}),
        b"\n",
        bad + secret + b"\n",
        *lines({"id": 3, "text": ""}),
    ]

    written, error = answered(given)

    assert [line["id"] for line in written] == [1]
    assert str(error).startswith("line 3: ")
    assert "Maria" not in str(error)


def test_what_other_keys_say_is_ignored():
    written, error = answered(lines({"id": 1, "text": "x", "spans": "y", "lang": None}))

    assert (written, error) == ([{"id": 1, "spans": []}], None)


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_line():
    given = [b'\xef\xbb\xbf{"id": 1, "text": "x"}\r\n', b'{"id": 2, "text": "y"}']

    written, error = answered(given)

    assert [line["id"] for line in written] == [1, 2]
    assert error is None


def test_a_detector_that_fails_leaves_no_text_answered_as_clean():
    many = lines(*({"id": n, "text": "x"} for n in range(2 * bulk.BATCH_TEXTS)))

    written, error = answered(many, FailingDetector(after=1).detect)

    assert len(written) == bulk.BATCH_TEXTS
    assert isinstance(error, DetectorError)


@given(st.lists(st.integers(0, 700_000), max_size=20))
def test_batches_keep_every_item_in_order_and_are_bounded(sizes):
    items = [bulk.Item(n, "x" * size) for n, size in enumerate(sizes)]

    made = list(bulk.batches(items))

    assert [item for batch in made for item in batch] == items
    for batch in made:
        assert len(batch) == 1 or sum(len(i.text) for i in batch) <= bulk.BATCH_CHARACTERS


def test_the_input_is_not_read_ahead_of_what_is_answered():
    taken = []

    def endless():
        for number in range(10 * bulk.BATCH_TEXTS):
            taken.append(number)
            yield from lines({"id": number, "text": "x"})

    next(bulk.answers(endless(), FIND))

    assert len(taken) <= bulk.BATCH_TEXTS + 1
