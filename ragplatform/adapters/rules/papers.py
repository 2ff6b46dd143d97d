"""Numbers that states give: to people, firms, drivers and vehicles."""

import re
from collections.abc import Callable
from typing import Final

from ragplatform.adapters.rules import check_digits
from ragplatform.adapters.rules import national_digits as national
from ragplatform.adapters.rules.rule import (
    CODE,
    LABELLED,
    LIKELY,
    POSSIBLE,
    PROVEN,
    SPACED,
    TO_COLON,
    TO_NUMBERED,
    Family,
    Number,
    Rule,
    Shape,
    any_of,
    any_shape,
    has_digits,
    labelled,
    shapes,
)


def _number(
    name: str,
    written: tuple[Shape, ...],
    check: Callable[[str], bool],
    words: str,
    alone: float = 0,
) -> Number:
    return Number(name, "NATIONAL_ID", written, check, PROVEN, alone, any_of(words))


_SOCIAL: Final = any_of(
    "ssn social_security social_security_number ss soc_sec taxpayer tax_id ssa national_id"
)
_NUMBERS: Final = (
    Number(
        "ssn",
        "US_SSN",
        any_shape(9) + shapes("3-2-4", "5-4"),
        check_digits.ssn,
        PROVEN,
        0,
        _SOCIAL,
    ),
    _number("uk_nhs", any_shape(10) + shapes("3-3-4"), national.uk_nhs, "nhs national_health"),
    _number("uk_utr", any_shape(10), national.uk_utr, "utr taxpayer_reference tax_reference hmrc"),
    _number(
        "de_tax_id",
        any_shape(11) + shapes("2-3-3-3"),
        national.de_tax_id,
        "steuer-id steuer_id idnr steueridentifikationsnummer steuer-identifikationsnummer tin "
        "identifikationsnummer steuernummer tax german steuerid",
    ),
    _number(
        "fr_siren",
        any_shape(9, 14) + shapes("3-3-3-5"),
        national.siren,
        "siren siret rcs entreprise société sirene tva",
    ),
    _number(
        "fr_nir",
        any_shape(15) + shapes("1-2-2-2-3-3-2", "13-2", "1-4-2-3-3-2", "1-2-2-5-3-2"),
        national.fr_nir,
        "nir sécurité_sociale securite_sociale insee sécu assuré carte_vitale french",
        LABELLED,
    ),
    _number(
        "es_social",
        any_shape(12) + shapes("2-8-2", "2-10", "2-7-2"),
        national.es_social,
        "nass nuss naf seguridad_social afiliación afiliacion",
    ),
    _number("it_vat", any_shape(11), national.it_vat, "p.iva partita_iva iva vat piva italian"),
    _number(
        "in_aadhaar",
        any_shape(12) + shapes("4-4-4"),
        national.in_aadhaar,
        "aadhaar aadhar uidai uid adhaar",
    ),
    _number("ca_sin", any_shape(9), national.ca_sin, "sin social_insurance canada canadian"),
    _number("au_tfn", any_shape(9), national.au_tfn, "tfn tax_file australian ato"),
    _number(
        "au_medicare",
        any_shape(10, 11) + shapes("4-5-1", "4-5-1-1", "4-5-2"),
        national.au_medicare,
        "medicare medicare_card australian",
    ),
    _number(
        "au_abn", any_shape(11) + shapes("2-3-3-3"), national.au_abn, "abn business_number acn"
    ),
    _number("pl_pesel", any_shape(11), national.pl_pesel, "pesel polish polska"),
    _number(
        "se_personal",
        any_shape(10, 12) + shapes("6-4", "8-4"),
        national.se_personal,
        "personnummer swedish samordningsnummer svenskt personal_identity",
    ),
    _number(
        "kr_rrn",
        any_shape(13) + shapes("6-7"),
        national.kr_rrn,
        "rrn resident_registration korean 주민등록번호 jumin",
    ),
    _number(
        "tr_national", any_shape(11), national.tr_national, "kimlik tckn tc turkish türkiye t.c."
    ),
    _number(
        "za_id",
        any_shape(13) + shapes("6-4-2-1", "6-4-3"),
        national.za_id,
        "south_african id_number said identity rsa id",
    ),
    _number("ng_nin", any_shape(11) + shapes("4-3-4"), national.ng_nin, "nin nimc nigerian"),
    _number(
        "br_cpf",
        any_shape(11) + shapes("3-3-3-2", "9-2"),
        national.br_cpf,
        "cpf receita brazilian brasil cadastro",
    ),
    _number(
        "br_cnpj",
        any_shape(14) + shapes("2-3-3-4-2", "8-4-2", "12-2"),
        national.br_cnpj,
        "cnpj brazilian empresa",
        LIKELY,
    ),
    _number(
        "nl_bsn",
        any_shape(9) + shapes("4-2-3"),
        national.nl_bsn,
        "bsn burgerservicenummer sofinummer dutch sofi",
    ),
    _number(
        "ch_ahv",
        any_shape(13) + shapes("3-4-4-2"),
        national.ch_ahv,
        "ahv avs oasi sozialversicherungsnummer swiss",
        LIKELY,
    ),
    _number(
        "be_national",
        any_shape(11) + shapes("2-2-2-3-2", "6-3-2", "6-5"),
        national.be_national,
        "rijksregisternummer registre_national nrn national_register belgian insz niss "
        "rijksregister",
    ),
)


