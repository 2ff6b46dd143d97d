"""A FHIR server over HTTP: who asks, which hosts may answer, how much, and for how long."""

import email.utils
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any, Final, Protocol
from urllib.parse import urljoin, urlsplit

import httpx2

from ragplatform.errors import ConfigurationError, SourceError

Json = Mapping[str, Any]

FHIR_JSON: Final = "application/fhir+json"
# A manifest of 100,000 files has 20 MiB; nothing else that is held in memory comes near it.
_LARGEST_ANSWER: Final = 64 * 1024 * 1024
_ANSWER_S: Final = 300.0
_FILE_S: Final = 6 * 3600.0
_RETRIES: Final = 5
# A server that asks to come back in a year is as good as away; one that says 0 is not hammered.
_SHORTEST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 120.0
_BUSY: Final = frozenset({429, 502, 503, 504})
_CHUNK: Final = 64 * 1024


class Credential(Protocol):
    """Proves who we are."""

    def header(self, *, renew: bool) -> str:
        """Return the value of ``Authorization``, ``""`` for none; ``renew`` after a refusal.

        Raises ``SourceError`` when none can be had.
        """


class NoCredential:
    """Asks as nobody."""

    def header(self, *, renew: bool) -> str:
        """Return nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Json:
        """Return the body as a JSON object. Raises ``SourceError`` when it is none."""
        return json_object(self.body)


class Origins:
    """The servers that may be asked: the configured one, and those that are named beside it."""

    def __init__(self, base: str, others: tuple[str, ...] = ()) -> None:
        """Raises ``ConfigurationError`` for what is no URL, or one that is not encrypted."""
        self.base = base.rstrip("/")
        for url in (self.base, *others):
            require_encrypted(url)
        self._home = _origin(self.base)
        self._known = {self._home, *map(_origin, others)}

    def permit(self, url: str) -> str:
        """Return the URL, made absolute.

        Raises ``SourceError`` for one of a server that was not named: an answer must not choose
        whom we ask next, and whom we show our token.
        """
        try:
            whole = urljoin(f"{self.base}/", url)
            parts = urlsplit(whole)
            foreign = _origin(whole) not in self._known or "@" in parts.netloc
        except ValueError as error:
            raise SourceError("the FHIR server names an address that is no URL") from error
        if foreign:
            raise SourceError(
                "the FHIR server names an address on another server, which was not asked: list it "
                "in `files_from` if its files lie there"
            )
        return whole

    def is_home(self, url: str) -> bool:
        """Return whether the URL, made absolute, is of the configured server itself."""
        try:
            return _origin(urljoin(f"{self.base}/", url)) == self._home
        except ValueError:
            return False


class FhirServer:
    """Asks one FHIR server. Every answer is bounded in size and time, no redirect is followed."""

    def __init__(
        self,
        *,
        origins: Origins,
        client: httpx2.Client,
        credential: Credential,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base = origins.base
        self._origins = origins
        self._client = client
        self._credential = credential
        self.sleep = sleep

    def ask(
        self, url: str, *, method: str = "GET", accept: str = FHIR_JSON, prefer: str = ""
    ) -> Answer:
        """Return the answer, of whatever status. One that is busy is asked again some times.

        ``url`` may be relative to the server's base. Raises ``SourceError``.
        """
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if prefer:
            headers["Prefer"] = prefer
        for attempt in range(_RETRIES + 1):
            with self._opened(method, url, headers, authorised=True) as response:
                answer = _whole(response)
            if answer.status not in _BUSY or attempt == _RETRIES:
                break
            self.sleep(wait_s(answer.headers, default_s=2.0**attempt))
        return answer

    def get(self, url: str) -> Json:
        """Return the JSON object at a URL. Raises ``SourceError`` for any status but 200."""
        answer = self.ask(url)
        if answer.status != 200:
            raise refused(answer.status)
        return answer.json()

    def save(self, url: str, into: IO[bytes], *, limit: int, authorised: bool) -> int:
        """Write the file at a URL and return its size. Raises ``SourceError``.

        ``authorised`` sends our token to a named server that is not the configured one too.
        """
        headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip"}
        until = time.monotonic() + _FILE_S
        with self._opened("GET", url, headers, authorised=authorised) as response:
            if response.status_code != 200:
                raise refused(response.status_code)
            size = 0
            for chunk in _decoded(response, until):
                size += len(chunk)
                if size > limit:
                    raise SourceError(
                        f"an exported file has over {limit:,} bytes: raise `largest_export_mb`, or "
                        "export fewer types"
                    )
                into.write(chunk)
        return size

    def discard(self, url: str) -> None:
        """Tell the server that what lies at a URL is not needed any more, if it wants to know."""
        try:
            self.ask(url, method="DELETE")
        except SourceError:
            # It deletes old exports by itself: not to have been told harms nobody.
            return

    def is_home(self, url: str) -> bool:
        """Return whether a URL is of this server."""
        return self._origins.is_home(url)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def _opened(
        self, method: str, url: str, headers: dict[str, str], *, authorised: bool
    ) -> Iterator[httpx2.Response]:
        """Give the response, its body not read yet; a token that is refused is renewed once."""
        whole = self._origins.permit(url)
        shown = authorised or self._origins.is_home(whole)
        renew = False
        while True:
            mine = self._credential.header(renew=renew) if shown else ""
            sent = {**headers, **({"Authorization": mine} if mine else {})}
            try:
                with self._client.stream(method, whole, headers=sent) as response:
                    if response.status_code == 401 and mine and not renew:
                        renew = True
                        continue
                    yield response
                    return
            except httpx2.HTTPError as error:
                # The message may quote the URL, and a URL a patient's id: its kind says enough.
                raise away(error) from None


def away(error: Exception) -> SourceError:
    """Return the error for a server that does not answer; only the failure's kind is kept."""
    cause = error.__cause__ or error.__context__
    tls = isinstance(cause, ssl.SSLError) or "CERTIFICATE_VERIFY" in str(error)
    why = "its certificate is not trusted: see `ca_file`" if tls else type(error).__name__
    return SourceError(f"the FHIR server does not answer ({why}): the next run tries again")


