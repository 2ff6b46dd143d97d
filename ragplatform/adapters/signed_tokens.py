"""Compact signed tokens (RFC 7515, RFC 7519), read strictly: what is not expected is refused."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, GuestProtocol, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ragplatform.errors import UnauthenticatedError

Claims: TypeAlias = Mapping[str, object]
Key: TypeAlias = RSAKey | ECKey | OKPKey | OctKey

# Tokens with dozens of roles take 2 to 4 KiB; more than this is somebody trying what breaks.
LARGEST_TOKEN: Final = 8192

# RFC 9068, section 4, and what providers write that are older than it. A missing type is common.
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt", "jwt"})

# Each would have the token choose its own key or its own rules (RFC 7515, sections 4.1.2 to 4.1.6
# and 4.1.11; RFC 7797). Nothing that we trust needs one of them.
_FORBIDDEN_HEADERS: Final = ("crit", "b64", "jku", "jwk", "x5u", "x5c")

# Seconds since 1970 up to the year 5138: more is a unit gone wrong, or infinite.
_LATEST: Final = 10**11


class _Pinned(JWSRegistry):
    """The algorithms that were named and no other.

    The library's own look-up takes an empty list for its defaults, HS256 among them.
    """

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(strict_check_header=False)
        self._names = frozenset(names)

    def get_alg(self, name: str) -> Any:
        """Return the algorithm of the name. Raises ``UnsupportedAlgorithmError``."""
        if name not in self._names:
            raise UnsupportedAlgorithmError("not one of the pinned algorithms")
        return self.algorithms[name]


def read_claims(
    token: str, *, algorithms: Collection[str], key_for: Callable[[Claims], Key]
) -> Claims:
    """Return the claims of a token whose signature holds.

    1. Its size. 2. Its algorithm is pinned. 3. Its header chooses nothing. 4. Its type. 5. Its key,
    which ``key_for`` finds by the header. 6. The key is of the algorithm's kind. 7. The signature.

    Raises ``UnauthenticatedError``, and whatever ``key_for`` raises.
    """
    if len(token) > LARGEST_TOKEN:  # 1
        raise UnauthenticatedError("too_large")

    def choose(signature: GuestProtocol) -> Key:
        header = signature.headers()
        for name in _FORBIDDEN_HEADERS:  # 3
            if name in header:
                raise UnauthenticatedError(f"header_{name}")
        if str(header.get("typ", "jwt")).lower() not in _TYPES:  # 4
            raise UnauthenticatedError("other_type")
        return key_for(header)  # 5

    try:
        # The library takes steps 2, 6 and 7.
        return jwt.decode(token, choose, registry=_Pinned(algorithms)).claims
    except JoseError as error:
        raise UnauthenticatedError(error.error) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UnauthenticatedError("malformed") from error


def check_times(claims: Claims, *, now: float, leeway_s: int, longest_s: int) -> None:
    """Require a token that was issued, has begun, has not ended, and does not live too long.

    Raises ``UnauthenticatedError``.
    """
    issued, ends = time_of(claims, "iat"), time_of(claims, "exp")
    if now >= ends + leeway_s:
        raise UnauthenticatedError("expired")
    if issued > now + leeway_s:
        raise UnauthenticatedError("issued_in_the_future")
    if "nbf" in claims and time_of(claims, "nbf") > now + leeway_s:
        raise UnauthenticatedError("not_yet_valid")
    if ends - issued > longest_s:
        raise UnauthenticatedError("lives_too_long")


def time_of(claims: Claims, name: str) -> float:
    """Return a claim that is a time, in seconds. Raises ``UnauthenticatedError``."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnauthenticatedError(f"no_{name}")
    # NaN, which JSON as Python reads it may hold, compares false with everything: so ask this way.
    if not 0 <= value < _LATEST:
        raise UnauthenticatedError(f"no_{name}")
    return float(value)
