"""Documents on a web server inside the network, by a list of them: nothing is crawled beyond it."""

import base64
import email.utils
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from ingest.sources.http_lists import Format, Listed, listed_in
from ingest.sources.port import Entries, Found, Listing
from ingest.sources.web import Answer, Web
from ragplatform.errors import MovedOnError, QuarantinedError, SourceError, UnreadableError

_LARGEST_LIST: Final = 64 * 1024 * 1024
_MOST_PAGES: Final = 10_000
_DEEPEST: Final = 32
# A time of change as young as this may stand for two contents.
# Source: RFC 9110, section 8.8.2.2: it is strong only well before the time of the answer.
_SETTLED: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Site:
    """What is taken: the documents below ``place``, which ends in ``/``, named by a list.

    ``fact_headers`` are headers of a document that become facts.
    """

    place: str
    format: Format
    list_url: str
    fact_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to the server: a user with a password, or a token, or nobody."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """Return the header that says it."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.user:
            pair = f"{self.user}:{self.password}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}


class Http:
    """The documents of a web server."""

    def __init__(self, *, web: Web, site: Site, login: Login) -> None:
        self._web = web
        self._site = site
        self._login = login
        self._listed: dict[str, Listed] = {}

    def list(self, cursor: str) -> Listing:  # a web server keeps none
        """Return every document of the list. Facts: ``type``, ``header.NAME``, ``list.KEY``."""
        return Listing(self._documents(), complete=True)

    def _documents(self) -> Entries:
        self._listed = {}
        for one in self._named():
            name = self._site_name(one.url)
            if not name or name in self._listed:
                continue
            self._listed[name] = one
            if found := self._found(name, one):
                yield found
        return ""

    def _named(self) -> Iterator[Listed]:
        """Yield what the list names, and the lists that it names below it, each once."""
        waiting = [(urljoin(self._site.place, self._site.list_url), 0)]
        seen: set[str] = set()
        while waiting:
            url, depth = waiting.pop()
            if url in seen:
                continue
            seen.add(url)
            if len(seen) > _MOST_PAGES or depth > _DEEPEST:
                raise SourceError("the server's lists lead on without an end")
            page = self._page(url)
            documents, lists = listed_in(page, url, self._site.format)
            waiting += [(one, depth + 1) for one in lists if self._site_name(one) is not None]
            yield from documents

    def _page(self, url: str) -> bytes:
        try:
            answer = self._web.ask(url, self._login.headers, limit=_LARGEST_LIST)
        except QuarantinedError as error:
            raise SourceError("the server's list is larger than any is") from error
        if answer.status != 200:
            raise _refused(answer.status)
        return answer.body

    def _site_name(self, url: str) -> str | None:
        """Return the name of what lies at a URL: its path below the place, None for elsewhere."""
        return name_below(self._site.place, url)

    def _found(self, name: str, one: Listed) -> Found | None:
        """Return what the server says of a document, None if it has none at that address."""
        if one.version:
            return Found(name, one.version, one.size, one.modified, one.facts)
        answer = self._web.ask(one.url, self._login.headers, limit=0, method="HEAD")
        if answer.status in {404, 410}:
            return None
        if answer.status >= 500 and answer.status != 501:
            raise _refused(answer.status)
        facts = list(one.facts)
        if answer.status == 200:
            if kind := answer.headers.get("content-type", ""):
                facts.append(("type", kind.partition(";")[0].strip().lower()))
            said = {
                name.lower(): answer.headers.get(name.lower()) for name in self._site.fact_headers
            }
            facts += [(f"header.{name}", value) for name, value in said.items() if value]
        length = answer.headers.get("content-length", "")
        return Found(
            name=name,
            version=_version(answer),
            size=int(length) if length.isdigit() and answer.status == 200 else None,
            modified=answer.headers.get("last-modified", ""),
            facts=tuple(facts),
        )

    def read(self, found: Found, limit: int) -> bytes:
        """Return the document, if the server says that it is what was listed."""
        one = self._listed.get(found.name)
        url = one.url if one else self._site.place + quote(found.name)
        headers = self._login.headers()
        if found.version.startswith('"'):
            headers["If-Match"] = found.version
        answer = self._web.ask(url, lambda: headers, limit=limit)
        if answer.status in {404, 410, 412}:
            raise MovedOnError("the document is another version by now, or gone")
        if answer.status != 200:
            raise UnreadableError(f"the server does not give it (HTTP {answer.status})")
        _require_version(found.version, answer)
        return answer.body

    def close(self) -> None:
        """Close the connections."""
        self._web.close()


def name_below(place: str, url: str) -> str | None:
    """Return the path of a URL below a place, unescaped; None for what lies elsewhere.

    ``""`` is the place itself. Queries and fragments name no document.
    """
    from_, to = urlsplit(place), urlsplit(url)
    same = (from_.scheme, from_.netloc.lower()) == (to.scheme, to.netloc.lower())
    if not same or to.query or to.fragment or not to.path.startswith(from_.path):
        return None
    return unquote(to.path[len(from_.path) :], errors="surrogateescape")


def _version(answer: Answer) -> str:
    """Return the word by which an answer tells its content, a new one each time for none."""
    if answer.status not in {200, 405, 501}:
        return f"HTTP {answer.status}"
    if etag := answer.headers.get("etag", ""):
        return etag
    changed, now = (_time(answer.headers.get(name, "")) for name in ("last-modified", "date"))
    if changed and (now or datetime.now(UTC)) - changed > _SETTLED:
        return f"{answer.headers['last-modified']} {answer.headers.get('content-length', '')}"
    return f"unknown {time.time_ns()}"


def _require_version(version: str, answer: Answer) -> None:
    """Raise ``MovedOnError`` when an answer is known to be another version."""
    if version.startswith("sha256:"):
        same = version == f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
    elif version.startswith("unknown "):
        return
    elif etag := answer.headers.get("etag", ""):
        # A weak one may be compared like this: RFC 9110, section 8.8.3.2.
        same = etag.removeprefix("W/") == version.removeprefix("W/")
    else:
        same = version == _version(answer)
    if not same:
        raise MovedOnError("the document is another version by now")


def _time(text: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _refused(status: int) -> SourceError:
    why = {401: "who we are: see the credentials", 403: "that we may read it"}
    redirect = "redirects, which is not followed: mend `place`"
    if 300 <= status < 400:
        return SourceError(f"the server {redirect}")
    return SourceError(f"the server does not accept {why.get(status, f'us (HTTP {status})')}")
