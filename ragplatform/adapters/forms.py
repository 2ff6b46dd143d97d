"""The written forms of identifiers that have no recogniser elsewhere: labels, numbers, phrases.

A form is a regular expression whose group ``v`` (or the whole match) is the value. Labels ignore
case. Each repetition is bounded, so that time grows with the text and nothing else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ragplatform.adapters import check_digits

LABELLED: Final = 0.9
PROVEN: Final = 1.0
LIKELY: Final = 0.75
POSSIBLE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a type is written.

    ``check`` refuses values that cannot be of the type. A labelled value that fails it is still
    somebody's number: it is then of the type ``otherwise``, or none when that is empty.
    """

    name: str
    entity: str
    pattern: re.Pattern[str]
    score: float
    check: Callable[[str], bool] | None = None
    otherwise: str = ""


def _has_digits(least: int) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        return len(check_digits.digits(value)) >= least

    return check


# Between a label and its value: "No.", "number", "is", colon, tab, table bar, one line end.
_TO = (
    r"(?:[ \t]{0,3}\(?(?:numbers?|no\.?|num\.?|nr\.?|id|ids|identifier|code|#)\)?(?![A-Za-z])){0,2}"
    r"[ \t]{0,3}(?:is|was|are|of)?[ \t]{0,3}[:#=|.\-–]{0,3}[ \t]{0,8}\n?[ \t]{0,8}[#]?"
)
_CODE = r"(?P<v>(?-i:[A-Za-z0-9])(?:[A-Za-z0-9]|[-./](?=[A-Za-z0-9])){3,29})(?![A-Za-z0-9])"
_NUMBER = r"(?P<v>[0-9X*](?:[0-9X*]|[ -](?=[0-9X*])){3,25})(?![A-Za-z0-9])"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_DATE = (
    rf"(?:\d{{1,2}}[-/. ]\d{{1,2}}[-/. ](?:\d{{4}}|\d{{2}})|\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}"
    rf"|{_MONTH}\.?\s{{1,3}}\d{{1,2}}(?:st|nd|rd|th)?,?\s{{1,3}}\d{{4}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s-]{{1,3}}(?:of\s)?{_MONTH}\.?,?[\s-]{{1,3}}\d{{4}})"
)
_STATE = (
    r"(?:A[LKZR]|C[AOT]|D[EC]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|PR|RI"
    r"|S[CD]|T[NX]|UT|V[TAI]|W[AVIY])"
)
_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Circle|Cir|Way"
    r"|Place|Pl|Terrace|Ter|Parkway|Pkwy|Highway|Hwy|Square|Sq|Trail|Trl|Crescent|Close|Loop|Alley"
    r"|Turnpike|Pike|Row|Walk|Mews|Grove|Gardens)"
)
_PHONE = r"(?P<v>(?:\+?\d{1,3}[-. ]?)?\(?\d{2,4}\)?[-. /]?\d{3,4}[-. ]?\d{3,4})(?!\d)"
_NAME_WORD = (
    r"(?:[A-Z](?:['’][A-Z])?[a-zà-ÿ]{1,20}(?:['’-][A-Z]?[a-zà-ÿ]{1,20}|[A-Z][a-zà-ÿ]{1,20}){0,2}"
    r"|[A-Z]\.?(?![A-Za-z]))"
)
_NAME = rf"{_NAME_WORD}(?:[ \t]{_NAME_WORD}){{0,3}}"


def _labelled(
    entity: str,
    label: str,
    value: str = _CODE,
    *,
    least: int = 3,
    check: Callable[[str], bool] | None = None,
    otherwise: str = "",
) -> Form:
    return Form(
        f"labelled_{entity.lower()}",
        entity,
        re.compile(rf"(?i)(?<![A-Za-z0-9])(?:{label}){_TO}{value}"),
        PROVEN if check else LABELLED,
        check or _has_digits(least),
        otherwise,
    )


def _form(
    name: str,
    entity: str,
    pattern: str,
    score: float,
    check: Callable[[str], bool] | None = None,
) -> Form:
    return Form(name, entity, re.compile(pattern), score, check)


