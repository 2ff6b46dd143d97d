"""Calendar dates as people write them: read, moved by days in the form that they had, reduced."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

# Full names, then short ones; English, German, French, Spanish.
_NAMES: Final = (
    "january february march april may june july august september october november december",
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "jan feb mär apr mai jun jul aug sep okt nov dez",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "janv févr mars avr mai juin juil août sept oct nov déc",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "ene feb mar abr may jun jul ago sep oct nov dic",
)
_MONTHS: Final = tuple(tuple(names.split()) for names in _NAMES)
_WEEKDAYS: Final = (
    "monday tuesday wednesday thursday friday saturday sunday".split(),
    "mon tue wed thu fri sat sun".split(),
    "montag dienstag mittwoch donnerstag freitag samstag sonntag".split(),
    "lundi mardi mercredi jeudi vendredi samedi dimanche".split(),
    "lunes martes miércoles jueves viernes sábado domingo".split(),
)
_MONTH: Final = (
    "(?P<name>"
    + "|".join(sorted({re.escape(m) for row in _MONTHS for m in row} | {"sept"}, key=len)[::-1])
    + r")(?![^\W\d_])\.?"
)
_DAY: Final = r"(?P<d>\d{1,2})(?P<ord>st|nd|rd|th)?"
_END: Final = r"(?![\d])"
_FORMS: Final = tuple(
    re.compile(form, re.I)
    for form in (
        rf"(?P<y>\d{{4}})(?P<s>[-/.])(?P<m>\d{{1,2}})(?P=s)(?P<d>\d{{1,2}}){_END}",
        rf"(?P<a>\d{{1,2}})(?P<s>[-/.])(?P<b>\d{{1,2}})(?P=s)(?P<y>\d{{4}}|\d{{2}}){_END}",
        rf"{_MONTH}\s+{_DAY}{_END}(?:,?\s+(?P<y>\d{{4}}){_END})?",
        rf"{_DAY}\.?[\s-]+(?:of\s+|de\s+)?{_MONTH}"
        rf"(?:,?[\s-]+(?:del?\s+)?(?P<y>\d{{4}}|\d{{2}}){_END})?",
        rf"{_MONTH},?[\s-]+(?:of\s+|del?\s+)?(?P<y>\d{{4}}){_END}",
        rf"(?P<y>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>[0-2]\d|3[01])(?:\d{{4}}|\d{{6}})?{_END}",
        rf"(?P<m>\d{{1,2}})/(?P<y>\d{{4}}){_END}",
        r"(?P<m>\d{1,2})[/-](?P<d>\d{1,2})(?![\d/-])",
        rf"(?P<y>(?:1[89]|20)\d\d){_END}",
    )
)
_TIME: Final = re.compile(
    r"(?:T|\b)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?[ap]\.?m\.?)?(?:Z|\s?[+-]\d{2}:?\d{2})?", re.I
)
_WORD: Final = re.compile(r"[^\W\d_]+")
_MONTH_WORDS: Final = frozenset(m for row in _MONTHS for m in row) - {"may", "mar", "mai", "mars"}
_WEEKDAY_WORDS: Final = {day: (row, n) for row in _WEEKDAYS for n, day in enumerate(row)}
# A two-digit year up to this one is of this century.
_PIVOT: Final = 30
# What stands in for a part that a partial date leaves open. 2000 is a leap year.
_NO_YEAR, _NO_MONTH, _NO_DAY = 2000, 7, 15


@dataclass(frozen=True, slots=True)
class Stamp:
    """One date in a value; a part that is not written is None.

    ``places`` are the offsets of its written parts: y, m, d, name (of the month), ord.
    """

    year: int | None
    month: int | None
    day: int | None
    places: Mapping[str, tuple[int, int]]


def read(value: str) -> list[Stamp]:
    """Return the dates of a value; empty when it holds none, or digits that are no date."""
    found, rest, at = [], [], 0
    while at < len(value):
        begins = value[at].isalnum() and (at == 0 or not value[at - 1].isalnum())
        if time := _TIME.match(value, at):
            at = time.end()
        elif begins and (stamp := _stamp(value, at)):
            found.append(stamp[0])
            at = stamp[1]
        else:
            rest.append(value[at])
            at += 1
    left = "".join(rest)
    words = {word.lower() for word in _WORD.findall(left)}
    if words & _MONTH_WORDS or any(letter.isdigit() for letter in left):
        return []
    return found


def iso(value: str) -> str | None:
    """Return the one full date of a value as ``YYYY-MM-DD``, or None.

    A year of two digits is no full date: it may be of either century.
    """
    stamps = read(value)
    if len(stamps) != 1:
        return None
    (only,) = stamps
    start, end = only.places.get("y", (0, 0))
    if only.year is None or only.month is None or only.day is None or end - start != len("1985"):
        return None
    return f"{only.year:04d}-{only.month:02d}-{only.day:02d}"


def years(value: str) -> list[int] | None:
    """Return the years of a value's dates, or None when one of them has none."""
    found = [stamp.year for stamp in read(value)]
    known = [year for year in found if year is not None]
    return sorted(set(known)) if known and len(known) == len(found) else None


