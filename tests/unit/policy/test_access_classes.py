"""Access classes name labels by their hash."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.errors import InvalidRequestError
from ragplatform.labels import canonical_labels
from ragplatform.model import Category, Labels, Sensitivity
from ragplatform.policy.classes import access_class, validate_labels

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
LABELS = st.builds(
    Labels,
    tenant=NAMES,
    collection=NAMES,
    sensitivity=st.sampled_from(Sensitivity),
    department=NAMES | st.just(""),
    categories=st.frozensets(st.sampled_from(Category)),
    restrictions=st.frozensets(NAMES, max_size=4),
    state=NAMES,
    retain_until=st.just("") | st.dates().map(str),
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tenant": ""},
        {"tenant": "Mercy"},
        {"collection": "clinical/notes"},
        {"collection": "a" * 64},
        {"collection": "clinical\n"},
        {"department": "-x"},
        {"department": "kårdiologi"},
        {"restrictions": frozenset({"part 2"})},
        {"state": ""},
        {"sensitivity": 2},
        {"sensitivity": 9},
        {"categories": frozenset({"PHI"})},
        {"retain_until": "2031"},
        {"retain_until": "20311231"},
        {"retain_until": "2031-W01-1"},
        {"retain_until": "2031-02-30"},
    ],
)
def test_labels_that_are_no_names_are_refused(wrong: dict[str, object]) -> None:
    labels = replace(Labels("mercy", "clinical"), **wrong)  # type: ignore[arg-type]  # on purpose

    with pytest.raises(InvalidRequestError):
        validate_labels(labels)


@given(LABELS)
def test_well_formed_labels_are_accepted(labels: Labels) -> None:
    validate_labels(labels)


@given(LABELS, LABELS)
def test_labels_share_a_class_exactly_when_they_are_equal(one: Labels, other: Labels) -> None:
    assert (access_class(one) == access_class(other)) is (one == other)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "harbor"},
        {"collection": "banking"},
        {"sensitivity": Sensitivity.RESTRICTED},
        {"department": "cardiology"},
        {"categories": frozenset({Category.PHI})},
        {"restrictions": frozenset({"part2"})},
        {"state": "draft"},
    ],
)
def test_every_field_of_the_labels_counts(change: dict[str, object]) -> None:
    labels = Labels("mercy", "clinical")

    changed = replace(labels, **change)  # type: ignore[arg-type]  # a table of fields

    assert access_class(changed) != access_class(labels)


def test_the_class_is_the_sha256_of_canonical_json() -> None:
    labels = Labels(
        "mercy",
        "clinical",
        Sensitivity.CONFIDENTIAL,
        "cardiology",
        frozenset({Category.PII, Category.PHI}),
        frozenset({"vip", "legal-hold"}),
    )

    text = canonical_labels(labels)

    assert text == (
        '{"categories":["PHI","PII"],"collection":"clinical","department":"cardiology",'
        '"restrictions":["legal-hold","vip"],"sensitivity":2,"state":"current","tenant":"mercy"}'
    )
    assert json.loads(text)["sensitivity"] == 2
    assert access_class(labels) == hashlib.sha256(text.encode()).hexdigest()


def test_labels_without_a_day_hash_as_they_did_before_days_were_kept() -> None:
    labels = Labels("mercy", "clinical", Sensitivity.CONFIDENTIAL, "cardiology")

    assert "retain_until" not in canonical_labels(labels)
    assert "retain_until" in canonical_labels(replace(labels, retain_until="2031-12-31"))
