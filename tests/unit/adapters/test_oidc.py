"""Access tokens: each check by itself keeps a bad token out, and all say the same to the caller."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from ragplatform.adapters.oidc import ALGORITHMS, ClaimNames, OidcAuthenticator
from ragplatform.adapters.signed_tokens import LARGEST_TOKEN
from ragplatform.errors import ConfigurationError, UnauthenticatedError
from ragplatform.model import Principal, Sensitivity
from ragplatform.ports import PROOF_AGE_S
from tests.fakes_identity import (
    EC,
    ED,
    NOW,
    RSA,
    RULES,
    STRANGER,
    Clock,
    KnownKeys,
    b64,
    claims,
    oidc,
    signed,
)

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


def refused(token, authenticator=None):
    """Return the operator's reason after checking that the caller learns nothing of it."""
    with pytest.raises(UnauthenticatedError) as caught:
        (authenticator or oidc()).authenticate(token)
    assert str(caught.value) == str(UnauthenticatedError("anything"))
    return caught.value.reason


def forged(header, content, secret):
    """Return a token signed with a shared secret, without the library's own precautions."""
    body = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(content).encode())}"
    return f"{body}.{b64(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


# --- the signature, its algorithm and its key


@pytest.mark.parametrize(
    ("key", "alg"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")], ids=["rsa", "ec", "ed"]
)
def test_a_token_of_each_pinned_algorithm_is_taken(key, alg):
    assert oidc().authenticate(signed(claims(), key, alg)).id == "lee"


def test_an_algorithm_that_is_not_pinned_is_refused_even_under_the_right_key():
    assert refused(signed(claims(), RSA, "RS512")) == "unsupported_algorithm"
    assert refused(signed(claims(), RSA, "PS256")) == "unsupported_algorithm"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_an_unsigned_token_is_refused(alg):
    header = b64(json.dumps({"alg": alg, "kid": "rsa-1"}).encode())
    body = b64(json.dumps(claims()).encode())

    assert refused(f"{header}.{body}.") == "unsupported_algorithm"
    assert refused(f"{header}.{body}.{b64(b'x' * 256)}") == "unsupported_algorithm"


@pytest.mark.parametrize(
    "secret",
    [
        RSA.as_pem(private=False),
        RSA.as_pem(private=False).strip(),
        RSA.as_der(private=False),
        json.dumps(RSA.as_dict(private=False)).encode(),
        b"",
    ],
    ids=["pem", "stripped pem", "der", "jwk", "nothing"],
)
def test_the_public_key_is_no_secret_to_sign_with(secret):
    header = {"alg": "HS256", "kid": "rsa-1", "typ": "at+jwt"}

    assert refused(forged(header, claims(), secret)) == "unsupported_algorithm"


def test_no_setting_can_pin_a_shared_secret_or_no_signature():
    for name in ("HS256", "HS384", "HS512", "none"):
        assert name not in ALGORITHMS
        with pytest.raises(ConfigurationError):
            replace(RULES, algorithms=frozenset({"RS256", name}))
    with pytest.raises(ConfigurationError):
        replace(RULES, algorithms=frozenset())


def test_a_key_is_used_only_with_an_algorithm_of_its_kind():
    token = signed(claims(), EC, "ES256", kid="rsa-1")

    assert refused(token) == "invalid_key_type"


def test_a_key_that_names_its_algorithm_serves_no_other():
    only_pss = RSAKey.import_key({**RSA.as_dict(private=False), "alg": "PS256"})

    assert refused(signed(claims()), oidc(KnownKeys({"rsa-1": only_pss}))) == "unsupported_key_alg"


def test_another_key_of_the_same_name_signs_nothing():
    assert refused(signed(claims(), STRANGER)) == "bad_signature"


@pytest.mark.parametrize("kid", ["rsa-2", "", "../../etc/passwd", "rsa-1'--", "ec-1\x00", "RSA-1"])
def test_a_key_that_the_issuer_does_not_have_is_asked_for_once_and_refused(kid):
    keys = KnownKeys()

    assert refused(signed(claims(), kid=kid), oidc(keys)) == "unknown_key"
    assert keys.asked == [kid]


def test_a_token_must_name_its_key():
    assert refused(signed(claims(), kid=None)) == "no_key_named"


def test_a_changed_payload_is_refused():
    header, body, signature = signed(claims()).split(".")
    content = json.loads(base64.urlsafe_b64decode(body + "=="))
    content["realm_access"]["roles"].append("privacy-officer")

    changed = f"{header}.{b64(json.dumps(content).encode())}.{signature}"

    assert refused(changed) == "bad_signature"


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["kid"]},
        {"b64": True},
        {"jku": "https://evil.test/jwks"},
        {"jwk": EC.as_dict(private=False)},
        {"x5u": "https://evil.test/cert"},
        {"x5c": ["MIIB"]},
    ],
    ids=["crit", "b64", "jku", "jwk", "x5u", "x5c"],
)
def test_a_header_that_brings_its_own_key_or_rules_is_refused(extra):
    [name] = extra

    assert refused(signed(claims(), **extra)) == f"header_{name}"


