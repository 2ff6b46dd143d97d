"""Identifiers of accounts, cards, securities and firms. Source: GLBA, PCI DSS 4.0, ISO 13616."""

import re
from typing import Final

from ragplatform.adapters.rules import check_digits
from ragplatform.adapters.rules.rule import (
    LABELLED,
    LIKELY,
    PROVEN,
    SPACED,
    TO,
    TO_COLON,
    TO_NUMBERED,
    Family,
    Number,
    Rule,
    any_of,
    any_shape,
    has_digits,
    labelled,
    shapes,
    words,
)
from ragplatform.adapters.rules.vocabulary import COUNTRY_CODES


def _bic(value: str) -> bool:
    code = value.replace(" ", "").upper()
    return len(code) in {8, 11} and code[:4].isalpha() and code[4:6] in COUNTRY_CODES


def _written_ibans() -> str:
    """Return a pattern of IBANs in any grouping and case, each country's of its own length."""
    by_length: dict[int, list[str]] = {}
    for country, length in check_digits.IBAN_LENGTHS.items():
        by_length.setdefault(length, []).append(country)
    between = r"[ \xa0\u202f.\-]?"
    written = "|".join(
        rf"(?:{'|'.join(countries)}){between}\d{between}\d(?:{between}[A-Z0-9]){{{length - 4}}}"
        for length, countries in sorted(by_length.items())
    )
    return rf"(?i)(?<![A-Z0-9])(?:{written})(?![A-Z0-9])"


_CARD_WORDS: Final = any_of(
    "card cc pan visa mastercard amex credit debit carte karte tarjeta carta kreditkarte payment"
)
_ACCOUNTS: Final = (
    labelled(
        "ACCOUNT_NUMBER",
        "bank account|checking account|savings account|loan account|brokerage account|iban"
        "|deposit account|billing account|credit account|account|acct|acc|kontonummer|konto"
        "|konto-nr|numéro de compte|n° de compte|compte|cuenta|número de cuenta|conto corrente"
        "|numero di conto|checking|savings|brokerage",
        SPACED,
        to=TO_NUMBERED,
        least=4,
    ),
    labelled(
        "ACCOUNT_NUMBER",
        "account|acct|kontonummer|konto-nr|ktonr|bank account|checking account|savings account"
        "|checking|savings|clabe|iban",
        r"(?P<v>(?:[A-Z]{0,4}-?)?[0-9X*](?:[0-9X*]|[ -](?=[0-9X*])){4,25})(?![A-Za-z0-9%]|[.,]\d)",
        least=4,
        score=LIKELY,
    ),
    Rule(
        "account_ac",
        "ACCOUNT_NUMBER",
        re.compile(rf"(?i)(?<=a/)c\.?{TO}{SPACED}"),
        LABELLED,
        words=("c",),
        check=has_digits(4),
    ),
    Rule(
        "account_tail",
        "ACCOUNT_NUMBER",
        re.compile(
            r"(?i)(?:account|acct\.?|card|a/c)[^.\n]{0,30}?\b(?:ending|ends)(?: in| with)?:? "
            r"(?P<v>[x*•]{0,12}\d{3,6})\b"
        ),
        LIKELY,
        words=("account", "acct", "card"),
    ),
    labelled(
        "ABA_ROUTING_NUMBER",
        "aba|aba routing|routing|routing transit|rtn|aba/routing|transit "
        "routing|routing and transit",
        r"(?P<v>\d{4}[- ]?\d{4}[- ]?\d)(?![\w-])",
        check=check_digits.aba,
        otherwise="UNIQUE_CODE",
    ),
    labelled(
        "SWIFT_CODE",
        "swift|bic|swift/bic|bic/swift",
        r"(?P<v>(?-i:[A-Z]{4}[ ]?[A-Z]{2}[ ]?[A-Z0-9]{2}[ ]?(?:[A-Z0-9]{3})?))(?![A-Za-z0-9])",
        check=_bic,
    ),
    labelled(
        "SWIFT_CODE",
        "swift|bic|swift/bic|bic/swift",
        r"(?P<v>[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)(?![A-Za-z0-9])",
        to=TO_COLON,
        check=_bic,
    ),
    Rule(
        "bic",
        "SWIFT_CODE",
        re.compile(r"(?<!\w)[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?!\w)"),
        LABELLED,
        codes=True,
        check=_bic,
        context=any_of("swift bic bank wire transfer iban correspondent"),
    ),
    labelled(
        "POLICY_NUMBER",
        "policy|insurance policy|loan|mortgage|police|versicherungsschein|póliza|poliza|polizza"
        "|note|lease|annuity|certificate of insurance|claim policy|credit agreement",
        SPACED,
        to=TO_NUMBERED,
        least=4,
    ),
    labelled(
        "POLICY_NUMBER", "policy|loan|policennummer|darlehensnummer|póliza", to=TO_COLON, least=5
    ),
    labelled(
        "US_EIN",
        "ein|fein|employer identification|employer id|federal tax id|federal id|tax id|tax|tin"
        "|taxpayer id|taxpayer identification|irs employer identification|i.r.s. employer"
        " identification|irs id|tax identification",
        r"(?P<v>\d{2}-?\d{7})(?![\w-])",
    ),
    labelled(
        "US_EIN",
        "irs employer identification no.|employer identification no.",
        r"[^\d\n]{0,40}\n?[^\d\n]{0,40}(?P<v>\d{2}-\d{7})(?![\w-])",
    ),
    Rule(
        "ein",
        "US_EIN",
        re.compile(r"(?<![\w-])\d{2}-\d{7}(?![\w-])"),
        LIKELY,
        digits=(2,),
        follows="-",
        check=check_digits.ein,
        context=any_of("ein fein employer irs tax taxpayer identification tin i.r.s."),
    ),
)


