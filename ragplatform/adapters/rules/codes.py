"""Any other code that points at one person or record. Source: 45 CFR 164.514(b)(2)(i)(R)."""

import re
from typing import Final

from ragplatform.adapters.rules.rule import (
    CODE,
    LABELLED,
    LIKELY,
    POSSIBLE,
    SPACED,
    TO_COLON,
    TO_NUMBERED,
    Family,
    Rule,
    has_digits,
    labelled,
    words,
)

# Standards, notes and exhibits are numbered too, and nobody's: "ASU No. 2016-13", "Note No. 4".
_PUBLIC: Final = re.compile(
    r"(?i)(?:\b(?:forms?|registration statement|commission|(?-i:SEC)|exchange act|securities act"
    r"|schedule)\b[^.;]{0,40}|(?:asu|update|bulletin|statements?|sfas|fas"
    r"|fin|topic|rule|interpretation|issue|eitf|sop"
    r"|standards?|proposal|exhibit|amendment|articles?|protocol|figure|table|chapter|note|schedule"
    r"|part|item|section|regulation|directive|law|act|order|opinion|release|sab|asc|page|volume"
    r"|resolution|decree|supplement|ifrs|ias|series|class|grade|stage|type|step|question|annex"
    r"|appendix|form|phase|convention|recommendation)s?[ \xa0(,)\"”]{1,5})$"
)


def _is_code(value: str) -> bool:
    return sum(char.isdigit() for char in value) >= 2


_LABELLED: Final = (
    labelled(
        "UNIQUE_CODE",
        "case|claim|reference|ref|confirmation|accession|specimen"
        "|sample|order|invoice|ticket|docket"
        "|encounter|visit|study|customer|client|employee|student|badge|file|tracking|transaction"
        "|application|prescription|rx|referral|authorization|authorisation|prior auth|contract"
        "|document|trial|registration|certificate|permit|matter|complaint|report|record|request"
        "|job|batch|receipt|shipment|booking|reservation|ticketing|incident|protocol|subject"
        "|participant|donor|user|person|payroll|personnel|staff|voucher|check|cheque|escrow"
        "|aktenzeichen|auftrag|auftrags|kunden|rechnungs|vorgangs|bestell|référence|expediente"
        "|pratica|cliente|matricola|parcel|plot|folio|deed|title|unit serial|membership|loyalty"
        "|frequent flyer|roll|enrollment|enrolment|admission|hospital admission|bed|inmate|alien"
        "|visa|uscis|warrant|suit|cause|index|event|activity|correlation|session|trace|vehicle"
        "|cert|security id|account manager|id card|license key|serial key",
        SPACED,
        to=TO_NUMBERED,
        unless=_PUBLIC,
    ),
    labelled(
        "UNIQUE_CODE",
        "reference|ref|confirmation code|tracking|aktenzeichen|az|docket|referenz|réf|expediente"
        "|case|claim|employee|badge|kundennummer|kunden-nr|rechnungsnummer|auftragsnummer"
        "|numéro client|invoice|customer id|client id|user id|order|accession|specimen|ticket"
        "|session id|trace id|request id|correlation id|booking reference|booking|id|uid|guid",
        CODE,
        to=TO_COLON,
        least=4,
    ),
    labelled(
        "UNIQUE_CODE",
        "docket|aktenzeichen|az.|case no.|id card|identity card|badge|tracking number|id",
        r"(?P<v>(?-i:[A-Z]{1,5}[-/]?)(?-i:[A-Z0-9]{4,14})(?:[-/](?-i:[A-Z0-9]{1,10}))"
        r"{0,3})(?![A-Za-z0-9])",
        score=LIKELY,
        least=1,
    ),
)
_SHAPES: Final = (
    Rule(
        "numbered",
        "UNIQUE_CODE",
        re.compile(
            r"(?i)n(?:(?:os?|um|r)\b\.?|[º°])[ \xa0]{0,2}(?P<v>(?:[A-Z]{1,4}"
            r"[-/ .]?)?\d{1,8}[-/:][A-Z0-9][A-Z0-9/:.-]{0,18}[A-Z0-9]|(?:[A-Z]{1,4}"
            r"[-/ ]?)?\d{4,12}(?:[-/][A-Z0-9]{1,10}){1,3})(?![A-Z0-9])(?:(?:,| and"
            r"| und| et| y| e)[ \xa0](?P<UNIQUE_CODE>\d{1,8}/\d{2,4})(?!\d))?"
        ),
        LABELLED,
        words=words("no nos nr num n"),
        check=_is_code,
        unless=_PUBLIC,
    ),
    # ECHR, courts, plots: a number over a year, never a fraction or a date.
    Rule(
        "number_over_year",
        "UNIQUE_CODE",
        re.compile(r"(?<![\w./-])\d{4,6}/\d{2}(?![\w/]|[.,-]\d)"),
        LIKELY,
        digits=(4, 5, 6),
        follows="/",
        check=lambda value: not value.startswith(("19", "20")) or len(value.partition("/")[0]) > 4,
    ),
    Rule(
        "id_code",
        "UNIQUE_CODE",
        re.compile(r"ID-[A-Z0-9]{6,14}(?![\w-])"),
        LIKELY,
        words=("id",),
    ),
    Rule(
        "uuid",
        "UNIQUE_CODE",
        re.compile(
            r"(?i)(?<!\w)[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}(?!\w)"
        ),
        LABELLED,
        codes=True,
        digits=(1, 2, 3, 4, 5, 6, 7, 8),
        follows="-abcdefABCDEF",
    ),
    Rule(
        "hash",
        "UNIQUE_CODE",
        re.compile(
            r"(?i)(?<![\w+/])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}"
            r"|[0-9a-f]{64}|[0-9a-f]{128})(?![\w+/=])"
        ),
        LIKELY,
        codes=True,
    ),
    # "KX-2231-99", "AB/12345/21": letters, then two groups with digits, and enough of them.
    Rule(
        "grouped_code",
        "UNIQUE_CODE",
        re.compile(
            r"(?<![\w/.-])[A-Z]{1,6}\d{0,4}[-/_][A-Z]{0,3}\d{2,10}(?:[-/_][A-Z0-9]{1,12}){1,4}"
            r"(?![\w/]|-\w)"
        ),
        LIKELY,
        codes=True,
        check=has_digits(5),
    ),
    Rule(
        "long_code",
        "UNIQUE_CODE",
        re.compile(r"(?<![\w/.-])[A-Z]{1,5}[-]?\d{6,14}[A-Z]{0,2}(?![\w/]|-\w)"),
        LIKELY,
        codes=True,
    ),
    Rule(
        "mixed_code",
        "UNIQUE_CODE",
        re.compile(
            r"(?<![\w/.-])(?=(?:[A-Z]*[0-9]){3})(?=(?:[0-9]*[A-Z]){2})(?!\d+X\d)[A-Z0-9]"
            r"{8,40}(?![\w/]|-\w)"
        ),
        POSSIBLE,
        codes=True,
    ),
)

CODES: Final = Family("codes", (*_LABELLED, *_SHAPES))
