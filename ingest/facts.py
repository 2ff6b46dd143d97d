"""What a document says of itself: its kind, whose it is, its period, its own date.

Read from its beginning and its title, after what policy hides was taken out of both: what nobody
may see is in no fact. A value with a pseudonym or a mask in it is none. Where a document does not
say, a fact is absent; nothing is guessed from what it is about.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from ingest.chunk import Piece
from ragplatform.model import Facts
from ragplatform.reports import COVER, FORMS, PARTS, SYMBOL, name_words

# A cover page, or the head of a letter.
_HEAD: Final = 6_000
_FORM: Final = re.compile(r"\bform\s+(10-?[kq]|8-?k|20-?f|40-?f|6-?k)(?:/a)?\b", re.I)
_FORM_IN_TITLE: Final = re.compile(r"(?<![^\W_])(10-? ?[kq]|8-? ?k|20-? ?f)(?![^\W_])", re.I)
_RELEASE: Final = re.compile(
    r"\b(?:reports?|announces?|announced|releases?)\b[^.]{0,80}?"
    r"\b(?:quarter|full[- ]year|fiscal|year[- ]end|annual|interim)\b[^.]{0,60}?"
    r"\b(?:results|earnings)\b"
    r"|\bearnings release\b|\bannounced? (?:its )?(?:financial )?results\b",
    re.I,
)
_KINDS: Final = {
    "annual-report": r"annual report",
    "proxy-statement": r"proxy statement|schedule 14a",
    "prospectus": r"prospectus",
    "discharge-summary": r"(?:hospital )?discharge (?:summary|letter|note|report)",
    "progress-note": r"(?:daily )?progress notes?",
    "operative-report": r"(?:operative|operation|surgical|procedure) (?:report|note)",
    "radiology-report": r"(?:radiology|imaging|x-ray|ct|mri|ultrasound) report",
    "pathology-report": r"(?:surgical )?pathology report",
    "laboratory-report": r"(?:lab|laboratory) (?:report|results)",
    "consultation": r"consult(?:ation)?(?: (?:note|report|letter))?",
    "referral": r"referral(?: letter)?",
    "history-and-physical": r"(?:admission )?history and physical(?: examination)?|h&p",
    "emergency-note": r"emergency (?:department|room) (?:note|report|visit|record)",
    "care-plan": r"care plan",
    "prescription": r"prescription",
    "account-statement": r"(?:account|bank|credit card) statement|statement of account",
    "loan-agreement": r"(?:loan|credit) agreement",
    "policy": r"(?:[a-z]+ ){0,3}policy(?: (?:and procedures?|manual|statement))?",
    "minutes": r"minutes(?: of (?:the )?meeting)?|meeting minutes",
}
_CHARTER: Final = re.compile(r"(.{2,160}?)[\s_]*\(\s*exact\s+name\s+of\b", re.I)
_FILE_NUMBER: Final = re.compile(r"commission\s+file\s+(?:number|no\.?)s?:?\s*[\d-]+\.?", re.I)
_NUMBER: Final = re.compile(r"\d+-\d+\.?|\b(?:19|20)\d\d\)?(?=\s)|\bor\b(?=\s+[A-Z])")
_HEADLINE: Final = re.compile(
    r"^[ \t]*((?:[A-Z0-9][\w&.,’'-]*[ \t]+){1,6}?)"
    r"(?:[Rr]eports?|[Aa]nnounces?|REPORTS?|ANNOUNCES?)\b",
    re.M,
)
_SUBSIDIARIES: Final = re.compile(
    r"^[ \t]*(.{3,60}?)[ \t]+(?:and|&)[ \t]+(?:consolidated[ \t]+)?subsidiar(?:y|ies)"
    r"(?:[ \t]+compan(?:y|ies))?[ \t]*$",
    re.M | re.I,
)
_LISTED: Final = re.compile(
    r"([A-Z0-9][\w&.,’'\- ]{1,70}?)\s*\((?:NYSE|NASDAQ|Nasdaq|LSE|TSX|ASX|SIX|AMEX)[^():]{0,30}:\s*"
    r"([A-Z][A-Z.]{0,5})\b"
)
_TRADED: Final = re.compile(
    r"\b([A-Z]{1,5})\s+(?:The\s+)?"
    r"(?:New York Stock|N(?:ASDAQ|asdaq)|NYSE|Chicago Stock|London Stock)"
)
_MONTH: Final = (
    "january february march april may june july august september october november december".split()
)
_DAY: Final = (
    r"((?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+\d{1,2}\s*,?\s*(?:19|20)\d\d"
    r"|(?:19|20)\d\d-\d\d-\d\d|\d{1,2}/\d{1,2}/(?:19|20)\d\d)"
)
_PERIOD: Final = re.compile(
    r"\b(?:fiscal\s+year|fiscal\s+quarter|quarterly\s+period|quarter|year|period|weeks|months)"
    r"[^.]{0,40}?\bended\s+" + _DAY,
    re.I,
)
_OWN_DATE: Final = re.compile(
    r"\b(?:date\s+of\s+(?:report|service|visit|admission|discharge|letter|issue)[^:\n]{0,40}"
    r"|report\s+date|discharge\s+date|admission\s+date|service\s+date|effective\s+date|dated?)"
    r"\s*[:\s]\s*" + _DAY,
    re.I,
)
_DATELINE: Final = re.compile(r"^[^\n]{0,80}?\(?" + _DAY + r"\)?(?:\s*[-–—/]|\s*$)", re.I | re.M)
_FISCAL: Final = re.compile(r"\b(?:fiscal(?:\s+year)?|FY)\s?'?((?:19|20)\d\d)\b", re.I)
_QUARTER_WORD: Final = re.compile(
    r"\b(first|second|third|fourth)[- ]quarter|\bQ([1-4])\b|\b([1-4])Q", re.I
)
_HEADLINE_YEAR: Final = re.compile(
    r"\b((?:19|20)\d\d)\s+(?:first|second|third|fourth|full)[- ](?:quarter|year)"
    r"|\b(?:quarter|full[- ]year|year|fiscal)(?:\s+(?:of|fiscal|year|and|full|results))*"
    r"\s+((?:19|20)\d\d)\b",
    re.I,
)
_MONTHS_ENDED: Final = re.compile(
    r"\b(three|six|nine|13|26|39|thirteen|twenty-six|thirty-nine|40|24|36|12)[\s-]+(?:months|weeks)"
    r"\s+ended\b",
    re.I,
)
_QUARTER_OF: Final = {
    "first": 1, "second": 2, "third": 3, "fourth": 4,
    "six": 2, "26": 2, "twenty-six": 2, "24": 2,
    "nine": 3, "39": 3, "thirty-nine": 3, "36": 3,
}  # fmt: skip
_IN_TITLE: Final = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:[ _-]?Q([1-4]))?(?![\d])", re.I)
_HIDDEN: Final = re.compile(r"\[[A-Z][A-Z_]*[\]:]")
_LONGEST_NAME: Final = 80
# A single first word stands for the whole name only where the document itself uses it so.
_FEWEST_USES: Final = 3
_MONTHS_AFTER_YEAR_END: Final = 2


def document_facts(text: str, title: str, day: str = "") -> Facts:
    """Return what a document says of itself; ``day`` is what its format's own field gives, or "".

    ``text`` and ``title`` are as they may be shown. Nothing of it depends on anything else.
    """
    head = text[:_HEAD]
    kinds = set(_kinds(head, title))
    years, quarters = _periods(text, head, title, kinds)
    filed = kinds & {*FORMS, *FORMS.values(), "earnings-release"}
    return Facts(
        kinds=frozenset(kinds),
        organisations=frozenset(_organisations(text, head, title)) if filed else frozenset(),
        years=frozenset(years) if filed else frozenset(),
        quarters=frozenset(quarters) if filed else frozenset(),
        dates=frozenset({day} if day else _own_dates(head)),
    )


def _kinds(head: str, title: str) -> Iterator[str]:
    flat = " ".join(head.split())
    form = _FORM.search(flat[:1500]) or _FORM_IN_TITLE.search(title)
    if form:
        word = form[1].lower().replace(" ", "")
        name = word if "-" in word else f"{word[:-1]}-{word[-1]}"
        yield name
        yield FORMS[name]
    told = _RELEASE.search(flat[:2000]) or re.search(r"\bearnings\b", title, re.I)
    if told and (not form or FORMS[name] == "current-report"):
        yield "earnings-release"
    lines = [line.strip(" :#*-").lower() for line in head[:1500].splitlines()[:25]]
    named = re.sub(r"\.\w{1,5}$", "", title).lower()
    for kind, pattern in _KINDS.items():
        whole = re.compile(pattern)
        if any(whole.fullmatch(line) for line in lines) or re.search(rf"\b(?:{pattern})\b", named):
            yield kind


def _organisations(text: str, head: str, title: str) -> Iterator[str]:
    """Yield every name by which the document's own company may be asked for."""
    flat = " ".join(head.split()).replace("_", " ")
    names = {name for name in _cover_names(flat, head) if name_words(name)}
    if not names and (signed := Counter(_SUBSIDIARIES.findall(text))):
        # A cover may show its name as a picture; statements are headed by it.
        names = {signed.most_common(1)[0][0]}
    names.add(_title_name(title))
    for name in names:
        if _HIDDEN.search(name) or len(name) > _LONGEST_NAME:
            continue
        yield from _called(name, text)
    for symbol in (*(m[2] for m in _LISTED.finditer(flat)), *_TRADED.findall(flat)):
        if len(symbol) > 1:
            yield SYMBOL + symbol.lower()


