"""Asks a web server inside the network: every answer bounded in size and time, no redirect."""

import email.utils
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import httpx2

from ragplatform.errors import ConfigurationError, QuarantinedError, SourceError

_RETRIES: Final = 3
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_SHORTEST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 30.0
_LARGEST_REFUSAL: Final = 1024 * 1024
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, unpacked. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Web:
    """Asks servers of one source. ``deadline_s`` is for one answer, whole."""

    def __init__(
        self,
        *,
        client: httpx2.Client,
        deadline_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._deadline_s = deadline_s
        self._sleep = sleep

    def ask(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        *,
        limit: int,
        method: str = "GET",
    ) -> Answer:
        """Return the answer, of whatever status; a server that is busy is asked again some times.

        ``headers`` are made anew for each time: a signature holds its time. Raises ``SourceError``
        when nobody answers or only in part; ``QuarantinedError`` ``too_large`` as soon as more
        than ``limit`` bytes come out. A redirect is an answer like others, and never followed:
        whoever answers must not choose whom we ask next.
        """
        attempt = 0
        while True:
            try:
                with self._opened(method, url, headers()) as response:
                    if response.status_code not in _BUSY or attempt == _RETRIES:
                        return self._whole(response, limit)
                    wait = _wait_s(response.headers.get("retry-after", ""), 0.5 * 2.0**attempt)
            except httpx2.TransportError as error:
                if attempt == _RETRIES:
                    raise _away(url, error) from None
                wait = 0.5 * 2.0**attempt
            self._sleep(wait)
            attempt += 1

    @contextmanager
    def _opened(
        self, method: str, url: str, headers: Mapping[str, str]
    ) -> Iterator[httpx2.Response]:
        sent = {"Accept-Encoding": "identity", **headers}
        try:
            with self._client.stream(method, url, headers=sent) as response:
                yield response
        except httpx2.InvalidURL:
            raise SourceError("the server names an address that is no URL") from None

    def _whole(self, response: httpx2.Response, limit: int) -> Answer:
        until = time.monotonic() + self._deadline_s
        # What a server says beside a refusal has another size than what was asked for.
        limit = limit if response.is_success else max(limit, _LARGEST_REFUSAL)
        headers = {name.lower(): value for name, value in response.headers.items()}
        unpack = _unpacker(headers.get("content-encoding", ""), limit)
        body = bytearray()
        for chunk in response.iter_raw():
            if time.monotonic() > until:
                raise SourceError(
                    f"the server gave less than a whole answer in {self._deadline_s:g} s"
                )
            body += unpack(chunk)
            if len(body) > limit:
                raise QuarantinedError("too_large", f"more than {limit:,} bytes come")
        return Answer(response.status_code, headers, bytes(body))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def require_address(place: str, where: str) -> None:
    """Raise ``ConfigurationError`` unless it is an https URL, or an http one of this machine."""
    try:
        parts = urlsplit(place)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    sound = bool(host) and "@" not in parts.netloc and not parts.fragment
    if not sound or not (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)):
        raise ConfigurationError(
            f"{where}: place is an https:// URL without user or password (http:// only on this "
            "machine)"
        )


def _unpacker(encoding: str, limit: int) -> Callable[[bytes], bytes]:
    """Return what unpacks a body bit by bit, never far beyond the limit.

    We ask for bodies as they are. Some stores keep packed ones and say so.
    """
    if encoding.lower() in {"", "identity", "aws-chunked"}:
        return lambda chunk: chunk
    if encoding.lower() not in {"gzip", "x-gzip"}:
        raise QuarantinedError("unknown_encoding", "the server packs it in a way we do not read")
    opened = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def unpacked(chunk: bytes) -> bytes:
        try:
            # A small body can hold gigabytes of zeros: no more is unpacked than is refused.
            return opened.decompress(chunk, limit + 1)
        except zlib.error as error:
            raise QuarantinedError("malformed", "what the server calls gzip is none") from error

    return unpacked


def _away(url: str, error: Exception) -> SourceError:
    """Return the error for a server that does not answer: its message may quote a URL."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLError) or "CERTIFICATE_VERIFY" in str(error):
        return SourceError(f"{_host(url)}: its certificate is not trusted: see `ca_file`")
    return SourceError(f"{_host(url)} does not answer ({type(error).__name__})")


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _wait_s(value: str, default_s: float) -> float:
    """Return how long to wait. Source: RFC 9110, section 10.2.3: seconds or a date."""
    wait = default_s
    if value.isascii() and value.isdigit():
        wait = float(value[:9])
    elif value:
        try:
            wait = (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            wait = default_s
    return min(max(wait, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)
