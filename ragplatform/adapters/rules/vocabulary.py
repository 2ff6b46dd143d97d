"""Letters, names, months and states as patterns: what several families of rules write with."""

from typing import Final

_LETTERS: Final = [chr(code) for code in range(0xC0, 0x250)]
UPPER: Final = "A-Z" + "".join(char for char in _LETTERS if char.isupper())
LOWER: Final = "a-z" + "".join(char for char in _LETTERS if char.islower())

# "O'Neil-Lopez", "McDonald", "J.", "de la Cruz"; capitals alone only where a label says a name.
_WORD: Final = (
    rf"(?:[{UPPER}](?:['’][{UPPER}])?[{LOWER}]{{1,20}}"
    rf"(?:(?!['’]s\b)['’-][{UPPER}]?[{LOWER}]{{1,20}}|[{UPPER}][{LOWER}]{{1,20}}){{0,2}}"
    rf"|[{UPPER}]\.?(?![{UPPER}{LOWER}]))"
)
_PARTICLE: Final = (
    r"(?:(?:de|del|della|di|da|do|dos|von|van|der|den|zu|la|le|el|al|bin|ibn|y|e|ter|ten|af|av)"
    r"(?: (?:la|las|los|der|den|le))? )"
)
NAME_WORD: Final = _WORD
NAME: Final = rf"{_PARTICLE}?{_WORD}(?:[ \t]{_PARTICLE}?{_WORD}){{0,3}}"
FULL_NAME: Final = rf"{_WORD}(?:[ \t]{_PARTICLE}?{_WORD}){{1,3}}"
CAPITALS: Final = rf"[{UPPER}]{{2,20}}(?:['’-][{UPPER}]{{2,20}})?"

MONTH_EN: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_MONTH_DE: Final = (
    "januar jänner februar feber märz mär april mai juni juli august september oktober okt november"
    " dezember dez"
)
_MONTH_FR: Final = (
    "janvier janv février févr fevrier mars avril avr mai juin juillet juil août aout septembre"
    " octobre novembre décembre déc decembre"
)
_MONTH_ES: Final = (
    "enero ene febrero marzo abril abr mayo junio julio agosto ago septiembre setiembre octubre"
    " noviembre diciembre dic"
)
_MONTH_IT: Final = (
    "gennaio genn febbraio febbr marzo aprile maggio mag giugno giu luglio lug agosto"
    " settembre sett ottobre ott novembre dicembre"
)
_MONTH_EN: Final = (
    "january jan february feb march mar april apr may june jun july jul august aug september sep"
    " sept october oct november nov december dec"
)
MONTH_WORDS: Final = tuple(
    sorted(
        set(" ".join((_MONTH_EN, _MONTH_DE, _MONTH_FR, _MONTH_ES, _MONTH_IT)).split()),
        key=lambda word: (-len(word), word),
    )
)
MONTH: Final = rf"(?:{'|'.join(MONTH_WORDS)})"

STATE_CODE: Final = (
    r"(?:A[LKZR]|C[AOT]|D[EC]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|PR|RI"
    r"|S[CD]|T[NX]|UT|V[TAI]|W[AVIY]|GU|AE|AP|AA|AS|MP)"
)
STATE_NAME: Final = (
    r"(?:Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|District of"
    r" Columbia|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine"
    r"|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada"
    r"|New (?:Hampshire|Jersey|Mexico|York)|(?:North|South) (?:Carolina|Dakota)|Ohio|Oklahoma"
    r"|Oregon|Pennsylvania|Puerto Rico|Rhode Island|Tennessee|Texas|Utah|Vermont|(?:West )?Virginia"
    r"|Washington|Wisconsin|Wyoming)"
)
# Source: ISO 3166-1 alpha-2, as far as banks and securities use it.
COUNTRY_CODES: Final = frozenset(
    """
    AD AE AF AG AI AL AM AO AR AT AU AW AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BW BY BZ CA
    CD CF CG CH CI CL CM CN CO CR CU CV CW CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FK FM FO
    FR GA GB GD GE GG GH GI GL GM GN GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE
    JM JO JP KE KG KH KI KM KN KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MG MH MK ML
    MM MN MO MR MS MT MU MV MW MX MY MZ NA NC NE NG NI NL NO NP NR NZ OM PA PE PF PG PH PK PL PR PS
    PT PW PY QA RO RS RU RW SA SB SC SD SE SG SH SI SK SL SM SN SO SR SS ST SV SY SZ TC TD TG TH TJ
    TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WS XK XS YE ZA ZM ZW
    """.split()
)
