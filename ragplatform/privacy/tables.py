"""What stands in a table's cell is told by the head of its column or row."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Span
from ragplatform.privacy.lists import words

_HEADS: Final = {
    "PERSON": "name|full name|patient|patient name|patient full name|first name|last name"
    "|middle name|surname|given name|family name|forename|member|member name|client|client name"
    "|customer|customer name|account holder|holder|cardholder|cardholder name|borrower|co-borrower"
    "|borrower name|beneficiary|insured|subscriber|guarantor|employee|employee name|contact"
    "|contact name|emergency contact|next of kin|relative|physician|provider|provider name"
    "|attending|surgeon|nurse|doctor|clinician|referring physician|pcp|author|signed by|reviewer"
    "|approved by|prepared by|applicant|owner|payee|payer|sender|recipient|advisor|adviser"
    "|relationship manager|patientname|firstname|lastname|fullname|first|last|nachname|vorname"
    "|nom|prénom|nombre|apellido|apellidos|paciente",
    "MEDICAL_RECORD_NUMBER": "mrn|medical record number|medical record no|record number|record no"
    "|chart number|chart no|patient id|patient number|patient no|patientid",
    "DATE_OF_BIRTH": "dob|d.o.b|date of birth|birth date|birthdate|born|geburtsdatum"
    "|date de naissance|fecha de nacimiento",
    "US_SSN": "ssn|social security number|social security no|social security",
    "PHONE_NUMBER": "phone|phone number|phone no|telephone|tel|mobile|cell|home phone|work phone",
    "EMAIL_ADDRESS": "email|e-mail|email address|e-mail address",
    "STREET_ADDRESS": "address|street|street address|home address|mailing address|address line 1",
    "ZIP_CODE": "zip|zip code|zipcode|postcode|postal code",
    "ACCOUNT_NUMBER": "account|account number|account no|acct|acct no|account #|acct #",
    "HEALTH_PLAN_ID": "member id|subscriber id|insurance id|plan id|member number|member no",
}
_ENTITY: Final = {head: entity for entity, heads in _HEADS.items() for head in heads.split("|")}
_OTHER_HEADS: Final = frozenset(
    "date time ward room bed unit department age sex gender status amount balance type notes note "
    "id code result results value reference range diagnosis procedure total visit admitted "
    "discharged role title specialty city state country service description quantity dose "
    "route".split()
)
_DIGITS: Final = re.compile(r"\d")
_FORMS: Final = {
    "PERSON": re.compile(
        r"[^\W\d_][^\W\d_.'’-]*(?:(?:,\s?|\s|\.\s?|['’-])[^\W\d_][^\W\d_.'’-]*){0,5}\.?"
    ),
    "MEDICAL_RECORD_NUMBER": re.compile(r"(?=\D{0,12}\d)[\w/-]{3,24}"),
    "DATE_OF_BIRTH": re.compile(r"(?=.*\d)[\w ,./-]{6,24}"),
    "US_SSN": re.compile(r"[\dXx*]{3}[- ]?[\dXx*]{2}[- ]?\d{4}"),
    "PHONE_NUMBER": re.compile(r"\+?[\d().\s-]{7,22}(?:(?:x|ext\.?)\s?\d{1,6})?"),
    "EMAIL_ADDRESS": re.compile(r"[^\s@]{1,64}@[^\s@]{1,190}"),
    "STREET_ADDRESS": re.compile(r"(?=.*\d)(?=.*[^\W\d_]).{5,90}"),
    "ZIP_CODE": re.compile(r"\d{5}(?:-\d{4})?"),
    "ACCOUNT_NUMBER": re.compile(r"(?=\D{0,12}\d)[\w/*-]{4,34}"),
    "HEALTH_PLAN_ID": re.compile(r"(?=\D{0,12}\d)[\w-]{4,24}"),
}
# Separators in the order in which they are tried, and how many known heads make a line a header:
# commas, semicolons and wide gaps stand in prose too.
_SEPARATORS: Final = (("|", 1), ("\t", 1), (",", 2), (";", 2), ("  ", 2))
_WIDE: Final = re.compile(r"[ ]{2,}")
# A cell in quotes may hold the separator: "Smith, John".
_QUOTED: Final = {
    mark: re.compile(rf'(?:^|(?<={mark}))(?:"[^"]*"|[^{mark}"]*)(?={mark}|$)') for mark in ",;"
}
_LONGEST_LINE: Final = 2000
_LONGEST_HEAD: Final = 40
_LINE: Final = re.compile(r"[^\n]+")
_SCORE: Final = 0.85
_PADDING: Final = " \t\r\"'*_`|"
_INSTITUTION: Final = frozenset(
    "hospital clinic center centre bank inc llc ltd corp company insurance pharmacy university "
    "trust group department unit county fund services none unknown n/a na yes no male female "
    "total".split()
)


@dataclass(frozen=True, slots=True)
class Tables:
    """What a text's tables tell: ``cells`` are values, ``headers`` the lines that hold none."""

    cells: tuple[Span, ...]
    headers: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    start: int
    end: int
    text: str

    @property
    def entity(self) -> str | None:
        """The type that this cell announces when it is a head."""
        if len(self.text) > _LONGEST_HEAD:
            return None
        return _ENTITY.get(self.text.strip(" \t:#.").casefold())