def refused(status: int) -> SourceError:
    """Return the error for an answer of a status that was not hoped for."""
    why = {401: "who we are", 403: "that we may read it"}.get(status, "the request")
    return SourceError(f"the FHIR server did not accept {why} (HTTP {status})")


def json_object(data: bytes) -> Json:
    """Return a JSON object. Raises ``SourceError`` when it is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        # The decoder's message quotes the text.
        raise SourceError("the FHIR server's answer is no JSON") from None
    if not isinstance(value, dict):
        raise SourceError("the FHIR server's answer is no JSON object")
    return value


def wait_s(headers: Mapping[str, str], *, default_s: float) -> float:
    """Return how long to wait before asking again, within bounds, in seconds.

    Source: RFC 9110, section 10.2.3: a number of seconds or a date.
    """
    value = headers.get("retry-after", "").strip()
    wait = default_s
    if value.isascii() and value.isdigit():
        wait = float(value[:9])
    elif value:
        try:
            at = email.utils.parsedate_to_datetime(value)
            wait = (at - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            wait = default_s
    return min(max(wait, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)


def require_encrypted(url: str) -> None:
    """Raise ``ConfigurationError`` unless it is an https URL, or one of this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        sound = bool(host) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        sound, host, parts = False, "", urlsplit("")
    local = parts.scheme == "http" and host in {"localhost", "127.0.0.1", "::1"}
    if not sound or not (parts.scheme == "https" or local):
        raise ConfigurationError(
            "a FHIR source's address is an https:// URL without user or password (http:// only to "
            "this machine)"
        )


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port


def _whole(response: httpx2.Response) -> Answer:
    until = time.monotonic() + _ANSWER_S
    parts: list[bytes] = []
    size = 0
    for chunk in _decoded(response, until):
        size += len(chunk)
        if size > _LARGEST_ANSWER:
            raise SourceError(f"an answer of the FHIR server has over {_LARGEST_ANSWER:,} bytes")
        parts.append(chunk)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, b"".join(parts))


def _decoded(response: httpx2.Response, until: float) -> Iterator[bytes]:
    """Yield the body, unpacked. Only the encodings that were asked for are."""
    if response.headers.get("content-encoding", "identity").lower() not in {"identity", "gzip"}:
        raise SourceError("the FHIR server packs its answer in a way that was not asked for")
    for chunk in response.iter_bytes(_CHUNK):
        if time.monotonic() > until:
            raise SourceError("the FHIR server gives its answer too slowly")
        yield chunk
