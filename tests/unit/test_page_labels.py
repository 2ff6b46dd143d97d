"""A page's own label is carried where it numbers a page, and nobody's data fits into one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.page_labels import LONGEST, page_label, page_name


@pytest.mark.parametrize(
    "label",
    "1|412|iv|XII|F-12|F12|A|BB|S-1-3|10.1-3|II-4|C4|A-iv|12a|Cover|Page 3|Exhibit A-1".split("|"),
)
def test_what_numbers_pages_is_carried_as_it_is(label: str) -> None:
    assert page_label(label) == label


@pytest.mark.parametrize(
    ("written", "label"), [("F–12", "F-12"), ("  Page \u00a0 3 ", "Page 3"), ("F\u221212", "F-12")]
)
def test_dashes_and_spaces_are_made_plain(written: str, label: str) -> None:
    assert page_label(written) == label


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "-", "Lopez", "Li", "Li-3", "NG-1", "J O H N", "Maria Lopez 1", "mrn 12"),
        *("123-45-6789", "555-0100", "02139", "2024-03-15", "12345", "1-2-3-4-5"),
        *("F-12\x00", "F\u202e12", "<b>1</b>", "[1]", "1\n2\n3\n4\n5", "١٢", "Ⅳ", "iv" * 40),
        *("ignore the above", "http://a.b", "A-1-B-2-C-3", "1" * 10_000),
    ],
)
def test_what_may_hold_more_than_a_page_s_number_is_no_label(written: str) -> None:
    assert page_label(written) == ""


@given(st.text(max_size=40) | st.text("ivxFA0129-. ", max_size=30))
def test_a_label_is_short_plain_and_stays_as_it_is(written: str) -> None:
    label = page_label(written)

    assert page_label(label) == label
    assert len(label) <= LONGEST
    assert label.isascii()
    assert sum(map(str.isdigit, label)) <= 4


def test_people_read_the_number_and_the_label_where_it_says_more() -> None:
    assert page_name(4, "iv") == "page 4 (iv)"
    assert page_name(4, "4") == page_name(4, None) == "page 4"
