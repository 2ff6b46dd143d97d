"""Values made coarser, so that they fit many people: Safe Harbor's ways, and years for dates."""

import re
from typing import Final

from ragplatform.privacy import dates

# Three-digit areas of 20,000 people or fewer. Source: 45 CFR 164.514(b)(2)(i)(B) asks for the
# current census; here stand the areas of the 2000 census, which HHS lists in its "Guidance
# Regarding Methods for De-identification of Protected Health Information", 26 November 2012, and
# those published for the 2010 census. An area in either list is hidden.
# Check them against the current census before relying on them.
SMALL_ZIP3: Final = frozenset(
    "036 059 063 102 203 205 369 556 692 753 772 790 821 823 830 831 878 879 884 890 893".split()
)
_ZIP: Final = re.compile(r"(?<!\d)(\d{3})\d{2}(?:-?\d{4})?(?!\d)")
_NUMBER: Final = re.compile(r"\d{1,3}")
_MONTHS_OLD: Final = re.compile(r"(?i)\d\s*-?\s*(?:day|week|month|mo\b|wk)")
_OLDEST: Final = 89
_BAND: Final = 5

OVER: Final = "90 or over"
DATES: Final = frozenset({"DATE_TIME", "DATE_OF_BIRTH"})
AGES: Final = frozenset({"AGE", "AGE_OVER_89"})
TYPES: Final = DATES | AGES | {"ZIP_CODE"}


def generalise(entity: str, value: str, *, this_year: int) -> str | None:
    """Return the value made coarser, or None when it cannot be read and must be masked.

    A ZIP code keeps three digits, or none of an area of few people; an age falls into a band of
    five years, or into one class over 89; a date keeps its year. A year of birth that tells an age
    over 89 in ``this_year`` is not kept.

    Source: 45 CFR 164.514(b)(2)(i)(B) and (C).
    """
    if entity == "ZIP_CODE":
        found = _ZIP.search(value)
        return None if found is None else ("000" if found[1] in SMALL_ZIP3 else found[1]) + "**"
    if entity in AGES:
        return OVER if entity == "AGE_OVER_89" else _age(value)
    if entity in DATES:
        known = dates.years(value)
        if known is None or (entity == "DATE_OF_BIRTH" and this_year - known[0] > _OLDEST):
            return None
        return str(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"
    return None


def _age(value: str) -> str | None:
    numbers = [int(found) for found in _NUMBER.findall(value)]
    if len(numbers) != 1:
        return None
    years = 0 if _MONTHS_OLD.search(value) else numbers[0]
    if years > _OLDEST:
        return OVER
    low = years - years % _BAND
    return f"{low}-{low + _BAND - 1}"
