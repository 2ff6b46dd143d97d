"""Registered clients ask for users whom we list, and for nobody else."""

import json
from dataclasses import replace

import pytest
from joserfc.jwk import OctKey

from ragplatform.adapters import api_keys
from ragplatform.adapters.api_keys import ApiKeyAuthenticator, KeyEntry, UserEntry
from ragplatform.adapters.callers import CallerAuthenticator, ClientUsers
from ragplatform.errors import ConfigurationError, UnauthenticatedError
from ragplatform.model import Principal, Purpose, Sensitivity
from tests.fakes_identity import NOW, RSA, Clock, b64, claims, oidc, signed

SECRET = OctKey.generate_key(256)
OTHER = OctKey.generate_key(256)
CLIENT = Principal("open-webui", "mercy", frozenset())
LEE = Principal(
    "lee",
    "mercy",
    frozenset({"physician"}),
    frozenset({"cardiology"}),
    Sensitivity.CONFIDENTIAL,
    frozenset({"s_1"}),
    "Dr Lee",
)
KIM = Principal("kim", "harbor", frozenset({"teller"}))
CLIENT_KEY = api_keys.new_key("open-webui")
OWN_KEY = api_keys.new_key("lee")


def statement(key=SECRET, alg="HS256", kid=None, typ="JWT", **changes):
    """Return what Open WebUI sends: these claims, this header, no name of a key."""
    content = {
        "sub": "0b1c-lee",
        "email": "lee@mercy.test",
        "name": "Lee",
        "role": "admin",
        "iss": "open-webui",
        "iat": NOW,
        "exp": NOW + 300,
        **changes,
    }
    named = {name: value for name, value in content.items() if value is not None}
    return signed(named, key, alg, kid=kid, typ=typ)


@pytest.fixture
def ask(tmp_path):
    """Return a way to authenticate against files that list one client and two users."""

    def with_client(client=CLIENT, lee=LEE):
        keys, users = tmp_path / "api-keys.toml", tmp_path / "users.toml"
        entries = [
            KeyEntry(api_keys.digest(CLIENT_KEY), client, acts_for="openwebui"),
            KeyEntry(api_keys.digest(OWN_KEY), LEE),
        ]
        listed = [UserEntry("openwebui", "0b1c-lee", lee), UserEntry("openwebui", "0b1c-kim", KIM),
                  UserEntry("otherui", "0b1c-sam", replace(LEE, id="sam"))]  # fmt: skip
        keys.write_text("\n".join(map(api_keys.render_key, entries)))
        users.write_text("\n".join(map(api_keys.render_user, listed)))
        for path in (keys, users):
            path.chmod(0o600)
        secrets = {"openwebui": SECRET.raw_value.decode("latin-1")}
        return CallerAuthenticator(
            keys=ApiKeyAuthenticator(keys, clock=Clock()),
            users=ClientUsers(
                users,
                secret=lambda client: secrets[client].encode("latin-1"),
                leeway_s=30,
                clock=Clock(),
            ),
            tokens=oidc(),
        ).authenticate

    return with_client


def refused(authenticate, token, user):
    with pytest.raises(UnauthenticatedError) as caught:
        authenticate(token, user)
    assert str(caught.value) == str(UnauthenticatedError("anything"))
    return caught.value.reason


def test_a_registered_client_asks_with_the_rights_that_we_list_and_no_others(ask):
    who = ask()(CLIENT_KEY, statement(role="admin"))

    assert who == replace(LEE, via="open-webui")


def test_a_registered_client_without_a_statement_stands_for_nobody(ask):
    assert refused(ask(), CLIENT_KEY, None) == "client_without_user"


@pytest.mark.parametrize("empty", ["", " ", ",", "a.b.c"])
def test_an_empty_or_broken_statement_is_refused(ask, empty):
    refused(ask(), CLIENT_KEY, empty)


