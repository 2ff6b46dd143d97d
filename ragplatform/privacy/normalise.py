"""One spelling for each value, so that the same person or number gets the same pseudonym."""

import re
import unicodedata
from typing import Final

from ragplatform.privacy import dates
from ragplatform.privacy.names import CREDENTIALS, GENERATIONS, TITLES

_DIGITS_ONLY: Final = frozenset(
    {"US_SSN", "US_ITIN", "CREDIT_CARD", "NPI", "ABA_ROUTING_NUMBER", "US_BANK_NUMBER"}
)
_PHONES: Final = frozenset({"PHONE_NUMBER", "FAX_NUMBER"})
CODES: Final = frozenset(
    {
        "MEDICAL_RECORD_NUMBER",
        "HEALTH_PLAN_ID",
        "MEDICAL_LICENSE",
        "DEVICE_ID",
        "ACCOUNT_NUMBER",
        "IBAN_CODE",
        "US_PASSPORT",
        "US_DRIVER_LICENSE",
        "VEHICLE_ID",
        "LICENSE_PLATE",
        "NATIONAL_ID",
        "MAC_ADDRESS",
        "UNIQUE_CODE",
        "ZIP_CODE",
    }
)
_DATES: Final = frozenset({"DATE_OF_BIRTH", "DATE_TIME"})


def normalise(entity: str, value: str) -> str:
    """Return the canonical spelling of a value of this type.

    Values that mean the same person, number or day come out equal where that is safe to say; a
    value of which nothing would be left comes back folded but whole.
    """
    folded = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return _canonical(entity, folded) or folded


def shown(entity: str, value: str) -> str:
    """Return a value as people read it, without changing what it means.

    One pseudonym stands for all spellings of a name, and the vault gives back the first that it
    met: a chart's "Smith, John" reads "John Smith". "Smith, Jr." and "Lee, MD" stay.
    """
    parts = [part.strip() for part in value.split(",")]
    if entity != "PERSON" or len(parts) != 2 or not all(parts):
        return value
    last = parts[1].casefold().strip(".")
    return value if last in CREDENTIALS | GENERATIONS else f"{parts[1]} {parts[0]}"


def _canonical(entity: str, folded: str) -> str:
    if entity == "PERSON":
        return _name(folded)
    if entity in _PHONES:
        return _phone(folded)
    if entity in _DIGITS_ONLY:
        return re.sub(r"\D", "", folded)
    if entity in CODES:
        return re.sub(r"[\W_]", "", folded)
    if entity in _DATES:
        return dates.iso(folded) or folded
    if entity in {"STREET_ADDRESS", "LOCATION"}:
        return " ".join(re.sub(r"[^\w\s]", " ", folded).split())
    return folded.rstrip("/") if entity == "URL" else folded


def _name(folded: str) -> str:
    folded = re.sub(r"['’]s$", "", folded)
    parts = [part.strip() for part in folded.split(",")]
    while len(parts) > 1 and parts[-1].strip(".") in CREDENTIALS:
        parts.pop()
    if len(parts) == 2:
        # "smith, john" is how charts write it; with more commas it is a list, and stays as it is.
        parts.reverse()
    words = [word.strip(".") for word in " ".join(parts).split()]
    while words and words[0] in TITLES:
        words.pop(0)
    while len(words) > 1 and words[-1] in CREDENTIALS:
        words.pop()
    return " ".join(words)


def _phone(folded: str) -> str:
    number = re.sub(r"(?:ext\.?|extension|x|#)\s*\d{1,6}$", "", folded)
    digits = re.sub(r"\D", "", number)
    return digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
