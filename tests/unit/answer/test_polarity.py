"""A sentence that turns its evidence round is not what the evidence says."""

import time

import pytest

from ragplatform.answer import polarity

ALIKE = [
    ("Warfarin is taken daily.", "No aspirin is taken, and warfarin is taken daily."),
    ("[X] denies any chest pain.", "[X] denies chest pain."),
    ("Sales are higher than costs.", "Sales are higher than costs."),
    ("No fever or chest pain.", "No fever, no chest pain, no dysuria."),
    ("No thrombus was seen.", "No thrombus was seen, although one cannot be excluded."),
]
TURNED = [
    ("She takes no warfarin.", "She takes no aspirin but takes warfarin.", "negation"),
    ("Warfarin has been restarted.", "Warfarin has NOT been restarted.", "negation"),
    ("[X] has chest pain.", "[X] denies chest pain.", "negation"),
    ("The HIV test was positive.", "HIV negative.", "negation"),
    ("She has no iron to take.", "she was not transfused, and has iron to take", "negation"),
    ("He has fever.", "No fever, cough or pain.", "negation"),
    ("Sales decreased to 5.", "Sales increased to 5.", "direction"),
    ("Costs are higher than sales.", "Sales are higher than costs.", "direction"),
    ("The fistula is in the right arm.", "A fistula in the left arm.", "direction"),
    ("It is sensitive to erythromycin.", "It is resistant to erythromycin.", "direction"),
]


@pytest.mark.parametrize(("claim", "evidence"), ALIKE)
def test_what_points_the_same_way_passes(claim, evidence):
    assert polarity.read(claim).contradicts(polarity.read(evidence)) is None


@pytest.mark.parametrize(("claim", "evidence", "why"), TURNED)
def test_what_is_turned_round_is_named(claim, evidence, why):
    assert polarity.read(claim).contradicts(polarity.read(evidence)) == why


def test_a_long_text_that_compares_nothing_is_read_at_once():
    began = time.process_time()

    polarity.read("| higher | " * 4_000)

    assert time.process_time() - began < 2
