"""XBRL facts as rows: concept, period, unit and value, from instances and from inline XBRL."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ingest.parse.document import Claims, Heading, ParsedDocument, TextBuilder, clean
from ingest.parse.embedded import visible_text
from ingest.parse.kind import Kind
from ingest.parse.safe_xml import Element, children, find, find_all, local, read_xml, text_at
from ragplatform.errors import ParseError

_NO_FACTS: Final = frozenset({"context", "unit", "schemaRef", "linkbaseRef", "footnoteLink"})
_WORDS: Final = re.compile("[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|[0-9]+")
# A text block stands in the visible document already; a name or a date is a fact of its own.
_SHORT: Final = 200
# What cannot be seen is where instructions to a model are hidden: only the document's own data.
_HIDDEN: Final = "dei:"
_HIDDEN_LENGTH: Final = 80
_MAX_SCALE: Final = 15


@dataclass(frozen=True, slots=True)
class _Context:
    """When a fact holds, and of which member of which dimension."""

    period: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fact:
    concept: str
    context: _Context
    value: str = field(repr=False)
    unit: str

    def row(self) -> str:
        """Return the fact as one line."""
        when = (self.context.period, *self.context.members)
        about = ", ".join(filter(None, (f"{_spelled(self.concept)} ({self.concept})", *when)))
        return f"{about}: {self.value} {self.unit}".rstrip()


def parse_xbrl(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the facts of an instance, each on a line; text blocks as the text they hold.

    Raises ``ParseError``: ``active_content`` for a document type, ``malformed``, ``no_text``,
    ``resource_limit``.
    """
    root = read_xml(data)
    facts = list(_instance_facts(root))
    builder = TextBuilder(max_chars=max_chars)
    builder.heading("XBRL facts", 1)
    rows = [fact for fact in facts if len(fact.value) <= _SHORT and "<" not in fact.value]
    for row in dict.fromkeys(fact.row() for fact in rows):
        builder.add(row)
    for fact in facts:
        if len(fact.value) > _SHORT or "<" in fact.value:
            builder.heading(_spelled(fact.concept), 2)
            builder.add(visible_text(fact.value) if "<" in fact.value else fact.value)
    if not facts:
        raise ParseError("no_text", "the XBRL instance holds no fact")
    builder.claim(_claims(facts))
    return builder.finish(Kind.XBRL.value)


def is_inline(data: bytes) -> bool:
    """Return whether an HTML file holds inline XBRL."""
    return b"<ix:" in data and b"inlineXBRL" in data[: 1 << 16]


