"""Addresses and postal codes of the US, UK, Germany, France, Spain, Italy, India and Australia.

Source: 45 CFR 164.514(b)(2)(i)(B); USPS Publication 28, appendices B and C.
"""

import re
from typing import Final

from ragplatform.adapters.rules.rule import (
    LABELLED,
    LETTERS,
    LIKELY,
    POSSIBLE,
    Family,
    Rule,
    labelled,
    words,
)
from ragplatform.adapters.rules.vocabulary import LOWER, MONTH_EN, STATE_CODE, STATE_NAME, UPPER

# Source: USPS Publication 28, appendix C1, street suffixes in their written forms.
_SUFFIX: Final = (
    r"(?:Alley|Aly|Annex|Arcade|Avenue|Ave?|Bayou|Beach|Bend|Bluffs?|Bottom|Boulevard|Blvd|Branch"
    r"|Bridge|Brooks?|Burgs?|Bypass|Camp|Canyon|Cape|Causeway|Centers?|Centre|Circles?|Cir|Cliffs?"
    r"|Close|Club|Common|Corners?|Course|Courts?|Ct|Coves?|Creek|Crescent|Cres|Crest|Crossing|Xing"
    r"|Crossroads?|Curve|Dale|Dam|Divide|Drives?|Dr|Estates?"
    r"|Expressway|Expy|Extensions?|Falls?|Ferry"
    r"|Fields?|Flats?|Fords?|Forest|Forges?|Forks?|Fort|Freeway|Fwy|Gardens?|Gdns|Gateway|Glens?"
    r"|Greens?|Groves?|Harbors?|Haven|Heights|Hts|Highway|Hwy|Hills?|Hollow|Inlet|Islands?|Isle"
    r"|Junctions?|Keys?|Knolls?|Lakes?|Land|Landing|Lane|Ln|Lights?|Loaf|Locks?|Lodge|Loop|Mall"
    r"|Manors?|Meadows?|Mews|Mills?|Mission|Motorway|Mount|Mountains?|Neck|Orchard|Oval|Overpass"
    r"|Parade|Parks?|Parkways?|Pkwy|Pass|Passage|Paths?|Pike|Pines?|Place|Pl|Plains?|Plaza|Plz"
    r"|Points?|Ports?|Prairie|Quay|Radial|Ramp|Ranch|Rapids?"
    r"|Rest|Ridges?|River|Roads?|Rd|Route|Row|Rue"
    r"|Run|Shoals?|Shores?|Skyway|Springs?|Spurs?|Squares?|Sq|Station|Stravenue|Stream|Streets?|St"
    r"|Summit|Terrace|Ter|Throughway|Trace|Track|Trafficway|Trail|Trl|Tunnel|Turnpike|Underpass"
    r"|Unions?|Valleys?|Viaduct|Views?|Villages?|Ville|Vista|Walks?|Wall|Ways?|Wells?|Wharf)"
)
_WIND: Final = r"(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)"
_CAP: Final = rf"[{UPPER}0-9][\w'’.-]{{0,24}}"
_UNIT: Final = (
    r"(?:[,.]?[ \t\n]{1,3}(?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|Flat|Bldg|Building|#)\.?"
    r"[ \t]?#?[A-Za-z]?-?[0-9]{0,5}[A-Za-z]?\b)?"
)
_CITY_WORD: Final = rf"[{UPPER}][{LOWER}'’-]{{1,20}}\.?"
_CITY: Final = (
    rf"(?:{_CITY_WORD})(?:[ -](?:(?:de|del|of|la|el|le|sur|en"
    rf"|am|an der|upon) )?{_CITY_WORD}){{0,3}}"
)
_ZIP: Final = r"\d{5}(?:-\d{4})?(?![\w-])"
_LOWER_STREET: Final = (
    r"(?:street|avenue|ave|road|rd|boulevard|blvd|lane|drive"
    r"|court|terrace|highway|crescent|st|dr|ln)"
)