def _code(
    name: str,
    pattern: str,
    check: Callable[[str], bool] | None = None,
    *,
    words: str = "",
    score: float = PROVEN,
    digits: tuple[int, ...] = (),
) -> Rule:
    return Rule(
        name,
        "NATIONAL_ID",
        re.compile(rf"(?i)(?<!\w){pattern}(?!\w)"),
        score,
        codes=True,
        digits=digits,
        check=check,
        context=any_of(words) if words else None,
    )


_CODES: Final = (
    _code("uk_nino", r"[A-Z]{2}[ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-D]", national.uk_nino),
    _code(
        "es_dni",
        r"[XYZ0-9][ .-]?\d(?:[ .-]?\d){6}[ -]?[A-Z]",
        national.es_dni,
        score=LABELLED,
        digits=(1, 2, 8),
    ),
    _code(
        "it_fiscal",
        r"[A-Z]{3}[ -]?[A-Z]{3}[ -]?[0-9L-V]{2}[A-Z][0-9L-V]{2}[ -]?[A-Z][0-9L-V]{3}[ -]?[A-Z]",
        national.it_fiscal,
    ),
    _code(
        "de_pension",
        r"\d{2}[ -]?\d{6}[ -]?[A-Z][ -]?\d{2}[ -]?\d",
        national.de_pension,
        score=LABELLED,
        digits=(2, 8),
    ),
    _code(
        "de_health",
        r"[A-Z][ -]?\d(?:[ -]?\d){8}",
        national.de_health,
        words="krankenversicherung krankenversichertennummer versichertennummer kvnr kv-nummer "
        "versicherten krankenkasse kv",
    ),
    _code(
        "icao_document",
        r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}",
        has_digits(4),
        words="ausweis personalausweis reisepass ausweisnummer id-karte",
        score=LIKELY,
    ),
    _code(
        "fr_nir_corsica",
        r"[12][ .-]?\d{2}[ .-]?\d{2}[ .-]?2[AB](?:[ .-]?\d){6}[ .-]?\d{2}",
        national.fr_nir,
    ),
    _code(
        "in_pan",
        r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]",
        words="pan income_tax permanent_account india indian tax itr",
    ),
    _code("in_pan", r"(?-i:[A-Z]{3}[PCHFATBLJG][A-Z]\d{4}[A-Z])", score=POSSIBLE),
    _code("in_voter", r"[A-Z]{3}\d{7}", words="voter epic election", score=LABELLED),
    _code("sg_nric", r"[STFGM]\d{7}[A-Z]", national.sg_nric),
    _code("fi_personal", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", national.fi_personal, digits=(6,)),
    _code(
        "uk_driver",
        r"[A-Z9]{5}[ ]?\d[0156]\d[0-3]\d{2}[ ]?[A-Z9]{2}[ ]?\d[A-Z]{2}",
        score=LABELLED,
    ),
    _code("ch_uid", r"CHE[- ]?\d{3}\.?\d{3}\.?\d{3}", score=LABELLED),
)
_LABELLED: Final = (
    labelled(
        "US_SSN",
        "ssn|ss#|ss #|social security|soc sec|soc. sec.|social|ss|ssn/tin",
        r"(?P<v>\d{3}[-–. \xa0]{0,2}\d{2}[-–. \xa0]{0,2}\d{4})(?!\w)",
        least=9,
        score=0.95,
    ),
    labelled(
        "US_SSN",
        "ssn|social security|social",
        r"(?:ending (?:in|with) |last (?:four|4)(?: digits)?:? )?(?P<v>[Xx*]{3}-?[Xx*]"
        r"{2}-?\d{4})(?!\w)",
    ),
    labelled(
        "US_ITIN",
        "itin|individual taxpayer identification",
        r"(?P<v>9\d{2}[- ]?\d{2}[- ]?\d{4})(?!\w)",
        check=check_digits.itin,
        otherwise="NATIONAL_ID",
    ),
    labelled(
        "NATIONAL_ID",
        "nino|nin|nhs|sin|aadhaar|aadhar|dni|nie|nif|nuss|nass|nss|naf|codice "
        "fiscale|c.f.|cf|partita iva"
        "|p.iva|p. iva|steuer-id|steuer-identifikationsnummer|steueridentifikationsnummer"
        "|steuernummer|st.-nr|idnr|sozialversicherungsnummer|rentenversicherungsnummer|sv-nummer"
        "|rvnr|personalausweis|personalausweisnummer|ausweisnummer|ausweis-nr|tfn|abn|pesel|cpf"
        "|cnpj|bsn|nir|insee|siren|siret|sécurité sociale|numéro de sécurité "
        "sociale|national insurance"
        "|national id|national identity|national identification|identity card|id card|identity"
        "|social insurance|tax file|utr|unique taxpayer reference|curp|citizen id"
        "|seguridad social|número de afiliación|documento nacional|nric|fin|personnummer|ahv"
        "|tax number|tax no|tax reference|tax code|voter id|aadhaar card|pan card|ghana card"
        "|government id|state id|resident id|cédula|carte d'identité|carta d'identità|ni number"
        "|identification|personal id|id number|id no|vat|ust-idnr|vat registration",
        SPACED,
        least=4,
    ),
    labelled("NATIONAL_ID", "pan|id|ni|tax|ein|tin", r"(?P<v>[A-Z]{5}\d{4}[A-Z])(?!\w)"),
    labelled(
        "NATIONAL_ID",
        "tax|ssn|social security|tin|ein|fein|taxpayer|itin",
        r"(?P<v>\d{2,3}[- ]?\d{2,3}[- ]?\d{3,5})(?![\w-]|[.,]\d)",
        to=TO_NUMBERED,
        least=7,
        score=LIKELY,
    ),
    labelled(
        "US_PASSPORT",
        "passport|passeport|pasaporte|passaporto|reisepass|passnummer|reisepassnummer|passport "
        "card",
        SPACED,
        least=4,
    ),
    labelled(
        "US_DRIVER_LICENSE",
        "driver's license|drivers license|driver license|driving licence|driving license"
        "|driver's licence|driver licence|dl#|dl #|d.l.|führerschein|führerscheinnummer"
        "|permis de conduire|permiso de conducir|carnet de conducir|patente di guida|license number"
        "|licence number|driver's lic|drivers lic",
        SPACED,
        least=4,
    ),
    labelled("US_DRIVER_LICENSE", "dl|license|licence|lic", SPACED, to=TO_NUMBERED, least=4),
    labelled("US_DRIVER_LICENSE", "dl|license|licence", CODE, to=TO_COLON, least=5),
    labelled(
        "VEHICLE_ID",
        "vin|vehicle identification|vehicle id|chassis|fahrgestellnummer|fin|bastidor|telaio|hull",
        r"(?P<v>[A-HJ-NPR-Z0-9]{11,17})(?!\w)",
        check=check_digits.vin,
        otherwise="UNIQUE_CODE",
    ),
    labelled(
        "LICENSE_PLATE",
        "license plate|licence plate|number plate|registration plate|vehicle plate|car plate"
        "|vehicle tag|license tag|plate number|plate no|plate #|plates|kennzeichen|kfz-kennzeichen"
        "|nummernschild|amtliches kennzeichen|plaque d'immatriculation|immatriculation|matrícula"
        "|targa|vehicle registration|registration mark|vrm|vrn|car registration|tag number"
        "|licensed plate|plate",
        r"(?P<v>(?-i:[A-ZÄÖÜ0-9]{1,8})(?:[- ](?-i:[A-Z0-9]{1,6})(?![a-z'’])){0,2})(?!\w)",
        least=1,
    ),
)
_VEHICLES: Final = (
    Rule(
        "vin",
        "VEHICLE_ID",
        re.compile(r"(?i)(?<!\w)[A-HJ-NPR-Z0-9]{17}(?!\w)"),
        PROVEN,
        codes=True,
        check=check_digits.vin,
    ),
    # Manufacturers outside North America set no check digit; the form and a word say what it is.
    Rule(
        "vin_unchecked",
        "VEHICLE_ID",
        re.compile(r"(?i)(?<!\w)(?=[A-Z0-9]{0,16}\d)[A-HJ-NPR-Z][A-HJ-NPR-Z0-9]{12}[0-9]{4}(?!\w)"),
        LIKELY,
        codes=True,
        context=any_of("vin vehicle car chassis truck auto automobile fahrzeug van"),
    ),
    Rule(
        "plate_uk",
        "LICENSE_PLATE",
        re.compile(r"(?<!\w)[A-Z]{2}\d{2}[ ]?[A-Z]{3}(?!\w)"),
        LABELLED,
        codes=True,
        context=any_of("vehicle car registration registered plate van driving drives licence reg"),
    ),
    Rule(
        "plate_in",
        "LICENSE_PLATE",
        re.compile(r"(?<!\w)[A-Z]{2}[ -]?\d{1,2}[ -]?[A-Z]{1,3}[ -]?\d{4}(?!\w)"),
        LABELLED,
        codes=True,
        context=any_of("vehicle car registration registered plate driving drives rto reg"),
    ),
)
_SSN_FORM: Final = (
    Rule(
        "ssn_form",
        "US_SSN",
        re.compile(r"(?<![\w-])\d{3}[-–]\d{2}[-–]\d{4}(?![\w-])"),
        LIKELY,
        digits=(3,),
        follows="-–",
        check=check_digits.ssn,
        otherwise="NATIONAL_ID",
    ),
)

PAPERS: Final = Family("papers", (*_CODES, *_LABELLED, *_VEHICLES, *_SSN_FORM), _NUMBERS)
