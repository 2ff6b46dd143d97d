"""Check digits: whether a number could have been issued at all."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
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

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# Source: SWIFT, IBAN registry, release 99.
IBAN_LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        country: length
        for length, countries in {
            15: "NO",
            16: "BE",
            18: "DK FI FO GL NL SD FK",
            19: "MK SI",
            20: "AT BA EE KZ LT LU XK MN",
            21: "CH HR LI LV",
            22: "BG BH CR DE GB GE IE ME RS VA",
            23: "AE GI IL IQ TL OM SO",
            24: "AD CZ ES MD PK RO SA SE SK TN VG",
            25: "LY PT ST",
            26: "IS TR",
            27: "BI DJ FR GR IT MC MR SM",
            28: "AL AZ BY CY DO GT HU LB NI PL SV",
            29: "BR EG PS QA UA",
            30: "JO KW MU YE",
            31: "MT SC",
            32: "LC",
            33: "RU",
        }.items()
        for country in countries.split()
    }
)


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


def dea(text: str) -> bool:
    """Return whether the text holds a DEA registration number.

    Source: DEA, Diversion Control Division: the last digit of (1st + 3rd + 5th) + 2 x (2nd + 4th +
    6th) is the seventh.
    """
    code = text.strip().upper().replace("-", "").replace(" ", "")
    number = code[2:]
    if len(code) != 9 or not code[0].isalpha() or not number.isdigit() or not number.isascii():
        return False
    first, second = sum(map(int, number[:6:2])), sum(map(int, number[1:6:2]))
    return (first + 2 * second) % 10 == int(number[6])


def card(text: str) -> bool:
    """Return whether the text holds a payment card number of a known network.

    Source: ISO/IEC 7812-1 check digit and the networks' published ranges.
    """
    number = digits(text)
    if len(set(number)) < 2:
        return False
    known = (
        (number[:1] == "4" and len(number) in {13, 16, 19})
        or ("51" <= number[:2] <= "55" and len(number) == 16)
        or ("2221" <= number[:4] <= "2720" and len(number) == 16)
        or (number[:2] in {"34", "37"} and len(number) == 15)
        or (number[:2] in {"36", "38", "39"} and len(number) == 14)
        or ("300" <= number[:3] <= "305" and len(number) == 14)
        or (number[:4] == "6011" and len(number) == 16)
        or (number[:2] in {"62", "64", "65"} and 16 <= len(number) <= 19)
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


def gtin(text: str) -> bool:
    """Return whether the digits end in a GS1 check digit, as those of a device identifier do.

    Source: GS1 General Specifications, section 7.9.1.
    """
    number = digits(text)
    total = sum(int(char) * (3 if place % 2 else 1) for place, char in enumerate(reversed(number)))
    return len(number) in {8, 12, 13, 14} and total % 10 == 0


def iban(text: str) -> bool:
    """Return whether the text is an international bank account number of its country's length.

    Source: ISO 13616-1 and SWIFT's IBAN registry, release 99; check digits by ISO 7064 MOD 97-10.
    """
    code = _joined(text)
    return IBAN_LENGTHS.get(code[:2]) == len(code) and _mod_97(code[4:] + code[:4]) == 1


def lei(text: str) -> bool:
    """Return whether the text is a legal entity identifier.

    Source: ISO 17442-1; check digits by ISO 7064 MOD 97-10.
    """
    code = _joined(text)
    return len(code) == 20 and code[18:].isdigit() and _mod_97(code) == 1


def isin(text: str) -> bool:
    """Return whether the text is an international securities identification number.

    Source: ISO 6166, annex A: Luhn over the letters as numbers from 10.
    """
    code = _joined(text)
    if len(code) != 12 or not code[:2].isalpha() or not code[11].isdigit() or not _plain(code):
        return False
    return luhn("".join(str(int(char, 36)) for char in code))


def cusip(text: str) -> bool:
    """Return whether the text is a CUSIP number. Source: ANSI X9.6, double add double."""
    code = _joined(text)
    if len(code) != 9 or not code[8].isdigit() or not _plain(code):
        return False
    total = 0
    for place, char in enumerate(code[:8]):
        value = int(char, 36) * (2 if place % 2 else 1)
        total += value // 10 + value % 10
    return (10 - total % 10) % 10 == int(code[8])


def sedol(text: str) -> bool:
    """Return whether the text is a SEDOL code.

    Source: London Stock Exchange, SEDOL Masterfile: weights 1, 3, 1, 7, 3, 9, 1; no vowels.
    """
    code = _joined(text)
    if len(code) != 7 or not code[6].isdigit() or not _plain(code) or set(code) & set("AEIOU"):
        return False
    weights = (1, 3, 1, 7, 3, 9, 1)
    return sum(int(char, 36) * w for char, w in zip(code, weights, strict=True)) % 10 == 0


def itin(text: str) -> bool:
    """Return whether the text holds an individual taxpayer identification number.

    Source: IRS, Internal Revenue Manual 3.21.263: 9xx, and a group of 50-65, 70-88, 90-92 or 94-99.
    """
    number = digits(text)
    if len(number) != 9 or number[0] != "9":
        return False
    group = int(number[3:5])
    return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94


def ein(text: str) -> bool:
    """Return whether the text holds nine digits that the IRS may issue to an employer.

    Source: IRS, "How EINs are assigned": the listed campus prefixes.
    """
    number = digits(text)
    refused = {"00", "07", "08", "09", "17", "18", "19", "28", "29", "49", "69", "70", "78", "79"}
    return len(number) == 9 and number[:2] not in refused | {"89", "96", "97"}


def bitcoin(text: str) -> bool:
    """Return whether the text is a Bitcoin or Litecoin address.

    Source: Base58Check (double SHA-256, four bytes); BIP 173 and BIP 350 for bech32 and bech32m.
    """
    lowered = text.lower()
    if lowered.startswith(("bc1", "ltc1", "tb1")):
        return text in {lowered, text.upper()} and _bech32(lowered)
    value = 0
    for char in text:
        place = _BASE58.find(char)
        if place < 0:
            return False
        value = value * 58 + place
    if value.bit_length() > 200:
        return False
    raw = value.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def _bech32(address: str) -> bool:
    prefix, _, data = address.rpartition("1")
    if len(data) < 8 or set(data) - set(_BECH32):
        return False
    values = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    values += [_BECH32.index(char) for char in data]
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            state ^= generator if top >> bit & 1 else 0
    return state in {1, 0x2BC830A3}


def _joined(text: str) -> str:
    return "".join(char for char in text.upper() if char not in " -.\xa0\u202f")


def _plain(code: str) -> bool:
    return code.isascii() and code.isalnum()


def _mod_97(code: str) -> int:
    if not _plain(code):
        return -1
    return int("".join(str(int(char, 36)) for char in code)) % 97
