"""Who calls: opens what tells them apart, and keeps the files of keys and users."""

import os
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from ragplatform import egress, openers
from ragplatform.adapters import api_keys
from ragplatform.adapters.api_keys import ApiKeyAuthenticator, UserEntry
from ragplatform.adapters.callers import CallerAuthenticator, ClientUsers
from ragplatform.adapters.jwks import (
    FETCH_TIMEOUT_S,
    DiscoveredKeys,
    FixedKeys,
    KeySource,
    Patience,
    fetch_keys,
    read_key_file,
)
from ragplatform.adapters.jwks import (
    Keys as IssuerKeys,
)
from ragplatform.adapters.key_file import KeyFile
from ragplatform.adapters.oidc import ClaimNames, OidcAuthenticator, TokenRules
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError
from ragplatform.model import Json, Principal
from ragplatform.ports import Authenticator
from ragplatform.privacy.vault import Vault


def count_keys(settings: Settings) -> int:
    """Return how many API keys there are. Raises ``ConfigurationError`` for a wrong file."""
    return len(api_keys.read_keys(settings.api_keys_file))


def authenticate(settings: Settings, token: str) -> Principal:
    """Return whom a key or token stands for. Raises ``UnauthenticatedError``."""
    vault = openers.open_vault(settings)
    try:
        return open_authenticator(settings, vault).authenticate(token)
    finally:
        vault.close()


def keyed_person(settings: Settings, name: str, tenant: str = "") -> Principal:
    """Return somebody of the key file by id, for who holds that file; "" for any tenant.

    Raises ``ConfigurationError`` when there is nobody of that id, or several.
    """
    entries = api_keys.read_keys(settings.api_keys_file)
    found = {
        (one.principal.tenant, one.principal.id): one.principal
        for one in entries
        if one.principal.id == name and tenant in {"", one.principal.tenant}
    }
    if len(found) != 1:
        several = "several tenants have one: name the tenant" if found else "nobody is there"
        raise ConfigurationError(f"{settings.api_keys_file}: {name[:64]!r}: {several}")
    (person,) = found.values()
    return person


def open_authenticator(settings: Settings, vault: Vault) -> Authenticator:
    """Return what tells who calls. Raises ``ConfigurationError``."""
    return CallerAuthenticator(
        keys=ApiKeyAuthenticator(settings.api_keys_file, clock=time.time),
        users=ClientUsers(
            settings.users_file,
            secret=settings.client_secret,
            leeway_s=settings.oidc_leeway_s,
            clock=time.time,
        ),
        tokens=_open_oidc(settings, vault) if settings.oidc_issuer else None,
    )


def _open_oidc(settings: Settings, vault: Vault) -> OidcAuthenticator:
    keys: KeySource
    if settings.oidc_jwks_file is not None:
        keys = FixedKeys(settings.oidc_jwks_file)
    else:
        patience = Patience(
            settings.oidc_keys_max_age_s, settings.oidc_keys_pause_s, settings.oidc_keys_grace_s
        )
        fetch = partial(_fetch_keys, settings)
        keys = DiscoveredKeys(fetch, patience=patience, clock=time.monotonic)
    return OidcAuthenticator(
        token_rules(settings), keys=keys, subject_ref=vault.subject_ref, clock=time.time
    )


def token_rules(settings: Settings) -> TokenRules:
    """Return which tokens are taken. Raises ``ConfigurationError``."""
    return TokenRules(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        algorithms=frozenset(settings.oidc_algorithms),
        leeway_s=settings.oidc_leeway_s,
        longest_s=settings.oidc_longest_token_s,
        tenants=frozenset(settings.oidc_tenants),
        claims=ClaimNames(
            id=settings.oidc_id_claim,
            roles=settings.oidc_roles_claim,
            tenant=settings.oidc_tenant_claim,
            departments=settings.oidc_departments_claim,
            clearance=settings.oidc_clearance_claim,
            subjects=settings.oidc_subjects_claim,
            name=settings.oidc_name_claim,
        ),
    )


