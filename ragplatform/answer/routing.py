"""What a question itself says of where its answer stands: whose report, which period, which part.

Rules, no model: the same question always goes the same way. ``understood`` reads the question,
``routed`` chooses among documents that say of themselves whose they are. Where a document is named
without doubt the search is kept to it; all else only moves passages up.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ragplatform.model import Facts
from ragplatform.reports import PARTS, SYMBOL, names_in, symbols_in

_YEAR: Final = re.compile(r"\b(?:FY|fiscal(?: year)?|year)?[ '’]?((?:19|20)\d\d)\b", re.I)
_SHORT_YEAR: Final = re.compile(r"\bFY[ '’]?(\d\d)\b", re.I)
_QUARTER: Final = re.compile(
    r"\b(?:Q([1-4])|([1-4])Q|(first|second|third|fourth)[- ]quarter)"
    r"(?:[ ,'’]*(?:of|in|for)?[ ,]*(?:the )?(?:FY|fiscal(?: year)?)?[ '’]?((?:19|20)\d\d|\d\d)\b)?",
    re.I,
)
_YEAR_FIRST: Final = re.compile(r"\b((?:19|20)\d\d)[ -]?Q([1-4])\b", re.I)
_ORDINALS: Final = {"first": "1", "second": "2", "third": "3", "fourth": "4"}
_DAY: Final = re.compile(
    r"\b((?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)\.? (\d{1,2})(?:st|nd|rd|th)?,? "
    r"((?:19|20)\d\d)\b",
    re.I,
)
_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_FORM: Final = re.compile(r"\b(10-?[kq]|8-?k|20-?f|40-?f|6-?k)s?\b", re.I)
_KINDS: Final = {
    "annual-report": r"annual report",
    "quarterly-report": r"quarterly report",
    "earnings-release": r"earnings (?:release|call|report)|press release",
    "discharge-summary": r"discharge (?:summary|letter)",
    "operative-report": r"operative (?:report|note)",
    "radiology-report": r"(?:radiology|imaging|mri|ct|x-ray) report",
    "pathology-report": r"pathology report",
}
# Figures are asked for by name; each stands in one of the statements.
_FIGURES: Final = {
    "balance-sheet": (
        r"total (?:current )?(?:assets|liabilities)|current (?:assets|liabilities|ratio)"
        r"|working capital|inventor(?:y|ies)|accounts (?:payable|receivable)|receivables?|payables?"
        r"|pp&e|ppn?e|property,? plant|fixed assets?|cash (?:and|&) cash equivalents"
        r"|goodwill|retained earnings|quick ratio|liquidity (?:profile|ratio)|debt|leverage"
        r"|days (?:payable|sales|inventory)|return on (?:assets|equity)|\b(?:dpo|dso|dio|roa|roe)\b"
        r"|capital[- ]intensive|asset turnover|inventory turnover"
    ),
    "income-statement": (
        r"revenues?|net sales|top ?line|net (?:income|earnings|loss)"
        r"|cost of (?:goods|sales|revenue)"
        r"|cogs|gross (?:margin|profit)s?|operating (?:income|margin|profit|expenses?)|ebitda?"
        r"|earnings per share|\beps\b|tax rate|interest (?:expense|coverage)|sg&a|r&d|profit margin"
        r"|restructuring costs?|days (?:payable|inventory)|\b(?:dpo|dio|roa|roe)\b"
        r"|capital[- ]intensive|asset turnover|inventory turnover|return on (?:assets|equity)"
    ),
    "cash-flow": (
        r"cash flows?|capex|capital expenditures?|depreciation|amorti[sz]ation|d&a|ebitda"
        r"|dividends? (?:paid|payments?)|cash dividends|(?:share|stock) (?:repurchases?|buybacks?)"
        r"|capital[- ]intensive|operations, investing,? and financing|purchases of property"
    ),
}
_WORDS_OF: Final = {
    r"cogs": "cost of goods sold cost of sales cost of revenue",
    r"pp&e|ppn?e": "property plant and equipment net",
    r"capex": "capital expenditures purchases of property plant and equipment",
    r"d&a": "depreciation and amortization",
    r"ebitda": "operating income depreciation and amortization",
    r"sg&a": "selling general and administrative expenses",
    r"r&d": "research and development",
    r"p&l": "statements of income operations earnings",
    r"eps": "earnings per share",
    r"dpo|days payable": "accounts payable cost of sales inventories",
    r"roa|return on assets": "net income total assets",
    r"working capital|current ratio|quick ratio": "total current assets total current liabilities",
    r"fixed asset turnover": "revenue net sales property plant and equipment net",
    r"inventory turnover": "inventories cost of sales",
    r"top ?line": "revenue net sales",
    r"legal battles?|lawsuits?": "legal proceedings litigation contingencies",
    r"gross margins?": "gross profit gross margin cost of sales",
    r"tax rate": "provision for income taxes effective tax rate",
    r"debt|leverage": "long-term debt borrowings",
    r"m&a": "acquisitions divestitures",
    r"agm": "annual meeting of shareholders",
    r"a?cquisitions?|acquired": "acquisition acquired",
    r"capital[- ]intensive": "property plant and equipment capital expenditures total assets",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question says. ``names`` and ``symbols`` are candidates: most are no organisation's.

    ``years`` are in the order of the question, ``words`` more words by which reports name what it
    asks for.
    """

    names: tuple[str, ...]
    symbols: frozenset[str]
    years: tuple[str, ...] = ()
    quarters: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    words: str = field(default="", repr=False)

    @property
    def organisations(self) -> frozenset[str]:
        """Every word by which an organisation could be asked for."""
        return frozenset(self.names) | self.symbols


