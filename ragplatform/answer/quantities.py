"""Numbers, amounts, times and dates in a text, in whatever spelling, so that they compare.

"1.2 million" is 1,200,000; "two weeks" are 14 days; "March 6, 2026" is 2026-03-06. What is not
understood stays a plain number and must then stand in the evidence as it is.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

_MONTHS: Final = {
    name: at for at, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}
_MONTH: Final = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DATES: Final = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"\b(?P<year>\d{4})-(?P<number>\d{1,2})-(?P<day>\d{1,2})\b",
        rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s+(?P<year>(?:19|20)\d\d)\b)?",
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+(?P<year>(?:19|20)\d\d)\b)?",
        rf"\b{_MONTH},?\s+(?:of\s+)?(?P<year>(?:19|20)\d\d)\b",
        r"\b(?P<number>\d{1,2})[/.](?P<day>\d{1,2})[/.](?P<year>(?:19|20)\d\d)\b",
    )
)
_TIME: Final = re.compile(r"\b(\d{1,2}):(\d{2})(?::\d{2})?\s?([ap])?\.?(?:m\b)?", re.I)
_UNITS_OF_TEN: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SMALL: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_WORDS: Final = {
    **{word: value for value, word in enumerate(_SMALL) if value != 1},
    **{word: 10 * at for at, word in enumerate(_UNITS_OF_TEN, 2)},
    **{
        f"{ten}-{one}": 10 * at + value
        for at, ten in enumerate(_UNITS_OF_TEN, 2)
        for value, one in enumerate(_SMALL[:10])
        if value
    },
}
_SCALES: Final = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "mn": 10**6,
    "m": 10**6,
    "billion": 10**9,
    "bn": 10**9,
    "trillion": 10**12,
}
_IN_SCALE: Final = re.compile(r"\bin (thousand|million|billion)s?\b", re.I)
_CURRENCIES: Final = {"$": "usd", "usd": "usd", "€": "eur", "eur": "eur", "£": "gbp", "gbp": "gbp"}
# What it measures, and how many of the smallest unit of that: 1 g is 1,000 mg.
_UNITS: Final[dict[str, tuple[str, Decimal]]] = {
    name: (dimension, Decimal(factor))
    for dimension, units in {
        "mass": {"mcg": "0.001", "µg": "0.001", "ug": "0.001", "microgram": "0.001", "mg": "1",
                 "milligram": "1", "g": "1000", "gram": "1000", "kg": "1000000",
                 "kilogram": "1000000"},
        "volume": {"ml": "1", "milliliter": "1", "l": "1000", "liter": "1000", "litre": "1000"},
        "length": {"mm": "1", "cm": "10", "m": "1000", "meter": "1000", "km": "1000000"},
        "pounds": {"lb": "1", "pound": "1"},
        "minutes": {"second": "0.016666666666666666", "minute": "1", "min": "1", "hour": "60"},
        "days": {"day": "1", "week": "7"},
        "months": {"month": "1", "year": "12"},
        "mmol/l": {"mmol/l": "1"},
        "mg/dl": {"mg/dl": "1"},
        "g/dl": {"g/dl": "1"},
        "ng/ml": {"ng/ml": "1"},
        "mmhg": {"mmhg": "1"},
        "percent": {"%": "1", "percent": "1", "per cent": "1"},
    }.items()
    for name, factor in units.items()
}  # fmt: skip
_UNIT: Final = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_NUMBER_WORD: Final = "|".join(sorted(_WORDS, key=len, reverse=True))
_NUMBER: Final = re.compile(
    rf"(?:(?P<before>[$€£]|\b(?:usd|eur|gbp)\b)\s?)?"
    rf"(?P<sign>(?:(?<!\S)|(?<=\())[-–−](?=\d))?"
    rf"(?:(?<![\w.])(?P<digits>\d[\d,]*(?:\.\d+)?)|\b(?P<word>{_NUMBER_WORD})\b)"
    rf"(?:[\s-]?(?P<scale>hundred|thousand|million|billion|trillion|mn|bn|m(?=\s|$|[.,;)]))\b)?"
    rf"(?:[\s-]{{0,2}}(?P<unit>{_UNIT})(?:e?s)?(?![\w/]))?"
    rf"(?:\s(?P<after>usd|eur|gbp|dollars?|euros?|pounds sterling)\b)?",
    re.I,
)  # fmt: skip
_DIGIT: Final = re.compile(r"\d")
_AFTER: Final = {"dollar": "usd", "euro": "eur", "pounds sterling": "gbp"}


@dataclass(frozen=True, slots=True)
class Day:
    """A date, as far as it is told. ``swapped`` is what a date in figures may mean otherwise."""

    year: int | None
    month: int
    day: int | None
    swapped: tuple[int, int] | None = None

    def agrees(self, other: "Day") -> bool:
        """Return whether both may be the same day, as far as both are told."""
        if self.year and other.year and self.year != other.year:
            return False
        return any(
            month == as_month and (day is None or as_day is None or day == as_day)
            for month, day in self._readings()
            for as_month, as_day in other._readings()
        )

    def _readings(self) -> list[tuple[int, int | None]]:
        return [(self.month, self.day), *([self.swapped] if self.swapped else [])]


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with what it counts; ``unit`` is "" where the text does not say.

    ``value`` is in the smallest unit of its dimension, ``plain`` as written, without its unit.
    """

    plain: Decimal
    value: Decimal
    unit: str = ""
    currency: str = ""
    negative: bool = False

    def agrees(self, other: "Amount", scales: Iterable[int] = ()) -> bool:
        """Return whether the other, from evidence in these scales, says the same amount."""
        if self.negative and not other.negative:
            return False
        if self.currency and other.currency and self.currency != other.currency:
            return False
        if self.unit and other.unit:
            return self.unit == other.unit and self.value == other.value
        if other.unit == "percent" or (self.unit == "percent" and other.currency):
            return False
        if self.plain == other.plain:
            return True
        return not other.unit and any(self.plain == other.plain * scale for scale in scales)


