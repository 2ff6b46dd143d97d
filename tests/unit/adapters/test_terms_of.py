"""How a text is cut: what a nurse or a banker types finds what the document says."""

import pytest

from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.terms import terms_of


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("E11.9", "diabetes (E11.9)"),
        ("E119", "diabetes (E11.9)"),
        ("0002-8215-01", "NDC 0002-8215-01."),
        ("0002821501", "NDC 0002-8215-01."),
        ("037833100", "CUSIP: 037833100"),
        ("US0378331005", "the ISIN US0378331005,"),
        ("4548-4", "LOINC 4548-4 HbA1c"),
        ("1250.50", "a payment of $1,250.50"),
        ("$1,250.50", "a payment of 1250.50 dollars"),
        ("2024-03-05", "seen 2024-03-05"),
        ("0001193125-24-012345", "accession 0001193125-24-012345"),
        ("IL2", "interleukin IL-2"),
        ("20 mg", "tablets of 20mg"),
        ("x ray", "an X-ray was taken"),
        ("xray", "an X-ray was taken"),
        ("USA", "the U.S.A. in"),
        ("120/80", "BP 120/80 today"),
        ("S&P", "the S&P 500"),
    ],
)
def test_a_code_is_found_as_it_is_written_and_run_together(asked: str, written: str) -> None:
    wanted = list(terms_of(asked))

    assert wanted
    assert set(wanted) & set(terms_of(written)) >= {wanted[-1]}


@pytest.mark.parametrize(
    ("asked", "written"), [("Muller", "Müller"), ("lodz", "Łódź"), ("STRASSE", "Straße")]
)
def test_accents_and_case_make_no_difference(asked: str, written: str) -> None:
    assert list(terms_of(asked)) == list(terms_of(written))


def test_letters_of_other_scripts_keep_their_marks() -> None:
    assert list(terms_of("が か हि ह")) == ["が", "か", "हि"[:1], "ह"]


def test_a_code_is_one_term_more_and_tells_near_codes_apart() -> None:
    assert list(terms_of("E11.9")) == ["e11", "9", "e119"]
    assert "e119" not in set(terms_of("E11.65 and 9"))
    assert "4.5" not in set(terms_of("45"))


def test_a_pseudonym_is_its_type_and_its_value() -> None:
    assert list(terms_of("[US_SSN:q7f2m9k4abcd2345]")) == ["us", "ssn", "q7f2m9k4abcd2345"]


def test_words_beside_each_other_are_no_code() -> None:
    assert list(terms_of("and/or end.Next")) == ["and", "or", "end", "next"]


def test_words_of_the_context_weigh_and_do_not_make_the_text_longer() -> None:
    weigher = Bm25Weigher()

    alone = weigher.weigh_document("metformin twice daily")
    placed = weigher.weigh_document("metformin twice daily", "Discharge summary")

    held = dict(zip(placed.indices, placed.values, strict=True))
    assert {term: held[term] for term in alone.indices} == dict(
        zip(alone.indices, alone.values, strict=True)
    )
    assert set(weigher.weigh_query("discharge summary").indices) <= held.keys()