@dataclass(frozen=True, slots=True)
class Route:
    """To which documents a search may be kept, best first; none where nothing is sure.

    ``by`` names the facts that decided. ``parts`` and ``kinds`` move passages up.
    """

    documents: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    parts: frozenset[str] = frozenset()


def understood(question: str) -> Asked:
    """Return what a question says of where its answer stands."""
    flat = " ".join(question.split())
    quarters, bare = _quarters(flat)
    years = tuple(dict.fromkeys(_years(flat)))
    if bare and years:
        quarters |= {f"{max(years)}-q{number}" for number in bare}
    return Asked(
        names=tuple(dict.fromkeys(names_in(flat))),
        symbols=frozenset(symbols_in(flat)),
        years=years,
        quarters=frozenset(quarters),
        dates=frozenset(_days(flat)),
        kinds=frozenset(_kinds(flat)),
        parts=frozenset(_parts(flat)),
        words=" ".join(
            more for short, more in _WORDS_OF.items() if re.search(rf"\b(?:{short})\b", flat, re.I)
        ),
    )


def _years(flat: str) -> Iterator[str]:
    for found in re.finditer(rf"{_YEAR.pattern}|{_SHORT_YEAR.pattern}", flat, re.I):
        yield found[1] or f"20{found[2]}"


def _quarters(flat: str) -> tuple[set[str], set[str]]:
    """Return the quarters that are named with their year, and the numbers of those without."""
    whole = {f"{year}-q{number}" for year, number in _YEAR_FIRST.findall(flat)}
    bare: set[str] = set()
    for first, second, word, year in _QUARTER.findall(flat):
        number = first or second or _ORDINALS[word.lower()]
        if year:
            whole.add(f"{year if len(year) == 4 else '20' + year}-q{number}")
        elif not any(one.endswith(number) for one in whole):
            bare.add(number)
    return whole, bare


def _days(flat: str) -> Iterator[str]:
    for month, day, year in _DAY.findall(flat):
        yield f"{year}-{_MONTHS.index(month[:3].lower()) + 1:02}-{int(day):02}"


def _kinds(flat: str) -> Iterator[str]:
    for found in _FORM.findall(flat):
        word = found.lower().replace("-", "")
        yield f"{word[:-1]}-{word[-1]}"
    for kind, pattern in _KINDS.items():
        if re.search(rf"\b(?:{pattern})s?\b", flat, re.I):
            yield kind


def _parts(flat: str) -> Iterator[str]:
    """Yield the statements that are named, or else those in which the figures asked for stand."""
    named = {p for p, name in PARTS.items() if re.search(rf"(?<!\w)(?:{name})(?!\w)", flat, re.I)}
    implied = {
        p for p, what in _FIGURES.items() if re.search(rf"(?<!\w)(?:{what})(?!\w)", flat, re.I)
    }
    yield from named or implied


def routed(asked: Asked, documents: Mapping[str, Facts]) -> Route:
    """Choose among documents that may be meant, by what each says of itself.

    1. Those of an organisation that the question names. 2. Of these, those of its day, its
    quarter, its latest year, or else another year of it. 3. Of these, those of its form.
    """
    parts = asked.parts
    own = _named(asked, documents)  # 1
    if not own:
        return Route(parts=parts)
    by = ["organisations"]
    conditions: list[tuple[str, Sequence[str]]] = [  # 2
        ("dates", sorted(asked.dates)),
        ("quarters", sorted(asked.quarters)),
        ("years", sorted(asked.years)[-1:]),
        ("years", sorted(asked.years)),
    ]
    for name, wanted in conditions:
        kept = [one for one in own if not getattr(documents[one], name).isdisjoint(wanted)]
        if kept:
            own, by = kept, [*by, name]
            break
    formal = [one for one in own if not documents[one].kinds.isdisjoint(asked.kinds)]  # 3
    if formal:
        own, by = formal, [*by, "kinds"]
    return Route(tuple(sorted(own)), tuple(by), parts)


def _named(asked: Asked, documents: Mapping[str, Facts]) -> list[str]:
    """Return the documents of those organisations that the question names at the greatest length.

    "American Water Works" names no other American company, although "American" is in it.
    """
    held = {name: facts.organisations for name, facts in documents.items()}
    known = frozenset[str]().union(*held.values()) & asked.organisations
    names = {one for one in known if not one.startswith(SYMBOL)}
    inner = {one for one in names for other in names if one != other and one in other}
    sure = (names - inner) | (known - names)
    return [name for name, own in held.items() if own & sure]