def _cover_names(flat: str, head: str) -> Iterator[str]:
    if found := _CHARTER.search(flat):
        # Above the name stands the file's number, or on a current report a date.
        numbers = list(_NUMBER.finditer(found[1]))
        yield found[1][numbers[-1].end() if numbers else 0 :].strip(" .:-")
    elif number := _FILE_NUMBER.search(flat):
        rest = head[head.find(number[0].split()[-1]) :].split("\n")
        yield next((line.strip() for line in rest[1:] if line.strip()), "")
    elif found := _HEADLINE.search(head[:1500]):
        yield found[1]
    for listed in _LISTED.finditer(flat):
        # A sentence may run up to the name: what counts is the last run of capitalised words.
        words = listed[1].split()
        at = len(words)
        while at and (words[at - 1][:1].isupper() or words[at - 1] in {"&", "and", "of"}):
            at -= 1
        yield " ".join(words[at:])


def _title_name(title: str) -> str:
    """Return what stands in a title before its year or form."""
    named = re.sub(r"\.\w{1,5}$", "", title)
    marks = [m.start() for m in (_IN_TITLE.search(named), _FORM_IN_TITLE.search(named)) if m]
    return named[: min(marks)].strip(" -_,") if marks else ""


def _called(name: str, text: str) -> Iterator[str]:
    """Yield the keys of a name, of its beginning, and of its initials."""
    words = name_words(name)
    if not words:
        return
    yield "".join(words)
    for count in range(2, len(words)):
        if words[:count] != ["united", "states"]:
            yield "".join(words[:count])
    first = words[0]
    if len(words) > 1 and first not in words[1:] and _stands_alone(first, text):
        yield first
    letters = [word[0] for word in words]
    if len(letters) > 2:
        yield SYMBOL + "".join(letters)
    if len(letters) > 1 and ("&" in name or " and " in name.lower()):
        yield from (SYMBOL + joint.join(letters) for joint in ("", "n", "&"))
    if 2 <= len(first) <= 5 and name.split(maxsplit=1)[0].isupper() and not _is_a_word(first, text):
        yield SYMBOL + first