_US: Final = (
    Rule(
        "street",
        "STREET_ADDRESS",
        re.compile(
            r"(?<![\w.,/$€£-])(?<!\d, )(?:\d{1,3},|\d{1,6}(?:-\d{1,4})?[A-Za-z]?)[ \t](?:1/2 )?"
            rf"(?!{MONTH_EN}\b)(?:{_WIND}\.?[ \t])?{_CAP}[ \t](?:(?:{_CAP}"
            rf"|of|the|de|and)[ \t]){{0,3}}"
            rf"{_SUFFIX}\b\.?(?: {_WIND}\b\.?)?{_UNIT}"
        ),
        LABELLED,
        digits=(1, 2, 3, 4, 5, 6),
        follows=" \t,-" + LETTERS,
    ),
    Rule(
        "street_small",
        "STREET_ADDRESS",
        re.compile(
            r"(?<![\w.,/$€£-])(?!(?:19|20)\d\d )\d{1,5}[a-z]?[ \t](?:[nsew]\.? )?"
            rf"(?!(?:the|a|an|this|that|of|in|on) )(?:[a-z][a-z'’]{{2,15}} ){{1,2}}"
            rf"{_LOWER_STREET}\b"
        ),
        POSSIBLE,
        digits=(1, 2, 3, 4, 5),
        follows=" \t" + LETTERS,
        context=re.compile(
            r"(?i)\b(?:address|at|live|lives|reside[sd]?|located" r"|from|to|moved|home)\b"
        ),
    ),
    Rule(
        "numbered_street",
        "STREET_ADDRESS",
        re.compile(
            rf"(?<![\w.,/$€£-])\d{{1,6}}[ \t](?:(?:N|S|E|W|NE|NW|SE|SW"
            r"|North|South|East|West)\.?[ \t])?"
            rf"\d{{1,3}}(?:st|nd|rd|th)[ ]{_SUFFIX}\b\.?{_UNIT}"
        ),
        LABELLED,
        digits=(1, 2, 3, 4, 5, 6),
        follows=" \t",
    ),
    Rule(
        "highway",
        "STREET_ADDRESS",
        re.compile(
            r"(?<![\w.,/$€£-])\d{1,6}[ \t](?:U\.?S\.?|State|County|Interstate"
            r"|I|SR|FM)?[ -]?(?:Highway|Hwy|Route|Rte|Road|Rd)[ ]\d{1,4}\b"
        ),
        LABELLED,
        digits=(1, 2, 3, 4, 5, 6),
        follows=" \t",
    ),
    Rule(
        "part_of_house",
        "STREET_ADDRESS",
        re.compile(r"(?i)(?:apt|apartment|suite|ste)\.?[ ]#?(?:\d{1,5}[A-Za-z]?|[A-Z]-?\d{1,4})\b"),
        LIKELY,
        words=("apt", "apartment", "suite", "ste"),
    ),
    Rule(
        "military",
        "STREET_ADDRESS",
        re.compile(
            r"(?:(?:PSC|Unit|UNIT|CMR|USNS|USS|USCGC)[ ][A-Z]?[\w]{1,12},?[ \n]{1,2}(?:Box"
            r"[ ]\d{1,5}[,\s]{1,3})?)?(?:APO|FPO|DPO),?[ ]A[AEP]"
            r"[ ]\d{5}(?:-\d{4})?\b"
        ),
        LABELLED,
        words=words("psc unit cmr usns uss uscgc apo fpo dpo"),
    ),
    Rule(
        "po_box",
        "STREET_ADDRESS",
        re.compile(
            r"(?i)p\.?[ ]?o\.?[ ]?box[ ]#?\d{1,8}\b|post(?:al)? (?:office )?box \d{1,8}"
            r"\b|postfach[ ]\d[\d ]{1,10}\d"
            r"|boîte postale \d{1,6}|apartado(?: de correos)? \d{1,6}\b"
            r"|casella postale \d{1,6}|b\.?p\.? \d{1,6}\b"
        ),
        LABELLED,
        words=words("p po post postal postfach boîte apartado casella b bp pobox"),
    ),
    Rule(
        "city_state_zip",
        "ZIP_CODE",
        re.compile(
            rf"(?P<LOCATION>{_CITY}),?[ \t]{{1,3}}(?:{STATE_CODE}\.?"
            rf"|{STATE_NAME}),?[ \t\n]{{1,3}}(?P<v>{_ZIP})"
        ),
        LABELLED,
        digits=(5,),
        back=70,
    ),
    Rule(
        "state_zip",
        "ZIP_CODE",
        re.compile(rf"\b(?:{STATE_CODE}\.?|{STATE_NAME}),?[ \t\n]{{1,3}}(?P<v>{_ZIP})"),
        LABELLED,
        digits=(5,),
        back=26,
    ),
    # A postal code stands behind a country or town as well, when a house was named before.
    Rule(
        "zip_in_address",
        "ZIP_CODE",
        re.compile(r"(?<=[^\W\d_][ \n])\d{4,5}(?![\w,.%/-]*\d)(?=[ \t>]*(?:\r?\n|$|[,.;]))"),
        LIKELY,
        digits=(4, 5),
        context=re.compile(
            r"(?i)(?:\bapt|\bapartment|\bsuite|\bste|\bunit|street|road"
            r"|avenue|\blane|box|straße|rue)\b"
        ),
    ),
    Rule(
        "zip_plus_4",
        "ZIP_CODE",
        re.compile(r"(?<![\d$.,-])\d{5}-\d{4}(?![\d-])"),
        POSSIBLE,
        digits=(5,),
        follows="-",
    ),
)

