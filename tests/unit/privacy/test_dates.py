"""Dates move by the same days in the form that they had; what cannot be read does not stay."""

import re
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.privacy.dates import iso, shifted, years
from ragplatform.privacy.generalise import OVER, SMALL_ZIP3, generalise
from ragplatform.privacy.keys import Keys
from ragplatform.privacy.pseudonyms import Pseudonyms

MARCH = "2021-03-04"


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("2021-03-04", "2021-03-14"),
        ("2021-03-04T10:20:00Z", "2021-03-14T10:20:00Z"),
        ("03/04/2021", "03/14/2021"),
        ("3/4/2021", "3/14/2021"),
        ("3-4-21", "3-14-21"),
        ("25/12/2021", "4/1/2022"),
        ("04.03.2021", "14.03.2021"),
        ("March 4, 2021", "March 14, 2021"),
        ("MARCH 21st, 2021", "MARCH 31st, 2021"),
        ("Mar 4 2021", "Mar 14 2021"),
        ("4 March 2021", "14 March 2021"),
        ("4th of March 2021", "14th of March 2021"),
        ("04-Mar-2021", "14-Mar-2021"),
        ("25-DEC-21", "04-JAN-22"),
        ("Thursday, March 4, 2021", "Sunday, March 14, 2021"),
        ("March 4", "March 14"),
        ("3/4", "3/14"),
        ("March 2021", "March 2021"),
        ("May 2021", "May 2021"),
        ("12/2020", "12/2020"),
        ("20210304", "20210314"),
        ("4. März 2021", "14. März 2021"),
        ("25 décembre 2021", "4 janvier 2022"),
        ("4 de marzo de 2021", "14 de marzo de 2021"),
        ("03/04/2021 at 10:15 am", "03/14/2021 at 10:15 am"),
        ("from 3/4/2021 to 3/9/2021", "from 3/14/2021 to 3/19/2021"),
    ],
)
def test_a_date_moves_in_the_form_that_it_had(value: str, moved: str) -> None:
    shown = shifted(value, 10)
    assert shown is not None
    # "04-JAN-22" may be written without its zero: only one part told whether zeros are written.
    assert re.sub(r"\b0", "", shown) == re.sub(r"\b0", "", moved)


@pytest.mark.parametrize(
    "value",
    [
        *["last Monday", "yesterday", "two weeks later", "March 3-5, 2021", "13/13/2021", ""],
        *["Easter 2O21", "99/99/9999", "1/2/3/4", "0001-01-01", "in May and 12 more"],
    ],
)
def test_what_cannot_be_read_whole_is_not_shifted(value: str) -> None:
    assert shifted(value, -300) is None


DAYS = st.dates(date(1902, 1, 1), date(2098, 12, 31))
FORMS = st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%B %d, %Y", "%d %b %Y", "%Y%m%d"])


@settings(deadline=None)
@given(day=DAYS, form=FORMS, days=st.integers(-365, 365))
def test_a_shift_and_its_reverse_give_the_date_again(day: date, form: str, days: int) -> None:
    written = day.strftime(form)
    moved = shifted(written, days)
    assert moved is not None
    assert iso(moved) == (day + timedelta(days=days)).isoformat()
    assert iso(shifted(moved, -days) or "") == day.isoformat()


@settings(deadline=None)
@given(one=DAYS, other=DAYS, forms=st.tuples(FORMS, FORMS), days=st.integers(-365, 365))
def test_order_and_intervals_stay(
    one: date, other: date, forms: tuple[str, str], days: int
) -> None:
    moved = [
        date.fromisoformat(iso(shifted(day.strftime(form), days) or "") or "")
        for day, form in zip((one, other), forms, strict=True)
    ]
    assert moved[1] - moved[0] == other - one


@settings(deadline=None)
@given(value=st.text(max_size=40))
def test_any_text_is_read_without_an_error(value: str) -> None:
    for result in (shifted(value, 10), iso(value), years(value)):
        assert result is None or result


def test_the_shift_is_of_the_subject_and_the_tenant_and_never_nothing() -> None:
    made = Pseudonyms(Keys(bytes(range(32))))
    other = Pseudonyms(Keys(bytes(32)))
    shifts = [made.date_shift("mercy", f"s_{n}") for n in range(3000)]
    assert 0 not in shifts
    assert min(shifts) == -365
    assert max(shifts) == 365
    assert made.date_shift("mercy", "s_1") == shifts[1]
    assert shifts[:9] != [made.date_shift("harbor", f"s_{n}") for n in range(9)]
    assert shifts[:9] != [other.date_shift("mercy", f"s_{n}") for n in range(9)]


@pytest.mark.parametrize(
    ("entity", "value", "coarse"),
    [
        ("ZIP_CODE", "02139", "021**"),
        ("ZIP_CODE", "02139-4301", "021**"),
        ("ZIP_CODE", "MA 02139", "021**"),
        ("ZIP_CODE", "03601", "000**"),
        ("ZIP_CODE", "83101", "000**"),
        ("ZIP_CODE", "1234", None),
        ("AGE_OVER_89", "92-year-old", OVER),
        ("AGE", "47-year-old", "45-49"),
        ("AGE", "90", OVER),
        ("AGE", "3 months", "0-4"),
        ("AGE", "forty", None),
        ("DATE_TIME", "March 4, 2021", "2021"),
        ("DATE_TIME", "3/4/2020 to 5/6/2021", "2020 to 2021"),
        ("DATE_TIME", "March 4", None),
        ("DATE_TIME", "last week", None),
        ("DATE_OF_BIRTH", "03/04/1985", "1985"),
        ("DATE_OF_BIRTH", "03/04/1936", None),
        ("PERSON", "John Smith", None),
    ],
)
def test_a_value_is_made_coarser_as_safe_harbor_says(
    entity: str, value: str, coarse: str | None
) -> None:
    assert generalise(entity, value, this_year=2026) == coarse


def test_the_areas_of_few_people_are_hidden() -> None:
    assert len(SMALL_ZIP3) == 21
    for area in SMALL_ZIP3:
        assert generalise("ZIP_CODE", f"{area}01", this_year=2026) == "000**"
