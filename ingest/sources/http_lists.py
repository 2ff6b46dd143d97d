"""The lists by which a web server names its documents: index pages, sitemaps, manifests, lines."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from ingest.parse.safe_xml import children, local, read_xml
from ragplatform.errors import ParseError, SourceError

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MOST: Final = 5_000_000
# What a manifest may say for us; the rest of its texts become facts.
_OWN: Final = frozenset({"path", "url", "etag", "sha256", "size", "modified"})


class Format(StrEnum):
    """How a list is written."""

    INDEX = "index"
    SITEMAP = "sitemap"
    MANIFEST = "manifest"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Listed:
    """A document of a list. ``version`` is ``""`` where the list gives none that can be checked."""

    url: str = field(repr=False)
    version: str = ""
    size: int | None = None
    modified: str = ""
    facts: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def listed_in(page: bytes, url: str, form: Format) -> tuple[list[Listed], list[str]]:
    """Return the documents that a page names, and the pages with more of them.

    Raises ``SourceError`` for a page that is not of the format: it names nothing, and what is not
    named would be taken for gone.
    """
    if form is Format.INDEX:
        return _index(page, url)
    if form is Format.SITEMAP:
        return _sitemap(page, url)
    if form is Format.MANIFEST:
        return list(_manifest(page, url)), []
    return [Listed(_absolute(url, line)) for line in _lines(page)], []


def _index(page: bytes, url: str) -> tuple[list[Listed], list[str]]:
    tree = LexborHTMLParser(page)
    links = [node.attributes.get("href") or "" for node in tree.css("a[href]")]
    if not links and not tree.css_first("pre, table, ul, h1, title"):
        raise SourceError("the server's index page is none: see `listing`")
    documents: list[Listed] = []
    pages: list[str] = []
    for link in links:
        whole = _absolute(url, link.partition("#")[0])
        # Links that sort the page have a query, those to the folder above end in a slash too, but
        # lie outside the place or were seen.
        if "?" in whole:
            continue
        if whole.endswith("/"):
            pages.append(whole)
        else:
            documents.append(Listed(whole))
    return documents, pages


def _sitemap(page: bytes, url: str) -> tuple[list[Listed], list[str]]:
    try:
        root = read_xml(page)
    except ParseError:
        raise SourceError("the server's sitemap is no sound XML") from None
    kind = local(root)
    if kind not in {"urlset", "sitemapindex"}:
        raise SourceError("the server's sitemap is none")
    found: list[tuple[str, str]] = []
    for entry in children(root, "url", "sitemap"):
        address = "".join((one.text or "").strip() for one in children(entry, "loc"))
        changed = "".join((one.text or "").strip() for one in children(entry, "lastmod"))
        found.append((_absolute(url, address), changed))
    if kind == "sitemapindex":
        return [], [address for address, _ in found]
    return [Listed(address, modified=changed) for address, changed in found], []


def _manifest(page: bytes, url: str) -> Iterator[Listed]:
    try:
        value = json.loads(page)
    except (ValueError, RecursionError):
        raise SourceError("the server's manifest is no JSON") from None
    files = value.get("files") if isinstance(value, dict) else value
    if not isinstance(files, list) or len(files) > _MOST:
        raise SourceError('the server\'s manifest is no list, and has none under "files"')
    for one in files:
        entry = {"path": one} if isinstance(one, str) else one
        if not isinstance(entry, dict):
            raise SourceError("the server's manifest names something that is no document")
        yield _entry(entry, url)


def _entry(entry: dict[str, object], url: str) -> Listed:
    address = entry.get("path") or entry.get("url")
    if not isinstance(address, str):
        raise SourceError("the server's manifest names a document without path or url")
    version = ""
    etag, sha256, size = entry.get("etag"), entry.get("sha256"), entry.get("size")
    if isinstance(sha256, str) and _SHA256.fullmatch(sha256.lower()):
        version = f"sha256:{sha256.lower()}"
    elif isinstance(etag, str) and etag:
        version = etag if etag.endswith('"') else f'"{etag}"'
    return Listed(
        url=_absolute(url, address),
        version=version,
        size=size if isinstance(size, int) and not isinstance(size, bool) else None,
        modified=str(entry.get("modified", "")),
        facts=tuple(_facts(entry.items())),
    )


def _facts(pairs: Iterable[tuple[str, object]]) -> Iterator[tuple[str, str]]:
    for key, value in pairs:
        if key in _OWN:
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str | int) and not isinstance(one, bool):
                yield f"list.{key}", str(one)


def _lines(page: bytes) -> Iterator[str]:
    try:
        text = page.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError("the server's list is no UTF-8 text") from None
    for line in text.splitlines():
        if (address := line.strip()) and not address.startswith("#"):
            yield address


def _absolute(url: str, link: str) -> str:
    try:
        return urljoin(url, link.strip())
    except ValueError:
        # Nothing lies there; what does not lie below the place is passed over.
        return ""
