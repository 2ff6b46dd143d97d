"""ISO 20022 messages: statements (camt.052, 053, 054) and payments (pacs.002, 004, 008)."""

from collections.abc import Iterator
from typing import Final
from xml.parsers import expat

from ingest.parse.document import Claims, ParsedDocument, Part, SubjectId, TextBuilder, clean
from ingest.parse.iso20022_words import spelled
from ingest.parse.kind import Kind
from ingest.parse.safe_xml import Element, children, find, find_all, local, read_xml, text_at
from ragplatform.errors import ParseError

# Each is about accounts of its own, so a file is cut before each.
_RECORDS: Final = ("Stmt", "Rpt", "Ntfctn", "CdtTrfTxInf", "TxInf", "TxInfAndSts")
# Each is a line of its own.
_LINES: Final = frozenset(
    {"GrpHdr", "Bal", "Ntry", "TxDtls", "TxsSummry", "OrgnlGrpInf", "OrgnlGrpInfAndSts"}
    | {"Acct", *_RECORDS}
)
# What stands between a name and its value and says nothing itself.
_WRAPPERS: Final = frozenset(
    "Id Tp CdOrPrtry Othr FinInstnId NtryDtls RltdPties RltdAgts RmtInf Pty PrvtId OrgId Refs "
    "AmtDtls Dt Fr To".split()
)
_MAX_DEPTH: Final = 40
_ACCOUNTS: Final = ("Acct", "DbtrAcct", "CdtrAcct", "OrgnlTxRef/DbtrAcct", "OrgnlTxRef/CdtrAcct")


def parse_iso20022(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return each statement or payment as a section, each booking as one line.

    The accounts are the claimed subjects. Raises ``ParseError``: ``active_content`` for a document
    type, ``malformed``, ``no_text``, ``resource_limit``.
    """
    root = read_xml(data)
    message = next((child for child in root), None)
    if message is None:
        raise ParseError("malformed", "the message is empty")
    builder = TextBuilder(max_chars=max_chars)
    kind = root.nsmap.get(root.prefix) or ""
    kind = kind.rpartition(":")[2]
    builder.heading(f"{spelled(local(message))} ({kind})", 1)
    for element in message:
        _write(element, builder, 0)
    builder.claim(_claims(message, kind))
    return builder.finish(Kind.ISO20022.value)


def split_iso20022(data: bytes) -> tuple[Part, ...]:
    """Return one part for each set of accounts that the records of a file are about."""
    records = _records(read_xml(data))
    owners = [" and ".join(one.value for one in _accounts(record)) for record in records]
    if len(set(owners)) < 2:
        return ()
    places = _places(data)
    if len(places) != len(records):
        return ()
    mine: dict[str, list[tuple[int, int]]] = {}
    for owner, place in zip(owners, places, strict=True):
        mine.setdefault(owner or "no-account", []).append(place)
    head, tail = (0, places[0][0]), (places[-1][1], len(data))
    return tuple(Part(owner, (head, *ranges, tail)) for owner, ranges in mine.items())


def _records(root: Element) -> list[Element]:
    return [child for message in root for child in children(message, *_RECORDS)]


def _places(data: bytes) -> list[tuple[int, int]]:
    """Return at which bytes the records stand. The caller has found the XML sound and plain."""
    found: list[tuple[int, int]] = []
    open_at: list[int] = []
    depth = 0
    parser = expat.ParserCreate()

    def started(name: str, _: object) -> None:
        nonlocal depth
        depth += 1
        if depth == 3 and name.rpartition(":")[2] in _RECORDS:
            open_at.append(parser.CurrentByteIndex)

    def ended(name: str) -> None:
        nonlocal depth
        if depth == 3 and name.rpartition(":")[2] in _RECORDS:
            found.append((open_at.pop(), data.index(b">", parser.CurrentByteIndex) + 1))
        depth -= 1

    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, IndexError):
        return []
    return found


def _write(element: Element, builder: TextBuilder, depth: int) -> None:
    name = local(element)
    if depth > _MAX_DEPTH:
        raise ParseError("resource_limit", "the message is nested too deeply")
    if name in _RECORDS:
        builder.heading(spelled(name), 2)
    pairs = [pair for child in element for pair in _pairs(child, ())]
    line = "; ".join(f"{label}: {value}" for label, value in pairs)
    label = "" if name in _RECORDS else f"{spelled(name)}: "
    if not len(element) and (text := _value(element)):
        line = text
    builder.add(f"{label}{line}" if line else "")
    for inner in _lines_below(element):
        _write(inner, builder, depth + 1)


def _lines_below(element: Element) -> Iterator[Element]:
    for child in element:
        if local(child) in _LINES:
            yield child
        else:
            yield from _lines_below(child)


def _pairs(element: Element, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield a label and a value for each leaf that belongs to the present line."""
    name = local(element)
    if not name or name in _LINES:
        return
    if not len(element):
        # "Id" names nothing where something above it does: an account's own id.
        names = [*path, *(() if name in _WRAPPERS and path else (name,))]
        if value := _value(element):
            yield _label(names), value
        return
    inner = path if name in _WRAPPERS else (*path, name)
    for child in element:
        yield from _pairs(child, inner)


def _label(names: list[str]) -> str:
    words = " ".join(spelled(name) for name in names).split()
    text = " ".join(word if word.isupper() else word.lower() for word in words)
    return text[:1].upper() + text[1:]


def _value(element: Element) -> str:
    text = " ".join(clean(element.text or "").split())
    currency = element.get("Ccy")
    return f"{text} {clean(currency)}" if currency and text else text


def _accounts(record: Element) -> list[SubjectId]:
    """Return the accounts that a record is about, each once."""
    found = []
    for path in _ACCOUNTS:
        for account in find_all(record, path):
            other = text_at(account, "Id/Othr/Id")
            if number := text_at(account, "Id/IBAN") or other:
                found.append(SubjectId("account", "".join(number.split())))
    return list(dict.fromkeys(found))


def _claims(message: Element, kind: str) -> Claims:
    records = list(children(message, *_RECORDS))
    people = dict.fromkeys(account for record in records for account in _accounts(record))
    created = text_at(find(message, "GrpHdr"), "CreDtTm")[:10]
    return Claims(subjects=tuple((one,) for one in people), date=created, type=kind)