@dataclass(frozen=True, slots=True)
class Quantities:
    """What a text says in figures: amounts, dates, times of day in minutes, bare years."""

    amounts: tuple[Amount, ...] = ()
    days: tuple[Day, ...] = ()
    times: frozenset[int] = frozenset()
    scales: frozenset[int] = frozenset()

    @property
    def any(self) -> bool:
        """Whether there is any figure at all."""
        return bool(self.amounts or self.days or self.times)

    @property
    def years(self) -> set[int]:
        """The years that stand in dates or by themselves."""
        dated = {day.year for day in self.days if day.year}
        return dated | {int(a.plain) for a in self.amounts if is_year(a)}

    def hold(self, claim: "Quantities") -> bool:
        """Return whether every figure of the claim stands here too."""
        return (
            claim.times <= self.times
            and all(self._holds_day(day) for day in claim.days)
            and all(self._holds(amount) for amount in claim.amounts)
        )

    def _holds(self, amount: Amount) -> bool:
        if is_year(amount) and int(amount.plain) in self.years:
            return True
        return any(amount.agrees(one, self.scales) for one in self.amounts)

    def _holds_day(self, day: Day) -> bool:
        # A day in clear is no proof of a month's every day, so what is claimed has to be told.
        return any(
            day.agrees(one)
            and (day.day is None or one.day is not None)
            and (day.year is None or one.year is not None or day.year in self.years)
            for one in self.days
        )


NONE: Final = Quantities()


def is_year(amount: Amount) -> bool:
    """Return whether a bare number is likely the name of a year."""
    bare = not amount.unit and not amount.currency
    return bare and amount.plain == int(amount.plain) and 1900 <= amount.plain <= 2099


def read(text: str) -> Quantities:
    """Return the figures of a text. Masks, pseudonyms and citation marks are to be out of it."""
    if not _has_digit(text) and not _has_number_word(text):
        return NONE
    days: list[Day] = []
    for pattern in _DATES:
        for found in pattern.finditer(text):
            if day := _day(found):
                days.append(day)
                text = _blank(text, found)
    times: set[int] = set()
    for found in _TIME.finditer(text):
        times.add(_minutes(found))
        text = _blank(text, found)
    scales = frozenset(_SCALES[found.lower()] for found in _IN_SCALE.findall(text))
    amounts = tuple(a for found in _NUMBER.finditer(text) if (a := _amount(found)))
    return Quantities(amounts, tuple(days), frozenset(times), scales)


def together(parts: Sequence[Quantities]) -> Quantities:
    """Return the figures of several texts as of one."""
    if len(parts) == 1:
        return parts[0]
    return Quantities(
        tuple(amount for part in parts for amount in part.amounts),
        tuple(day for part in parts for day in part.days),
        frozenset[int]().union(*(part.times for part in parts)),
        frozenset[int]().union(*(part.scales for part in parts)),
    )


def _has_digit(text: str) -> bool:
    if text.isascii():
        return _DIGIT.search(text) is not None
    return any(char.isdigit() for char in text)


def _has_number_word(text: str) -> bool:
    return any(word in _WORDS for word in re.split(r"[^a-z-]+", text.lower()))


def _blank(text: str, found: re.Match[str]) -> str:
    return text[: found.start()] + " " * len(found[0]) + text[found.end() :]


def _day(found: re.Match[str]) -> Day | None:
    parts = found.groupdict()
    year = int(parts["year"]) if parts.get("year") else None
    day = int(parts["day"]) if parts.get("day") else None
    if parts.get("month"):
        return Day(year, _MONTHS[parts["month"][:3].lower()], day)
    month = int(parts["number"])
    if day is None:
        return None
    # 03/12/2026 is in March for some writers and in December for others.
    swapped = (day, month) if "-" not in found[0] and day <= 12 and month != day else None
    if month > 12:
        return Day(year, day, month) if day <= 12 else None
    return Day(year, month, day, swapped)


def _minutes(found: re.Match[str]) -> int:
    hour, minute, half = int(found[1]), int(found[2]), (found[3] or "").lower()
    if half == "p" and hour < 12:
        hour += 12
    if half == "a" and hour == 12:
        hour = 0
    return hour * 60 + minute


def _amount(found: re.Match[str]) -> Amount | None:
    try:
        plain = (
            Decimal(_WORDS[found["word"].lower()])
            if found["word"]
            else Decimal(found["digits"].replace(",", ""))
        )
    except InvalidOperation:
        return None
    if found["scale"]:
        plain *= _SCALES[found["scale"].lower()]
    currency = _CURRENCIES.get((found["before"] or "").lower(), "")
    if found["after"]:
        after = found["after"].lower()
        currency = _CURRENCIES.get(after) or _AFTER.get(after.rstrip("s"), _AFTER.get(after, ""))
    unit, factor = _UNITS.get((found["unit"] or "").lower(), ("", Decimal(1)))
    return Amount(plain, plain * factor, unit, currency, bool(found["sign"]))
