"""The facts of a passage as keywords of one field: ``kind:10-k``, ``year:2022``, ``date:2023-02``.

One field serves every fact, so a new kind of fact needs no new index in the engine, and what was
stored before it is read as it is. A range of days is a list of keywords as well: each passage
carries its day, the day's month and year, and a range names the whole years and months within it
and the days at its edges. Measured on qdrant-edge-py 0.9.0: exact, as the contract suite's oracle
holds, where a range condition would be one more kind of condition to trust on two engines.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final

from ragplatform.errors import InvalidRequestError
from ragplatform.model import Facts, Narrow

FACTS: Final = "facts"
_FIELDS: Final = {
    "kind": "kinds",
    "organisation": "organisations",
    "year": "years",
    "quarter": "quarters",
    "date": "dates",
    "part": "parts",
}
_NARROWED: Final = ("kind", "organisation", "year", "quarter", "part")
_DAY: Final = len("2023-02-08")
# No document of anybody's is dated outside of these; they bound the length of an open range.
_FIRST_DAY: Final = date(1900, 1, 1)
_LAST_DAY: Final = date(2199, 12, 31)


def fact_words(facts: Facts) -> list[str]:
    """Return the facts as keywords, sorted. Facts of nothing give none."""
    words = {
        f"{name}:{value}" for name, field in _FIELDS.items() for value in getattr(facts, field)
    }
    words.update(f"date:{day[:length]}" for day in facts.dates for length in (4, 7))
    return sorted(words)


def facts_of(words: Iterable[str]) -> Facts:
    """Return the facts that ``fact_words`` wrote. Raises ``ValueError`` for any other words."""
    given = list(words)
    values: dict[str, set[str]] = {}
    for word in given:
        name, colon, value = word.partition(":")
        if not colon or name not in _FIELDS:
            raise ValueError("facts")
        if name != "date" or len(value) == _DAY:
            values.setdefault(_FIELDS[name], set()).add(value)
    facts = Facts(**{field: frozenset(found) for field, found in values.items()})
    if fact_words(facts) != given:
        raise ValueError("facts")
    return facts


def wanted_words(narrow: Narrow) -> Iterator[frozenset[str]]:
    """Yield for each condition on facts the keywords of which a passage must hold one."""
    for name in _NARROWED:
        values = getattr(narrow, _FIELDS[name])
        if values is not None:
            yield frozenset(f"{name}:{value}" for value in values)
    if narrow.earliest is not None or narrow.latest is not None:
        first = _day(narrow.earliest, _FIRST_DAY)
        last = _day(narrow.latest, _LAST_DAY)
        # A range that ends before it begins holds no day, which no list of keywords can say.
        yield frozenset(f"date:{word}" for word in _spanned(first, last)) or frozenset({"date:"})


def _day(given: str | None, otherwise: date) -> date:
    if given is None:
        return otherwise
    try:
        found = date.fromisoformat(given)
    except ValueError:
        raise InvalidRequestError("a day is written as 2023-02-08") from None
    return min(max(found, _FIRST_DAY), _LAST_DAY)


def _spanned(first: date, last: date) -> Iterator[str]:
    """Yield the fewest years, months and days that make up the range, both ends included."""
    day = first
    while day <= last:
        year_end = date(day.year, 12, 31)
        month_end = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        if day.month == day.day == 1 and year_end <= last:
            yield day.isoformat()[:4]
            day = year_end
        elif day.day == 1 and month_end <= last:
            yield day.isoformat()[:7]
            day = month_end
        else:
            yield day.isoformat()
        day += timedelta(days=1)
