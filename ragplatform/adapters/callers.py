"""Everybody who may call: holders of API keys or access tokens, users of registered clients."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from joserfc.jwk import OctKey

from ragplatform.adapters.api_keys import ApiKeyAuthenticator, KeyEntry, is_key, read_users, short
from ragplatform.adapters.oidc import OidcAuthenticator
from ragplatform.adapters.signed_tokens import check_times, read_claims
from ragplatform.adapters.trusted_file import TrustedFile
from ragplatform.errors import UnauthenticatedError
from ragplatform.model import Principal, Purpose

# What Open WebUI signs with, and as whom. Source: open_webui/utils/headers.py, release 0.10.
_ALGORITHM: Final = "HS256"
_ISSUER: Final = "open-webui"
# A statement is made for one request; Open WebUI lets it live 300 seconds unless told otherwise.
_LONGEST_STATEMENT_S: Final = 600


class ClientUsers:
    """The users for whom registered clients may ask, each listed by us.

    A client's own word on a user's role is not taken: Open WebUI knows only administrator and user.
    The user is found by ``sub``, which Open WebUI makes and nobody chooses; an e-mail address is
    typed in by whoever signs up.
    """

    def __init__(
        self, path: Path, *, secret: Callable[[str], str], leeway_s: int, clock: Callable[[], float]
    ) -> None:
        self._entries = TrustedFile(path, _by_sub)
        self._secret = secret
        self._leeway_s = leeway_s
        self._clock = clock

    def principal(self, client: KeyEntry, statement: str) -> Principal:
        """Return the user for whom a client states that it asks.

        1. The caller is a registered client. 2. Its secret signed the statement. 3. The statement
        is of now. 4. We list the user, for this client and in its tenant. The client's key narrows
        the user's purposes to its own.

        Raises ``UnauthenticatedError``, ``ConfigurationError`` for a missing secret or list.
        """
        if not client.acts_for:  # 1
            raise UnauthenticatedError("not_a_registered_client")
        key = OctKey.import_key(self._secret(client.acts_for))
        claims = read_claims(statement, algorithms={_ALGORITHM}, key_for=lambda _: key)  # 2
        if claims.get("iss") != _ISSUER:
            raise UnauthenticatedError("other_issuer")
        now = self._clock()
        check_times(  # 3
            claims, now=now, leeway_s=self._leeway_s, longest_s=_LONGEST_STATEMENT_S
        )
        listed = self._entries.value()
        sub = claims.get("sub")
        user = listed.get((client.acts_for, sub)) if isinstance(sub, str) else None  # 4
        if user is None or user.tenant != client.principal.tenant:
            raise UnauthenticatedError("unknown_user")
        return _through(client, user)

    def recall(self, client: KeyEntry, principal: Principal) -> Principal:
        """Return a user whom we still list for a client. Raises ``UnauthenticatedError``."""
        listed, wanted = self._entries.value().items(), (principal.tenant, principal.id)
        theirs = [user for (name, _), user in listed if name == client.acts_for]
        user = next((one for one in theirs if (one.tenant, one.id) == wanted), None)
        if not client.acts_for or user is None or user.tenant != client.principal.tenant:
            raise UnauthenticatedError("unknown_user")
        return _through(client, user)


def _through(client: KeyEntry, user: Principal) -> Principal:
    return replace(
        user,
        purposes=_narrower(user.purposes, client.principal.purposes),
        via=client.principal.id,
        proof=f"client:{short(client.sha256)}",
    )


def _by_sub(path: Path) -> Mapping[tuple[str, str], Principal]:
    return {(entry.client, entry.sub): entry.principal for entry in read_users(path)}


def _narrower(
    one: frozenset[Purpose] | None, other: frozenset[Purpose] | None
) -> frozenset[Purpose] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


class CallerAuthenticator:
    """Sends each token to those who can tell: a key by its form, all else to the issuer's."""

    def __init__(
        self, *, keys: ApiKeyAuthenticator, users: ClientUsers, tokens: OidcAuthenticator | None
    ) -> None:
        self._keys = keys
        self._users = users
        self._tokens = tokens

    def authenticate(self, token: str, user: str | None = None) -> Principal:
        """Return who calls, or for whom. Raises ``UnauthenticatedError``."""
        if user is not None and is_key(token):
            return self._users.principal(self._keys.entry(token), user)
        return self._who_can_tell(token).authenticate(token, user)

    def prove(self, token: str, principal: Principal) -> None:
        """Accept a second proof by the same person. Raises ``UnauthenticatedError``."""
        self._who_can_tell(token).prove(token, principal)

    def recall(self, principal: Principal) -> Principal | None:
        """Return a principal with its rights of now. Raises ``UnauthenticatedError``."""
        kind, _, known_by = principal.proof.partition(":")
        if kind == "key":
            return self._keys.recall(principal)
        if kind == "client":
            return self._users.recall(self._keys.still(known_by), principal)
        # What an issuer vouched for, it vouches for until the token ends, and to nobody without it.
        return None

    def _who_can_tell(self, token: str) -> ApiKeyAuthenticator | OidcAuthenticator:
        if is_key(token):
            return self._keys
        if self._tokens is None:
            raise UnauthenticatedError("no_issuer_is_set")
        return self._tokens
