import re
from collections.abc import Callable

import pytest

from tests.unit.demo.demo_reading import rows


def _luhn(digits: str) -> bool:
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _npi(value: str) -> bool:
    return len(value) == 10 and _luhn("80840" + value)


def _card(value: str) -> bool:
    return _luhn(value.replace(" ", ""))


def _iban(value: str) -> bool:
    bare = value.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97 == 1


def _aba(value: str) -> bool:
    return sum(int(d) * w for d, w in zip(value, (3, 7, 1) * 3, strict=True)) % 10 == 0


def _dea(value: str) -> bool:
    digits = [int(d) for d in value[2:]]
    odd, even = sum(digits[0:6:2]), sum(digits[1:6:2])
    return (odd + 2 * even) % 10 == digits[6]


def _vin(value: str) -> bool:
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    worth = dict(zip(letters, map(int, "12345678123457923456789"), strict=True))
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(
        (int(c) if c.isdigit() else worth[c]) * w for c, w in zip(value, weights, strict=True)
    )
    return value[8] == "0123456789X"[total % 11]


def _udi(value: str) -> bool:
    gtin = re.match(r"\(01\)(\d{14})", value)
    if gtin is None:
        return True
    return sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(gtin[1])) % 10 == 0


def _mbi(value: str) -> bool:
    letter, mixed = "[AC-HJKMNP-RT-Y]", "[0-9AC-HJKMNP-RT-Y]"
    shape = rf"[1-9]{letter}{mixed}\d-{letter}{mixed}\d-{letter}{letter}\d\d"
    return not re.match(r"\d[A-Z]..-", value) or re.fullmatch(shape, value) is not None


def _phone(value: str) -> bool:
    return re.search(r"555-01\d\d$", value) is not None


def _email(value: str) -> bool:
    return re.search(r"[@.]example\.(?:org|com|net)$", value) is not None


def _ip(value: str) -> bool:
    return value.startswith(("192.0.2.", "198.51.100.", "203.0.113."))


@pytest.mark.parametrize(
    ("entity", "valid"),
    [
        ("NPI", _npi),
        ("CREDIT_CARD", _card),
        ("IBAN_CODE", _iban),
        ("ABA_ROUTING_NUMBER", _aba),
        ("MEDICAL_LICENSE", _dea),
        ("VEHICLE_ID", _vin),
        ("DEVICE_ID", _udi),
        ("HEALTH_PLAN_ID", _mbi),
        ("PHONE_NUMBER", _phone),
        ("FAX_NUMBER", _phone),
        ("EMAIL_ADDRESS", _email),
        ("IP_ADDRESS", _ip),
    ],
)
def test_planted_values_are_valid_and_of_reserved_ranges(
    entity: str, valid: Callable[[str], bool]
) -> None:
    values = {row["value"] for row in rows("planted.jsonl") if row["entity"] == entity}

    assert values
    assert {value for value in values if not valid(value)} == set()