def _stands_alone(word: str, text: str) -> bool:
    """Return whether the document calls its company by this word alone, and uses it for no other.

    "Costco's warehouses" does; "General" and "American" stand for a company's name in no report.
    """
    own = re.findall(rf"\b{re.escape(word)}[’']s\b", text, re.I)
    plain = len(re.findall(rf"\b{re.escape(word)}\b", text))
    return len(own) >= _FEWEST_USES and plain < len(own)


def _is_a_word(word: str, text: str) -> bool:
    return len(re.findall(rf"\b{re.escape(word)}\b", text)) >= _FEWEST_USES


def _periods(text: str, head: str, title: str, kinds: set[str]) -> tuple[set[str], set[str]]:
    """Return the fiscal years and quarters that the document reports."""
    flat = " ".join(head.split())
    years: set[str] = set()
    quarters: set[str] = set()
    for found in _IN_TITLE.finditer(title):
        years.add(found[1])
        if found[2]:
            quarters.add(f"{found[1]}-q{found[2]}")
    ended = next((iso for found in _PERIOD.finditer(flat) if (iso := _iso(found[1]))), "")
    if "earnings-release" in kinds and (headline := _HEADLINE_YEAR.search(flat[:2000])):
        own = {next(filter(None, headline.groups()))}
        quarter = _quarter_word(flat)
    elif "10-q" in kinds and ended:
        quarter = _months_quarter(text)
        own = _years_of_quarter(ended, quarter)
    elif ended:
        quarter = 0
        own = _years_of(ended, Counter(_FISCAL.findall(text)))
    else:
        quarter, own = 0, {day[:4] for day in _own_dates(head)} if "8-k" in kinds else set()
    if quarter:
        quarters |= {f"{year}-q{quarter}" for year in own}
    return years | own, quarters