def _fetch_keys(settings: Settings) -> IssuerKeys:
    places = openers.allowed(settings)
    return fetch_keys(
        settings.oidc_issuer, lambda: egress.client(places, timeout_s=FETCH_TIMEOUT_S)
    )


def count_issuer_keys(settings: Settings) -> int:
    """Return how many keys the issuer has for signatures, after checking the settings of tokens.

    Raises ``ConfigurationError``, ``UnavailableError`` when they cannot be had.
    """
    token_rules(settings)
    file = settings.oidc_jwks_file
    return len(_fetch_keys(settings) if file is None else read_key_file(file))


@dataclass(frozen=True, slots=True)
class NewKey:
    """A fresh API key, shown once; only its digest is kept."""

    principal: Principal
    key: str


def key_file(settings: Settings) -> KeyFile:
    """Return the files of API keys and of clients' users."""
    return KeyFile(settings.api_keys_file, settings.users_file, clock=time.time)


def add_key(
    settings: Settings,
    principal: Principal,
    subjects: frozenset[str],
    *,
    actor: str,
    days: int | None = None,
    acts_for: str = "",
) -> NewKey:
    """Make a key for the principal, related to the raw ``subjects``; write down its digest.

    A key that the same principal had before stops working. ``acts_for`` makes it the key of a
    registered client. Raises ``ConfigurationError``.
    """
    related = _related(settings, principal, subjects)
    _record_keys(settings, Action.API_KEY_MADE, actor, related, acts_for=acts_for or None)
    return NewKey(related, key_file(settings).add(related, days=days, acts_for=acts_for))


def add_user(
    settings: Settings,
    principal: Principal,
    subjects: frozenset[str],
    *,
    client: str,
    sub: str,
    actor: str,
) -> None:
    """Write down for whom a client asks when it states ``sub``. Raises ``ConfigurationError``."""
    related = _related(settings, principal, subjects)
    _record_keys(settings, Action.USER_LISTED, actor, related, client=client)
    key_file(settings).list_user(UserEntry(client, sub, related))


def rotate_key(
    settings: Settings, name: str, tenant: str, *, overlap_hours: int, days: int | None, actor: str
) -> NewKey:
    """Make the next key of a principal; the one before ends after the overlap.

    Raises ``ConfigurationError``.
    """
    file = key_file(settings)
    who = file.find(name, tenant)
    _record_keys(settings, Action.API_KEY_ROTATED, actor, who, overlap_hours=overlap_hours)
    return NewKey(who, file.rotate(who, overlap=timedelta(hours=overlap_hours), days=days))


def revoke_keys(settings: Settings, name: str, tenant: str, *, actor: str) -> int:
    """Remove all keys and user entries of a principal; return how many went.

    Raises ``ConfigurationError``.
    """
    file = key_file(settings)
    who = file.find(name, tenant)
    _record_keys(settings, Action.API_KEY_REVOKED, actor, who)
    return file.revoke(who)


def _related(settings: Settings, principal: Principal, subjects: frozenset[str]) -> Principal:
    vault = openers.open_vault(settings)
    refs = frozenset(vault.subject_ref(principal.tenant, subject) for subject in subjects)
    vault.close()
    return replace(principal, subjects=refs)


def _record_keys(
    settings: Settings, action: Action, actor: str, who: Principal, **more: str | int | None
) -> None:
    with openers.open_audit(settings, "cli") as audit:
        details: dict[str, Json] = {"principal": who.id, **more}
        audit.append(
            AuditEvent(action, Outcome.SUCCESS, who.tenant, actor, "", None, details=details)
        )


def create_keys(settings: Settings) -> Path | None:
    """Make the master secret if there is none; return its path if it was made.

    Where there is no file of API keys, an empty one is made beside it.
    """
    path = settings.master_key_file
    key_file(settings).begin()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(os.urandom(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path
