"""A page's own label, such as "iv" or "F-12": what of it may be stored and shown.

A label is text of its document that no search for personal data reads: a scanner may write a
patient's name into it. So only what numbers pages passes, and there is no room in it for anybody:
up to four digits, Roman numbers, single letters, words for parts of a book.

Source: PDF 32000-1:2008, 12.4.2: a prefix of any text and a number in one of five styles.
"""

import re
from typing import Final

LONGEST: Final = 24
_DASHES: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_FORM: Final = re.compile(r"[A-Za-z0-9]+(?:[-./ ][A-Za-z0-9]+){0,3}")
_PART: Final = re.compile(r"[A-Za-z]+|[0-9]+")
_ROMAN: Final = re.compile(r"m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_WORDS: Final = frozenset(
    "annex appendix back blank chapter contents cover exhibit figure front index inside page part "
    "plate schedule section table title toc volume".split()
)
# Five are a ZIP code, and no run of pages is that long.
_MOST_DIGITS: Final = 4
# More letters by themselves spell something.
_MOST_LETTERS: Final = 2


def page_label(written: str) -> str:
    """Return a label in plain characters, or "" where it may hold more than a page's number.

    What this once gave it gives again unchanged: by it stored labels are read, so what passes may
    grow and never shrink.
    """
    if len(written) > 2 * LONGEST:
        return ""
    label = " ".join(written.translate(_DASHES).split())
    if len(label) > LONGEST or not _FORM.fullmatch(label):
        return ""
    parts = _PART.findall(label)
    figures = [part for part in parts if part.isdigit()]
    letters = [part for part in parts if part.isalpha() and part.lower() not in _WORDS]
    sound = (
        sum(map(len, figures)) <= _MOST_DIGITS
        and len(letters) <= _MOST_LETTERS
        and all(map(_numbers, letters))
    )
    return label if sound else ""


def page_name(page: int, label: str | None) -> str:
    """Return how a page is named to people: its number, and its own label where that differs."""
    own = f" ({label})" if label and label != str(page) else ""
    return f"page {page}{own}"


def _numbers(letters: str) -> bool:
    """Return whether letters number pages: one letter, or repeated as "BB"; a Roman number."""
    if len(set(letters)) == 1 and len(letters) <= 3:
        return True
    # "Li" and "Dix" are people; "li" and "DIX" are pages.
    plain = letters.islower() or letters.isupper()
    return plain and _ROMAN.fullmatch(letters.lower()) is not None
