"""Every authenticator keeps the port's promises: the adapters and the fake alike."""

from dataclasses import dataclass, replace

import pytest

from ragplatform.adapters import api_keys
from ragplatform.adapters.api_keys import ApiKeyAuthenticator, KeyEntry
from ragplatform.adapters.callers import CallerAuthenticator, ClientUsers
from ragplatform.errors import UnauthenticatedError
from ragplatform.model import Principal, Sensitivity
from ragplatform.ports import Authenticator
from tests.fakes import KnownTokens
from tests.fakes_identity import Clock, claims, oidc, signed

LEE = Principal(
    "lee",
    "mercy",
    frozenset({"physician"}),
    frozenset({"cardiology"}),
    Sensitivity.CONFIDENTIAL,
    name="Dr Lee",
)
# The same id in another tenant, and another person in the same tenant.
NAMESAKE = Principal("lee", "harbor", frozenset({"teller"}))
KIM = Principal("kim", "mercy", frozenset({"researcher"}))


@dataclass(frozen=True, slots=True)
class Case:
    """An authenticator, with a token for each person that it knows."""

    authenticator: Authenticator
    tokens: dict[Principal, str]


def key_authenticator(tmp_path, keys):
    path = tmp_path / "api-keys.toml"
    entries = [KeyEntry(api_keys.digest(key), who) for who, key in keys.items()]
    path.write_text("\n".join(api_keys.render_key(entry) for entry in entries))
    path.chmod(0o600)
    return ApiKeyAuthenticator(path, clock=Clock())


def with_keys(tmp_path):
    keys = {who: api_keys.new_key(who.id) for who in (LEE, NAMESAKE, KIM)}
    return Case(key_authenticator(tmp_path, keys), keys)


def with_tokens(_):
    return Case(oidc(), {who: token_of(who) for who in (LEE, NAMESAKE, KIM)})


def token_of(who):
    return signed(
        claims(
            sub=who.id,
            tenant=who.tenant,
            realm_access={"roles": sorted(who.roles)},
            departments=sorted(who.departments),
            clearance=who.clearance.name.lower(),
            name=who.name or None,
        )
    )


def with_both(tmp_path):
    keys = {LEE: api_keys.new_key("lee"), NAMESAKE: api_keys.new_key("lee")}
    authenticator = CallerAuthenticator(
        keys=key_authenticator(tmp_path, keys),
        users=ClientUsers(tmp_path / "none", secret=str, leeway_s=0, clock=Clock()),
        tokens=oidc(),
    )
    return Case(authenticator, {**keys, KIM: token_of(KIM)})


def with_fake(_):
    people = {f"{who.tenant}-{who.id}": who for who in (LEE, NAMESAKE, KIM)}
    return Case(KnownTokens(people), {who: token for token, who in people.items()})


@pytest.fixture(
    params=[with_keys, with_tokens, with_both, with_fake], ids=["keys", "tokens", "both", "fake"]
)
def case(request, tmp_path):
    return request.param(tmp_path)


@pytest.mark.parametrize("token", ["", "x", "rp_lee_guess", "a.b.c", "\N{GREEK SMALL LETTER MU}"])
def test_an_unknown_token_stands_for_nobody(case, token):
    with pytest.raises(UnauthenticatedError):
        case.authenticator.authenticate(token)


def test_a_token_stands_for_its_person_and_all_that_is_known_of_them(case):
    for who, token in case.tokens.items():
        assert case.authenticator.authenticate(token) == who


def test_an_altered_token_stands_for_nobody(case):
    token = case.tokens[LEE]

    for other in (token[:-1], token + "x", token.swapcase(), f" {token}"):
        with pytest.raises(UnauthenticatedError):
            case.authenticator.authenticate(other)


def test_the_persons_own_token_entered_again_is_a_second_proof(case):
    assert case.authenticator.prove(case.tokens[LEE], LEE) is None


@pytest.mark.parametrize("other", [NAMESAKE, KIM], ids=["other tenant", "other id"])
def test_another_persons_token_is_no_second_proof(case, other):
    with pytest.raises(UnauthenticatedError):
        case.authenticator.prove(case.tokens[other], LEE)


def test_no_token_is_no_second_proof(case):
    with pytest.raises(UnauthenticatedError):
        case.authenticator.prove("", LEE)


def test_nobody_but_a_registered_client_may_say_for_whom_it_asks(case):
    for token in case.tokens.values():
        for statement in ("", "lee", case.tokens[KIM]):
            with pytest.raises(UnauthenticatedError):
                case.authenticator.authenticate(token, statement)


def test_a_person_is_recalled_as_it_is_known_now_or_not_at_all_without_a_token(case):
    for who, token in case.tokens.items():
        shown = case.authenticator.authenticate(token)

        assert case.authenticator.recall(shown) in {who, None}


def test_nobody_is_recalled_by_another_s_credential(case):
    shown = case.authenticator.authenticate(case.tokens[LEE])
    ghost = replace(shown, id="ghost")

    try:
        assert case.authenticator.recall(ghost) is None
    except UnauthenticatedError:
        return
