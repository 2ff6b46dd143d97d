"""Who we are to a FHIR server: a bearer token that was given to us, or SMART backend services.

Source: SMART App Launch 2.2, "Backend Services" and "Client Authentication: Asymmetric".
"""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from ingest.sources.fhir_http import Origins, away, json_object
from ragplatform.errors import ConfigurationError, SourceError

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# At most five minutes, says the source; one is enough, and a stolen one is worth less.
_ASSERTION_S: Final = 60
_LONGEST_TOKEN: Final = 16_384
# A token is not begun to be used when it has but this long to live.
_MARGIN_S: Final = 30.0
_LARGEST_ANSWER: Final = 1_000_000


class Bearer:
    """A token that ``read`` gives, asked anew for each use: whoever rotates it needs no restart."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def header(self, *, renew: bool) -> str:
        """Return the token. Raises ``SourceError`` when it is none."""
        return _bearer(self._read().strip())


class BackendServices:
    """Signs who we are with our own key and gets tokens for it, each used while it lives."""

    def __init__(
        self,
        *,
        client_id: str,
        key: RSAKey | ECKey,
        key_id: str,
        scope: str,
        token_url: str,
        origins: Origins,
        client: httpx2.Client,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``token_url`` is asked of the server itself where it is ``""``."""
        self._client_id = client_id
        self._key = key
        self._key_id = key_id
        self._scope = scope
        self._token_url = token_url
        self._origins = origins
        self._client = client
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def header(self, *, renew: bool) -> str:
        """Return a token that is in force. Raises ``SourceError`` when none is given."""
        if renew or self._clock() > self._until:
            self._token, self._until = self._fetched()
        return _bearer(self._token)

    def _fetched(self) -> tuple[str, float]:
        where = self._token_url or self._discovered()
        form = {
            "grant_type": "client_credentials",
            "scope": self._scope,
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._assertion(where),
        }
        answer = self._answer("POST", where, form)
        token, lives = answer.get("access_token"), answer.get("expires_in", 300)
        bearer = str(answer.get("token_type", "")).lower() == "bearer"
        if not isinstance(token, str) or not bearer or not isinstance(lives, int | float):
            raise SourceError("the token endpoint's answer holds no bearer token")
        return token, self._clock() + max(0.0, min(float(lives), 86_400.0) - _MARGIN_S)

    def _discovered(self) -> str:
        """Return the server's token endpoint, which must be on a server that was named."""
        url = f"{self._origins.base}/.well-known/smart-configuration"
        found = self._answer("GET", url, None).get("token_endpoint")
        if not isinstance(found, str):
            raise SourceError("the FHIR server names no token endpoint: set `token_url`")
        return self._origins.permit(found)

    def _assertion(self, where: str) -> str:
        now = int(self._clock())
        header = {"alg": _algorithm(self._key), "kid": self._key_id, "typ": "JWT"}
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": where,
            "iat": now,
            "exp": now + _ASSERTION_S,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(header, claims, self._key, algorithms=[header["alg"]])

    def _answer(self, method: str, url: str, form: dict[str, str] | None) -> dict[str, Any]:
        try:
            with self._client.stream(
                method, url, data=form, headers={"Accept": "application/json"}
            ) as response:
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _LARGEST_ANSWER:
                        raise SourceError("the token endpoint's answer is too long")
        except httpx2.HTTPError as error:
            raise away(error) from None
        if response.status_code != 200:
            raise SourceError(
                f"the token endpoint refuses us (HTTP {response.status_code}): is our key "
                "registered for `client_id`, and the scope granted?"
            )
        return dict(json_object(body))


def read_key(path: Path) -> RSAKey | ECKey:
    """Return a private key from a PEM or JWK file: RSA, or an elliptic curve's P-384.

    Raises ``ConfigurationError`` when it cannot be used.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    for kind in (RSAKey, ECKey):
        try:
            key = kind.import_key(_jwk(data) if data.lstrip().startswith(b"{") else data)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if key.is_private and (isinstance(key, RSAKey) or key.curve_name == "P-384"):
            return key
    raise ConfigurationError(f"{path}: is no private key of RSA or P-384, in PEM or as a JWK")


def _jwk(data: bytes) -> dict[str, Any]:
    return dict(json_object(data))


def _algorithm(key: RSAKey | ECKey) -> str:
    return "RS384" if isinstance(key, RSAKey) else "ES384"


def _bearer(token: str) -> str:
    if not token or len(token) > _LONGEST_TOKEN or any(not "!" <= one <= "~" for one in token):
        raise SourceError("the token is empty, or holds what no token holds")
    return f"Bearer {token}"
