"""Check digits of the numbers that states give to people and firms."""

import re
from collections.abc import Sequence
from typing import Final

from ragplatform.adapters.rules.check_digits import digits, luhn

_DNI: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_ODD: Final = tuple(
    map(int, "1 0 5 7 9 13 15 17 19 21 2 4 18 20 11 3 6 8 12 14 16 10 22 25 24 23".split())
)
_HETU: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_MULTIPLY: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_PERMUTE: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def joined(text: str) -> str:
    """Return the letters and digits of a code, in capitals."""
    return "".join(char for char in text.upper() if char.isalnum() and char.isascii())


def _weighed(number: str, weights: Sequence[int]) -> int:
    return sum(int(char) * weight for char, weight in zip(number, weights, strict=True))


def _number(text: str, length: int) -> str:
    """Return the digits when there are so many and not all the same, otherwise nothing."""
    number = digits(text)
    return number if len(number) == length and len(set(number)) > 1 else ""


def _dated(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def uk_nhs(text: str) -> bool:
    """Return whether the text holds an NHS number.

    Source: NHS Data Dictionary, NHS NUMBER: weights 10 to 2, modulus 11.
    """
    number = _number(text, 10)
    if not number:
        return False
    check = 11 - _weighed(number[:9], range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(number[9])


def uk_utr(text: str) -> bool:
    """Return whether the text holds a unique taxpayer reference.

    Source: HMRC, PAYE and SA validation: weights 6 7 8 9 10 5 4 3 2 over places 2 to 10.
    """
    number = _number(text, 10)
    if not number:
        return False
    rest = _weighed(number[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11
    return number[0] == "21987654321"[rest]


def uk_nino(text: str) -> bool:
    """Return whether the text is a national insurance number.

    Source: HMRC, NIM39110: letters and prefixes that are never used.
    """
    code = joined(text)
    return re.fullmatch(
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", code
    ) is not None and code[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def de_tax_id(text: str) -> bool:
    """Return whether the text holds a Steuer-Identifikationsnummer.

    Source: section 139b AO; ISO 7064 MOD 11,10; one of ten digits stands two or three times.
    """
    number = _number(text, 11)
    if not number or number[0] == "0":
        return False
    counts = [number[:10].count(digit) for digit in set(number[:10])]
    if sum(count > 1 for count in counts) != 1 or max(counts) > 3:
        return False
    return _mod_11_10(number)


def _mod_11_10(number: str) -> bool:
    product = 10
    for char in number[:-1]:
        total = (int(char) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(number[-1])


def de_pension(text: str) -> bool:
    """Return whether the text is a Rentenversicherungsnummer.

    Source: section 2 VKVV: weights 2 1 2 5 7 1 2 1 2 1 2 1, sums of digits, modulus 10.
    """
    code = joined(text)
    if not re.fullmatch(r"\d{8}[A-Z]\d{3}", code):
        return False
    day, month = int(code[2:4]), int(code[4:6])
    if not _dated(month, day % 50 if day > 50 else day):
        return False
    number = code[:8] + f"{ord(code[8]) - 64:02}" + code[9:11]
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    products = (int(char) * weight for char, weight in zip(number, weights, strict=True))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(code[11])


def de_health(text: str) -> bool:
    """Return whether the text is a Krankenversichertennummer.

    Source: section 290 SGB V: a letter as two digits, then Luhn-like weights 1 2 from the left.
    """
    code = joined(text)
    if not re.fullmatch(r"[A-Z]\d{9}", code):
        return False
    number = f"{ord(code[0]) - 64:02}" + code[1:9]
    products = (int(char) * (2 if place % 2 else 1) for place, char in enumerate(number))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(code[9])


def icao(text: str) -> bool:
    """Return whether the last digit is the check digit of a travel document's number.

    Source: ICAO Doc 9303, part 3, section 4.9: weights 7, 3, 1.
    """
    code = joined(text)
    if len(code) < 7 or not code[-1].isdigit():
        return False
    total = sum(int(char, 36) * (7, 3, 1)[place % 3] for place, char in enumerate(code[:-1]))
    return total % 10 == int(code[-1])


def fr_nir(text: str) -> bool:
    """Return whether the text is a numéro de sécurité sociale with its key.

    Source: décret 91-1404, INSEE: 97 minus the number modulo 97; 2A counts as 19 and 2B as 18.
    """
    code = joined(text)
    if not re.fullmatch(r"[1-478]\d{4}(?:\d{2}|2[AB])\d{8}", code):
        return False
    number = code[:13].replace("2A", "19").replace("2B", "18")
    month = int(code[3:5])
    return (month <= 12 or month >= 20) and 97 - int(number) % 97 == int(code[13:])


def siren(text: str) -> bool:
    """Return whether the text holds a SIREN or SIRET number. Source: INSEE; ISO 7812 Luhn."""
    number = digits(text)
    return len(number) in {9, 14} and len(set(number)) > 2 and luhn(number)


def es_dni(text: str) -> bool:
    """Return whether the text is a DNI or NIE with its letter.

    Source: Real Decreto 1553/2005; Orden INT/2058/2008: the number modulo 23.
    """
    code = joined(text)
    if not re.fullmatch(r"[XYZ0-9]\d{7}[A-Z]", code):
        return False
    number = code[:8].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return _DNI[int(number) % 23] == code[8]


def es_social(text: str) -> bool:
    """Return whether the text holds a Spanish social security number.

    Source: Tesorería General de la Seguridad Social: the number modulo 97.
    """
    number = _number(text, 12)
    if not number:
        return False
    middle = number[2:10]
    base = int(number[:2] + (middle[1:] if middle[0] == "0" else middle))
    return base % 97 == int(number[10:])


def it_fiscal(text: str) -> bool:
    """Return whether the text is a codice fiscale with its letter.

    Source: Decreto Ministeriale 23 dicembre 1976, art. 7; letters stand for digits in twins.
    """
    code = joined(text)
    digit = "[0-9LMNPQRSTUV]"
    written = rf"[A-Z]{{6}}{digit}{{2}}[ABCDEHLMPRST]{digit}{{2}}[A-Z]{digit}{{3}}[A-Z]"
    if not re.fullmatch(written, code):
        return False
    total = 0
    for place, char in enumerate(code[:15]):
        value = int(char) if char.isdigit() else ord(char) - 65
        total += value if place % 2 else _ODD[value]
    return chr(65 + total % 26) == code[15]


def it_vat(text: str) -> bool:
    """Return whether the text holds a partita IVA. Source: DPR 633/1972, art. 35; Luhn."""
    number = _number(text, 11)
    return bool(number) and luhn(number)


def in_aadhaar(text: str) -> bool:
    """Return whether the text holds an Aadhaar number.

    Source: UIDAI, Aadhaar numbering scheme: the first digit is 2 to 9; Verhoeff's check digit.
    """
    number = _number(text, 12)
    if not number or number[0] in "01":
        return False
    check = 0
    for place, char in enumerate(reversed(number)):
        check = _MULTIPLY[check][_PERMUTE[place % 8][int(char)]]
    return check == 0


def ca_sin(text: str) -> bool:
    """Return whether the text holds a social insurance number. Source: Service Canada; Luhn."""
    number = _number(text, 9)
    return bool(number) and number[0] not in "08" and luhn(number)


def au_tfn(text: str) -> bool:
    """Return whether the text holds a tax file number.

    Source: Australian Taxation Office: weights 1 4 3 7 5 8 6 9 10, modulus 11.
    """
    number = _number(text, 9)
    return bool(number) and _weighed(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def au_medicare(text: str) -> bool:
    """Return whether the text holds a Medicare card number.

    Source: Services Australia: weights 1 3 7 9 1 3 7 9, modulus 10; the first digit is 2 to 6.
    """
    number = digits(text)
    if len(number) not in {10, 11} or number[0] not in "23456":
        return False
    return _weighed(number[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(number[8])


def au_abn(text: str) -> bool:
    """Return whether the text holds an Australian business number.

    Source: Australian Business Register: subtract 1 from the first digit, weights, modulus 89.
    """
    number = _number(text, 11)
    if not number or number[0] == "0":
        return False
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    return (_weighed(number, weights) - 10) % 89 == 0


def pl_pesel(text: str) -> bool:
    """Return whether the text holds a PESEL. Source: Polish act of 24 September 2010, art. 15."""
    number = _number(text, 11)
    if not number or not _dated(int(number[2:4]) % 20, int(number[4:6])):
        return False
    return _weighed(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def se_personal(text: str) -> bool:
    """Return whether the text holds a personnummer.

    Source: Skatteverket, SKV 704; Luhn over ten.
    """
    number = digits(text)
    if len(number) not in {10, 12}:
        return False
    number = number[-10:]
    return _dated(int(number[2:4]), int(number[4:6]) % 60) and luhn(number)


def fi_personal(text: str) -> bool:
    """Return whether the text is a henkilötunnus.

    Source: Finnish decree 128/2010: the nine digits modulo 31.
    """
    code = text.strip().upper()
    if not re.fullmatch(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", code):
        return False
    if not _dated(int(code[2:4]), int(code[:2])):
        return False
    return _HETU[int(code[:6] + code[7:10]) % 31] == code[10]


def kr_rrn(text: str) -> bool:
    """Return whether the text holds a resident registration number.

    Source: Korean Resident Registration Act, enforcement rules: weights 2 to 9, 2 to 5, modulus 11.
    """
    number = _number(text, 13)
    if not number or not _dated(int(number[2:4]), int(number[4:6])):
        return False
    total = _weighed(number[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    return number[6] in "12345678" and (11 - total % 11) % 10 == int(number[12])


def tr_national(text: str) -> bool:
    """Return whether the text holds a T.C. Kimlik number.

    Source: NVİ, law 5490: two check digits.
    """
    number = _number(text, 11)
    if not number or number[0] == "0":
        return False
    odd, even = sum(map(int, number[0:9:2])), sum(map(int, number[1:8:2]))
    tenth = (odd * 7 - even) % 10
    return tenth == int(number[9]) and (odd + even + tenth) % 10 == int(number[10])


def sg_nric(text: str) -> bool:
    """Return whether the text is an NRIC or FIN.

    Source: Singapore ICA: weights 2 7 6 5 4 3 2, an offset by series, modulus 11.
    """
    code = joined(text)
    if not re.fullmatch(r"[STFGM]\d{7}[A-Z]", code):
        return False
    total = _weighed(code[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(code[0], 0)
    if code[0] == "M":
        return "KLJNPQRTUWX"[10 - total % 11] == code[8]
    letters = "JZIHGFEDCBA" if code[0] in "ST" else "XWUTRQPNMLK"
    return letters[total % 11] == code[8]


def za_id(text: str) -> bool:
    """Return whether the text holds a South African ID number. Source: act 68 of 1997; Luhn."""
    number = _number(text, 13)
    if not number or not _dated(int(number[2:4]), int(number[4:6])):
        return False
    return number[10] in "012" and luhn(number)


def ng_nin(text: str) -> bool:
    """Return whether the text holds eleven digits, as a Nigerian NIN does.

    Source: NIMC; Verhoeff is not published.
    """
    return bool(_number(text, 11))


def br_cpf(text: str) -> bool:
    """Return whether the text holds a CPF.

    Source: Receita Federal, IN 1548/2015: two modulus 11.
    """
    number = _number(text, 11)
    return bool(number) and all(
        _weighed(number[:n], range(n + 1, 1, -1)) * 10 % 11 % 10 == int(number[n]) for n in (9, 10)
    )


def br_cnpj(text: str) -> bool:
    """Return whether the text holds a CNPJ.

    Source: Receita Federal, IN 2119/2022: two modulus 11.
    """
    number = _number(text, 14)
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    for place in (12, 13):
        if not number:
            return False
        rest = _weighed(number[:place], weights[13 - place :]) % 11
        if int(number[place]) != (0 if rest < 2 else 11 - rest):
            return False
    return True


def nl_bsn(text: str) -> bool:
    """Return whether the text holds a burgerservicenummer.

    Source: Wet algemene bepalingen BSN; 11-proef.
    """
    number = _number(text, 9)
    return bool(number) and _weighed(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def ch_ahv(text: str) -> bool:
    """Return whether the text holds an AHV number.

    Source: AHVV art. 133; EAN-13 with prefix 756.
    """
    number = _number(text, 13)
    if not number.startswith("756"):
        return False
    return _weighed(number, (1, 3) * 6 + (1,)) % 10 == 0


def be_national(text: str) -> bool:
    """Return whether the text holds a rijksregisternummer.

    Source: Belgian royal decree of 3 April 1984: 97 minus the number modulo 97; from 2000 with a 2.
    """
    number = _number(text, 11)
    if not number or not _dated(int(number[2:4]) % 20 or 1, int(number[4:6]) or 1):
        return False
    check = int(number[9:])
    return check in {97 - int(number[:9]) % 97, 97 - int("2" + number[:9]) % 97}
