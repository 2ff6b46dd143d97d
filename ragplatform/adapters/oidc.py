"""Access tokens of an OpenID provider, made principals."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ragplatform.adapters.jwks import KeySource, PublicKey
from ragplatform.adapters.signed_tokens import Claims, check_times, read_claims, time_of
from ragplatform.errors import ConfigurationError, UnauthenticatedError
from ragplatform.model import Principal, Sensitivity
from ragplatform.ports import PROOF_AGE_S

# Public-key signatures only. With "HS256" among them, the provider's public key would be the secret
# with which anybody signs.
ALGORITHMS: Final = frozenset(
    "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split()
)

# Marks of tokens that are not for us to take: ID tokens (OpenID Connect Core 1.0, section 3.1.3.6),
# log-out tokens (Back-Channel Logout 1.0, section 2.4), and tokens bound to a key whose possession
# we cannot check (RFC 7800, section 3.1).
_OTHER_TOKENS: Final = ("nonce", "at_hash", "c_hash", "s_hash", "events", "cnf")

# Ids and names go into records, which take 256 characters.
_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Where a token says what we want to know.

    A name, or a JSON pointer (RFC 6901) when it begins with a slash. Empty: the tokens do not say.
    """

    id: str
    roles: str
    tenant: str = ""
    departments: str = ""
    clearance: str = ""
    subjects: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Which tokens are taken. ``longest_s`` bounds from ``iat`` to ``exp``.

    Only people of ``tenants`` are let in. With no claim for the tenant there is exactly one.
    """

    issuer: str
    audience: str
    algorithms: frozenset[str]
    leeway_s: int
    longest_s: int
    tenants: frozenset[str]
    claims: ClaimNames

    def __post_init__(self) -> None:
        if not self.algorithms or not self.algorithms <= ALGORITHMS:
            raise ConfigurationError(
                f"oidc_algorithms: wanted some of {', '.join(sorted(ALGORITHMS))}"
            )
        if not (self.issuer and self.audience and self.claims.id and self.claims.roles):
            raise ConfigurationError(
                "oidc_issuer needs oidc_audience, oidc_id_claim and oidc_roles_claim"
            )
        if not self.tenants or (not self.claims.tenant and len(self.tenants) != 1):
            raise ConfigurationError(
                "oidc_tenants: name the tenant, or several and oidc_tenant_claim to tell them apart"
            )


class OidcAuthenticator:
    """Authenticates the access tokens of one issuer."""

    def __init__(
        self,
        rules: TokenRules,
        *,
        keys: KeySource,
        subject_ref: Callable[[str, str], str],
        clock: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._keys = keys
        self._subject_ref = subject_ref
        self._clock = clock

    def authenticate(self, token: str, user: str | None = None) -> Principal:
        """Return who the token stands for.

        Raises ``UnauthenticatedError``, ``UnavailableError`` when the issuer's keys cannot be had.
        """
        if user is not None:
            raise UnauthenticatedError("not_a_registered_client")
        found = self._principal(self._trusted(token))
        return replace(found, proof=f"token:{hashlib.sha256(token.encode()).hexdigest()[:16]}")

    def prove(self, token: str, principal: Principal) -> None:
        """Accept a token of the same person from a sign-in of the last ``PROOF_AGE_S`` seconds."""
        claims = self._trusted(token)
        found = self._principal(claims)
        if (found.tenant, found.id) != (principal.tenant, principal.id):
            raise UnauthenticatedError("another_person")
        signed_in = time_of(claims, "auth_time" if "auth_time" in claims else "iat")
        if not -self._rules.leeway_s <= self._clock() - signed_in <= PROOF_AGE_S:
            raise UnauthenticatedError("signed_in_too_long_ago")

    def recall(self, principal: Principal) -> Principal | None:
        """Return None: without a token the issuer vouches for nobody."""
        return None

    def _trusted(self, token: str) -> Claims:
        """Return the claims of a token that is for us.

        1. Its form, algorithm, key and signature. 2. The issuer. 3. The audience. 4. Its times.
        5. It is an access token.
        """
        rules = self._rules
        claims = read_claims(token, algorithms=rules.algorithms, key_for=self._key)  # 1
        if claims.get("iss") != rules.issuer:  # 2
            raise UnauthenticatedError("other_issuer")
        audience = claims.get("aud")
        if rules.audience not in (audience if isinstance(audience, list) else [audience]):  # 3
            raise UnauthenticatedError("other_audience")
        check_times(  # 4
            claims, now=self._clock(), leeway_s=rules.leeway_s, longest_s=rules.longest_s
        )
        for name in _OTHER_TOKENS:  # 5
            if name in claims:
                raise UnauthenticatedError(f"not_an_access_token_{name}")
        # Keycloak writes the type of a token among its claims.
        if claims.get("typ", "Bearer") != "Bearer":
            raise UnauthenticatedError("not_an_access_token_typ")
        return claims

    def _key(self, header: Claims) -> PublicKey:
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise UnauthenticatedError("no_key_named")
        key = self._keys.find(kid)
        if key is None:
            raise UnauthenticatedError("unknown_key")
        return key

    def _principal(self, claims: Claims) -> Principal:
        names = self._rules.claims
        tenant = self._tenant(claims)
        level = _text(claims, names.clearance).upper() if names.clearance else "INTERNAL"
        if level not in Sensitivity.__members__:
            raise UnauthenticatedError("claim_clearance")
        raw_subjects = _texts(claims, names.subjects)
        return Principal(
            id=_text(claims, names.id),
            tenant=tenant,
            roles=_texts(claims, names.roles, needed=True),
            departments=_texts(claims, names.departments),
            clearance=Sensitivity[level],
            subjects=frozenset(self._subject_ref(tenant, raw) for raw in raw_subjects),
            name=_text(claims, names.name) if _claim(claims, names.name) is not None else "",
        )

    def _tenant(self, claims: Claims) -> str:
        where = self._rules.claims.tenant
        if not where:
            [only] = self._rules.tenants
            return only
        tenant = _text(claims, where)
        if tenant not in self._rules.tenants:
            raise UnauthenticatedError("other_tenant")
        return tenant


def _claim(claims: Claims, where: str) -> object:
    """Return the claim, or None when the token does not have it."""
    if not where.startswith("/"):
        return claims.get(where)
    found: object = claims
    for step in _steps(where):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _steps(pointer: str) -> Iterator[str]:
    for part in pointer[1:].split("/"):
        yield part.replace("~1", "/").replace("~0", "~")


def _text(claims: Claims, where: str) -> str:
    return _fit(_claim(claims, where), where)


def _texts(claims: Claims, where: str, *, needed: bool = False) -> frozenset[str]:
    """Return a claim that is a list of names, or a single one. Absent, it is empty."""
    value = _claim(claims, where)
    if value is None and not needed:
        return frozenset()
    values = value if isinstance(value, list) else [value]
    return frozenset(_fit(one, where) for one in values)


def _fit(value: object, where: str) -> str:
    """Return the text if it may stand in a record: of bounded length, all of it printable."""
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_NAME:
        raise UnauthenticatedError(f"claim_{where}")
    if not value.isprintable():
        raise UnauthenticatedError(f"claim_{where}")
    return value
