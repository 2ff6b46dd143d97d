"""Identifiers of patients and of those who treat them. Source: 45 CFR 164.514(b)(2)(i)(H)-(R)."""

import re
from typing import Final

from ragplatform.adapters.rules import check_digits
from ragplatform.adapters.rules.rule import (
    LABELLED,
    LIKELY,
    PROVEN,
    SPACED,
    TO_COLON,
    TO_NUMBERED,
    Family,
    Number,
    Rule,
    any_of,
    any_shape,
    labelled,
    shapes,
    words,
)

# "MRN" may stand before its value with nothing between; "patient" needs a word such as "number".
_RECORD: Final = (
    labelled(
        "MEDICAL_RECORD_NUMBER",
        "mrn|m.r.n.|medical record|med rec|medical rec|mr#|mr #|nhc|historia clínica"
        "|historia clinica|patientennummer|patienten-nr|patientennr|fallnummer|numéro de dossier"
        "|dossier médical|dossier patient|cartella clinica|hospital record|ipp|cip|cipa",
        SPACED,
    ),
    labelled(
        "MEDICAL_RECORD_NUMBER",
        "patient|patienten|paciente|paziente|chart|hospital|unit|mr|dossier|episodio|nhs hospital",
        SPACED,
        to=TO_NUMBERED,
    ),
    labelled("MEDICAL_RECORD_NUMBER", "episodio|fall|aufnahmenummer", SPACED, to=TO_COLON, least=5),
    labelled(
        "HEALTH_PLAN_ID",
        "member|subscriber|beneficiary|policyholder|policy holder|insured|health plan|insurance"
        "|health insurance|medicare|medicaid|group|payer|plan|versicherten|versicherungs"
        "|versicherung|assuré|mutuelle|asegurado|afiliación|afiliado|medicare card",
        SPACED,
        to=TO_NUMBERED,
    ),
    labelled(
        "HEALTH_PLAN_ID",
        "hicn|mbi|medicare beneficiary|member|subscriber|group|versichertennummer|versicherten-nr"
        "|krankenversichertennummer|kvnr|medicare|medicaid|carte vitale|tarjeta sanitaria"
        "|tessera sanitaria",
        SPACED,
        to=TO_COLON,
        least=4,
    ),
    labelled(
        "MEDICAL_LICENSE",
        "dea|medical license|medical licence|physician license|nursing license|rn license"
        "|pharmacy license|pharmacist license|dental license|state license|professional license"
        "|license to practice|licence to practise|gmc|gmc reference|nmc pin|medical council"
        "|nºcol|nº col|n.º col|numero de colegiado|número de colegiado|nº colegiado|colegiado|rpps"
        "|adeli|arztnummer|lanr|board certification|certificate",
        SPACED,
        least=4,
    ),
    labelled(
        "DEVICE_ID",
        "s/n|udi|imei|device identifier|device serial|serial number|serial no|serial #|serien-nr"
        "|seriennummer|numéro de série|número de serie|numero di serie|device "
        "id|device identification"
        "|pacemaker serial|implant serial|asset tag|hardware id|imei/meid|meid|iccid|imsi",
        SPACED,
    ),
    labelled(
        "DEVICE_ID",
        "device|serial|implant|pacemaker|stimulator|pump|lot|catalog|catalogue|ref|model"
        "|defibrillator|icd|lens|prosthesis|implant serial|pump serial|pacemaker serial",
        to=TO_NUMBERED,
    ),
    labelled("DEVICE_ID", "serial|s.n.", to=TO_COLON),
)

