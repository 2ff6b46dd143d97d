"""XML from strangers: no document type, no entity, nothing fetched, bounded depth and size."""

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from lxml import etree

from ingest.parse.document import clean
from ragplatform.errors import ParseError

# lxml has no types of its own for elements.
Element: TypeAlias = Any

# None of the formats here has a DTD: one is an attack. In UTF-16 it would hide from this search,
# but the parser loads no DTD and resolves no entity either.
_DOCTYPE: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def read_xml(data: bytes) -> Element:
    """Return the root element. Raises ``ParseError``: ``active_content`` for a document type,

    ``malformed``, ``resource_limit`` for what is nested or sized beyond all use.
    """
    if _DOCTYPE.search(data[: 1 << 16]):
        raise ParseError("active_content", "the XML declares a document type, which may hold code")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        # The library's message may quote the text: only its kind is passed on.
        if "depth" in str(error) or "huge" in str(error).lower():
            raise ParseError(
                "resource_limit", "the XML is nested too deeply or too large"
            ) from None
        raise ParseError("malformed", f"no sound XML at line {error.lineno}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ParseError("active_content", "the XML declares a document type, which may hold code")
    return root


def local(element: Element) -> str:
    """Return an element's name without its namespace, ``""`` for an entity or the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: Element | None, *names: str) -> Iterator[Element]:
    """Yield the children of these names, in whatever namespace."""
    for child in element if element is not None else ():
        if local(child) in names:
            yield child


def find(element: Element | None, path: str) -> Element | None:
    """Return the first element along a path of names, in whatever namespaces, or None."""
    for name in path.split("/"):
        element = next(children(element, name), None)
        if element is None:
            return None
    return element


def find_all(element: Element | None, path: str) -> list[Element]:
    """Return all elements along a path of names, in whatever namespaces."""
    found = [element]
    for name in path.split("/"):
        found = [child for parent in found for child in children(parent, name)]
    return found


def text_of(element: Element | None) -> str:
    """Return all text below an element on one line, cleaned."""
    if element is None:
        return ""
    return " ".join(clean(" ".join(element.itertext())).split())


def text_at(element: Element | None, path: str) -> str:
    """Return the text of the first element along a path, ``""`` where there is none."""
    return text_of(find(element, path))
