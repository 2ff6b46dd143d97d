"""What a document says of itself is read from its cover and its title, and nothing is guessed."""

import time

import pytest

from ingest.facts import document_facts, part_of
from ingest.tables import tables

ANNUAL = """UNITED STATES
SECURITIES AND EXCHANGE COMMISSION
FORM 10-K
ANNUAL REPORT PURSUANT TO SECTION 13 OR 15(d) OF THE SECURITIES EXCHANGE ACT OF 1934
For the fiscal year ended {ended}
Commission file number 1-9595
{name}
(Exact name of registrant as specified in its charter)
Minnesota 41-0907483
Common Stock, $0.10 par value {symbol} New York Stock Exchange
"""
QUARTERLY = """FORM 10-Q
For the quarterly period ended {ended}
Commission File Number: 001-38932
NORTHWIND TRADERS PLC
(Exact name of registrant as specified in its charter)
Results for the {span} months ended {ended} and for the three months ended {ended}.
"""
RELEASE = """Las Vegas, February 8, 2023
Northwind Traders reports fourth quarter and full year 2022 results
Northwind Traders International (NYSE: NWT) today reported financial results for the quarter.
"""
LETTER = """DISCHARGE SUMMARY
Date of admission: 03/01/2024
Date of discharge: 03/14/2024
The patient was seen for the fiscal year ended quickly.
"""


def annual(ended="December 31, 2022", name="NORTHWIND TRADERS, INC.", symbol="NWT", more=""):
    return document_facts(ANNUAL.format(ended=ended, name=name, symbol=symbol) + more, "filing.pdf")


def test_a_cover_says_form_company_symbol_year_and_day() -> None:
    facts = annual()

    assert facts.kinds == {"10-k", "annual-report"}
    assert {"northwindtraders", "$nwt"} <= facts.organisations
    assert facts.years == {"2022"}
    assert facts.dates == {"2022-12-31"}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("THE NORTHWIND COMPANY", {"northwind"}),
        ("Smith & Jones", {"smithjones", "$sj", "$snj", "$s&j"}),
        ("NORTHWIND.COM, INC.", {"northwind"}),
        ("ADVANCED WIND MILLS, INC.", {"advancedwindmills", "advancedwind", "$awm"}),
        ("Nörd Wind SE", {"nördwind"}),
    ],
)
def test_a_company_is_found_by_every_name_that_its_own_gives(name, keys) -> None:
    assert keys <= annual(name=name).organisations


def test_a_first_word_stands_for_a_company_only_where_its_report_calls_it_so() -> None:
    own = annual(name="NORTHWIND TRADERS CO.", more="Northwind’s stores. Northwind's staff. " * 3)
    general = annual(name="GENERAL TRADERS CO.", more="General costs, general terms. " * 9)

    assert "northwind" in own.organisations
    assert "general" not in general.organisations


@pytest.mark.parametrize(
    ("ended", "more", "years"),
    [
        ("January 28, 2023", "fiscal 2023 and fiscal 2023", {"2023"}),
        ("January 28, 2023", "fiscal 2022 and fiscal 2022", {"2023", "2022"}),
        ("December 26, 2015", "fiscal 2016 and fiscal 2016", {"2015"}),
    ],
)
def test_a_year_that_ends_in_january_is_called_as_the_report_calls_it(ended, more, years) -> None:
    assert annual(ended=ended, more=more).years == years


@pytest.mark.parametrize(
    ("ended", "span", "quarters"),
    [
        ("June 30, 2022", "six", {"2022-q2"}),
        ("March 31, 2022", "three", {"2022-q1"}),
        ("September 30, 2022", "nine", {"2022-q3"}),
        ("December 31, 2022", "six", {"2023-q2"}),
        ("July 29, 2023", "six", {"2023-q2", "2024-q2"}),
    ],
)
def test_a_quarter_is_told_by_how_many_months_were_reported(ended, span, quarters) -> None:
    facts = document_facts(QUARTERLY.format(ended=ended, span=span), "filing.pdf")

    assert facts.quarters == quarters
    assert facts.kinds == {"10-q", "quarterly-report"}


def test_a_release_says_its_company_in_its_headline_and_its_listing() -> None:
    facts = document_facts(RELEASE, "release.pdf")

    assert facts.kinds == {"earnings-release"}
    assert {"northwindtraders", "northwindtradersinternational", "$nwt"} <= facts.organisations
    assert facts.quarters == {"2022-q4"}


def test_a_title_says_what_a_cover_leaves_out() -> None:
    facts = document_facts("Minutes of nothing in particular.", "NORTHWIND 2023Q2 10Q.pdf")

    assert (facts.years, facts.quarters) == ({"2023"}, {"2023-q2"})
    assert facts.organisations == {"northwind"}


def test_a_clinical_document_has_a_kind_and_dates_and_is_no_company_s() -> None:
    facts = document_facts(LETTER, "summary.pdf")

    assert facts.kinds == {"discharge-summary"}
    assert facts.dates == {"2024-03-01"}
    assert facts.organisations == facts.years == facts.quarters == frozenset()


def test_a_day_of_the_format_s_own_field_outranks_what_the_text_says() -> None:
    assert document_facts(LETTER, "summary.pdf", "2024-03-15").dates == {"2024-03-15"}


def test_what_policy_hid_is_no_fact() -> None:
    hidden = annual(ended="[DATE_TIME]", name="[PERSON:q7f2m9k4abcd2345] & SONS")

    assert hidden.dates == hidden.years == frozenset()
    assert hidden.organisations == {"$nwt"}


def test_a_plain_text_says_nothing_of_itself() -> None:
    assert document_facts("Visiting hours end at eight.", "hours.txt") == document_facts("", "")


@pytest.mark.parametrize(
    ("title", "part"),
    [
        ("Consolidated Balance Sheets", "balance-sheet"),
        ("CONDENSED CONSOLIDATED STATEMENTS OF INCOME (UNAUDITED)", "income-statement"),
        ("Northwind Traders, Inc. Consolidated Statements of Operations", "income-statement"),
        ("Consolidated Statements of Cash Flows - (Continued)", "cash-flow"),
        ("Statements of Financial Position", "balance-sheet"),
        ("Consolidated Statements of Comprehensive Income", "comprehensive-income"),
        ("CONSOLIDATED\nBALANCE\nSHEETS", "balance-sheet"),
        ("Index to Consolidated Balance Sheets and other schedules of the registrant", ""),
        ("Stores by segment", ""),
    ],
)
def test_a_table_is_the_statement_that_its_head_names(title, part) -> None:
    rows = "\n".join(f"Item {number} $ {number},000 $ 1" for number in range(12))

    assert part_of(f"{title}\n{rows}") == part
    assert part_of(rows, title) == part


def test_a_statement_without_figures_is_a_mention_of_one() -> None:
    assert part_of("Consolidated Balance Sheets\nSee page 50.") == ""


HOSTILE = [
    "balance sheets" + " in a" * 25 + " !",
    "balance sheets (" + " in a," * 25,
    "1  " * 80 + "A",
    "( 1 " * 60 + "M",
    "Form 10-K " + "A b & " * 900 + "(",
    "reports " * 250,
    "for the fiscal year ended " * 200,
    "A" * 6000 + " (NYSE: ",
    "Commission file number " * 260,
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_no_line_takes_long_to_read(line) -> None:
    rows = "\n".join([line] * 12 + ["1 2 3"] * 12)

    began = time.process_time()
    document_facts(f"FORM 10-K\n{rows}", line[:200])
    part_of(rows)
    tables(rows)

    assert time.process_time() - began < 2
