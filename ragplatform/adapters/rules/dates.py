"""Dates, dates of birth and ages, in English, German, French, Spanish and Italian.

Source: 45 CFR 164.514(b)(2)(i)(C): all elements of dates but the year, and all ages over 89.
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
    words,
)
from ragplatform.adapters.rules.vocabulary import MONTH, MONTH_EN, MONTH_WORDS

_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_NUMBER: Final = r"(?:0?[1-9]|1[0-2])"
_YEAR: Final = r"(?:1[6-9]|20|21)\d{2}"
_TIME: Final = (
    r"(?:,?[ T]{1,2}(?:at |um |à |a las )?(?:[01]?\d|2[0-3])[:h.][0-5]\d(?::[0-5]"
    r"\d(?:[.,]\d{1,6})?)?"
    r"(?:[ ]?[ap]\.?m\b\.?)?(?:Z|[ ]?[+-]\d{2}:?\d{2}|[ ](?:UTC|GMT|[ECMP][SD]T)\b)?)?"
)
_ORDINAL: Final = r"(?:st|nd|rd|th|er|º|ª|\.)?"
_OF: Final = r"(?:of |de |d['’]|del )?"
_MONTH_YEAR: Final = (
    rf"(?:,?[ \xa0.\-/]{{1,2}}(?:de[l]? |of )?(?:{_YEAR}|['’]\d{{2}}|(?<=-)\d{{2}}))?"
)
_WEEKDAY: Final = (
    r"(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs?(?:day)?)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|lundi|mardi|mercredi"
    r"|jeudi|vendredi|samedi|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo|lunedì"
    r"|martedì|mercoledì|giovedì|venerdì|sabato|domenica)"
)
# Two or four digits of a year behind; both orders of day and month.
_NUMERIC: Final = (
    rf"(?:{_DAY}(?P<s>[/.\-])(?:{_DAY})(?P=s)(?:{_YEAR}|\d{{2}})(?!\d)"
    rf"|{_YEAR}(?P<t>[/.\-])(?:{_DAY})(?P=t)(?:{_DAY})(?!\d))"
)
_WORDED: Final = (
    rf"(?:{_DAY}{_ORDINAL}[ \xa0\-]{{0,2}}{_OF}(?i:{MONTH})\b\.?{_MONTH_YEAR}|"
    rf"(?i:{MONTH})\b\.?[ \xa0\-]{{1,2}}(?:the )?{_DAY}{_ORDINAL}(?![\d])(?:,?"
    rf"[ \xa0\-]{{1,2}}{_YEAR})?)"
)
DATE: Final = rf"(?:{_NUMERIC}|{_WORDED})"
_ANY_DATE: Final = (
    rf"(?:\d{{1,2}}[-/. ]\d{{1,2}}[-/. ](?:\d{{4}}|\d{{2}})(?!\d)"
    rf"|\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?!\d)"
    rf"|\d{{8}}(?!\d)|{_WORDED})"
)
_END: Final = r"(?![\w/]|[.\-][0-9])"


def _rule(
    name: str,
    pattern: str,
    *,
    score: float = LIKELY,
    anchors: tuple[str, ...] = (),
    digits: tuple[int, ...] = (),
    follows: str = "",
    back: int = 0,
    ends: tuple[str, ...] = (),
) -> Rule:
    return Rule(
        name,
        "DATE_TIME",
        re.compile(pattern),
        score,
        words=anchors,
        digits=digits,
        follows=follows,
        back=back,
        ends=ends,
    )


_WEEKDAYS: Final = words(
    """
    monday mon tuesday tues tue wednesday wed thursday thurs thur thu friday fri saturday sat sunday
    sun montag dienstag mittwoch donnerstag freitag samstag sonntag lundi mardi mercredi jeudi
    vendredi samedi dimanche lunes martes miércoles jueves viernes sábado domingo lunedì martedì
    mercoledì giovedì venerdì sabato domenica
    """
)

_MONTHS_EN: Final = words(
    """
    january jan february feb march mar april apr may june jun july jul august aug september sept sep
    october oct november nov december dec
    """
)

_BEFORE_DAY: Final = words(
    "on date dated since until from by seen due started admitted discharged visit between On Seen"
)
_DATES: Final = (
    _rule(
        "date_numeric",
        rf"(?<![\w/])(?<!\d[.\-,])(?P<v>{_NUMERIC}{_TIME}){_END}",
        digits=(1, 2, 4),
        follows="/.-",
    ),
    _rule(
        "date_compact",
        rf"(?<![\w.,/-])(?:19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]"
        rf"|[12]\d|3[01])(?:T?\d{{6}}Z?)?{_END}",
        digits=(8, 14),
        score=POSSIBLE,
    ),
    _rule(
        "day_month",
        rf"(?<![\w/])(?<!\d[.\-,])(?:{_DAY}{_ORDINAL}[ ]?(?:,|-|–"
        r"|to|and|und|et|y|e|or|bis|au|al)[ ]?"
        rf"(?:the )?)?{_DAY}{_ORDINAL}[ \xa0\-]{{0,2}}{_OF}(?i:{MONTH})\b\.?"
        rf"{_MONTH_YEAR}{_TIME}(?!\w)",
        digits=(1, 2),
        follows=" -.,–\xa0ºª" + LETTERS,
    ),
    _rule(
        "month_day",
        rf"(?i){MONTH_EN}\b\.?[ \xa0\-]{{1,2}}(?:the )?{_DAY}(?:st|nd|rd|th)?(?![\w%]|[.,:]\d|/\d)"
        rf"(?:[ ]?(?:-|–|to|and|through)[ ]?{_DAY}(?:st|nd|rd|th)?(?![\w%]|[.,:]\d))?"
        rf"(?:,?[ \xa0\-]{{1,2}}{_YEAR}(?!\d))?{_TIME}",
        anchors=_MONTHS_EN,
    ),
    _rule(
        "month_year",
        rf"(?i){MONTH}\b\.?,?[ \xa0\-/]{{1,2}}(?:of |de[l]? (?:año )?|d['’])?"
        rf"(?:{_YEAR}|['’]\d{{2}}|(?<=-)\d{{2}})(?!\w|[.,]\d|-\d)",
        anchors=MONTH_WORDS,
    ),
    _rule(
        "born_in",
        r"(?i)(?:born|né|née|nacid[oa]|geboren|nat[oa])[ ](?:in|en"
        rf"|im jahr|im jahre|nel)[ ](?P<v>{_YEAR})(?!\d)",
        anchors=words("born né née nacido nacida geboren nato nata"),
    ),
    _rule(
        "month_and_month",
        rf"(?:{MONTH_EN})(?: and | or |/|-|–| to | through )(?={MONTH_EN}\b\.? \d)",
        anchors=MONTH_WORDS,
    ),
    _rule(
        "month_number_year",
        rf"(?<![\w/.,-]){_NUMBER}/(?:19\d\d|20[0-4]\d){_END}",
        digits=(1, 2),
        follows="/",
        score=POSSIBLE,
    ),
    # "12/3" may be a fraction or a blood pressure: only a word such as "on" makes it a date.
    _rule(
        "day_and_month",
        rf"(?<![\w/.,-])(?P<v>{_NUMBER}/{_DAY})(?![\w/%]|[.,\-]\d| ?(?:of|mg|ml|mm|tab))",
        digits=(1, 2),
        follows="/",
        back=12,
        ends=tuple(f"{word} " for word in _BEFORE_DAY),
        score=POSSIBLE,
    ),
    _rule(
        "weekday_date",
        rf"(?i){_WEEKDAY}\b\.?,?[ ]{{1,2}}(?:the |den |le |el )?(?:{_WORDED}"
        rf"|{_NUMERIC}|{_DAY}(?:st|nd|rd|th)\b){_TIME}",
        anchors=_WEEKDAYS,
    ),
)

_BIRTH_LABEL: Final = (
    r"(?:d\.?o\.?b\b\.?|(?:date|day) of birth|birth[ _-]?(?:date|day)|born|b\.|geburtsdatum"
    r"|geb(?:oren)?\b\.?|geb\.[ -]?dat(?:um)?\.?|née? le|née?"
    r"|date de naissance|nacid[oa]|fecha de nacimiento|f\. ?nac\.?"
    r"|fecha nac\.?|nat[oa]|data di nascita|naissance|nacimiento|nascita)"
)
_BIRTHS: Final = (
    Rule(
        "birth",
        "DATE_OF_BIRTH",
        re.compile(
            rf"(?i){_BIRTH_LABEL}(?: (?:on|in) (?:the|his|her|your) [a-z]{{1,12}})?"
            r"[ \t\xa0]{0,2}(?:\([^)\n]{1,20}\))?(?:is|was|on|am|le"
            r"|el|il|en fecha|the)?[\"']?(?:</?[a-z]{1,8}>){0,3}[ \t\xa0]{0,3}"
            r"[:|=,\-–]{0,2}[ \t\xa0]{0,6}\n?[ \t|]{0,6}(?:on )?(?:the )?[\"']?"
            rf"(?P<v>{_ANY_DATE})"
        ),
        0.95,
        words=words(
            "dob d date day birth birthdate birthday born b geburtsdatum geb geboren "
            "né née nacido nacida fecha f nato nata data naissance nacimiento nascita"
        ),
    ),
)

_OLD: Final = r"(?:9\d|1[0-2]\d)"
_YOUNG: Final = r"(?:[1-8]?\d)"
_TENS: Final = r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty)"
_ONES: Final = r"(?:one|two|three|four|five|six|seven|eight|nine)"
_TEENS: Final = (
    r"(?:ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen)"
)
_YOUNG_WORDS: Final = rf"(?:{_TENS}(?:[- ]{_ONES})?|{_TEENS}|{_ONES})"
_OLD_WORDS: Final = rf"(?:ninety(?:[- ]{_ONES})?|(?:one[- ])?hundred(?:[- ](?:and[- ])?{_ONES})?)"
_YEARS_OLD: Final = (
    r"(?:[ \xa0-]?(?:years?|yrs?|y)\.?[ -](?:of[ -]age|old)\b|[ -]?(?:y/?\.?o\b\.?"
    r"|yo\b|yr[ -]?old)|[ -]?years?[ -]old|[ -]?jährig(?:e[rnms]?)?\b|[ ]Jahre?"
    r"[ ]alt|[ ]ans\b(?! (?:plus|de (?:plus|suivi)))|[ ]?años(?: de edad)?\b|"
    r"[ ]anni\b(?= ?(?:di età|,))|(?:[ ]?(?:-|–)?[ ]?(?:month|week|day)s?)-old\b|"
    r"[ ](?:months|weeks|days)[ ](?:of age|old)\b)"
)
_NOT_OF: Final = (
    r"(?! (?:de (?:evolución|seguimiento|duración|tratamiento|antigüedad|supervivencia|experiencia"
    r"|suivi|évolution)|previ|antes|después|más tarde|atrás|auparavant|plus tard|fa\b|prima|dopo))"
)
_AGE_LABEL: Final = r"(?:aged?|edad|alter|âge|âgée?|età|age is|age of)"
# A span of time, and nobody's age: "hace 30 años", "depuis 3 ans", "da 5 anni".
_SPAN: Final = re.compile(
    r"(?i)\b(?:hace|durante|tras|más de|menos de|cada|últimos|próximos|primeros|en|de los últimos"
    r"|aproximadamente|inicia|por|depuis|pendant|il y a|après|dans|per|da|dopo|fra|circa) $"
)
_NOT_MORE: Final = (
    r"(?![\w%/]|[.,]\d| ?(?:years? (?:ago|later|and)|percent|mg|ml|%|to \d|[-–] ?\d))"
)


def _age(entity: str, number: str, written: str, score: float) -> tuple[Rule, ...]:
    first = tuple(re.findall(r"[a-z]{3,}", written))
    return (
        Rule(
            "age",
            entity,
            re.compile(rf"(?i)(?<![\w./,-])(?P<v>{number}){_YEARS_OLD}{_NOT_OF}"),
            score,
            unless=_SPAN,
            digits=(1, 2, 3),
        ),
        Rule(
            "age_labelled",
            entity,
            re.compile(
                rf"(?i){_AGE_LABEL}[\"']?(?:</?[a-z]{{1,8}}>){{0,3}}[ \t]{{0,3}}(?:of|is|was|"
                rf"[:=|])?[ \t]{{0,3}}[\"']?(?P<v>{number}){_NOT_MORE}"
            ),
            score,
            words=words("age aged edad alter âge âgé âgée età"),
        ),
        Rule(
            "age_in_words",
            entity,
            re.compile(rf"(?i)(?P<v>{written})[- ](?:years?|yrs?)[- ](?:of[- ]age|old)\b"),
            score,
            words=first,
        ),
        Rule(
            "age_sex",
            entity,
            re.compile(
                rf"(?<![\w./,-])(?P<v>{number})[ -]?(?:M|F|yo|y/o|[Mm]ale"
                r"|[Ff]emale)\b(?![-/.]\w)"
            ),
            POSSIBLE,
            digits=(2, 3),
            follows=" -" + LETTERS,
        ),
    )


_SPANISH: Final = (
    r"(?:un|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez"
    r"|once|doce|trece|catorce|quince|dieciséis"
    r"|diecisiete|dieciocho|diecinueve|veinte|veintiún|treinta|cuarenta|cincuenta|sesenta|setenta"
    r"|ochenta)(?: y (?:un|dos|tres|cuatro|cinco|seis|siete|ocho|nueve))?"
)

_AGES: Final = (
    Rule(
        "age_in_spanish",
        "AGE",
        re.compile(
            rf"(?i)(?:niñ[oa]|var[óo]n|mujer|paciente|lactante|hombre|edad|hij[oa])(?: de)?:? "
            rf"(?P<v>{_SPANISH} (?:años|meses|días))"
        ),
        LIKELY,
        words=words("niño niña varón varon mujer paciente lactante hombre edad hijo hija"),
    ),
    *_age("AGE_OVER_89", _OLD, _OLD_WORDS, LABELLED),
    *_age("AGE", _YOUNG, _YOUNG_WORDS, LIKELY),
)

DATES: Final = Family("dates", (*_DATES, *_BIRTHS, *_AGES))
