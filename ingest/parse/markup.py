"""XML without a format of its own: the text of each element after the element's name."""

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ragplatform.errors import ParseError

_ENTITY: Final = re.compile(rb"<!\s*ENTITY(?![^>]{0,2000}\bNDATA\b)", re.IGNORECASE)
_DOCTYPE: Final = re.compile(rb"<!\s*DOCTYPE", re.IGNORECASE)
_MAX_DEPTH: Final = 250
_XML: Final = "{http://www.w3.org/XML/1998/namespace}"
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
# Short names of parts inside a sentence: an element with text around it is read as prose.
_SPACE: Final = re.compile(r"\s+")


def parse_xml(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return a line ``name (attribute: value): text`` for each element that holds text itself;
    elements mixed with words are read as one paragraph.

    No entity is expanded, no DTD or schema fetched. Raises ``ParseError``: ``active_content`` for
    entities of its own, ``malformed``, ``no_text``, ``resource_limit``.
    """
    if _declares_entities(data):
        raise ParseError("active_content", "the XML declares entities of its own")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True,
        remove_comments=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error).lower() or "huge" in str(error).lower():
            raise ParseError("resource_limit", "the XML is nested too deeply or too big") from None
        raise ParseError("malformed", f"the XML is damaged at line {error.lineno}") from None
    except ValueError as error:
        raise ParseError("malformed", "the XML names an encoding that it is not in") from error
    builder = TextBuilder(max_chars=max_chars)
    for line in _lines(root):
        builder.add_clean(line)
    return builder.finish(Kind.XML.value)


def _declares_entities(data: bytes) -> bool:
    """Return whether the document type declares an entity, in whatever encoding it is written."""
    # Without its zero bytes, UTF-16 and UTF-32 markup reads as ASCII.
    head = data.replace(b"\0", b"") if b"\0" in data[:64] else data
    found = _DOCTYPE.search(head)
    return found is not None and _ENTITY.search(head, found.start()) is not None


def _lines(root: etree._Element) -> Iterator[str]:
    waiting: list[tuple[etree._Element, int]] = [(root, 0)]
    while waiting:
        element, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ParseError("resource_limit", f"nested deeper than {_MAX_DEPTH}")
        if not isinstance(element.tag, str):
            continue
        if _has_words(element):
            text = _fold("".join(_prose(element)))
            yield _labelled(element, text)
        else:
            if described := _attributes(element):
                yield f"{_name(element.tag)} ({described})"
            waiting.extend((child, depth + 1) for child in reversed(element))


def _has_words(element: etree._Element) -> bool:
    """Return whether words stand directly in the element, beside its children or without any."""
    if element.text and element.text.strip():
        return True
    return any(child.tail and child.tail.strip() for child in element)


def _prose(element: etree._Element) -> Iterator[str]:
    for part in element.itertext():
        yield part if isinstance(part, str) else ""


def _labelled(element: etree._Element, text: str) -> str:
    described = _attributes(element)
    name = f"{_name(element.tag)} ({described})" if described else _name(element.tag)
    return f"{name}: {text}" if text else ""


def _attributes(element: etree._Element) -> str:
    shown = [
        f"{_name(key)}: {_fold(value)}"
        for key, value in element.attrib.items()
        if value.strip() and not key.startswith((_XML, _XSI))
    ]
    return "; ".join(shown)


def _name(tag: str) -> str:
    return clean(etree.QName(tag).localname)


def _fold(text: str) -> str:
    return _SPACE.sub(" ", clean(text)).strip()