# --- for whom and by whom


@pytest.mark.parametrize(
    "issuer",
    [None, "", "https://id.mercy.test/realms/other", "https://id.mercy.test/realms/staff/",
     "HTTPS://ID.MERCY.TEST/realms/staff", ["https://id.mercy.test/realms/staff"]],
)  # fmt: skip
def test_another_issuer_is_refused(issuer):
    assert refused(signed(claims(iss=issuer))) == "other_issuer"


@pytest.mark.parametrize(
    "audience", [None, "", "account", "ragplatform2", ["account"], [], {"ragplatform": 1}, 7]
)
def test_a_token_for_another_audience_is_refused(audience):
    assert refused(signed(claims(aud=audience))) == "other_audience"


def test_a_token_for_several_audiences_of_which_we_are_one_is_taken():
    assert oidc().authenticate(signed(claims(aud=["account", "ragplatform"]))).id == "lee"


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", None])
def test_the_types_of_access_tokens_are_taken(kind):
    assert oidc().authenticate(signed(claims(), typ=kind)).id == "lee"


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "id+jwt", ""])
def test_another_type_is_refused(kind):
    assert refused(signed(claims(), typ=kind)) == "other_type"


@pytest.mark.parametrize("name", ["nonce", "at_hash", "c_hash", "s_hash", "events", "cnf"])
def test_a_token_made_for_something_else_is_no_access_token(name):
    assert refused(signed(claims(**{name: "x"}))) == f"not_an_access_token_{name}"


@pytest.mark.parametrize("kind", ["ID", "Refresh", "Offline", "Logout"])
def test_the_type_that_keycloak_writes_among_the_claims_is_heeded(kind):
    assert refused(signed(claims(typ=kind))) == "not_an_access_token_typ"
    assert oidc().authenticate(signed(claims(typ="Bearer"))).id == "lee"


# --- times


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": NOW - 30}, "expired"),
        ({"exp": NOW - 5000, "iat": NOW - 6000}, "expired"),
        ({"iat": NOW + 31}, "issued_in_the_future"),
        ({"nbf": NOW + 31}, "not_yet_valid"),
        ({"iat": NOW - 60, "exp": NOW - 60 + 3601}, "lives_too_long"),
        ({"iat": 0}, "lives_too_long"),
        ({"exp": None}, "no_exp"),
        ({"iat": None}, "no_iat"),
        ({"exp": str(NOW + 600)}, "no_exp"),
        ({"exp": True}, "no_exp"),
        ({"iat": False}, "no_iat"),
        ({"nbf": "soon"}, "no_nbf"),
        ({"exp": float("nan")}, "no_exp"),
        ({"exp": float("inf")}, "no_exp"),
        ({"exp": 10**400}, "no_exp"),
        ({"nbf": float("nan")}, "no_nbf"),
    ],
)
def test_a_token_outside_its_time_is_refused(changes, reason):
    assert refused(signed(claims(**changes))) == reason


