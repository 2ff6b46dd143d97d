"""The words of a text that carry meaning, as crude stems: both sides of a comparison get the same.

English only.
"""

import re
from typing import Final

WORD: Final = re.compile(r"[a-z][a-z'-]+")
TOKEN: Final = re.compile(r"\[[A-Z][A-Z0-9_]*(?::[a-z2-7]{16})?\]")
CITATION: Final = re.compile(r"\[(\d{1,3})\]")
_TERM: Final = re.compile(r"[a-z0-9][a-z0-9'-]*")
# "FY2023" asks for what a report calls "2023" or "fiscal 2023".
_FISCAL: Final = re.compile(r"\bfy(?=\d{4}\b)")

# Words that carry no claim.
STOP: Final = frozenset(
    "a an the and or but of to in on at by for from with as is are was were be been being it its "
    "this that these those he she they his her their him them we our you your i my me which who "
    "whom what when where why how there here has have had do does did will would can could should "
    "may might must also then than so such into over under after before during about according "
    "passage passages document documents states stated says mentioned following based answer "
    "patient client any some all".split()
)
# By their last letters, the longest first: most words end in none of them, and an answer looks at
# thousands.
_ENDINGS: Final = {
    "s": ("ations", "ings", "ies", "es", "s"),
    "n": ("ation",),
    "g": ("ing",),
    "y": ("edly", "ly"),
    "d": ("ied", "ed"),
}


def stem(word: str) -> str:
    """Return the word less a common English ending."""
    word = word.removesuffix("'s")
    for ending in _ENDINGS.get(word[-1:], ()):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = _undoubled(word[: -len(ending)])
            break
    # "fee" would be left as a single letter.
    return word.rstrip("e") if len(word) > 3 else word


def _undoubled(root: str) -> str:
    """Return "stop" for the "stopp" of "stopped"; "fill" and "pass" stay."""
    doubled = root[-1] == root[-2] and root[-1] not in "aeiouls"
    return root[:-1] if doubled and len(root) > 3 else root


def plain(text: str) -> str:
    """Return the text without pseudonyms, masks and citation marks."""
    return CITATION.sub(" ", TOKEN.sub(" ", text))


def content(text: str) -> set[str]:
    """Return the stems of the words that carry a claim; figures and pseudonyms are left out."""
    return content_of_plain(plain(text))


def content_of_plain(text: str) -> set[str]:
    """Return ``content`` of a text that is ``plain`` already."""
    words = set(WORD.findall(text.lower())) - STOP
    return {stem(word) for word in words if len(word) > 1}


def content_terms(text: str) -> set[str]:
    """Return the stems of the words that carry meaning, with numbers, codes and pseudonyms."""
    terms = _TERM.findall(text.lower())
    if any("fy" in term for term in terms):
        terms = _FISCAL.sub("", " ".join(terms)).split()
    return {
        term if term[0].isdigit() else stem(term)
        for term in set(terms) - STOP
        if len(term) > 1 or term.isdigit()
    }
