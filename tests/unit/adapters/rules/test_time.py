"""No text stalls the rules: their work grows with its length alone, whatever it repeats."""

import time

import pytest

from ragplatform.adapters.rules.tier import RuleTier

TIER = RuleTier()
# The first host makes the tier read the list of public suffixes, once.
TIER.find("mercy.org")
SHORT, LONG = 2_500, 20_000
# Eight times the text may take eight times the time, and a square would take sixty-four.
MOST_GROWTH = 24
# Below this the clock says nothing.
UNMEASURABLE_S = 0.2
UNITS = [
    *("a.", "1.", "1-", "a-", "a@", "x@y.", "a.com ", "a.com/", "http://", "://", "www.", "a/"),
    *("Jan 1 ", "Aaa ", "1 ", "12/", "+1", "(", "[", "9", "A1", "a", "A", " ", "\n", "\t", "1)"),
    *("claim ", "MRN ", "account ", "Mr. ", "key=", "-----BEGIN ", "Via Aa ", "1 Aa ", "A-1-"),
    *("AB 1 ", "a:", "1:", "::", "Dr. A. ", "Name: ", "password ", "no. 1/", "GB82 WEST ", "eyJ"),
    *("straße 1 ", "Aaa, MD ", "a [at] b ", "A1B2C3D4", "-----BEGIN PRIVATE KEY-----", "12345 "),
]


def seconds(unit: str, length: int) -> float:
    text = (unit * length)[:length]
    started = time.thread_time()
    TIER.find(text)
    return time.thread_time() - started


@pytest.mark.parametrize("unit", UNITS)
def test_eight_times_the_text_takes_about_eight_times_the_time(unit: str) -> None:
    after = seconds(unit, LONG)
    if after > UNMEASURABLE_S:
        assert after < MOST_GROWTH * seconds(unit, SHORT)


@pytest.mark.parametrize("label", ["MRN", "claim no.", "password:", "born on", "Dr.", "account"])
def test_a_value_far_behind_its_label_is_not_looked_for(label: str) -> None:
    text = f"{label}{' ' * LONG}X123456"
    started = time.thread_time()
    found = [one for one in TIER.find(text) if one.source.startswith("labelled")]
    assert found == []
    assert time.thread_time() - started < UNMEASURABLE_S * 10