def test_clocks_may_differ_by_the_leeway_and_no_more():
    edge = claims(exp=NOW - 29, iat=NOW - 100, nbf=NOW + 30)
    assert oidc().authenticate(signed(edge)).id == "lee"
    assert oidc().authenticate(signed(claims(iat=NOW + 30))).id == "lee"


def test_a_token_ends_while_it_is_used():
    clock = Clock()
    authenticator = oidc(clock=clock)
    token = signed(claims(exp=NOW + 600))
    authenticator.authenticate(token)

    clock.now = NOW + 630

    assert refused(token, authenticator) == "expired"


# --- form


def test_an_oversized_token_is_refused_before_it_is_read():
    keys = KnownKeys()
    token = signed(claims(padding="x" * LARGEST_TOKEN))

    assert refused(token, oidc(keys)) == "too_large"
    assert keys.asked == []


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "a.b.c.d.e", "{}", "\x00", "Bearer x", "é.é.é", "\ud800.x.y",
     f"{b64(b'[]')}.{b64(b'{}')}.", f"{b64(b'null')}.{b64(b'{}')}.",
     f'{b64(b"7")}.{b64(b"{}")}.', f'{b64(b"""xalgx""")}.x.y',
     f'{b64(chr(34).encode() + b"alg" + chr(34).encode())}.e30.x',
     f'{b64(json.dumps({"alg": ["RS256"]}).encode())}.e30.x',
     f'{b64(json.dumps({"alg": {}}).encode())}.e30.x',
     f'{b64(json.dumps({"alg": "RS256", "kid": {"a": 1}}).encode())}.e30.x',
     f'{b64(b"[" * 380)}.e30.x', f'{b64(b"[" * 5000)}.e30.x'],
)  # fmt: skip
def test_what_is_no_token_is_refused_and_breaks_nothing(token):
    refused(token)


@pytest.mark.parametrize("payload", [b"[]", b"7", b"null", b"{", b"[" * 3000, b"\xff"])
def test_a_signed_payload_that_is_no_set_of_claims_is_refused(payload):
    refused(signed(payload))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x"]), json_values)
)
def test_no_header_whatever_breaks_the_reader_or_gets_in_unsigned(header):
    body = f"{b64(json.dumps({'alg': 'RS256', **header}).encode())}.{b64(b'{}')}."

    refused(body)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(claims(nbf=1, patients=1))), json_values))
def test_whatever_a_signed_token_claims_it_is_a_principal_or_refused(changes):
    try:
        who = oidc().authenticate(signed(claims(**changes)))
    except UnauthenticatedError:
        return
    assert who.tenant in RULES.tenants
    assert 0 < len(who.id) <= 128
    assert who.id.isprintable()


# --- claims made a principal


def test_claims_become_the_principal():
    who = oidc().authenticate(signed(claims(patients=["mrn:1", "mrn:2"])))

    assert who == Principal(
        "lee",
        "mercy",
        frozenset({"physician"}),
        frozenset({"cardiology"}),
        Sensitivity.CONFIDENTIAL,
        frozenset({"s_mercy_mrn:1", "s_mercy_mrn:2"}),
        "Dr Lee",
    )


def test_raw_ids_of_related_people_never_stay_raw():
    who = oidc().authenticate(signed(claims(patients="mrn:1")))

    assert who.subjects == {"s_mercy_mrn:1"}


def test_a_role_that_nobody_knows_passes_for_policy_to_decide():
    who = oidc().authenticate(signed(claims(realm_access={"roles": ["astronaut"]})))

    assert who.roles == {"astronaut"}