HEALTH: Final = (
    _labelled(
        "MEDICAL_RECORD_NUMBER",
        r"MRNs?|M\.R\.N\.?|med(?:ical)?\.?\s{1,2}rec(?:ord)?s?\.?|MR(?=\s?(?:#|no|num))"
        r"|(?:patient|chart|hospital|unit)\s{0,2}(?=(?:numbers?|no\.?|id|identifier|#)"
        r"(?![A-Za-z]))",
    ),
    _labelled(
        "NPI",
        r"NPI|national\s{1,2}provider\s{1,2}identifier",
        r"(?P<v>\d[\d -]{8,11}\d)(?!\d)",
        check=check_digits.npi,
        otherwise="UNIQUE_CODE",
    ),
    _labelled(
        "HEALTH_PLAN_ID",
        r"(?:member|subscriber|beneficiary|policy\s?holder|insured|health\s?plan|insurance|medicare"
        r"|medicaid|HICN|MBI|group|payer|plan)\s{0,2}(?=(?:numbers?|no\.?|id|identifier|#|:)"
        r"(?![A-Za-z]))"
        r"|HICN|MBI",
    ),
    # Source: CMS, "Understanding the MBI format": 11 places, no S, L, O, I, B, Z.
    _form(
        "medicare_mbi",
        "HEALTH_PLAN_ID",
        r"\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d"
        r"-?[AC-HJKMNP-RT-Y]{2}\d{2}\b",
        LABELLED,
    ),
    _labelled(
        "MEDICAL_LICENSE",
        r"DEA|(?:medical|physician|nursing|pharmac(?:y|ist)|dental|state"
        r"|professional)\s{1,2}licen[sc]e"
        r"|certificate",
    ),
    _labelled(
        "DEVICE_ID",
        r"serial(?=\s?(?:no|num|#|:))|S/N|device\s{0,2}(?=(?:id|identifier|no|num|serial|#))"
        r"(?:\s{0,2}serial)?|UDI|(?:implant|pacemaker|stimulator|pump|lot)\s{0,2}"
        r"(?=(?:id|serial|no|num|#))(?:serial)?|IMEI",
    ),
    # Source: FDA unique device identification, GS1 form: (01) and a 14-digit device identifier.
    _form("udi", "DEVICE_ID", r"\(01\)\d{14}(?:\(\d{2}\)[A-Za-z0-9.\-/]{1,20}){0,5}", PROVEN),
    _form(
        "biometric",
        "BIOMETRIC_ID",
        r"(?i)\b(?:finger|voice|palm|face|foot)[ -]?prints?(?:[ -](?:scan|template|image|id|hash"
        r"|sample|record|data))?(?:[ \t]{0,2}[:#][ \t]{0,3}[A-Za-z0-9][A-Za-z0-9+/=\-]{3,80})?"
        r"|\b(?:retina(?:l)?|iris|facial[ -](?:recognition|geometry)|biometric|genetic|DNA)[ -]"
        r"(?:scan|template|image|identifier|id|hash|sample|profile|record|data|fingerprint)s?\b"
        r"(?:[ \t]{0,2}[:#][ \t]{0,3}[A-Za-z0-9][A-Za-z0-9+/=\-]{3,80})?",
        LIKELY,
    ),
    _form(
        "photo_file",
        "PHOTO_REFERENCE",
        r"(?i)(?<![\w-])[\w-]{0,40}(?:photo|img|dsc|face|portrait|headshot|selfie"
        r"|mugshot)[\w-]{0,40}"
        r"\.(?:jpe?g|png|tiff?|heic|bmp|gif)\b",
        LABELLED,
    ),
    _form(
        "photo_phrase",
        "PHOTO_REFERENCE",
        r"(?i)\b(?:full[- ]face|facial|identification|ID|patient|passport)[ -](?:photo(?:graph)?|"
        r"image|picture)s?\b(?:[ \t]{0,2}[:#][ \t]{0,3}\S{3,60})?"
        r"|\b(?:photo(?:graph)?|picture)s? of (?:the |his |her |their )?(?:patient|client|face"
        r"|applicant)\b",
        LIKELY,
    ),
)

