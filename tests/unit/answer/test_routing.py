"""What a question says of company, period and part chooses among the documents there are."""

import pytest

from ragplatform.answer.routing import routed, understood
from ragplatform.model import Facts


def facts(name="northwind", year="2022", kind="10-k", **more):
    words = {"kinds": {kind}, "organisations": {name}, "years": {year}, **more}
    return Facts(**{field: frozenset(values) for field, values in words.items()})


FILED = {
    "n2021": facts(year="2021"),
    "n2022": facts(),
    "n2023q2": facts(year="2023", kind="10-q", quarters={"2023-q2"}),
    "n2023": facts(year="2023"),
    "vote": facts(year="2023", kind="8-k", dates={"2023-05-03"}),
    "water": facts(name="northwindwater"),
    "snj": facts(name="$snj", year="2022"),
}


@pytest.mark.parametrize(
    ("question", "documents"),
    [
        ("What was Northwind's revenue in FY2022?", ("n2022",)),
        ("What was NORTHWIND revenue in fiscal 2021?", ("n2021",)),
        ("How did Northwind grow between FY2021 and FY2022?", ("n2022",)),
        ("Did Northwind grow between FY21 and FY22?", ("n2022",)),
        ("Northwind margin in Q2 of FY2023?", ("n2023q2",)),
        ("Northwind margin in the second quarter of 2023?", ("n2023q2",)),
        ("Northwind margin in 2023 Q2?", ("n2023q2",)),
        ("What was voted on at Northwind on May 3, 2023?", ("vote",)),
        ("Northwind's total assets in its FY2023 10-K?", ("n2023",)),
        ("What was North Wind Water's debt in 2022?", ("water",)),
        ("Are JnJ's or SnJ's figures of FY2022 better?", ("snj",)),
        ("What will Northwind do in 2030?", ("n2021", "n2022", "n2023", "n2023q2", "vote")),
        ("What was Southwind's revenue in FY2022?", ()),
        ("Why was apixaban stopped?", ()),
        ("", ()),
    ],
)
def test_a_question_chooses_the_documents_it_names(question, documents) -> None:
    assert routed(understood(question), FILED).documents == documents


def test_a_short_name_in_small_letters_is_no_symbol() -> None:
    assert routed(understood("what did snj earn in 2022?"), FILED).documents == ()


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("total assets, by the balance sheet", {"balance-sheet"}),
        ("What does the statement of cash flows say of revenue?", {"cash-flow"}),
        ("What was the P&L's net income?", {"income-statement"}),
        ("What are total current liabilities?", {"balance-sheet"}),
        ("What was capex as a share of revenue?", {"cash-flow", "income-statement"}),
        ("Who is on the board?", set()),
        ("Is the assets' owner known?", set()),
    ],
)
def test_a_figure_is_looked_for_in_its_statement(question, parts) -> None:
    assert understood(question).parts == parts


def test_short_forms_are_searched_for_in_the_words_of_reports() -> None:
    assert "property plant and equipment" in understood("PP&E of 2022").words
    assert understood("Who is on the board?").words == ""


def test_a_long_question_is_understood_in_bounded_time_and_words() -> None:
    asked = understood(" ".join(f"word{number}" for number in range(1000))[:4000])

    assert len(asked.names) <= 900
