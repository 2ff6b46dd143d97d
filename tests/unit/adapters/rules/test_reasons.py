"""A finding can be explained: by the word that spoke for it and by its check digits."""

import pytest

from ragplatform.adapters.rules.reasons import clue, proven
from ragplatform.adapters.rules.tier import RuleTier
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Span

TIER = RuleTier()


def found(text: str, entity: str) -> Span:
    return max((s for s in TIER.find(text) if s.entity == entity), key=lambda span: span.score)


@pytest.mark.parametrize(
    ("text", "entity", "word"),
    [
        ("Patient MRN: 4471920 was seen", "MEDICAL_RECORD_NUMBER", "MRN"),
        ("Account number 12345678 is closed", "ACCOUNT_NUMBER", "Account number"),
    ],
)
def test_the_label_that_spoke_for_a_value_is_named(text: str, entity: str, word: str) -> None:
    assert clue(text, found(text, entity)) == word


def test_a_value_that_needs_no_word_has_none() -> None:
    text = "write to a.person@example.org"

    assert clue(text, found(text, "EMAIL_ADDRESS")) == ""


def test_check_digits_that_hold_are_said() -> None:
    assert proven(found("4111 1111 1111 1111", "CREDIT_CARD"))
    assert not proven(found("Patient MRN: 4471920", "MEDICAL_RECORD_NUMBER"))


def test_what_no_rule_found_has_no_reason() -> None:
    span = Span(0, 5, "PERSON", CATEGORY_OF["PERSON"], 1.0, "tagger")

    assert (clue("Maria", span), proven(span)) == ("", False)