def test_a_statement_by_anybody_else_is_refused_and_not_overlooked(ask):
    assert refused(ask(), OWN_KEY, statement()) == "not_a_registered_client"
    assert refused(ask(), signed(claims()), statement()) == "not_a_registered_client"
    assert refused(ask(), api_keys.new_key("x"), statement()) == "unknown_key"
    refused(ask(), "", statement())


def test_a_statement_under_another_secret_is_refused(ask):
    assert refused(ask(), CLIENT_KEY, statement(OTHER)) == "bad_signature"


def test_an_unsigned_statement_is_refused(ask):
    body = statement().split(".")[1]
    header = b64(json.dumps({"alg": "none", "typ": "JWT"}).encode())

    assert refused(ask(), CLIENT_KEY, f"{header}.{body}.") == "unsupported_algorithm"


@pytest.mark.parametrize("alg", ["HS384", "HS512"])
def test_only_the_one_algorithm_of_the_client_is_taken(ask, alg):
    assert refused(ask(), CLIENT_KEY, statement(alg=alg)) == "unsupported_algorithm"


def test_a_statement_signed_with_a_key_of_another_kind_is_refused(ask):
    assert refused(ask(), CLIENT_KEY, statement(RSA, "RS256")) == "unsupported_algorithm"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iat": NOW - 400, "exp": NOW - 31}, "expired"),
        ({"iat": NOW + 31}, "issued_in_the_future"),
        ({"exp": NOW + 601}, "lives_too_long"),
        ({"exp": None}, "no_exp"),
        ({"iat": None}, "no_iat"),
        ({"iss": "other"}, "other_issuer"),
        ({"iss": None}, "other_issuer"),
        ({"sub": None}, "unknown_user"),
        ({"sub": "0b1c-new"}, "unknown_user"),
        ({"sub": "lee@mercy.test"}, "unknown_user"),
        ({"sub": "0b1c-kim"}, "unknown_user"),
        ({"sub": "0b1c-sam"}, "unknown_user"),
        ({"typ": "logout+jwt"}, "other_type"),
    ],
    ids="expired future long no-exp no-iat issuer no-issuer no-sub new email "
    "other-tenant other-client type".split(),
)
def test_a_statement_that_is_not_of_a_listed_user_now_is_refused(ask, changes, reason):
    assert refused(ask(), CLIENT_KEY, statement(**changes)) == reason


def test_the_clients_key_narrows_the_purposes_of_its_users(ask):
    both = frozenset({Purpose.TREAT, Purpose.HRESCH})
    client = replace(CLIENT, purposes=frozenset({Purpose.TREAT, Purpose.HPAYMT}))

    assert ask(client)(CLIENT_KEY, statement()).purposes == client.purposes
    narrowed = ask(client, replace(LEE, purposes=both))(CLIENT_KEY, statement())
    assert narrowed.purposes == {Purpose.TREAT}
    assert ask(lee=replace(LEE, purposes=both))(CLIENT_KEY, statement()).purposes == both


def test_a_client_without_a_list_of_users_or_a_secret_reaches_nobody(tmp_path, ask):
    authenticate = ask()
    (tmp_path / "users.toml").unlink()

    with pytest.raises(ConfigurationError):
        authenticate(CLIENT_KEY, statement())


def test_without_an_issuer_every_token_but_a_key_is_refused(tmp_path, ask):
    ask()
    callers = CallerAuthenticator(
        keys=ApiKeyAuthenticator(tmp_path / "api-keys.toml", clock=Clock()),
        users=ClientUsers(tmp_path / "users.toml", secret=str, leeway_s=0, clock=Clock()),
        tokens=None,
    )

    assert refused(callers.authenticate, signed(claims()), None) == "no_issuer_is_set"
    assert callers.authenticate(OWN_KEY) == LEE
    with pytest.raises(UnauthenticatedError):
        callers.prove(signed(claims()), LEE)