_CODES: Final = (
    Rule(
        "iban",
        "IBAN_CODE",
        re.compile(_written_ibans()),
        PROVEN,
        codes=True,
        check=check_digits.iban,
    ),
    Rule(
        "isin",
        "SECURITY_ID",
        re.compile(r"(?i)(?<!\w)[A-Z]{2}[ -]?[A-Z0-9]{9}[ -]?\d(?!\w)"),
        PROVEN,
        codes=True,
        check=lambda value: (
            value[:2].upper() in COUNTRY_CODES | {"EU", "XF"} and check_digits.isin(value)
        ),
    ),
    Rule(
        "cusip",
        "SECURITY_ID",
        re.compile(r"(?i)(?<!\w)[A-Z0-9]{5}[A-Z0-9][ -]?[A-Z0-9]{2}[ -]?\d(?!\w)"),
        PROVEN,
        codes=True,
        check=check_digits.cusip,
        context=any_of("cusip security bond note notes securities"),
    ),
    Rule(
        "sedol",
        "SECURITY_ID",
        re.compile(r"(?i)(?<!\w)[0-9B-DF-HJ-NP-TV-Z]{6}\d(?!\w)"),
        PROVEN,
        codes=True,
        check=check_digits.sedol,
        context=any_of("sedol"),
    ),
    Rule(
        "lei",
        "LEI",
        re.compile(r"(?i)(?<!\w)[A-Z0-9]{4}(?:[ -]?[A-Z0-9]{4}){3}[ -]?[A-Z0-9]{2}\d{2}(?!\w)"),
        PROVEN,
        codes=True,
        check=check_digits.lei,
    ),
    Rule(
        "bitcoin",
        "CRYPTO",
        re.compile(
            r"(?<!\w)(?:[13LM2mn][a-km-zA-HJ-NP-Z1-9]{25,34}|(?:bc|ltc|tb)1[a-z0-9]{11,71}"
            r"|(?:BC|LTC|TB)1[A-Z0-9]{11,71})(?!\w)"
        ),
        PROVEN,
        codes=True,
        check=check_digits.bitcoin,
    ),
    Rule(
        "ethereum",
        "CRYPTO",
        re.compile(r"(?<!\w)0x[0-9a-fA-F]{40}(?!\w)"),
        PROVEN,
        codes=True,
    ),
)
_LABELLED_CODES: Final = (
    labelled(
        "SECURITY_ID",
        "cusip|isin|sedol|wkn|valoren",
        r"(?P<v>[A-Z0-9]{5,9}(?:[ -]?[A-Z0-9]{1,3}){0,3})(?![A-Za-z0-9])",
        least=2,
    ),
    labelled(
        "CRYPTO",
        "wallet|bitcoin address|btc address|wallet address|eth address|crypto address",
        r"(?P<v>[A-Za-z0-9]{25,95})(?![A-Za-z0-9])",
    ),
    labelled(
        "CREDIT_CARD",
        "cvv|cvc|cvv2|cvc2|cid|security code|card verification value|card security code|csc",
        r"(?P<v>\d{3,4})(?![\w.,]*\d)",
    ),
    labelled(
        "CREDIT_CARD",
        "exp|expiry|expires|expiration|exp date|expiry date|expiration date|valid "
        "thru|valid through"
        "|valid until|gültig bis|fecha de caducidad|date d'expiration",
        r"(?P<v>(?:0[1-9]|1[0-2])[ ]?[/-][ ]?(?:20)?\d{2})(?![\w/-])",
        score=LIKELY,
    ),
    labelled(
        "CREDIT_CARD",
        "credit card|debit card|card|cc|pan|visa|mastercard|amex|kreditkarte|carte bancaire"
        "|carte bleue|tarjeta|tarjeta de crédito|carta di credito|discover|maestro",
        r"(?P<v>\d(?:[ \-\xa0]?\d){11,18})(?![\w-])",
        least=12,
        score=LIKELY,
    ),
    Rule(
        "masked_card",
        "CREDIT_CARD",
        re.compile(r"(?<![\w-])\d{4}[- ]?(?:[*xX•]{4}[- ]?){1,3}\d{3,4}(?![\w-])"),
        LABELLED,
        digits=(4,),
        follows="- *xX•",
    ),
    Rule(
        "masked_card",
        "CREDIT_CARD",
        re.compile(
            r"(?i)(?:card|visa|mastercard|amex|pan)[^\n\d*•x]{0,20}(?P<v>[x*•][x*•\- ]"
            r"{3,20}\d{4})\b"
        ),
        LIKELY,
        words=words("card visa mastercard amex pan"),
    ),
)
_CARD_SHAPES: Final = any_shape(12, 13, 14, 15, 16, 17, 18, 19) + shapes(
    "4-6-5", "4-6-4", "4-4-4-4-3", "6-10", "6-13", "4-4-5", "4-5-6", "8-8", "4-4-4-1", "4-3-3-3"
)
_NUMBERS: Final = (
    Number("card", "CREDIT_CARD", _CARD_SHAPES, check_digits.card, PROVEN, LABELLED, _CARD_WORDS),
    Number(
        "aba",
        "ABA_ROUTING_NUMBER",
        any_shape(9) + shapes("4-4-1"),
        check_digits.aba,
        PROVEN,
        0,
        any_of("aba routing rtn transit fedwire ach wire"),
    ),
    Number(
        "ein",
        "US_EIN",
        shapes("9", "2-7"),
        check_digits.ein,
        LABELLED,
        0,
        any_of("ein fein employer_identification employer_id federal_tax"),
    ),
    Number(
        "itin",
        "US_ITIN",
        any_shape(9) + shapes("3-2-4"),
        check_digits.itin,
        PROVEN,
        0,
        any_of("itin tin tax taxpayer individual_taxpayer"),
    ),
    Number(
        "cusip_digits",
        "SECURITY_ID",
        shapes("9", "6-2-1"),
        check_digits.cusip,
        PROVEN,
        0,
        any_of("cusip"),
    ),
    Number(
        "sedol_digits",
        "SECURITY_ID",
        shapes("7"),
        check_digits.sedol,
        PROVEN,
        0,
        any_of("sedol"),
    ),
    Number(
        "lei_digits",
        "LEI",
        shapes("20"),
        check_digits.lei,
        PROVEN,
        0,
        any_of("lei legal_entity_identifier"),
    ),
    Number(
        "bank_digits",
        "US_BANK_NUMBER",
        tuple((length,) for length in range(8, 18)),
        has_digits(8),
        LIKELY,
        0,
        any_of("bank checking savings deposit debit wire beneficiary"),
    ),
)

FINANCE: Final = Family("finance", (*_ACCOUNTS, *_CODES, *_LABELLED_CODES), _NUMBERS)
