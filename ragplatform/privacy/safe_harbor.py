"""The eighteen kinds of identifiers that HIPAA's Safe Harbor wants removed, and our types of each.

Source: 45 CFR 164.514(b)(2)(i)(A) to (R).
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the eighteen: its letter, what it asks for, and the entity types that fall under it.

    ``note`` says what a count of these types does not tell.
    """

    letter: str
    title: str
    types: tuple[str, ...]
    note: str = ""


KINDS: Final = (
    Kind(
        "A",
        "Names",
        ("PERSON", "ORGANIZATION"),
        "of the individual, relatives, employers and household members",
    ),
    Kind(
        "B",
        "Geographic subdivisions smaller than a State",
        ("STREET_ADDRESS", "LOCATION", "ZIP_CODE"),
        "names of States and countries may stay and are counted too; three digits of a ZIP code "
        "may stay where more than 20,000 people live",
    ),
    Kind(
        "C",
        "Dates, except the year, and ages over 89",
        ("DATE_TIME", "DATE_OF_BIRTH", "AGE_OVER_89"),
        "shifted dates are dates: they need an expert's determination",
    ),
    Kind("D", "Telephone numbers", ("PHONE_NUMBER",)),
    Kind("E", "Fax numbers", ("FAX_NUMBER",)),
    Kind("F", "Electronic mail addresses", ("EMAIL_ADDRESS",)),
    Kind("G", "Social security numbers", ("US_SSN",)),
    Kind("H", "Medical record numbers", ("MEDICAL_RECORD_NUMBER",)),
    Kind("I", "Health plan beneficiary numbers", ("HEALTH_PLAN_ID",)),
    Kind(
        "J",
        "Account numbers",
        (
            *("ACCOUNT_NUMBER", "US_BANK_NUMBER", "IBAN_CODE", "CREDIT_CARD", "CRYPTO"),
            *("POLICY_NUMBER",),
        ),
    ),
    Kind("K", "Certificate and license numbers", ("MEDICAL_LICENSE", "NPI", "US_DRIVER_LICENSE")),
    Kind(
        "L",
        "Vehicle identifiers and serial numbers, license plates",
        ("VEHICLE_ID", "LICENSE_PLATE"),
    ),
    Kind("M", "Device identifiers and serial numbers", ("DEVICE_ID", "MAC_ADDRESS")),
    Kind("N", "Web addresses (URLs)", ("URL",)),
    Kind("O", "Internet Protocol (IP) addresses", ("IP_ADDRESS",)),
    Kind("P", "Biometric identifiers", ("BIOMETRIC_ID",), "mentions in text alone"),
    Kind(
        "Q",
        "Full-face photographs and comparable images",
        ("PHOTO_REFERENCE",),
        "references in text alone; images are not indexed",
    ),
    Kind(
        "R",
        "Any other unique identifying number, characteristic or code",
        (
            *("NATIONAL_ID", "US_PASSPORT", "US_ITIN", "US_EIN", "UNIQUE_CODE", "USERNAME"),
            "SECRET",
        ),
        "every pseudonym is such a code too, for 164.514(c) wants codes that are not derived from "
        "the person: keyed tokens need an expert's determination",
    ),
)
# Types that no letter names. They narrow down who somebody is together with others, or name a
# bank or a security rather than a person.
UNNAMED: Final = frozenset(
    {
        *("NRP", "AGE", "OCCUPATION", "TIME_REFERENCE", "QUASI_IDENTIFIER"),
        *("ABA_ROUTING_NUMBER", "SWIFT_CODE", "SECURITY_ID", "LEI"),
    }
)