_WELL_KNOWN: Final = (
    # Source: CMS, "Understanding the MBI format": 11 places, no S, L, O, I, B, Z.
    Rule(
        "medicare_mbi",
        "HEALTH_PLAN_ID",
        re.compile(
            r"(?i)(?<!\w)[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d[- ]?[AC-HJKMNP-RT-Y]"
            r"[AC-HJKMNP-RT-Y0-9]\d[- ]?[AC-HJKMNP-RT-Y]{2}\d{2}(?!\w)"
        ),
        LABELLED,
        codes=True,
    ),
    Rule(
        "dea",
        "MEDICAL_LICENSE",
        re.compile(r"(?i)(?<!\w)[ABCDEFGHJKLMPRSTUX][A-Z9]-?\d{7}(?!\w)"),
        PROVEN,
        codes=True,
        check=check_digits.dea,
        context=any_of("dea prescriber registration license licence physician"),
    ),
    # Source: FDA, unique device identification, GS1 form: (01) and a 14-digit device identifier.
    Rule(
        "udi",
        "DEVICE_ID",
        re.compile(r"\(01\)\d{14}(?:\(\d{2}\)[A-Za-z0-9.\-/]{1,20}){0,5}"),
        PROVEN,
        digits=(2,),
        follows=")",
        back=130,
        ends=("(",),
    ),
)
_NUMBERS: Final = (
    Number(
        "npi",
        "NPI",
        any_shape(10) + shapes("3-3-4", "4-3-3"),
        check_digits.npi,
        PROVEN,
        0,
        any_of("npi provider national_provider_identifier prescriber"),
    ),
    Number(
        "imei",
        "DEVICE_ID",
        any_shape(15) + shapes("2-6-6-1", "6-2-6-1", "8-6-1", "2-6-6-1"),
        check_digits.imei,
        PROVEN,
        0,
        any_of("imei phone device mobile handset meid"),
    ),
)
_LABELLED_NUMBERS: Final = (
    labelled(
        "NPI",
        "npi|national provider identifier|national provider",
        r"(?P<v>\d(?:[ \-]?\d){9})(?![\w-])",
        check=check_digits.npi,
        otherwise="UNIQUE_CODE",
    ),
)
_TAIL: Final = r"(?:[ \t]{0,2}[:#=][ \t]{0,3}[A-Za-z0-9][A-Za-z0-9+/=\-]{3,80})?"
_MENTIONS: Final = (
    Rule(
        "biometric",
        "BIOMETRIC_ID",
        re.compile(
            r"(?i)(?:(?:finger|voice|palm|face)[ -]?prints?(?:[ -](?:scan|template|image|id|hash"
            r"|sample|record|data))?s?|foot[ -]?prints?[ -](?:scan|template|image|id|record)s?)"
            rf"{_TAIL}"
        ),
        LIKELY,
        words=tuple(
            f"{part}{end}"
            for part in ("finger", "voice", "palm", "face", "foot")
            for end in ("", "print", "prints")
        ),
    ),
    Rule(
        "biometric",
        "BIOMETRIC_ID",
        re.compile(
            r"(?i)(?:retinal?|iris|facial[ -](?:recognition|geometry)|biometric|genetic|dna|palm"
            r"[ -]vein|voice|gait)[ -](?:scan|template|image|identifier"
            r"|id|hash|sample|profile|record"
            rf"|data|fingerprint|signature)s?(?![\w-]){_TAIL}"
        ),
        LIKELY,
        words=words("retina retinal iris facial biometric genetic dna palm"),
    ),
    Rule(
        "photo_phrase",
        "PHOTO_REFERENCE",
        re.compile(
            r"(?i)(?:full[ -]face|facial|identification|id|patient|passport)[ -](?:photo(?:graph)?"
            r"|image|picture)s?\b(?:[ \t]{0,2}[:#][ \t]{0,3}\S{3,60})?"
            r"|(?:photo(?:graph)?|picture)s? of (?:the |his |her |their )?(?:patient|client|face"
            r"|applicant)\b"
        ),
        LIKELY,
        words=(
            *("full", "facial", "identification", "id", "patient", "passport", "photo", "photos"),
            *("photograph", "photographs", "picture", "pictures"),
        ),
    ),
    Rule(
        "photo_file",
        "PHOTO_REFERENCE",
        re.compile(
            r"(?i)(?<![\w-])[\w-]{0,40}?(?:photo|img|dsc|face|portrait|headshot|selfie|mugshot)"
            r"[\w-]{0,40}\.(?:jpe?g|png|tiff?|heic|bmp|gif|dcm)\b"
        ),
        LABELLED,
        words=words("photo photos img dsc face portrait headshot selfie mugshot"),
        back=60,
    ),
)

HEALTH: Final = Family("health", (*_RECORD, *_WELL_KNOWN, *_LABELLED_NUMBERS, *_MENTIONS), _NUMBERS)