MONEY: Final = (
    _labelled(
        "ACCOUNT_NUMBER",
        r"(?:bank\s|checking\s|savings\s|loan\s|brokerage\s|deposit\s|billing\s|credit\s|policy\s)?"
        r"(?:account|acct\.?|a/c)|loan\s{0,2}(?=(?:no|num|id|#))|IBAN|SWIFT|BIC",
        least=4,
    ),
    _form(
        "account_digits",
        "ACCOUNT_NUMBER",
        rf"(?i)(?<![A-Za-z])(?:account|acct\.?|a/c){_TO}{_NUMBER}",
        LABELLED,
        _has_digits(3),
    ),
    _form(
        "account_tail",
        "ACCOUNT_NUMBER",
        r"(?i)\b(?:account|acct\.?|card|a/c)[^.\n]{0,30}?\b(?:ending|ends)(?: in| with)? "
        r"(?P<v>[x*]{0,12}\d{3,6})\b",
        LIKELY,
    ),
    _labelled(
        "ABA_ROUTING_NUMBER",
        r"ABA(?:\s{1,2}routing)?|routing(?:\s{1,2}transit)?|RTN",
        r"(?P<v>\d{4}[- ]?\d{4}[- ]?\d)(?!\d)",
        check=check_digits.aba,
        otherwise="UNIQUE_CODE",
    ),
    _form(
        "card", "CREDIT_CARD", r"(?<![\d-])\d(?:[ -]?\d){11,18}(?![\d-])", PROVEN, check_digits.card
    ),
    _form("ethereum", "CRYPTO", r"\b0x[0-9a-fA-F]{40}\b", LABELLED),
    _labelled(
        "NATIONAL_ID",
        r"EIN|TIN|FEIN|tax(?:payer)?\s{1,2}(?=id)|national\s{1,2}(?=id)|NINO?|NHS|SIN|Aadhaar|PAN"
        r"|DNI|NIE|NIF|codice\s{1,2}fiscale|steuer-?id",
        least=4,
    ),
    _labelled(
        "US_SSN",
        r"SSNs?|SS(?=\s?#)|social\s{1,2}security",
        r"(?P<v>\d{3}[- .]?\d{2}[- .]?\d{4})(?!\d)",
        least=9,
    ),
    _form("ssn", "US_SSN", r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])", LIKELY, check_digits.ssn),
)

PAPERS: Final = (
    _labelled("US_PASSPORT", r"passport", least=4),
    _labelled(
        "US_DRIVER_LICENSE",
        r"driv(?:er|ing)['’]?s?\s{1,2}licen[sc]e|DL(?=\s?(?:#|no|num|:))|D\.L\.",
        least=4,
    ),
    _form("vin", "VEHICLE_ID", r"\b[A-HJ-NPR-Z0-9]{17}\b", PROVEN, check_digits.vin),
    _labelled(
        "VEHICLE_ID",
        r"VIN|vehicle\s{1,2}(?=id)(?:identification)?|chassis",
        r"(?P<v>[A-HJ-NPR-Z0-9]{11,17})\b",
        check=check_digits.vin,
        otherwise="UNIQUE_CODE",
    ),
    _labelled(
        "LICENSE_PLATE",
        r"(?:licen[sc]e|number|registration|vehicle|car)\s{1,2}(?:plate|tag)s?|plate(?=\s?(?:#"
        r"|no|num|:))",
        r"(?P<v>(?-i:[A-Z0-9]{1,4})(?-i:[- ]?[A-Z0-9]{1,5}){1,2})(?![A-Za-z0-9])",
        least=1,
    ),
    _labelled(
        "UNIQUE_CODE",
        r"(?:case|claim|reference|ref|confirmation|accession|specimen|order|policy|invoice|ticket"
        r"|encounter|visit|study|customer|client|employee|student|badge|file|tracking|transaction"
        r"|application|prescription|rx|referral|authori[sz]ation|prior\sauth|contract|document"
        r"|trial)"
        r"\s{0,2}(?=(?:numbers?|no\.?|id|identifier|code|#)(?![A-Za-z]))",
        least=3,
    ),
    _form(
        "uuid",
        "UNIQUE_CODE",
        r"\b[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b",
        LABELLED,
    ),
)

