"""A number passes only when it could have been issued."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.adapters.rules import check_digits


@pytest.mark.parametrize(
    ("check", "valid"),
    [
        (check_digits.npi, "1234567893"),
        (check_digits.npi, "1245319599"),
        (check_digits.aba, "021000021"),
        (check_digits.aba, "011401533"),
        (check_digits.vin, "1M8GDM9AXKP042788"),
        (check_digits.vin, "1HGCM82633A004352"),
        (check_digits.imei, "490154203237518"),
        (check_digits.card, "4111 1111 1111 1111"),
        (check_digits.card, "3782-822463-10005"),
        (check_digits.card, "30569309025904"),
    ],
)
def test_every_other_last_digit_or_checked_place_is_refused(check, valid: str) -> None:
    assert check(valid)
    place = 8 if check is check_digits.vin else len(valid) - 1
    for other in set("0123456789") - {valid[place]}:
        assert not check(valid[:place] + other + valid[place + 1 :])


@pytest.mark.parametrize(
    ("check", "impossible"),
    [
        (check_digits.npi, "3234567893"),
        (check_digits.npi, "123456789"),
        (check_digits.aba, "000000000"),
        (check_digits.aba, "991000021"),
        (check_digits.vin, "11111111111111111"),
        (check_digits.vin, "1M8GDM9AXKPO42788"),
        (check_digits.ssn, "000-12-3456"),
        (check_digits.ssn, "666-12-3456"),
        (check_digits.ssn, "912-12-3456"),
        (check_digits.ssn, "123-00-3456"),
        (check_digits.ssn, "123-45-0000"),
        (check_digits.card, "9111 1111 1111 1111"),
        (check_digits.luhn, ""),
    ],
)
def test_numbers_that_nobody_issues_are_refused(check, impossible: str) -> None:
    assert not check(impossible)


@given(st.text(max_size=30))
def test_any_text_gets_a_verdict(text: str) -> None:
    for check in (check_digits.npi, check_digits.aba, check_digits.vin, check_digits.card):
        assert check(text) in {True, False}