_STREETS_DE: Final = tuple(
    f"{name}{end}"
    for word in "straße strasse str gasse allee platz weg damm ufer chaussee straat "
    "laan plein "
    "gracht kade gatan vägen vej".split()
    for name in (word, word.capitalize())
    for end in (" ", ". ")
)
_HOUSE_DE: Final = r"\d{1,4}[ ]?(?:[a-z]\b)?(?:[-/]\d{1,4})?(?![\w%]|[.,]\d)"
_WORD: Final = rf"[{UPPER}{LOWER}'’.ª-]{{1,20}}"
_ARTICLE: Final = r"(?:de|del|della|delle|dei|dell['’]|d['’]|du|des|la|las|le|los|el|l['’]|i|gli)"
_EUROPEAN_END: Final = (
    rf"(?:[,.]?[ \n-]{{1,4}}(?:(?:D|F|E|I|A|CH|B|NL|L|P)-)?(?P<ZIP_CODE>\d"
    rf"{{4,5}})(?:[ ][A-Z]{{2}})?[ \n]{{1,2}}(?P<LOCATION>{_CITY})(?![\w]))?"
)
_HOUSE: Final = (
    r"(?:(?:[Nn][.ºo°]{0,2}|[Nn]úm\.?|número|num\.?|Nr\.?|s/n)[ ]?)?(?:\d{1,4}(?:[ -]?(?"
    r":bis|ter|[A-Za-z]))?(?:[-/]\d{1,4})?|s/n)\b"
)
_FLOOR: Final = (
    r"(?:,?[ ]?(?:\d{1,2}[.]?[ºª°o]?[ ,]{0,2}[A-Z]\b|\d{1,2}[.]?[ºª°](?:[ ]?[A-Z]"
    r"\b)?|(?:piso|planta|esc\.?|puerta|bajo|étage|interno|scala)[ ]?\d{0,3}[ºª]?["
    r"A-Z]?))?"
)
# "largo", "corso" and "av" are ordinary words where they are written small.
_ROAD: Final = (
    r"(?:[Cc]alle|CALLE|[Cc]/\.?|Cl\.|[Aa]venida|AVENIDA|Avda?\.?"
    r"|AVDA\.?|Avd\.?|Av[./]|[Pp]aseo|PASEO"
    r"|Pso\.?|Pº|[Pp]laza|PLAZA|Pza?\.?|Pz\.?|Pl\.|[Cc]arretera|Ctra\.?|[Cc]amino|[Rr]onda|[Rr]úa"
    r"|Gran Vía|[Tt]ravesía|[Gg]lorieta|[Rr]ua|[Aa]vinguda|[Cc]arrer|[Pp]asseig|Via|VIA|Viale|V\.le"
    r"|[Pp]iazza|[Pp]iazzale|Corso|Largo|[Vv]icolo|Strada|[Rr]ue|Bd|[Bb]oulevard|[Aa]llée|[Qq]uai"
    r"|[Ii]mpasse|[Cc]hemin|Colonia|Urb(?:anización|\.)|Polígono)"
)
_EUROPE: Final = (
    Rule(
        "street_german",
        "STREET_ADDRESS",
        re.compile(
            rf"(?P<STREET_ADDRESS>(?:[{UPPER}][{LOWER}ß.]{{1,20}}[- ]){{0,3}}[{UPPER}"
            rf"{LOWER}ß-]{{1,30}}"
            rf"\.?[ ]{_HOUSE_DE}){_EUROPEAN_END}"
        ),
        LIKELY,
        digits=(1, 2, 3, 4),
        back=70,
        ends=_STREETS_DE,
    ),
    Rule(
        "street_german_named",
        "STREET_ADDRESS",
        re.compile(
            r"(?P<STREET_ADDRESS>(?:Am|Im|(?:An|Auf|In|Unter) de[rmn]|Zum|Zur|Beim)[ ]"
            rf"[{UPPER}][{LOWER}ß-]{{2,25}}(?: [{UPPER}][{LOWER}ß-]{{2,20}})?[ ]{_HOUSE_DE}"
            rf"){_EUROPEAN_END}"
        ),
        LIKELY,
        words=words("im zum zur beim der dem den am"),
        back=60,
        here=re.compile(
            rf"\w{{2,4}} [{UPPER}][{LOWER}ß-]{{2,25}}(?: [{UPPER}][{LOWER}ß-]" rf"{{2,20}})? \d"
        ),
    ),
    Rule(
        "street_romance",
        "STREET_ADDRESS",
        re.compile(
            rf"(?P<STREET_ADDRESS>{_ROAD}"
            rf"[ ]?(?:{_ARTICLE}[ ]?){{0,2}}[{UPPER}](?:{_WORD})?[ ,]{{1,2}}"
            rf"(?:{_WORD}[ ,]{{1,2}}){{0,6}}{_HOUSE}{_FLOOR}){_EUROPEAN_END}"
        ),
        LIKELY,
        words=tuple(
            """
            calle c cl avenida avda avd av paseo pso p plaza pza pz pl carretera ctra camino ronda
            travesía glorieta rúa gran rua avinguda carrer passeig via viale v piazza piazzale
            corso largo vicolo strada rue bd boulevard allée quai impasse chemin colonia urb
            urbanización polígono
            """.split()
        ),
    ),
    Rule(
        "street_french",
        "STREET_ADDRESS",
        re.compile(
            r"(?P<STREET_ADDRESS>(?<![\w.,/$€£-])\d{1,4}(?:[ ]?(?:bis|ter|quater))?,?[ ]"
            r"(?:[Rr]ue|RUE|[Aa]venue|[Aa]v\.|[Bb]oulevard|[Bb]d|[Pp]lace"
            r"|[Aa]llée|[Cc]hemin|[Ii]mpasse|[Qq]uai"
            r"|[Cc]ours|[Rr]oute|[Ss]quare|[Pp]assage|[Ff]aubourg|[Vv]ia"
            r"|[Vv]iale|[Cc]alle|[Rr]ua|R\.)"
            rf"[ ](?:{_ARTICLE}[ ]?){{0,2}}[{UPPER}](?:{_WORD})?(?:[ ]{_WORD}){{0,5}}(?:[ ]"
            rf"\d{{1,4}}(?!\w))?){_EUROPEAN_END}"
        ),
        LIKELY,
        digits=(1, 2, 3, 4),
        follows=" ,btq",
    ),
    Rule(
        "postcode_with_country",
        "ZIP_CODE",
        re.compile(
            rf"(?<!\w)(?:D|F|E|I|A|CH|B|NL|L|P|S|DK|N|FIN)-(?P<v>\d{{4,5}})(?:[ ](?P<LOC"
            rf"ATION>{_CITY}))?(?!\w)"
        ),
        LIKELY,
        codes=True,
    ),
    labelled(
        "ZIP_CODE",
        "zip|zip code|zipcode|postal code|postcode|post code|postleitzahl|plz|code postal|cp|c.p."
        "|código postal|codigo postal|cap|pin code|pincode|eircode",
        r"(?P<v>\d{3}[ ]?\d{3}(?!\d)|\d{4,5}(?:-\d{4})?|(?-i:[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2})|"
        r"(?-i:[A-Z]\d[A-Z][ ]?\d[A-Z]\d)|(?-i:[A-Z]\d{2}[ ]?[A-Z0-9]{4}))(?![A-Za-z0-9])",
    ),
    Rule(
        "postcode_uk",
        "ZIP_CODE",
        re.compile(r"(?<![\w-])[A-Z]{1,2}\d[A-Z\d]?[ ]\d[ABD-HJLNP-UW-Z]{2}(?![\w-])"),
        POSSIBLE,
        codes=True,
    ),
    Rule(
        "postcode_canada",
        "ZIP_CODE",
        re.compile(
            r"(?<![\w-])[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]\d[ABCEGHJ-NPRSTV-Z]"
            r"\d(?![\w-])"
        ),
        POSSIBLE,
        codes=True,
    ),
    Rule(
        "postcode_dutch",
        "ZIP_CODE",
        re.compile(r"(?<![\w-])[1-9]\d{3}[ ][A-Z]{2}[ ](?=[A-Z][a-z])"),
        POSSIBLE,
        digits=(4,),
        context=re.compile(r"(?:straat|laan|plein|gracht|kade|weg|dijk)[ ]\d{1,4}[a-z]?,?[ \n]"),
    ),
    Rule(
        "state_postcode_australia",
        "ZIP_CODE",
        re.compile(r"(?:NSW|VIC|QLD|WA|SA|TAS|ACT|NT),?[ ]{1,2}(?P<v>\d{4})(?!\d)"),
        LABELLED,
        words=words("nsw vic qld wa sa tas act nt"),
    ),
    Rule(
        "pin_india",
        "ZIP_CODE",
        re.compile(rf"(?P<LOCATION>{_CITY})[ ]?[-–,][ ]?(?P<v>[1-9]\d{{2}}[ ]?\d{{3}})(?!\d)"),
        LIKELY,
        digits=(6,),
        back=50,
        context=re.compile(
            r"(?i)(?:nagar|road|marg|street|colony|sector|flat"
            r"|plot|lane|cross|layout|india|floor|block|phase"
            r"|pin|address|bazar|chowk|dist)\b"
        ),
    ),
    Rule(
        "house_india",
        "STREET_ADDRESS",
        re.compile(
            r"(?i:(?:flat|plot|house|h\.?|door|shop|block|sector|d)\.? ?(?:no\.?"
            rf"|number|#)?)[ ]?(?:[A-Z]-?)?\d{{1,5}}(?:[-/]\d{{1,5}}){{0,3}}[A-Z]?,[ ]"
            rf"(?:[{UPPER}0-9][\w.'-]{{0,20}},?[ ]){{1,6}}(?:Road|Rd|Nagar"
            r"|Marg|Street|Colony|Layout|Sector|Lane|Cross|Main|Bazar"
            rf"|Chowk|Phase|Block|Enclave|Vihar|Puram)(?:[ -]\d{{1,3}})?\b"
        ),
        LIKELY,
        words=words("flat plot house h door shop block sector d"),
    ),
    # Behind a colon the line is the address, whatever the language.
    Rule(
        "address_line",
        "STREET_ADDRESS",
        re.compile(
            r"(?i:(?:street |home |mailing |postal )?address|domicilio|anschrift|adresse|dirección"
            r"|indirizzo|wohnort|residence)[\"']?[ \t]{0,3}[:=|][ \t]{0,6}[\"']?"
            r"(?P<v>(?=[^\n]{0,60}\d)(?![^\n\s]{0,60}(?:@|://))[^\s:;|\"'][^\n:;|\"']{3,90}?)"
            r"(?=[ \t]*(?:\r?\n|$|[;|\"']|\.(?:\s|$)))"
        ),
        LIKELY,
        words=words(
            "street home mailing postal address domicilio anschrift adresse "
            "dirección indirizzo"
            " wohnort residence"
        ),
    ),
    Rule(
        "address_label",
        "STREET_ADDRESS",
        re.compile(
            r"(?i:(?:home|street|mailing|postal|work|billing|shipping"
            r"|residential|current|permanent)?"
            r"[ ]?address|residence|domicilio|anschrift|adresse|wohnhaft"
            r"|dirección|indirizzo|residente"
            r"|lives at|resides at|living at|residing at)[\"']?[ \t]{0,3}(?:is|:|=|\|)?[ \t]{0,6}"
            rf"[\"']?(?:</?[a-z]{{1,8}}>)?(?P<v>\d{{1,6}}[A-Za-z]?,?[ ](?:{_CAP}[ ,]{{1,2}}"
            rf"){{0,4}}{_CAP}"
            rf"|{_CAP}[ ,]{{1,2}}(?:(?:{_CAP}|{_ARTICLE})[ ,]{{1,2}}){{0,5}}{_HOUSE}{_FLOOR})(?!\w)"
        ),
        LIKELY,
        words=words(
            "home street mailing postal work billing shipping residential current "
            "permanent address residence domicilio anschrift adresse wohnhaft "
            "dirección indirizzo residente lives resides living residing"
        ),
    ),
    Rule(
        "labelled_place",
        "LOCATION",
        re.compile(
            r"(?i:city|town|county|place of birth|birthplace|hometown"
            r"|village|localidad(?:/ ?provincia)?|provincia|pa[íi]s(?: de nacimiento)?"
            r"|municipio|ciudad|wohnort|geburtsort|ort|ville|lieu de naissance"
            r"|comune|città|luogo di nascita|country|state|nationality)"
            rf"[\"']?[ \t]{{0,3}}[:=|][ \t]{{0,6}}[\"']?(?:</?[a-z]{{1,8}}>)?(?P<v>{_CITY})"
        ),
        LIKELY,
        words=words(
            "city town county place birthplace hometown village localidad provincia "
            "país pais municipio ciudad wohnort geburtsort ort ville lieu comune "
            "città luogo country state nationality"
        ),
    ),
)