PEOPLE: Final = (
    _form(
        "titled_name",
        "PERSON",
        rf"\b(?:Drs?|Mrs?|Ms|Miss|Mx|Prof(?:essor)?|Rev|Sr|Sra)\.?[ \t](?P<v>{_NAME})",
        0.86,
    ),
    _form(
        "labelled_name",
        "PERSON",
        r"(?i:\b(?:patient|client|borrower|applicant|customer|account holder|card ?holder|insured"
        r"|attending|physician|provider|surgeon|nurse|signed(?: by)?|prepared by|dictated by"
        r"|guarantor|spouse|next of kin|emergency contact|beneficiary|full|first|last|given"
        r"|family)?"
        r"[ \t]?(?:name)?)(?<=[A-Za-z])[ \t]{0,2}[:|][ \t]{0,6}"
        rf"(?P<v>[A-Z][A-Za-z'’-]{{1,20}},[ \t]{_NAME}|{_NAME_WORD}(?:[ \t]{_NAME_WORD}){{1,3}})",
        LIKELY,
    ),
    _form(
        "birth",
        "DATE_OF_BIRTH",
        rf"(?i)\b(?:DOB|D\.O\.B\.?|(?:date of )?birth ?(?:date|day)?|born)\b[ \t]{{0,2}}(?:is"
        rf"|was|on)?"
        rf"[ \t]{{0,2}}[:|\-–]{{0,2}}[ \t]{{0,6}}\n?[ \t]{{0,6}}(?P<v>{_DATE})",
        0.95,
    ),
    _form(
        "age",
        "AGE_OVER_89",
        r"(?i)(?<![\d./-])(?P<v>9\d|1[0-2]\d)[ -]?(?:years?|yrs?|y)?\.?[ -]?(?:of[ -]age|old"
        r"|y/?o\b|o\b)",
        LABELLED,
    ),
    _form(
        "aged",
        "AGE_OVER_89",
        r"(?i)\baged?(?: of| is|:)?[ \t]{1,3}(?P<v>9\d|1[0-2]\d)\b(?![./-]\d)",
        LABELLED,
    ),
    _form(
        "age_in_words",
        "AGE_OVER_89",
        r"(?i)\b(?P<v>(?:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?"
        r"|(?:a|one)[- ]hundred(?:[- ](?:and[- ])?(?:one|two|three|four|five|six|seven|eight"
        r"|nine))?))"
        r"[- ](?:years?|yrs?)[- ](?:of[- ]age|old)",
        LABELLED,
    ),
)

PLACES: Final = (
    _form(
        "street",
        "STREET_ADDRESS",
        rf"(?<![\w.])\d{{1,6}}[A-Za-z]?,?[ \t](?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East"
        rf"|West)\.?[ \t])?"
        rf"(?:[A-Z0-9][\w'’.-]{{0,24}}[ \t]){{1,4}}{_STREET}\b\.?"
        r"(?:,?[ \t\n](?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm"
        r"|#)\.?[ \t]?[A-Za-z0-9-]{1,6})?",
        LABELLED,
    ),
    _form(
        "part_of_house",
        "STREET_ADDRESS",
        r"\b(?:Apt|APT|Apartment|Suite|SUITE|Ste|STE)\.?[ ]#?\d{1,5}[A-Za-z]?\b",
        LIKELY,
    ),
    _form(
        "military",
        "STREET_ADDRESS",
        r"\b(?:(?:PSC|Unit|CMR)[ ]\d{1,5},?[ ]Box[ ]\d{1,5}[,\s]{1,3})?(?:APO|FPO|DPO),?[ ]A[AEP]"
        r"[ ]\d{5}(?:-\d{4})?\b",
        LABELLED,
    ),
    _form("po_box", "STREET_ADDRESS", r"(?i)\bP\.?[ ]?O\.?[ ]?Box[ ]\d{1,8}\b", LABELLED),
    _form(
        "street_continental",
        "STREET_ADDRESS",
        r"\b[A-ZÄÖÜ][a-zäöüß]{1,20}(?:straße|strasse|gasse|allee|platz|weg)[ ]\d{1,4}[a-z]?\b"
        r"|\b(?:Via|Calle|Rue|Piazza|Avenida|Plaza)(?:[ ][A-ZÀ-Ý]?[\w'’]{1,20}){1,4},?[ ]\d{1,4}\b"
        r"|\b\d{1,4},?[ ](?:rue|avenue|boulevard|place)(?:[ ][\w'’-]{1,20}){1,4}",
        LIKELY,
    ),
    _form(
        "state_zip",
        "ZIP_CODE",
        rf"\b{_STATE}\.?,?[ \t]{{1,3}}(?P<v>\d{{5}}(?:-\d{{4}})?)(?![\d-])",
        LABELLED,
    ),
    _form("zip_plus_4", "ZIP_CODE", r"(?<![\d-])\d{5}-\d{4}(?![\d-])", POSSIBLE),
    _labelled(
        "ZIP_CODE",
        r"zip(?:[ -]?code)?|post(?:al)?[ -]?code",
        r"(?P<v>\d{5}(?:-\d{4})?|(?-i:[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2})|"
        r"(?-i:[A-Z]\d[A-Z][ ]?\d[A-Z]\d))(?![A-Za-z0-9])",
    ),
    _form("postcode_uk", "ZIP_CODE", r"\b[A-Z]{1,2}\d[A-Z\d]?[ ]\d[ABD-HJLNP-UW-Z]{2}\b", POSSIBLE),
    _form(
        "postcode_canada",
        "ZIP_CODE",
        r"\b[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ ]?\d[ABCEGHJ-NPRSTV-Z]\d\b",
        POSSIBLE,
    ),
    _labelled("FAX_NUMBER", r"fax|facsimile|telefax", _PHONE, least=7),
    _labelled(
        "PHONE_NUMBER",
        r"tel(?:ephone)?|(?:cell|mobile|home|work)?\s?phone|mobile|cell|call(?:\s(?:at|me at"
        r"|us at))?",
        _PHONE,
        least=7,
    ),
    _form(
        "phone_us",
        "PHONE_NUMBER",
        r"(?<![\w-])(?:(?:\+?1|001)[-. ]?)?(?:\(\d{3}\)[ ]?|\d{3}[-. ])\d{3}[-. ]\d{4}(?:[ ]?"
        r"(?:x|ext\.?)[ ]?\d{1,6})?(?![\d-])",
        LIKELY,
    ),
    _form(
        "phone_before_its_kind",
        "PHONE_NUMBER",
        r"(?i)(?<![\w.-])(?P<v>\+?\(?\d(?:[ ().-]{0,2}\d){5,14}(?:x\d{1,6})?)(?=[ -]{1,2}"
        r"(?:office|cell|mobile|home|work|phone)\b)",
        LIKELY,
    ),
    _form(
        "month_day",
        "DATE_TIME",
        rf"\b{_MONTH}\.?[ ]{{1,2}}\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?[ ]{{1,2}}\d{{4}}\b)?",
        LIKELY,
    ),
    _form(
        "day_month",
        "DATE_TIME",
        rf"\b\d{{1,2}}(?:st|nd|rd|th)?[ -](?:of )?{_MONTH}\b\.?(?:,?[ -]\d{{4}}\b)?",
        LIKELY,
    ),
    _form("month_year", "DATE_TIME", rf"\b{_MONTH}\.?,?[ ](?:of )?(?:19|20)\d{{2}}\b", LIKELY),
)

