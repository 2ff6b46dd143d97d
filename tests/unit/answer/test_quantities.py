"""The same figure in another spelling is the same figure, and another figure never is."""

import pytest

from ragplatform.answer.quantities import read

SAME = [
    ("$1.2 million", "1,200,000"),
    ("1.2 million", "$1.2 million"),
    ("two weeks", "14 days"),
    ("24 months", "two years"),
    ("3 hours", "three hours"),
    ("March 6, 2026", "2026-03-06"),
    ("6 March", "03/06/2026"),
    ("6 March", "06/03/2026"),
    ("March 2026", "March 6, 2026"),
    ("2026", "March 6, 2026"),
    ("41%", "41 %"),
    ("41 percent", "41 %"),
    ("2 g", "2000 mg"),
    ("at 6:33", "06:33"),
    ("3:40 pm", "15:40"),
    ("2.5 to 3.5", "range 2.5-3.5"),
    ("5.0 mg", "5 mg"),
    ("$1,200 million", "(in millions) 1,200"),
    ("50417", "serial MV29-50417"),
    ("8 %", "8"),
]
OTHER = [
    ("41 mg", "41 %"),
    ("8", "8 %"),
    ("5 mg", "5 mcg"),
    ("6.2 mg/dL", "6.2 mmol/L"),
    ("March 6, 2025", "March 6, 2026"),
    ("March 7", "March 6, 2026"),
    ("March 6, 2026", "March 6"),
    ("day 30", "day 3"),
    ("day 3", "day 30"),
    ("-5", "5"),
    ("EUR 5", "$5"),
    ("1.2 million", "1.2 billion"),
    ("06:33", "16:33"),
    ("three", "four"),
]


@pytest.mark.parametrize(("claim", "evidence"), SAME)
def test_a_figure_is_found_in_another_spelling(claim, evidence):
    assert read(evidence).hold(read(claim))


@pytest.mark.parametrize(("claim", "evidence"), OTHER)
def test_another_figure_is_not_taken_for_it(claim, evidence):
    assert not read(evidence).hold(read(claim))


def test_a_text_without_figures_holds_none_and_claims_none():
    assert not read("Apixaban was stopped.").any
    assert read("5 mg").hold(read("Apixaban was stopped."))
