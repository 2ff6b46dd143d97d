"""Two passages contradict each other only where both cannot be true."""

import pytest

from ragplatform.answer.conflicts import Place, Source, contradict, find
from ragplatform.answer.support import Evidence, Facts

ANNA, BEN = "[PERSON:aaaaaaaaaaaaaaaa]", "[PERSON:bbbbbbbbbbbbbbbb]"

CONTRADICTING = [
    ("Target INR for a mechanical mitral valve is 3.0.",
     "Target INR for a mechanical mitral valve is 2.5."),
    ("Apixaban was stopped before the valve operation.",
     "Apixaban was not stopped before the valve operation."),
    ("Apixaban was stopped before the operation on March 6, 2026.",
     "Apixaban was stopped before the operation on March 9, 2026."),
    ("The online wire limit for businesses is $100,000 a day.",
     "The online wire limit for businesses is $250,000 a day."),
]  # fmt: skip
COMPATIBLE = [
    ("Potassium was 6.2 mmol/L on March 12.", "Potassium was 4.7 mmol/L on March 16."),
    ("Net sales of the bakery rose in 2024 to 1,180.",
     "Net sales of the bakery rose in 2025 to 1,395."),
    (f"The dose of {ANNA} is 5 mg daily.", f"The dose of {BEN} is 10 mg daily."),
    ("Metoprolol 50 mg once daily in the morning.", "Furosemide 20 mg once daily in the morning."),
    ("The sodium of the sample was 133 mmol/L.", "The weight of the patient was 87 kg."),
    ("The limit for a person is $25,000 a day.", "The limit for a person is 25,000 dollars a day."),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), CONTRADICTING)
def test_another_figure_date_or_a_not_for_the_same_thing_contradicts(one, other):
    assert contradict(Facts(one), Facts(other))
    assert contradict(Facts(other), Facts(one))


@pytest.mark.parametrize(("one", "other"), COMPATIBLE)
def test_another_day_person_or_measure_does_not(one, other):
    assert not contradict(Facts(one), Facts(other))


def test_what_is_said_of_another_person_contradicts_nothing():
    one, other = CONTRADICTING[0]
    sources = [
        Source(Evidence([one]), frozenset({"s_a"})),
        Source(Evidence([other]), frozenset({"s_b"})),
    ]

    assert find([Place(0, 0)], sources) == []


def test_the_contradicting_sentence_is_found_and_none_that_was_said():
    one, other = CONTRADICTING[0]
    sources = [
        Source(Evidence([one]), frozenset()),
        Source(Evidence(["More.", other]), frozenset()),
    ]

    assert find([Place(0, 0)], sources) == [Place(1, 1)]
    assert find([Place(0, 0), Place(1, 1)], sources) == []