def shifted(value: str, days: int) -> str | None:
    """Return the value with each of its dates moved by the days, in the form that it had.

    Partial dates move as if they stood in the middle of what they leave open; a weekday moves
    with its date; times stay. None when it cannot be read as dates whole.
    """
    stamps = read(value)
    if not stamps:
        return None
    edits: list[tuple[int, int, str]] = []
    moved: date | None = None
    for stamp in stamps:
        try:
            moved = _nominal(stamp) + timedelta(days=days)
        except (OverflowError, ValueError):
            return None
        edits += _edits(value, stamp, moved)
    weekdays = [word for word in _WORD.finditer(value) if word[0].lower() in _WEEKDAY_WORDS]
    if moved is None or (weekdays and len(weekdays) + len(stamps) > 2):
        return None
    for word in weekdays:
        row, _ = _WEEKDAY_WORDS[word[0].lower()]
        edits.append((word.start(), word.end(), _cased(word[0], row[moved.weekday()])))
    return _edited(value, edits)


def _nominal(stamp: Stamp) -> date:
    day = stamp.day if stamp.day is not None else (_NO_DAY if stamp.month else 1)
    return date(stamp.year or _NO_YEAR, stamp.month or _NO_MONTH, day)


def _stamp(value: str, at: int) -> tuple[Stamp, int] | None:
    for form in _FORMS:
        found = form.match(value, at)
        if found and (stamp := _of(found)):
            return stamp, found.end()
    return None


def _of(found: re.Match[str]) -> Stamp | None:
    places = {key: found.span(key) for key, held in found.groupdict().items() if held}
    if "a" in places:
        # With dots the day stands first, as in German; with slashes the month, as in American
        # English, where it can.
        first, second = places.pop("a"), places.pop("b")
        day_first = found["s"] == "." or int(found["a"]) > 12
        places |= {"d": first, "m": second} if day_first else {"m": first, "d": second}
    places.pop("s", None)

    def number(key: str) -> int | None:
        return int(found.string[slice(*places[key])]) if key in places else None

    year, month, day = number("y"), number("m"), number("d")
    if year is not None and places["y"][1] - places["y"][0] == 2:
        year += 2000 if year <= _PIVOT else 1900
    if "name" in places:
        month = _month(found["name"])[1] + 1
    stamp = Stamp(year, month, day, places)
    try:
        _nominal(stamp)
    except ValueError:
        return None
    return stamp


def _month(name: str) -> tuple[int, int]:
    """Return the row of names that a month is of, and its number from 0."""
    folded = "sep" if name.lower() == "sept" else name.lower()
    rows = [row for row, names in enumerate(_MONTHS) if folded in names]
    # French and Spanish months are written small; "mai" is French, "Mai" is German.
    small = [row for row in rows if row >= len(_MONTHS) // 2]
    row = small[0] if name.islower() and small and rows[0] > 1 else rows[0]
    return row, _MONTHS[row].index(folded)


def _edits(value: str, stamp: Stamp, moved: date) -> list[tuple[int, int, str]]:
    padded = any(
        value[slice(*stamp.places[key])].startswith("0") for key in "md" if key in stamp.places
    ) or ("y" in stamp.places and min(stamp.places.values()) == stamp.places["y"])
    edits = []
    for key, (start, end) in stamp.places.items():
        written = value[start:end]
        if key == "y":
            new = f"{moved.year:04d}"[-(end - start) :]
        elif key == "name":
            new = _cased(written, _MONTHS[_month(written)[0]][moved.month - 1])
        elif key == "ord":
            new = _cased(written, _ordinal(moved.day))
        else:
            number = moved.month if key == "m" else moved.day
            new = f"{number:02d}" if padded else str(number)
        edits.append((start, end, new))
    return edits


def _ordinal(day: int) -> str:
    return "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _cased(like: str, word: str) -> str:
    if like.isupper():
        return word.upper()
    return word if like.islower() else word.capitalize()


def _edited(value: str, edits: Sequence[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end, new in sorted(edits):
        parts += (value[done:start], new)
        done = end
    return "".join((*parts, value[done:]))
