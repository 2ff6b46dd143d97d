"""HTML: what a reader would see, in reading order."""

import re
from collections.abc import Iterator
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

_DROPPED: Final = frozenset(
    "applet audio base canvas embed iframe link meta noscript object script style template title "
    "video".split()
)
_BLOCKS: Final = frozenset(
    "address article aside blockquote body br caption center dd details dialog dir div dl dt "
    "fieldset figcaption figure footer form header hr html li main menu nav ol optgroup option p "
    "pre search section select summary table tbody tfoot thead tr ul".split()
)
_INLINE_IN_CELLS: Final = frozenset("p div br center address".split())
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_CELLS: Final = frozenset({"td", "th"})
# Text that a reader cannot see is where instructions to a model are hidden.
_HIDDEN_STYLE: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?![.\d]*[1-9])"
    r"|opacity\s*:\s*0(?![.\d]*[1-9])|mso-hide\s*:\s*all",
    re.IGNORECASE,
)
_META_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=", re.IGNORECASE)


def parse_html(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return the visible text: title, headings, one line for each paragraph, item and table row.

    Scripts, styles, comments and hidden elements are left out. Raises ``ParseError``
    (``malformed``, ``no_text``, ``resource_limit``).
    """
    try:
        tree = _tree(data)
    except (SelectolaxError, ValueError) as error:
        raise ParseError("malformed", "the HTML cannot be read") from error
    builder = TextBuilder(max_chars=max_chars)
    title = tree.css_first("title")
    if title is not None and not _inside_svg(title):
        builder.heading(title.text(), 1)
    if tree.root is not None:
        _Writer(builder).walk(tree.root)
    return builder.finish(Kind.HTML.value)


def _tree(data: bytes) -> LexborHTMLParser:
    """Parse bytes whose encoding is declared, found, or guessed, in this order."""
    if _META_CHARSET.search(data[:4096]) or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return LexborHTMLParser(data, encoding=True)
    text, _ = decode(data)
    return LexborHTMLParser(text.encode("utf-8", "replace"))


def _inside_svg(node: LexborNode) -> bool:
    parent = node.parent
    return parent is not None and parent.tag == "svg"


class _Writer:
    """Walks the tree without recursion: hostile pages nest deeper than any stack."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._line: list[str] = []
        self._level = 0
        self._pre = 0
        self._cells = 0

    def walk(self, root: LexborNode) -> None:
        """Write everything that is visible below the root."""
        for node, entering in _events(root):
            tag = node.tag
            if node.is_text_node:
                self._line.append(node.text_content or "")
            elif tag in _HEADINGS:
                self._flush()
                self._level = _HEADINGS[tag] if entering else 0
            elif tag in _CELLS:
                self._cell(entering=entering)
            elif tag in _BLOCKS:
                self._block(tag, entering=entering)
        self._flush()

    def _cell(self, *, entering: bool) -> None:
        self._cells += 1 if entering else -1
        if entering and "".join(self._line).strip():
            self._line.append(" | ")

    def _block(self, tag: str, *, entering: bool) -> None:
        if self._cells and tag in _INLINE_IN_CELLS:
            # A paragraph inside a table cell stays on its row's line.
            self._line.append(" ")
            return
        self._flush()
        if tag == "pre":
            self._pre += 1 if entering else -1
        if tag == "li" and entering:
            self._line.append("- ")

    def _flush(self) -> None:
        raw = "".join(self._line)
        self._line.clear()
        if raw.strip() in {"", "-"}:
            return
        if self._level:
            self._builder.heading(raw, self._level)
        elif self._pre:
            self._builder.add(raw)
        else:
            self._builder.add_clean(" ".join(clean(raw).split()))


def _events(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Yield each node when it is entered and again when it is left, hidden ones never."""
    node: LexborNode | None = root
    depth = 0
    while node is not None:
        visible = node.is_text_node or _is_visible(node)
        if visible:
            yield node, True
        child = node.first_child if visible and not node.is_text_node else None
        if child is not None:
            node, depth = child, depth + 1
            continue
        if visible and not node.is_text_node:
            yield node, False
        while node is not None and depth and node.next is None:
            node, depth = node.parent, depth - 1
            if node is not None:
                yield node, False
        node = node.next if node is not None and depth else None


def _is_visible(node: LexborNode) -> bool:
    if node.tag in _DROPPED or not node.is_element_node:
        return node.is_document_node
    attributes = node.attributes
    if "hidden" in attributes:
        return False
    if node.tag == "input":
        return False
    style = attributes.get("style")
    return not (style and _HIDDEN_STYLE.search(style))
