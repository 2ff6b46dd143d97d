"""The words of business reports, as documents and questions use them: names, periods, kinds, parts.

What ingest finds in a document and what a question asks for must be the same words, so both are
made here. Nothing here knows any company: a name is what a document's cover gives as its own.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

# What says what kind of company it is, and is left out when people speak of it.
_LEGAL: Final = frozenset(
    "inc incorporated corp corporation co company companies plc ltd limited llc lp llp nv sa ag se "
    "ab asa oyj spa gmbh kg bv pty holdings holding group trust".split()
)
_JOINS: Final = frozenset({"and", "of", "the", "for", "de", "on", "in", "at"})
_WORD: Final = re.compile(r"[^\W_]+(?:[’'](?!s\b)[^\W_]+)*", re.UNICODE)
_SYMBOL: Final = re.compile(r"\b[A-Z][A-Za-z&]{1,6}\b")
_MOST_WORDS: Final = 6
# A longer question is a document: whose report it is about stands at its beginning.
_MOST_IN_A_TEXT: Final = 150
# How a symbol, which means something only in capitals, is told from a name.
SYMBOL: Final = "$"

FORMS: Final = {
    "10-k": "annual-report",
    "20-f": "annual-report",
    "40-f": "annual-report",
    "10-q": "quarterly-report",
    "6-k": "current-report",
    "8-k": "current-report",
}
"""The forms of the SEC that companies report on, and the kind of report that each is."""

COVER: Final = "cover"
"""The part that the first passage of each document of an organisation is."""

PARTS: Final = {
    "balance-sheet": (
        r"balance sheets?|statements? of financial (?:position|condition)"
        r"|financial position statements?"
    ),
    "income-statement": (
        r"(?:income|earnings|profit and loss|p&l|operations) statements?"
        r"|statements? of (?:consolidated )?(?:net )?(?:income|earnings|operations|profit)"
        r"(?: \(loss(?:es)?\)| and loss)?|p&l"
    ),
    "cash-flow": r"cash[- ]flows?(?: statements?)?|statements? of (?:consolidated )?cash flows?",
    "comprehensive-income": r"(?:statements? of )?comprehensive (?:income|loss|earnings)",
    "equity": (
        r"statements? of (?:changes in )?(?:\w+[’']? )?"
        r"(?:(?:share|stock)(?:holders?|owners?)[’']? )?equity"
    ),
}
"""The statements of a financial report, each with what it is called."""


def organisation_key(name: str) -> str:
    """Return a name as it is compared: letters and digits alone, without its legal form.

    "The Boeing Company", "BOEING" and "Boeing Co." are one. Empty where nothing is left.
    """
    words = name_words(name)
    return "".join(words)


def name_words(name: str) -> list[str]:
    """Return the words of a name in lower case, without its article and its legal form."""
    plain = name.lower().replace("’", "'").removesuffix("'s").replace(".com", " ")
    words = re.findall(r"[^\W_]+", plain.replace("'", ""))
    while words and (words[-1] in _LEGAL or words[-1] == "and"):
        words.pop()
    while words and words[0] == "the":
        words.pop(0)
    return [word for word in words if word != "and"]


def symbol(text: str) -> str:
    """Return a symbol as it is compared, told from a name."""
    return SYMBOL + text.strip().lower()


def symbols_in(text: str) -> set[str]:
    """Return what may be a company's symbol or initials: "JPM", "JnJ", marked as symbols."""
    found = {one[0] for one in _SYMBOL.finditer(text) if sum(map(str.isupper, one[0])) > 1}
    return set(map(symbol, found))


def names_in(text: str) -> Iterator[str]:
    """Yield the key of every run of words in a text that may be a name, the longest first."""
    found = islice(_WORD.finditer(text), _MOST_IN_A_TEXT)
    words = [one[0].lower().replace("’", "'").removesuffix("'s") for one in found]
    words = [word.replace("'", "") for word in words]
    for count in range(_MOST_WORDS, 0, -1):
        for start in range(len(words) - count + 1):
            run = words[start : start + count]
            if run[0] not in _JOINS and run[-1] not in _JOINS:
                yield "".join(word for word in run if word != "and")
