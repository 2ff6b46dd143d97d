"""A bucket of an S3-compatible object store as a source.

Requests are signed by botocore and sent by a client from ``egress``: no SDK that opens connections
of its own, looks for credentials in files and variables, or asks 169.254.169.254 for them.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ingest.parse.safe_xml import Element, children, local, read_xml
from ingest.sources.port import Entries, Found, Listing
from ingest.sources.web import Answer, Web
from ragplatform.errors import (
    MovedOnError,
    ParseError,
    QuarantinedError,
    SourceError,
    UnreadableError,
)

# A page names 1,000 objects at most, of keys of 1,024 bytes that may be escaped to thrice that.
_LARGEST_PAGE: Final = 16 * 1024 * 1024
_EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Which objects: those of a bucket below a prefix, which ends in ``/`` or is empty."""

    endpoint: str
    name: str
    prefix: str = ""
    region: str = "us-east-1"
    virtual_host: bool = False

    def url(self, key: str, query: Mapping[str, str] | None = None) -> str:
        """Return the URL of an object, or of the bucket for ``""``, escaped as it is signed."""
        parts = urlsplit(self.endpoint)
        host = f"{self.name}.{parts.netloc}" if self.virtual_host else parts.netloc
        path = "" if self.virtual_host else f"/{quote(self.name, safe='')}"
        whole = f"{parts.scheme}://{host}{path}/{quote(key, safe='/-._~')}"
        if not key and not self.virtual_host:
            whole = whole.removesuffix("/")
        if query:
            whole += "?" + urlencode(sorted(query.items()), quote_via=quote, safe="-._~")
        return whole


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key: made for this, with no right but to list and read."""

    access: str
    secret: str = field(repr=False)
    session: str | None = field(default=None, repr=False)


class S3:
    """The objects of a bucket, in their current versions."""

    def __init__(
        self,
        *,
        web: Web,
        bucket: Bucket,
        keys: Keys,
        with_tags: bool,
        with_metadata: bool,
        page: int = 1000,
    ) -> None:
        """Tags and metadata become facts; either costs a request for each object in each run."""
        self._size = str(page)
        self._web = web
        self._bucket = bucket
        self._with_tags = with_tags
        self._with_metadata = with_metadata
        credentials = Credentials(keys.access, keys.secret, keys.session)
        self._signer = S3SigV4Auth(credentials, "s3", bucket.region)

    def list(self, cursor: str) -> Listing:  # a bucket keeps none
        """Return every object. Facts: ``owner``, ``tag.KEY`` and ``meta.KEY`` where asked for."""
        return Listing(self._objects(), complete=True)

    def _objects(self) -> Entries:
        token, last = "", b""
        while True:
            page = self._page(token)
            for one in page.objects:
                # Keys come in the order of their bytes: a server that goes back never ends.
                if os.fsencode(one.name) <= last:
                    raise SourceError("the bucket's listing goes back instead of on")
                last = os.fsencode(one.name)
                if one.size == 0 and one.name.endswith("/"):
                    continue  # What some tools keep to show an empty folder.
                yield from self._described(one)
            if not page.next:
                return ""
            if page.next == token or not page.objects:
                raise SourceError("the bucket's listing does not come to its end")
            token = page.next

    def _page(self, token: str) -> "_Page":
        query = {"list-type": "2", "encoding-type": "url", "fetch-owner": "true"}
        query["max-keys"] = self._size
        query |= {"prefix": self._bucket.prefix} if self._bucket.prefix else {}
        query |= {"continuation-token": token} if token else {}
        response = self._ask("", query, limit=_LARGEST_PAGE)
        if response.status != 200:
            raise _refused(response)
        return _page_of(response.body, self._bucket.prefix)

    def _described(self, found: Found) -> Iterator[Found]:
        """Yield the object with its tags and metadata; nothing if it went meanwhile."""
        facts = list(found.facts)
        unread = ""
        key = self._bucket.prefix + found.name
        if self._with_metadata:
            response = self._ask(key, {}, limit=0, method="HEAD")
            if response.status == 404:
                return
            if response.status == 200:
                facts += _metadata(response)
            else:
                unread = "its metadata cannot be read"
        if self._with_tags:
            response = self._ask(key, {"tagging": ""}, limit=_LARGEST_PAGE)
            if response.status == 404:
                return
            if response.status == 200:
                facts += _tags(response.body)
            else:
                unread = "its tags cannot be read"
        yield Found(found.name, found.version, found.size, found.modified, tuple(facts), unread)

    def read(self, found: Found, limit: int) -> bytes:
        """Return the object's bytes, if they still have the ETag that was listed."""
        etag = found.version.partition(" ")[0]
        response = self._ask(
            self._bucket.prefix + found.name, {}, limit=limit, headers={"If-Match": f'"{etag}"'}
        )
        if response.status in {404, 412}:
            raise MovedOnError("the object is another version by now, or gone")
        if response.status in {400, 403}:
            # 400 is what objects under a key of the client's (SSE-C) response without it.
            raise UnreadableError("the bucket does not let us read it")
        if response.status != 200:
            raise _refused(response)
        if response.headers.get("etag", "").strip('"') != etag:
            # Not every store knows If-Match.
            raise MovedOnError("the object is another version by now")
        if "content-encoding" not in response.headers and len(response.body) != found.size:
            raise MovedOnError("the object has another size than was listed")
        return response.body

    def _ask(
        self,
        key: str,
        query: Mapping[str, str],
        *,
        limit: int,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        url = self._bucket.url(key, query)
        given = dict(headers or {})

        def signed() -> Mapping[str, str]:
            request = AWSRequest(method=method, url=url, headers=given)
            request.headers["X-Amz-Content-SHA256"] = _EMPTY_SHA256
            self._signer.add_auth(request)
            return dict(request.headers.items())

        try:
            return self._web.ask(url, signed, limit=limit, method=method)
        except QuarantinedError as error:
            if not key:
                raise SourceError("a page of the bucket's listing is larger than any is") from error
            raise

    def close(self) -> None:
        """Close the connections."""
        self._web.close()


@dataclass(frozen=True, slots=True)
class _Page:
    objects: tuple[Found, ...]
    next: str


def _page_of(body: bytes, prefix: str) -> _Page:
    root = _xml(body)
    if local(root) != "ListBucketResult":
        raise SourceError("the bucket's answer is no listing")
    found = [_found(one, prefix) for one in root if local(one) == "Contents"]
    more = _text(root, "IsTruncated") == "true"
    token = _text(root, "NextContinuationToken") if more else ""
    if more and not token:
        raise SourceError("the bucket's listing breaks off")
    return _Page(tuple(found), token)


def _found(element: Element, prefix: str) -> Found:
    key = unquote_plus(_text(element, "Key"), errors="surrogateescape")
    if not key.startswith(prefix):
        raise SourceError("the bucket lists an object outside the prefix that was asked for")
    modified = _text(element, "LastModified")
    etag = _text(element, "ETag").strip('"')
    size = _text(element, "Size")
    if not etag or not re.fullmatch(r"[\x21-\x7e]+", etag) or not size.isdigit():
        raise SourceError("the bucket lists an object without ETag or size")
    owners = children(element, "Owner")
    names = [_text(one, "DisplayName") or _text(one, "ID") for one in owners]
    return Found(
        name=key.removeprefix(prefix),
        # The same bytes put there again are told by the time; content alone decides what is read.
        version=f"{etag} {size} {modified}",
        size=int(size),
        modified=modified,
        facts=tuple(("owner", name) for name in names if name),
    )


def _metadata(response: Answer) -> Iterator[tuple[str, str]]:
    for name, value in response.headers.items():
        if name.startswith("x-amz-meta-"):
            yield f"meta.{name.removeprefix('x-amz-meta-')}", value


def _tags(body: bytes) -> Iterator[tuple[str, str]]:
    for one in _xml(body).iter():
        if local(one) == "Tag":
            yield f"tag.{_text(one, 'Key')}", _text(one, "Value")


def _xml(body: bytes) -> Element:
    try:
        return read_xml(body)
    except ParseError:
        raise SourceError("the bucket's answer is no sound XML") from None


def _text(element: Element, name: str) -> str:
    for child in children(element, name):
        return child.text or ""
    return ""


def _refused(response: Answer) -> SourceError:
    """Return the error for a bucket that refuses; of its words only the code is kept."""
    try:
        code = _text(_xml(response.body), "Code")
    except SourceError:
        code = ""
    word = code if re.fullmatch(r"[A-Za-z]{1,64}", code) else "no reason"
    return SourceError(
        f"the bucket refuses (HTTP {response.status}, {word}): see its keys and policy"
    )