def with_facts(document: ParsedDocument, data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return an HTML document with the facts of its inline XBRL as a section at its end."""
    tree = LexborHTMLParser(data)
    facts = list(_inline_facts(tree)) if tree.root is not None else []
    if not facts:
        return document
    builder = TextBuilder(max_chars=max(max_chars - len(document.text), 0))
    builder.heading("XBRL facts", 1)
    for row in dict.fromkeys(fact.row() for fact in facts):
        builder.add(row)
    builder.claim(_claims(facts))
    more = builder.finish(Kind.HTML.value)
    base = len(document.text) + 2
    headings = (Heading(base + h.offset, h.level, h.title) for h in more.headings)
    return replace(
        document,
        text=f"{document.text}\n\n{more.text}",
        headings=(*document.headings, *headings),
        claims=more.claims,
    )


def _instance_facts(root: Element) -> Iterator[_Fact]:
    contexts = {one.get("id"): _context(one) for one in children(root, "context")}
    units = {one.get("id"): _unit(one) for one in children(root, "unit")}
    prefixes = {uri: prefix for prefix, uri in root.nsmap.items() if prefix}
    for element in root:
        context = contexts.get(element.get("contextRef"))
        text = (element.text or "").strip()
        if local(element) in _NO_FACTS or context is None or not text or len(element):
            continue
        space = element.tag.rpartition("}")[0].removeprefix("{")
        concept = f"{prefixes.get(space, 'x')}:{local(element)}"
        flat = text if "<" in text else " ".join(clean(text).split())
        yield _Fact(concept, context, flat, units.get(element.get("unitRef"), ""))


def _context(element: Element) -> _Context:
    period = find(element, "period")
    instant = text_at(period, "instant")
    start, end = text_at(period, "startDate"), text_at(period, "endDate")
    members = [
        _member(one)
        for path in ("entity/segment", "scenario")
        for holder in find_all(element, path)
        for one in holder
    ]
    return _Context(_period(instant, start, end), tuple(filter(None, members)))


def _period(instant: str, start: str, end: str) -> str:
    if instant:
        return f"as of {instant}"
    return f"{start} to {end}" if start and end else ""


def _member(element: Element) -> str:
    text = clean((element.text or "").strip())
    return _spelled(text.removesuffix("Member")).lower() if text else ""


def _unit(element: Element) -> str:
    measures = [one.rpartition(":")[2] for one in _measures(element)]
    return "/".join(measure for measure in measures if measure != "pure")


def _measures(element: Element) -> Iterator[str]:
    for one in element.iter("{*}measure"):
        yield clean((one.text or "").strip())


def _inline_facts(tree: LexborHTMLParser) -> Iterator[_Fact]:
    """Yield the facts of inline XBRL in order. Source: Inline XBRL 1.1, 9 to 11."""
    contexts: dict[str, _Context] = {}
    units: dict[str, str] = {}
    found: list[tuple[LexborNode, bool]] = []
    hidden_at = 0
    assert tree.root is not None  # noqa: S101  # the caller has looked
    for node in tree.root.traverse():
        tag = node.tag or ""
        kind = tag.rpartition(":")[2]
        if kind == "context":
            contexts[_attribute(node, "id")] = _html_context(node)
        elif kind == "unit":
            units[_attribute(node, "id")] = _html_unit(node)
        elif tag == "ix:hidden":
            hidden_at += 1
        elif tag in {"ix:nonfraction", "ix:nonnumeric"}:
            found.append((node, _inside(node, "ix:hidden") if hidden_at else False))
    for node, hidden in found:
        if fact := _inline_fact(node, contexts, units, hidden=hidden):
            yield fact


def _inline_fact(
    node: LexborNode, contexts: Mapping[str, _Context], units: Mapping[str, str], *, hidden: bool
) -> _Fact | None:
    concept = clean(_attribute(node, "name"))
    context = contexts.get(_attribute(node, "contextref"))
    value = " ".join(clean(node.text(deep=True)).split())
    if context is None or not concept or not value or len(value) > _SHORT:
        return None
    if hidden and not (concept.startswith(_HIDDEN) and len(value) <= _HIDDEN_LENGTH):
        return None
    if node.tag == "ix:nonfraction":
        value = _number(value, node)
    return _Fact(concept, context, value, units.get(_attribute(node, "unitref"), ""))


def _number(text: str, node: LexborNode) -> str:
    """Return the number that is meant: scaled and with its sign; other text as it stands."""
    style = _attribute(node, "format")
    plain = text.replace(" ", "")
    if "commadecimal" in style or "comma-decimal" in style:
        plain = plain.replace(".", "").replace(",", ".")
    else:
        plain = plain.replace(",", "")
    if "zero" in style or plain in {"—", "-", "–"}:
        plain = "0"
    try:
        scale = min(int(_attribute(node, "scale") or "0"), _MAX_SCALE)
        number = Decimal(plain).scaleb(max(scale, -_MAX_SCALE))
    except (InvalidOperation, ValueError):
        return text
    sign = "-" if _attribute(node, "sign") == "-" else ""
    return f"{sign}{number:f}" if number.is_finite() else text


def _inside(node: LexborNode, tag: str) -> bool:
    above = node.parent
    while above is not None:
        if above.tag == tag:
            return True
        above = above.parent
    return False


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def _html_context(node: LexborNode) -> _Context:
    values = {"instant": "", "startdate": "", "enddate": ""}
    members = []
    for inner in node.traverse():
        kind = (inner.tag or "").rpartition(":")[2]
        if kind in values:
            values[kind] = clean(inner.text(deep=True).strip())
        elif kind in {"explicitmember", "typedmember"}:
            text = clean(inner.text(deep=True).strip())[:_SHORT]
            members.append(_spelled(text.removesuffix("Member")).lower())
    period = _period(values["instant"], values["startdate"], values["enddate"])
    return _Context(period, tuple(filter(None, members)))


def _html_unit(node: LexborNode) -> str:
    measures = [
        clean(one.text(deep=True).strip()).rpartition(":")[2]
        for one in node.traverse()
        if (one.tag or "").rpartition(":")[2] == "measure"
    ]
    return "/".join(measure for measure in measures if measure != "pure")


def _spelled(concept: str) -> str:
    """Return ``us-gaap:AssetsCurrent`` as ``Assets current``."""
    words = [w if w.isupper() else w.lower() for w in _WORDS.findall(concept.rpartition(":")[2])]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def _claims(facts: list[_Fact]) -> Claims:
    said = {fact.concept: fact.value for fact in reversed(facts)}
    return Claims(
        date=said.get("dei:DocumentPeriodEndDate", ""),
        author=said.get("dei:EntityRegistrantName", ""),
        type=said.get("dei:DocumentType", "XBRL"),
    )