def read(text: str) -> Tables:
    """Return what heads of columns and rows say of their cells. Takes time linear in the text."""
    cells: list[Span] = []
    headers: list[tuple[int, int]] = []
    for separator, known in _SEPARATORS:
        if separator in text:
            for found in _tables(text, separator, known):
                cells += found.cells
                headers += found.headers
    return Tables(tuple(cells), tuple(headers))


def _tables(text: str, separator: str, known: int) -> Iterator[Tables]:
    columns: list[str | None] = []
    for line in _LINE.finditer(text):
        if separator not in line[0] or len(line[0]) > _LONGEST_LINE:
            columns = []
            continue
        if not columns and separator not in "|\t" and _DIGITS.search(line[0]):
            # Prose with commas, most of the time; a header holds no digit.
            continue
        cells = _cells(line[0], line.start(), separator)
        heads = [cell.entity for cell in cells]
        if len(cells) > 1 and sum(map(bool, heads)) >= known and _is_header(cells):
            columns = heads
            yield Tables((), ((line.start(), line.end()),))
        elif len(cells) == len(columns):
            yield Tables(tuple(_values(cells, columns)), ())
        else:
            columns = []
            # A row of two is a head with its value: "Patient | John Smith".
            if len(cells) == 2 and heads[0] and separator in "|\t":
                yield Tables(tuple(_values(cells, [None, heads[0]])), ())


def _is_header(cells: Sequence[_Cell]) -> bool:
    """Return whether the line holds heads alone: short, without digits, most of them known."""
    named = [cell for cell in cells if cell.text]
    if any(len(cell.text) > _LONGEST_HEAD or _DIGITS.search(cell.text) for cell in named):
        return False
    if len(named) > 2:
        return True
    return all(cell.entity or _words_of(cell.text) & _OTHER_HEADS for cell in named)


def _values(cells: Sequence[_Cell], columns: Sequence[str | None]) -> Iterator[Span]:
    for cell, entity in zip(cells, columns, strict=True):
        if entity is None or _FORMS[entity].fullmatch(cell.text) is None:
            continue
        if entity == "PERSON" and not _may_be_name(cell.text):
            continue
        yield Span(cell.start, cell.end, entity, CATEGORY_OF[entity], _SCORE, "table")


def _may_be_name(cell: str) -> bool:
    held = _words_of(cell)
    if not any(letter.isupper() for letter in cell) or held & (_INSTITUTION | _OTHER_HEADS):
        return False
    return bool(held - words("clinical") - words("frames"))


def _words_of(cell: str) -> frozenset[str]:
    return frozenset(word.strip(".,") for word in cell.casefold().split())


def _cells(line: str, offset: int, separator: str) -> list[_Cell]:
    """Return the line's cells without padding and quotes; a row's outer bars make none."""
    edges: list[tuple[int, int]] = []
    if separator in ",;" and '"' in line:
        edges = [match.span() for match in _QUOTED[separator].finditer(line)]
    elif separator == "  ":
        at = 0
        for gap in _WIDE.finditer(line):
            edges.append((at, gap.start()))
            at = gap.end()
        edges.append((at, len(line)))
        edges = [(start, end) for start, end in edges if start < end]
    else:
        at = 0
        for part in line.split(separator):
            edges.append((at, at + len(part)))
            at += len(part) + 1
        if separator == "|":
            edges = edges[not edges[0][1] :]
            edges = edges[:-1] if not line[edges[-1][0] : edges[-1][1]].strip() else edges
    return [_trimmed(line, start, end, offset) for start, end in edges]


def _trimmed(line: str, start: int, end: int, offset: int) -> _Cell:
    part = line[start:end]
    bare = part.strip(_PADDING)
    start += len(part) - len(part.lstrip(_PADDING)) if bare else 0
    return _Cell(offset + start, offset + start + len(bare), bare)
