"""The public keys of an identity provider: from a fixed file, or fetched and kept for a while."""

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias, cast
from urllib.parse import urlsplit

import httpx2
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey

from ragplatform.adapters.trusted_file import TrustedFile, read_trusted
from ragplatform.errors import ConfigurationError, EgressBlockedError, UnavailableError
from ragplatform.model import Json

_log = structlog.get_logger("ragplatform.identity")

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey
Keys: TypeAlias = Mapping[str, PublicKey]

# 2,048 bits (NIST SP 800-131A, revision 2, table 2) in base64url.
_SHORTEST_MODULUS: Final = 342
_LARGEST_DOCUMENT: Final = 256 * 1024
# All waiting for a provider together, however slowly it sends.
FETCH_TIMEOUT_S: Final = 5.0


class KeySource(Protocol):
    """Finds a provider's key by its name."""

    def find(self, kid: str) -> PublicKey | None:
        """Return the key, or None when the provider has none of that name.

        Raises ``UnavailableError`` when no key can be had at all.
        """


def read_key_set(document: object) -> Keys:
    """Return the keys of a JWK set (RFC 7517) that can verify signatures, by name.

    A key without a name, of another use or kind, or too short is left out. Raises ``ValueError``
    when none remains.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    keys: dict[str, PublicKey] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and (key := _public_key(entry)) is not None:
            keys[str(entry["kid"])] = key
    if not keys:
        raise ValueError("the key set holds no named public key for signatures")
    return keys


def _public_key(entry: Mapping[str, object]) -> PublicKey | None:
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid or entry.get("use", "sig") != "sig":
        return None
    if entry.get("kty") == "RSA" and len(str(entry.get("n"))) < _SHORTEST_MODULUS:
        return None
    with contextlib.suppress(JoseError, ValueError, TypeError, KeyError):
        # The library's types are those of well-formed keys; it checks what it is given.
        key = JWKRegistry.import_key(cast("dict[str, str | list[str]]", dict(entry)))
        # A shared key among public ones would let everybody sign.
        return None if isinstance(key, OctKey) else key
    return None


class FixedKeys:
    """Keys from a file that the operator keeps; read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._keys = TrustedFile(path, read_key_file)
        self._keys.value()

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name. Raises ``ConfigurationError`` for a file gone wrong."""
        return self._keys.value().get(kid)


def read_key_file(path: Path) -> Keys:
    """Return the keys of a file. Raises ``ConfigurationError``."""
    try:
        return read_key_set(json.loads(read_trusted(path)))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: holds no JWK set of public keys") from error


@dataclass(frozen=True, slots=True)
class Patience:
    """How long fetched keys hold.

    They are fetched again after ``max_age_s``, and never sooner than ``pause_s`` after the last
    attempt, so that strangers with made-up key names cannot make us hammer the provider. While it
    does not answer, the last keys hold for ``grace_s`` more.
    """

    max_age_s: float
    pause_s: float
    grace_s: float


class DiscoveredKeys:
    """Keys that are fetched from the issuer and kept for a while. Safe to call from threads."""

    def __init__(
        self, fetch: Callable[[], Keys], *, patience: Patience, clock: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._patience = patience
        self._clock = clock
        self._fetching = threading.Lock()
        self._keys: Keys = {}
        self._fetched = -math.inf
        self._tried = -math.inf

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name; one that is unknown is asked for once.

        Raises ``UnavailableError`` when the last keys are too old and no new ones can be had.
        """
        if kid not in self._keys or self._age() > self._patience.max_age_s:
            self._refresh(waiting=kid not in self._keys or self._too_old())
        if self._too_old():
            raise UnavailableError("the keys of the identity provider cannot be had")
        return self._keys.get(kid)

    def _age(self) -> float:
        return self._clock() - self._fetched

    def _too_old(self) -> bool:
        return self._age() > self._patience.max_age_s + self._patience.grace_s

    def _refresh(self, *, waiting: bool) -> None:
        # Whoever has a key that still holds does not wait for another's attempt.
        if not self._fetching.acquire(blocking=waiting):
            return
        try:
            if self._clock() - self._tried < self._patience.pause_s:
                return
            self._tried = self._clock()
            self._keys, self._fetched = self._fetch(), self._clock()
        except UnavailableError as error:
            _log.warning("keys_not_fetched", detail=str(error))
        finally:
            self._fetching.release()


def fetch_keys(issuer: str, http: Callable[[], httpx2.Client]) -> Keys:
    """Return the issuer's keys, found by OpenID Connect Discovery 1.0.

    1. The document at the issuer speaks of this issuer. 2. The keys lie at the same origin.
    3. At least one of them can verify signatures.

    Raises ``UnavailableError`` saying what was wrong.
    """
    try:
        with http() as client:
            document = _get(client, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            return read_key_set(_get(client, _keys_address(issuer, document)))  # 3
    except (httpx2.HTTPError, httpx2.InvalidURL, EgressBlockedError, OSError) as error:
        raise UnavailableError(f"{issuer} does not answer: {type(error).__name__}") from error
    except (ValueError, RecursionError) as error:
        raise UnavailableError(f"{issuer} gives no keys: {error}") from error


def _keys_address(issuer: str, document: Json) -> str:
    if not isinstance(document, dict) or document.get("issuer") != issuer:  # 1
        raise ValueError("its discovery document is another issuer's")
    where = str(document.get("jwks_uri"))
    if urlsplit(where)[:2] != urlsplit(issuer)[:2]:  # 2
        raise ValueError("its keys lie at another origin: save them to a file instead")
    return where


def _get(client: httpx2.Client, url: str) -> Json:
    deadline = time.monotonic() + FETCH_TIMEOUT_S
    body = b""
    with client.stream("GET", url) as response:
        if response.status_code != httpx2.codes.OK:
            raise ValueError(f"status {response.status_code}")
        for piece in response.iter_bytes():
            body += piece
            if len(body) > _LARGEST_DOCUMENT or time.monotonic() > deadline:
                raise ValueError("its document is too large or too slow")
    document: Json = json.loads(body)
    return document