_DEGREE: Final = r"[+-]?\d{1,3}\.\d{3,10}"
_COORDINATES: Final = (
    Rule(
        "coordinates",
        "LOCATION",
        re.compile(
            rf"(?<![\w.])[+-]?\d{{1,2}}\.\d{{3,10}}°?[ ]?[NS]?[ ]?[,;/][ ]?{_DEGREE}°?[ ]?["
            r"EW]?(?![\w.]*\d)"
        ),
        LIKELY,
        digits=(1, 2),
        follows=".",
    ),
    Rule(
        "coordinates_dms",
        "LOCATION",
        re.compile(
            r"(?<![\w.])\d{1,3}[°º][ ]?\d{1,2}['’′][ ]?(?:\d{1,2}(?:\.\d{1,4})?[\"”″])?[ ]"
            r"?[NSEWO](?:[ ,;]{1,3}\d{1,3}[°º][ ]?\d{1,2}['’′][ ]?(?:\d{1,2}(?:\.\d{1,4})?"
            r"[\"”″])?[ ]?[NSEWO])?"
        ),
        LIKELY,
        digits=(1, 2, 3),
        follows="°º",
    ),
    Rule(
        "labelled_coordinate",
        "LOCATION",
        re.compile(
            rf"(?i:lat(?:itude)?|long?(?:itude)?|lng)[\"']?[ ]?[:=]?[ ]{{0,3}}(?P<v>"
            rf"{_DEGREE}°?[ ]?[NSEW]?)(?!\w)"
        ),
        LIKELY,
        words=words("lat latitude lon long longitude lng"),
    ),
)

PLACES: Final = Family("places", (*_US, *_EUROPE, *_COORDINATES))
