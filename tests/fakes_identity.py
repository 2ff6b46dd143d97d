"""An identity provider without a network: it signs tokens and shows its public keys."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ragplatform.adapters.jwks import Keys, PublicKey, read_key_set
from ragplatform.adapters.oidc import ClaimNames, OidcAuthenticator, TokenRules

ISSUER = "https://id.mercy.test/realms/staff"
AUDIENCE = "ragplatform"
NOW = 1_800_000_000

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig", "alg": "ES256"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1", "use": "sig"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})

RULES = TokenRules(
    issuer=ISSUER,
    audience=AUDIENCE,
    algorithms=frozenset({"RS256", "ES256", "EdDSA"}),
    leeway_s=30,
    longest_s=3600,
    tenants=frozenset({"mercy", "harbor"}),
    claims=ClaimNames(
        id="sub",
        roles="/realm_access/roles",
        tenant="tenant",
        departments="departments",
        clearance="clearance",
        subjects="patients",
        name="name",
    ),
)


class Clock:
    """Time as a test sets it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def key_set(*keys: PublicKey) -> dict[str, list[dict[str, object]]]:
    """Return the public keys as a provider publishes them."""
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


@dataclass(slots=True)
class KnownKeys:
    """A source of keys that holds them already, and counts who asks."""

    keys: Keys = field(default_factory=lambda: read_key_set(key_set(RSA, EC, ED)))
    asked: list[str] = field(default_factory=list)

    def find(self, kid: str) -> PublicKey | None:
        self.asked.append(kid)
        return self.keys.get(kid)


def claims(**changes: object) -> dict[str, object]:
    """Return the claims of a good token, changed; None takes a claim away."""
    good: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "lee",
        "iat": NOW - 60,
        "exp": NOW + 600,
        "tenant": "mercy",
        "realm_access": {"roles": ["physician"]},
        "departments": ["cardiology"],
        "clearance": "confidential",
        "name": "Dr Lee",
        **changes,
    }
    return {name: value for name, value in good.items() if value is not None}


def signed(
    content: Mapping[str, object] | bytes,
    key: PublicKey = RSA,
    alg: str = "RS256",
    **header: object,
) -> str:
    """Return the content signed; ``header`` replaces members of a good header."""
    whole = {"alg": alg, "kid": key.kid, "typ": "at+jwt", **header}
    named = {name: value for name, value in whole.items() if value is not None}
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    return jws.serialize_compact(named, payload, key, registry=registry)


def b64(data: bytes) -> str:
    """Return the data as tokens write it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def oidc(keys: KnownKeys | None = None, clock: Clock | None = None) -> OidcAuthenticator:
    """Return an authenticator that trusts the keys of this module."""
    return OidcAuthenticator(
        RULES,
        keys=keys or KnownKeys(),
        subject_ref=lambda tenant, raw: f"s_{tenant}_{raw}",
        clock=clock or Clock(),
    )
