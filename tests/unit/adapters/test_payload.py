"""A stored passage is read whole or refused whole, and says nothing of itself when refused."""

import copy
import json
from dataclasses import replace

import pytest

from ragplatform.adapters.filters import class_number
from ragplatform.adapters.payload import (
    decode_labels,
    decode_payload,
    encode_labels,
    encode_payload,
    origin,
)
from ragplatform.errors import TamperedError
from ragplatform.model import Category, Chunk, Facts, Labels, Passage, Sensitivity, Span

ID = "11111111-1111-1111-1111-111111111111"
PASSAGE = Passage(
    chunk=Chunk(
        id=ID,
        ordinal=3,
        text="Ada Byron, MRN 00123",
        start=10,
        end=30,
        page=2,
        page_end=None,
        heading=("History",),
        spans=(Span(0, 9, "PERSON", Category.PII, 0.85, "spacy"),),
    ),
    document="letter",
    title="A letter",
    labels=Labels("mercy", "clinical", Sensitivity.RESTRICTED, "oncology", frozenset(Category)),
    access_class="class",
    subjects=frozenset({"s1"}),
    generation="g1",
    media_type="text/plain",
)

# Each breaks one field of an honest payload; the path of keys, and what stands there instead.
FLAWS = [
    (["format"], 2),
    (["format"], None),
    (["extra"], "x"),
    (["document"], None),
    (["document"], 7),
    (["text"], None),
    (["title"], ["x"]),
    (["ordinal"], "3"),
    (["ordinal"], True),
    (["start"], 1.5),
    (["page"], "2"),
    (["page"], False),
    (["page_labels"], []),
    (["page_labels"], [[2]]),
    (["page_labels"], [[0, "iv"]]),
    (["page_labels"], [[True, "iv"]]),
    (["page_labels"], [[2, "Maria Lopez"]]),
    (["page_labels"], [[2, ""]]),
    (["page_labels"], [[3, "v"], [2, "iv"]]),
    (["heading"], "History"),
    (["heading"], [1]),
    (["subjects"], "s1"),
    (["subjects"], None),
    (["subjects"], [None]),
    (["access_class"], ["class"]),
    (["tenant"], "harbor"),
    (["collection"], "billing"),
    (["tenant_class"], "harbor/class"),
    (["tenant_class"], "mercy/other"),
    (["access_class"], "other"),
    (["class_number"], class_number("mercy/other")),
    (["class_number"], str(class_number("mercy/class"))),
    (["class_number"], None),
    (["labels"], None),
    (["labels"], {}),
    (["labels", "extra"], 1),
    (["labels", "tenant"], "harbor"),
    (["labels", "sensitivity"], 9),
    (["labels", "sensitivity"], True),
    (["labels", "sensitivity"], "3"),
    (["labels", "categories"], ["XXX"]),
    (["labels", "categories"], "PHI"),
    (["labels", "restrictions"], None),
    (["spans"], None),
    (["spans"], [[0, 9, "PERSON", "PII", 0.85]]),
    (["spans"], [[0, 999, "PERSON", "PII", 0.85, "spacy"]]),
    (["spans"], [[9, 0, "PERSON", "PII", 0.85, "spacy"]]),
    (["spans"], [[-1, 9, "PERSON", "PII", 0.85, "spacy"]]),
    (["spans"], [[0, 9, "PERSON", "nonsense", 0.85, "spacy"]]),
    (["spans"], [[0, 9, "PERSON", "PII", "0.85", "spacy"]]),
]


def broken(path: list[str], value: object) -> dict[str, object]:
    payload = copy.deepcopy(encode_payload(PASSAGE))
    place = payload
    for key in path[:-1]:
        place = place[key]  # type: ignore[assignment]
    place[path[-1]] = value  # type: ignore[assignment]
    return payload  # type: ignore[return-value]


@pytest.mark.parametrize(("path", "value"), FLAWS)
def test_a_payload_with_one_flaw_is_refused_without_its_text(
    path: list[str], value: object
) -> None:
    with pytest.raises(TamperedError) as caught:
        decode_payload(ID, broken(path, value))

    assert "Byron" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", sorted(encode_payload(PASSAGE)))
def test_a_payload_that_lacks_a_field_is_refused(name: str) -> None:
    payload = encode_payload(PASSAGE)
    del payload[name]

    with pytest.raises(TamperedError):
        decode_payload(ID, payload)


@pytest.mark.parametrize("payload", [None, [], "x", 1, {}])
def test_what_is_no_payload_is_refused(payload: object) -> None:
    with pytest.raises(TamperedError):
        decode_payload(ID, payload)
    with pytest.raises(TamperedError):
        decode_labels(payload)
    with pytest.raises(TamperedError):
        origin(payload if isinstance(payload, dict) else None)


def test_an_honest_payload_gives_the_passage_back_also_through_json() -> None:
    payload = json.loads(json.dumps(encode_payload(PASSAGE)))

    assert decode_payload(ID, payload) == PASSAGE
    assert origin(payload) == ("letter", "g1")


def test_labels_alone_come_back_with_their_class() -> None:
    fields = encode_labels(PASSAGE.labels, "class")

    assert decode_labels(fields) == (PASSAGE.labels, "class")


def test_new_labels_replace_exactly_the_fields_that_come_from_labels() -> None:
    moved = Labels("mercy", "research", state="held")
    payload = encode_payload(PASSAGE) | encode_labels(moved, "other")

    passage = decode_payload(ID, payload)

    assert (passage.labels, passage.access_class) == (moved, "other")
    assert passage.chunk == PASSAGE.chunk


KNOWN = replace(
    PASSAGE,
    facts=Facts(
        kinds=frozenset({"10-k"}), years=frozenset({"2022"}), dates=frozenset({"2023-02-08"})
    ),
)


def test_facts_are_stored_as_keywords_of_one_field_and_read_back() -> None:
    payload = encode_payload(KNOWN)

    assert payload["facts"] == [
        "date:2023", "date:2023-02", "date:2023-02-08", "kind:10-k", "year:2022"
    ]  # fmt: skip
    assert decode_payload(ID, payload) == KNOWN


def test_a_passage_without_facts_is_stored_as_before_there_were_any() -> None:
    assert "facts" not in encode_payload(PASSAGE)


@pytest.mark.parametrize(
    "facts",
    [
        [],
        None,
        "kind:10-k",
        ["kind"],
        [1],
        ["secret:x"],
        ["year:2022", "kind:10-k"],
        ["kind:10-k", "kind:10-k"],
        ["date:2023-02-08"],
        ["date:2023", "date:2023-02"],
    ],
)
def test_facts_in_any_other_form_are_refused(facts: object) -> None:
    payload = {**encode_payload(PASSAGE), "facts": facts}

    with pytest.raises(TamperedError):
        decode_payload(ID, payload)


def test_the_number_of_the_class_may_stand_beside_it() -> None:
    payload = {**encode_payload(PASSAGE), "class_number": class_number("mercy/class")}

    assert decode_payload(ID, payload) == PASSAGE