def _years_of(ended: str, spoken: Counter[str]) -> set[str]:
    """Return the fiscal year that ends on a day, as the document itself counts it.

    Some call the year that ends in January by the year in which it began.
    """
    year, before = ended[:4], str(int(ended[:4]) - 1)
    early = int(ended[5:7]) <= _MONTHS_AFTER_YEAR_END
    return {year, before} if early and spoken[before] > spoken[year] else {year}


def _years_of_quarter(ended: str, quarter: int) -> set[str]:
    """Return the fiscal years to which a quarter that ends on a day may belong."""
    year, last = int(ended[:4]), int(ended[5:7]) + 3 * (4 - (quarter or 4))
    if last <= 12:
        return {str(year)}
    # A year that ends in January is called by either year.
    return {str(year + 1), str(year)} if last - 12 <= _MONTHS_AFTER_YEAR_END else {str(year + 1)}


def _quarter_word(flat: str) -> int:
    found = _QUARTER_WORD.search(flat[:1500])
    if found is None:
        return 0
    return _QUARTER_OF.get((found[1] or "").lower(), 0) or int(found[2] or found[3] or 0)


def _months_quarter(text: str) -> int:
    """Return the quarter of an interim report: the longest span that it reports says it."""
    spans = {span.lower() for span in _MONTHS_ENDED.findall(text)}
    return max((_QUARTER_OF.get(span, 1) for span in spans), default=0)


def _own_dates(head: str) -> Iterator[str]:
    flat = " ".join(head[:3000].split())
    for pattern, where in ((_PERIOD, flat), (_OWN_DATE, flat), (_DATELINE, head[:1500])):
        for found in pattern.finditer(where):
            if iso := _iso(found[1]):
                yield iso
                break


def _iso(day: str) -> str:
    """Return a day in ISO form, or "" for what is none."""
    words = day.lower().replace(",", " ").replace(".", " ").split()
    try:
        if len(words) == 3:
            month = next(n for n, name in enumerate(_MONTH, 1) if name[:3] == words[0][:3])
            return date(int(words[2]), month, int(words[1])).isoformat()
        if "/" in day:
            month, number, year = map(int, day.split("/"))
            return date(year, month, number).isoformat()
        return date.fromisoformat(day).isoformat()
    except (ValueError, StopIteration):
        return ""


_STATEMENT: Final = {
    part: re.compile(
        r"(?:[a-z&.,’' ]{0,60}?\b)?(?:(?:condensed|consolidated|unaudited|interim)\W+){0,3}"
        rf"(?:{pattern})"
        r"(?:\W+(?:\(?(?:unaudited|continued|loss|parenthetical|in [a-z ,]+|dollars[a-z ,]*)\)?))"
        r"{0,3}"
        r"(?: [-–—] .{0,40})?"
        r"(?: .{0,60}\b(?:compan(?:y|ies)|corporation|inc|subsidiar(?:y|ies))\b.{0,60})?",
        re.I,
    )
    for part, pattern in PARTS.items()
}
_TITLE_LINES: Final = 12
_ABOVE: Final = 600
_LONGEST_TITLE: Final = 140
_FEWEST_FIGURES: Final = 12
_FIGURE: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")


def part_of(table: str, before: str = "") -> str:
    """Return which statement a table is, by the lines at its head, or "".

    ``before`` is what stands above it on its page.
    """
    if len(_FIGURE.findall(table)) < _FEWEST_FIGURES:
        return ""
    return _titled(before + "\n" + table)


def _titled(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    head = [line for line in lines if line][:_TITLE_LINES]
    # A title may run over several lines, one word on each in the worst of files.
    joined = (" ".join(head[at:end]) for at in range(4) for end in range(at + 2, at + 6))
    for line in (*head, *joined):
        for part, pattern in _STATEMENT.items():
            if len(line) <= _LONGEST_TITLE and pattern.fullmatch(line.strip(" .:_")):
                return part
    return ""


def of_part(facts: Facts, text: str, piece: Piece, pages: Sequence[int], *, first: bool) -> Facts:
    """Return a document's facts for a piece of its text; ``pages`` begin at these offsets.

    The ``first`` piece stands for its document where it is asked whose that is.
    """
    parts = {COVER} if first and facts.organisations else set()
    if piece.table and facts.organisations:
        if piece.caption:
            # The rest of a table is what its beginning is, however little is left.
            part = _titled(text[slice(*piece.caption)])
        else:
            page = pages[bisect_right(pages, piece.start) - 1] if pages else 0
            above = text[max(page, piece.start - _ABOVE) : piece.start]
            part = part_of(text[piece.start : piece.end], above)
        parts |= {part} if part else set()
    return replace(facts, parts=frozenset(parts)) if parts else facts
