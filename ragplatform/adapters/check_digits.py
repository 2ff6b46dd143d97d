"""Check digits: whether a number could have been issued at all."""

from typing import Final

_ABA_WEIGHTS: Final = (3, 7, 1) * 3
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_VALUES: Final = {
    letter: value
    for letters, values in (
        ("ABCDEFGH", range(1, 9)),
        ("JKLMN", range(1, 6)),
        ("STUVWXYZ", range(2, 10)),
    )
    for letter, value in zip(letters, values, strict=True)
} | {"P": 7, "R": 9}


def digits(text: str) -> str:
    """Return the ASCII digits of a text, in order."""
    return "".join(char for char in text if char in "0123456789")


def luhn(number: str) -> bool:
    """Return whether the number ends in its Luhn check digit.

    Source: ISO/IEC 7812-1, annex B.
    """
    total = 0
    for place, char in enumerate(reversed(number)):
        value = int(char) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return bool(number) and total % 10 == 0


def npi(text: str) -> bool:
    """Return whether the text holds a National Provider Identifier.

    Source: CMS, "Requirements for NPI and NPI check digit": Luhn over the prefix 80840.
    """
    number = digits(text)
    return len(number) == 10 and number[0] in "12" and luhn("80840" + number)


def aba(text: str) -> bool:
    """Return whether the text holds an ABA routing number.

    Source: ANSI X9.100-160 check digit; the first two digits lie in 00-12, 21-32, 61-72 or 80.
    """
    number = digits(text)
    if len(number) != 9 or number == "0" * 9:
        return False
    area = int(number[:2])
    issued = area <= 12 or 21 <= area <= 32 or 61 <= area <= 72 or area == 80
    total = sum(int(char) * weight for char, weight in zip(number, _ABA_WEIGHTS, strict=True))
    return issued and total % 10 == 0


def vin(text: str) -> bool:
    """Return whether the text is a vehicle identification number.

    Source: 49 CFR 565.15(c): the ninth place is the weighted sum modulo 11, X for ten.
    """
    number = text.strip().upper()
    if len(number) != 17 or not number.isascii() or not number.isalnum():
        return False
    if set(number) & set("IOQ") or len(set(number)) < 5:
        return False
    values = (int(char) if char.isdigit() else _VIN_VALUES[char] for char in number)
    rest = sum(value * weight for value, weight in zip(values, _VIN_WEIGHTS, strict=True)) % 11
    return number[8] == ("X" if rest == 10 else str(rest))


def imei(text: str) -> bool:
    """Return whether the text holds a mobile device's IMEI. Source: 3GPP TS 23.003, annex B."""
    number = digits(text)
    return len(number) == 15 and luhn(number)


def card(text: str) -> bool:
    """Return whether the text holds a payment card number of a known network.

    Source: ISO/IEC 7812-1 check digit and the networks' published ranges.
    """
    number = digits(text)
    known = (
        (number[:1] == "4" and len(number) in {13, 16, 19})
        or ("51" <= number[:2] <= "55" and len(number) == 16)
        or ("2221" <= number[:4] <= "2720" and len(number) == 16)
        or (number[:2] in {"34", "37"} and len(number) == 15)
        or (number[:2] in {"36", "38", "39"} and len(number) == 14)
        or ("300" <= number[:3] <= "305" and len(number) == 14)
        or (number[:4] == "6011" and len(number) == 16)
        or (number[:2] in {"62", "64", "65"} and len(number) == 16)
        or ("3528" <= number[:4] <= "3589" and len(number) == 16)
        or (number[:2] in {"50", "56", "57", "58", "63", "67"} and 12 <= len(number) <= 19)
    )
    return known and luhn(number)


def ssn(text: str) -> bool:
    """Return whether the text holds a number that the Social Security Administration may issue.

    Source: SSA POMS RM 10201.035: no 000, 666 or 9xx area, no 00 group, no 0000 serial.
    """
    number = digits(text)
    return (
        len(number) == 9
        and number[:3] not in {"000", "666"}
        and number[0] != "9"
        and number[3:5] != "00"
        and number[5:] != "0000"
    )
