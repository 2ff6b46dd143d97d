"""The fast phone matching agrees with Presidio's slow one on each country's example numbers."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from ragplatform.adapters.rules.phones import PHONES, REGIONS
from ragplatform.adapters.rules.tier import RuleTier

TIER = RuleTier((PHONES,))
KINDS = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)


def covered(text: str) -> set[int]:
    spans = TIER.find(text)
    return {at for one in spans for at in range(one.start, one.end) if text[at].isdigit()}


def written() -> list[str]:
    """Return the example numbers of all regions as written abroad, of the read ones at home too."""
    numbers = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in KINDS:
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None:
                continue
            abroad = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
            numbers += [abroad, phonenumbers.format_number(number, PhoneNumberFormat.E164)]
            if region in REGIONS:
                numbers.append(phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL))
    return numbers


def test_what_the_slow_one_finds_of_example_numbers_is_found() -> None:
    slow = PhoneRecognizer(supported_regions=REGIONS)
    theirs = ours = 0
    missed = []
    for number in written():
        text = f"The line {number} is in use."
        found = slow.analyze(text, ["PHONE_NUMBER"], None)
        digits = {at for one in found for at in range(one.start, one.end) if text[at].isdigit()}
        theirs += bool(digits)
        if digits and digits <= covered(text):
            ours += 1
        elif digits:
            missed.append(number)
    assert theirs > 500
    # What differs is short national forms without a leading zero that any seven digits would pass.
    assert ours >= 0.99 * theirs, missed


@pytest.mark.parametrize(
    "number",
    [
        *("(617) 555-0123", "617-555-0123", "617.555.0123", "+1 617 555 0123", "1-617-555-0123"),
        *("(617)555-0123 x44", "001-617-555-0123", "617 555 0123 ext. 5", "+1 (617) 555-0123"),
        *("020 7946 0958", "+44 20 7946 0958", "+44 (0)20 7946 0958", "07700 900123"),
        *("030 901820", "+49 30 901820", "0171 2345678", "089/12345678"),
        *("01 42 68 53 00", "+33 1 42 68 53 00", "06.12.34.56.78"),
        *("+34 912 34 56 78", "912 345 678", "+39 06 6982 1234", "06 6982 1234", "347 123 4567"),
        *("+91 98765 43210", "98765 43210", "02 9374 4000", "+61 2 9374 4000", "0412 345 678"),
    ],
)
def test_the_usual_ways_to_write_a_number_are_found_whole(number: str) -> None:
    text = f"The line {number} is in use"
    start = text.index(number)
    digits = {at for at in range(start, start + len(number)) if text[at].isdigit()}
    assert digits <= covered(text)


@pytest.mark.parametrize(
    "text",
    [
        "Fiscal 2019 2020 2021 and 2007-2009",
        "Sales of 1,234,567,890 and 4.650.000 units",
        "File No. 333-225850",
        "Ratios 10/100/1000 and 120/80",
        "Server 192.168.1.105",
        "On 2021-03-04 and 03/04/1985",
        "Total 3897000000",
        "SSN 078-05-1120",
    ],
)
def test_other_numbers_are_no_phone_numbers(text: str) -> None:
    assert covered(text) == set()
