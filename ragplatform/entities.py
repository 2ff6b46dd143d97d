"""The closed list of personal-data types, and the category that each belongs to.

Source: HIPAA Safe Harbor identifiers (A) to (R), 45 CFR 164.514(b)(2)(i); PCI DSS 4.0 account data;
GLBA non-public personal information, 16 CFR 313.3(n). Names follow Presidio where it has one.
Safe Harbor asks for the names "of relatives, employers, or household members" too: hence
ORGANIZATION. AGE is an age of up to 89, which Safe Harbor allows and which still narrows down.
TIME_REFERENCE is a year, a weekday or a span of time, which it allows too; QUASI_IDENTIFIER
is any other fact that narrows down, such as a sum or a family relation.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ragplatform.model import Category

# The source of what a tagger of prose found, whom no rule backs: see ``Span.source``.
TAGGER: Final = "tagger"

CATEGORY_OF: Final[Mapping[str, Category]] = MappingProxyType(
    {
        "PERSON": Category.PII,
        "ORGANIZATION": Category.PII,
        "OCCUPATION": Category.PII,
        "TIME_REFERENCE": Category.PII,
        "QUASI_IDENTIFIER": Category.PII,
        "USERNAME": Category.PII,
        "LOCATION": Category.PII,
        "STREET_ADDRESS": Category.PII,
        "ZIP_CODE": Category.PII,
        "DATE_TIME": Category.PII,
        "DATE_OF_BIRTH": Category.PII,
        "AGE": Category.PII,
        "AGE_OVER_89": Category.PHI,
        "PHONE_NUMBER": Category.PII,
        "FAX_NUMBER": Category.PII,
        "EMAIL_ADDRESS": Category.PII,
        "US_SSN": Category.PII,
        "MEDICAL_RECORD_NUMBER": Category.PHI,
        "HEALTH_PLAN_ID": Category.PHI,
        "NPI": Category.PHI,
        "MEDICAL_LICENSE": Category.PHI,
        "DEVICE_ID": Category.PHI,
        "BIOMETRIC_ID": Category.PHI,
        "PHOTO_REFERENCE": Category.PHI,
        "ACCOUNT_NUMBER": Category.NPI,
        "US_BANK_NUMBER": Category.NPI,
        "ABA_ROUTING_NUMBER": Category.NPI,
        "IBAN_CODE": Category.NPI,
        "CREDIT_CARD": Category.PCI,
        "SWIFT_CODE": Category.NPI,
        "POLICY_NUMBER": Category.NPI,
        "SECURITY_ID": Category.NPI,
        "LEI": Category.NPI,
        "CRYPTO": Category.NPI,
        "US_EIN": Category.NPI,
        "US_ITIN": Category.NPI,
        "US_PASSPORT": Category.PII,
        "US_DRIVER_LICENSE": Category.PII,
        "VEHICLE_ID": Category.PII,
        "LICENSE_PLATE": Category.PII,
        "NATIONAL_ID": Category.PII,
        "URL": Category.PII,
        "IP_ADDRESS": Category.PII,
        "MAC_ADDRESS": Category.PII,
        "UNIQUE_CODE": Category.PII,
        "NRP": Category.PII,
        "SECRET": Category.SECRET,
    }
)
