"""Which of Presidio's recognisers run, and under which of our types their findings go."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import tldextract
from presidio_analyzer import EntityRecognizer, Pattern
from presidio_analyzer import predefined_recognizers as predefined

from ragplatform.adapters.recognisers import PhoneRecogniser
from ragplatform.adapters.urls import UrlRecogniser

# Presidio's names for what is, to us, an identifier that a state gave to a person.
_NATIONAL: Final = """
    UK_NHS UK_NINO UK_PASSPORT UK_DRIVING_LICENCE AU_TFN AU_MEDICARE CA_SIN IN_AADHAAR IN_PAN
    IN_PASSPORT IN_VOTER SG_NRIC_FIN ES_NIF ES_NIE ES_PASSPORT IT_FISCAL_CODE IT_DRIVER_LICENSE
    IT_IDENTITY_CARD IT_PASSPORT DE_TAX_ID DE_ID_CARD DE_PASSPORT DE_SOCIAL_SECURITY
    DE_HEALTH_INSURANCE DE_FUEHRERSCHEIN PL_PESEL KR_RRN FI_PERSONAL_IDENTITY_CODE
    SE_PERSONNUMMER TR_NATIONAL_ID ZA_ID_NUMBER NG_NIN US_PROVIDER_TAX_ID
""".split()

NAMED: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(_NATIONAL, "NATIONAL_ID")
    | {
        "US_MBI": "HEALTH_PLAN_ID",
        "US_HEALTH_INSURANCE_MEMBER_ID": "HEALTH_PLAN_ID",
        "US_CLAIM_NUMBER": "UNIQUE_CODE",
        "US_PRESCRIPTION_NUMBER": "UNIQUE_CODE",
        "US_PRIOR_AUTHORIZATION_NUMBER": "UNIQUE_CODE",
        "US_REFERRAL_NUMBER": "UNIQUE_CODE",
        "UUID": "UNIQUE_CODE",
        "UK_POSTCODE": "ZIP_CODE",
        "CA_POSTAL_CODE": "ZIP_CODE",
        "UK_VEHICLE_REGISTRATION": "LICENSE_PLATE",
        "IN_VEHICLE_REGISTRATION": "LICENSE_PLATE",
    }
)

# Names of organisations are not personal data, and are wrong as often as right.
DROPPED: Final = frozenset({"ORGANIZATION"})

# One check digit, or none: every tenth random number passes. Without a word that says what the
# number is, a phone number would turn into an NHS number.
NEEDS_CONTEXT: Final = frozenset(
    set(_NATIONAL) - {"UK_NINO", "IT_FISCAL_CODE", "FI_PERSONAL_IDENTITY_CODE", "KR_RRN"}
    | {
        "US_BANK_NUMBER",
        "US_ITIN",
        "US_PASSPORT",
        "US_DRIVER_LICENSE",
        "US_HEALTH_INSURANCE_MEMBER_ID",
        "UK_VEHICLE_REGISTRATION",
        "IN_VEHICLE_REGISTRATION",
        "UK_POSTCODE",
        "CA_POSTAL_CODE",
    }
)

_CLASSES: Final = (
    predefined.SpacyRecognizer,
    predefined.CreditCardRecognizer,
    predefined.CryptoRecognizer,
    predefined.DateRecognizer,
    predefined.IbanRecognizer,
    predefined.IpRecognizer,
    predefined.MacAddressRecognizer,
    predefined.MedicalLicenseRecognizer,
    predefined.UuidRecognizer,
    predefined.UsBankRecognizer,
    predefined.UsItinRecognizer,
    predefined.UsLicenseRecognizer,
    predefined.UsPassportRecognizer,
    predefined.UsSsnRecognizer,
    predefined.UsMbiRecognizer,
    predefined.NhsRecognizer,
    predefined.UkDrivingLicenceRecognizer,
    predefined.UkNinoRecognizer,
    predefined.UkPassportRecognizer,
    predefined.UkPostcodeRecognizer,
    predefined.UkVehicleRegistrationRecognizer,
    predefined.AuMedicareRecognizer,
    predefined.AuTfnRecognizer,
    predefined.CaPostalCodeRecognizer,
    predefined.CaSinRecognizer,
    predefined.InAadhaarRecognizer,
    predefined.InPassportRecognizer,
    predefined.InVehicleRegistrationRecognizer,
    predefined.InVoterRecognizer,
    predefined.SgFinRecognizer,
    predefined.EsNieRecognizer,
    predefined.EsNifRecognizer,
    predefined.EsPassportRecognizer,
    predefined.ItDriverLicenseRecognizer,
    predefined.ItFiscalCodeRecognizer,
    predefined.ItIdentityCardRecognizer,
    predefined.ItPassportRecognizer,
    predefined.DeFuehrerscheinRecognizer,
    predefined.DeHealthInsuranceRecognizer,
    predefined.DeIdCardRecognizer,
    predefined.DePassportRecognizer,
    predefined.DeSocialSecurityRecognizer,
    predefined.DeTaxIdRecognizer,
    predefined.PlPeselRecognizer,
    predefined.KrRrnRecognizer,
    predefined.FiPersonalIdentityCodeRecognizer,
    predefined.SePersonnummerRecognizer,
    predefined.TrNationalIdRecognizer,
    predefined.ZaIdNumberRecognizer,
    predefined.NgNinRecognizer,
)

# Presidio's own patterns, with its scores, but for those that look ahead to the end of the text, or
# of a run of any length, from each word: time grew with the square of the length.
_BOUNDED: Final = (
    (
        predefined.InPanRecognizer,
        (
            *predefined.InPanRecognizer.PATTERNS[:2],
            # The digits must stand in the number itself; Presidio took any ten letters before some.
            Pattern("PAN (Low)", r"\b(?=[\w@#$%^?~-]{0,6}[0-9]{4})[\w@#$%^?~-]{10}\b", 0.01),
        ),
    ),
    (
        predefined.UsHealthInsuranceMemberIdRecognizer,
        (
            Pattern(
                "Health insurance member ID (weak)",
                r"\b(?=[A-Z0-9-]{6,20}\b)(?=[A-Z0-9-]{0,40}\d)[A-Z]{1,5}-?[A-Z0-9]{5,14}\b",
                0.1,
            ),
        ),
    ),
)

# These look back over blanks in two and three pieces; so many blanks are the widest column.
_BLANKS: Final = 40
_OVER_BLANKS: Final = (
    predefined.UsClaimNumberRecognizer,
    predefined.UsPrescriptionNumberRecognizer,
    predefined.UsPriorAuthorizationNumberRecognizer,
    predefined.UsProviderTaxIdRecognizer,
    predefined.UsReferralNumberRecognizer,
)


class EmailRecogniser(predefined.EmailRecognizer):
    """Presidio's e-mail recogniser without its two faults.

    It fetches the public suffix list from the network at its first address, and it lets addresses
    of internal domains (``nurse@ward.local``) pass as no addresses at all.
    """

    def load(self) -> None:
        """Prepare the public suffix list that comes with its package; nothing is fetched."""
        self._suffixes = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())

    def validate_result(self, pattern_text: str) -> bool | None:
        """Return True for a public domain, None (no verdict, the score stays) for others."""
        return True if self._suffixes(pattern_text).fqdn else None


def recognisers(language: str) -> list[EntityRecognizer]:
    """Return fresh recognisers; those of other countries are asked to read this language too."""
    listed = [kind(supported_language=language) for kind in _CLASSES]
    bounded = [
        kind(patterns=list(patterns), supported_language=language) for kind, patterns in _BOUNDED
    ]
    over_blanks = [
        kind(patterns=[_with_few_blanks(one) for one in kind.PATTERNS], supported_language=language)
        for kind in _OVER_BLANKS
    ]
    ours = [
        kind(supported_language=language)
        for kind in (EmailRecogniser, PhoneRecogniser, UrlRecogniser)
    ]
    return [*listed, *bounded, *over_blanks, *ours]


def _with_few_blanks(pattern: Pattern) -> Pattern:
    regex = pattern.regex.replace(r"\s*", rf"\s{{0,{_BLANKS}}}")
    return Pattern(pattern.name, regex.replace(r"\s+", rf"\s{{1,{_BLANKS}}}"), pattern.score)
