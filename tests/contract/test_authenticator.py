"""Every authenticator keeps the port's promises: the adapters and the fake alike."""

from dataclasses import dataclass

import pytest

from ragplatform.adapters import api_keys
from ragplatform.adapters.api_keys import ApiKeyAuthenticator, KeyEntry
from ragplatform.errors import UnauthenticatedError
from ragplatform.model import Principal, Sensitivity
from ragplatform.ports import Authenticator
from tests.fakes import KnownTokens

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


def with_keys(tmp_path):
    keys = {who: api_keys.new_key(who.id) for who in (LEE, NAMESAKE, KIM)}
    path = tmp_path / "api-keys.toml"
    entries = [KeyEntry(api_keys.digest(key), who) for who, key in keys.items()]
    path.write_text("\n".join(api_keys.render(entry) for entry in entries))
    path.chmod(0o600)
    return Case(ApiKeyAuthenticator(path), keys)


def with_fake(tmp_path):
    return Case(KnownTokens({who.tenant + who.id: who for who in (LEE, NAMESAKE, KIM)}),
                {who: who.tenant + who.id for who in (LEE, NAMESAKE, KIM)})  # fmt: skip


@pytest.fixture(params=[with_keys, with_fake], ids=["api keys", "fake"])
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