def test_claims_that_only_add_rights_may_be_absent():
    who = oidc().authenticate(signed(claims(departments=None, name=None)))

    assert (who.departments, who.subjects, who.name) == (frozenset(), frozenset(), "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": None}, "claim_sub"),
        ({"sub": ""}, "claim_sub"),
        ({"sub": " "}, "claim_sub"),
        ({"sub": 7}, "claim_sub"),
        ({"sub": "x" * 129}, "claim_sub"),
        ({"sub": "lee\nadmin"}, "claim_sub"),
        ({"sub": "lee\u202eadmin"}, "claim_sub"),
        ({"tenant": None}, "claim_tenant"),
        ({"tenant": ["mercy"]}, "claim_tenant"),
        ({"tenant": "elsewhere"}, "other_tenant"),
        ({"tenant": "Mercy"}, "other_tenant"),
        ({"clearance": None}, "claim_clearance"),
        ({"clearance": "top"}, "claim_clearance"),
        ({"clearance": 3}, "claim_clearance"),
        ({"realm_access": None}, "claim_/realm_access/roles"),
        ({"realm_access": {}}, "claim_/realm_access/roles"),
        ({"realm_access": "physician"}, "claim_/realm_access/roles"),
        ({"realm_access": {"roles": [7]}}, "claim_/realm_access/roles"),
        ({"realm_access": {"roles": ["x" * 129]}}, "claim_/realm_access/roles"),
        ({"departments": {"a": 1}}, "claim_departments"),
        ({"departments": ["ok", None]}, "claim_departments"),
        ({"patients": [["mrn:1"]]}, "claim_patients"),
        ({"name": ["Dr"]}, "claim_name"),
    ],
)
def test_a_missing_or_malformed_claim_refuses(changes, reason):
    assert refused(signed(claims(**changes))) == reason


def test_without_a_claim_for_the_tenant_the_only_one_is_meant():
    rules = replace(
        RULES,
        tenants=frozenset({"mercy"}),
        claims=ClaimNames(id="sub", roles="https://mercy.test/roles"),
    )
    token = signed(claims(tenant="harbor", **{"https://mercy.test/roles": "physician"}))

    who = OidcAuthenticator(
        rules, keys=KnownKeys(), subject_ref=lambda t, r: r, clock=Clock()
    ).authenticate(token)

    assert (who.tenant, who.roles, who.clearance) == (
        "mercy",
        {"physician"},
        Sensitivity.INTERNAL,
    )
    for tenants in (frozenset(), frozenset({"a", "b"})):
        with pytest.raises(ConfigurationError):
            replace(rules, tenants=tenants)


@pytest.mark.parametrize("field", ["issuer", "audience"])
def test_rules_that_would_take_any_token_are_refused(field):
    with pytest.raises(ConfigurationError):
        replace(RULES, **{field: ""})


# --- a second proof, and speaking for others


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({"iat": NOW - PROOF_AGE_S}, True),
        ({"iat": NOW - PROOF_AGE_S - 1}, False),
        ({"auth_time": NOW - PROOF_AGE_S}, True),
        ({"auth_time": NOW - PROOF_AGE_S - 1}, False),
        ({"auth_time": NOW + 3600}, False),
        ({"auth_time": "now"}, False),
        ({"auth_time": None, "iat": NOW}, True),
        ({"sub": "kim", "iat": NOW}, False),
        ({"tenant": "harbor", "iat": NOW}, False),
        ({"exp": NOW - 31, "iat": NOW - 60}, False),
    ],
)
def test_only_a_fresh_sign_in_of_the_same_person_is_a_second_proof(changes, good):
    lee = oidc().authenticate(signed(claims()))
    token = signed(claims(**changes))

    if good:
        oidc().prove(token, lee)
        return
    with pytest.raises(UnauthenticatedError):
        oidc().prove(token, lee)


def test_a_refreshed_token_of_an_old_sign_in_is_no_second_proof():
    lee = oidc().authenticate(signed(claims()))

    with pytest.raises(UnauthenticatedError):
        oidc().prove(signed(claims(iat=NOW, auth_time=NOW - 4000)), lee)


def test_a_person_with_a_token_speaks_for_nobody_else():
    with pytest.raises(UnauthenticatedError):
        oidc().authenticate(signed(claims()), "a.b.c")