_UNTIL_SPACE = r"(?P<v>[^\s'\"<>]{6,200})"
SECRETS: Final = (
    _form(
        "private_key",
        "SECRET",
        r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
        r"[A-Za-z0-9+/=:,\-\s]{0,20000}?(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        r"|-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----",
        PROVEN,
    ),
    # Lines of a key whose head stands elsewhere, as in a stream that is read by parts.
    _form(
        "key_lines",
        "SECRET",
        r"(?m)^(?:[A-Za-z0-9+/]{60,76}\r?\n){1,400}[A-Za-z0-9+/=]{1,76}$",
        LIKELY,
    ),
    _form("aws_key", "SECRET", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", PROVEN),
    _form(
        "service_key",
        "SECRET",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}|glpat-[\w-]{20,64}"
        r"|sk-[A-Za-z0-9_-]{20,200}|[rs]k_live_[A-Za-z0-9]{16,99}"
        r"|xox[abprs]-[A-Za-z0-9-]{10,200}|AIza[\w-]{35})",
        PROVEN,
    ),
    _form("jwt", "SECRET", r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}", PROVEN),
    _form(
        "password",
        "SECRET",
        rf"(?i)\b(?:password|passwd|passphrase|pwd)[ \t]{{0,2}}(?:is[ \t]"
        rf"|[:=])[ \t]{{0,3}}['\"]?{_UNTIL_SPACE}",
        LABELLED,
        lambda value: any(not char.isalpha() for char in value.rstrip(".,;:!?")),
    ),
    _form(
        "api_key",
        "SECRET",
        r"(?i)\b(?:api|access|secret|auth|private|client)[ _-]?(?:key|token|secret)[ \t]{0,2}"
        r"(?:is[ \t]|[:=])[ \t]{0,3}['\"]?"
        r"(?P<v>[A-Za-z0-9_\-+/=.]{12,200})",
        LABELLED,
        _has_digits(2),
    ),
    _form(
        "bearer",
        "SECRET",
        r"(?i)\bbearer[ ]+(?P<v>[A-Za-z0-9_\-+/=.]{20,500})",
        LABELLED,
        _has_digits(2),
    ),
)

FORMS: Final[tuple[Form, ...]] = (*HEALTH, *MONEY, *PAPERS, *PEOPLE, *PLACES, *SECRETS)
