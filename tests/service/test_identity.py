"""People of a real OpenID provider, users of Open WebUI, and keys, all through the real API."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from ragplatform import identities, wiring
from ragplatform.api.caller import USER_HEADER
from ragplatform.audit.events import Action
from ragplatform.model import Principal, Purpose, Sensitivity

STAFF = {
    "lee": {
        "tenant": "mercy",
        "roles": ["physician"],
        "departments": ["cardiology"],
        "clearance": "confidential",
        "patients": ["mrn:1"],
    },
    "sam": {"tenant": "elsewhere", "roles": ["physician"], "clearance": "confidential"},
}
TEXT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
ASKED = {"question": "Why was apixaban stopped for Maria Lopez?", "purpose": "TREAT"}


class Provider:
    """The provider's process, spoken to as a browser and a client would."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.oidc_provider", json.dumps(STAFF)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"},
            cwd=Path(__file__).parents[2],
        )
        self.issuer = self.process.stdout.readline().strip()
        self.http = httpx2.Client(base_url=self.issuer, trust_env=False)

    def sign_in(self, person):
        """Return the tokens of a person who signs in (authorisation code flow)."""
        back = "http://127.0.0.1:1/back"
        asked = {"client_id": "web", "redirect_uri": back, "response_type": "code"}
        asked |= {"scope": "openid profile", "nonce": "n-1", "state": "s-1"}
        sent = self.http.post("/oauth2/authorize", params=asked, data={"sub": person})
        code = httpx2.URL(sent.headers["location"]).params["code"]
        given = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
        return self.http.post("/oauth2/token", data=given, auth=("web", "x")).json()

    def sign(self, header=None, **changes):
        """Return a token that the provider's own key signed, whatever it says."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "ragplatform", "sub": "lee", "iat": now}
        claims |= {"exp": now + 300, **STAFF["lee"], **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        sent = {"header": {"typ": "at+jwt", **(header or {})}, "claims": claims}
        return self.http.post("/sign", json=sent).json()["token"]

    def post(self, path):
        self.http.post(path).raise_for_status()

    def end(self):
        self.http.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def provider():
    one = Provider()
    yield one
    one.end()


def open_to(one, **changes):
    """Let the platform under test tell callers apart as a real one does."""
    settings = one.settings.model_copy(update=changes)
    authenticator = identities.open_authenticator(settings, one.platform.store.vault)
    one.platform = replace(one.platform, authenticator=authenticator)
    one.settings = settings
    return one


@pytest.fixture
def ward(bench):
    one = bench()
    one.put(TEXT, subjects=["mrn:1"])
    return one


@pytest.fixture
def hospital(ward, provider):
    return open_to(
        ward,
        oidc_issuer=provider.issuer,
        oidc_audience="ragplatform",
        oidc_tenants=["mercy", "harbor"],
        oidc_tenant_claim="tenant",
        oidc_departments_claim="departments",
        oidc_clearance_claim="clearance",
        oidc_subjects_claim="patients",
        oidc_keys_max_age_s=1,
        oidc_keys_pause_s=1,
        oidc_keys_grace_s=1,
    )


def bearer(token, **more):
    return {"Authorization": f"Bearer {token}", **more}


def actions(one, **conditions):
    """What was done; that a credential was new here is tested by itself."""
    done = [str(record.action) for record in one.records(**conditions)]
    return [action for action in done if action != "authenticated"]


# --- a real provider


def test_a_person_who_signed_in_asks_and_is_answered_on_record(hospital, serve, provider):
    token = provider.sign_in("lee")["access_token"]

    response = serve(hospital).post("/v1/ask", json=ASKED, headers=bearer(token))

    assert response.status_code == 200
    # Related by the provider's claim, so the name is seen in clear.
    assert "Maria Lopez" in response.json()["answer"]
    assert actions(hospital, actor="lee", tenant="mercy") == ["asked", "retrieved", "answered"]


def test_the_token_that_proves_a_sign_in_to_the_browser_is_no_access_token(
    hospital, serve, provider
):
    client = serve(hospital)
    id_token = provider.sign_in("lee")["id_token"]

    assert client.get("/v1/whoami", headers=bearer(id_token)).status_code == 401
    for mark in ("nonce", "at_hash"):
        token = provider.sign({"typ": "JWT"}, **{mark: "x"})
        assert client.get("/v1/whoami", headers=bearer(token)).status_code == 401


def test_a_person_of_a_tenant_that_is_not_ours_is_refused(hospital, serve, provider):
    token = provider.sign_in("sam")["access_token"]

    assert serve(hospital).get("/v1/whoami", headers=bearer(token)).status_code == 401


def test_keys_rotate_under_running_callers(hospital, serve, provider):
    client = serve(hospital)

    def status(token):
        return client.get("/v1/whoami", headers=bearer(token)).status_code

    old = provider.sign()
    assert status(old) == 200

    provider.post("/rotate")
    time.sleep(1.1)
    new = provider.sign()
    assert (status(new), status(old)) == (200, 200)

    provider.post("/retire")
    time.sleep(1.1)
    assert (status(new), status(old)) == (200, 401)


def test_while_the_provider_is_away_callers_are_served_for_the_grace_and_then_nobody(
    hospital, serve, provider
):
    client = serve(hospital)
    headers = bearer(provider.sign())
    assert client.get("/v1/whoami", headers=headers).status_code == 200

    provider.end()
    time.sleep(1.1)
    assert client.get("/v1/whoami", headers=headers).status_code == 200

    time.sleep(1.5)
    response = client.post("/v1/ask", json=ASKED, headers=headers)
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert provider.issuer not in response.text
    assert "asked" not in actions(hospital)


def bad_tokens(provider):
    now = int(time.time())
    good = provider.sign()
    head, body, signature = good.split(".")
    kid = jws.extract_compact(good.encode()).headers()["kid"]
    claims = jws.extract_compact(good.encode()).payload
    public = provider.http.get("/jwks").json()["keys"][0]
    stranger = RSAKey.generate_key(2048, {"kid": kid})

    def unsafe(alg, key):
        header = {"alg": alg, "kid": kid, "typ": "at+jwt"}
        registry = jws.JWSRegistry(algorithms=[alg])
        return jws.serialize_compact(header, claims, key, registry=registry)

    return {
        "wrong algorithm": provider.sign({"alg": "RS384"}),
        "unsigned": jws.serialize_compact({"alg": "none", "kid": kid}, claims, None, ["none"]),
        "signed with the public key": unsafe("HS256", OctKey.import_key(json.dumps(public))),
        "signed by a stranger": unsafe("RS256", stranger),
        "tampered": f"{head}.{body[:-4]}AAAA.{signature}",
        "without signature": f"{head}.{body}.",
        "of a made-up key": provider.sign({"kid": "../jwks"}),
        "bringing its own key": provider.sign({"jku": f"{provider.issuer}/jwks"}),
        "critical header": provider.sign({"crit": ["kid"]}),
        "of another type": provider.sign({"typ": "logout+jwt"}),
        "expired": provider.sign(iat=now - 400, exp=now - 40),
        "without end": provider.sign(exp=None),
        "not yet valid": provider.sign(nbf=now + 60),
        "from the future": provider.sign(iat=now + 60),
        "living too long": provider.sign(exp=now + 86400),
        "for another audience": provider.sign(aud="billing"),
        "of another issuer": provider.sign(iss="http://127.0.0.1:1"),
        "without tenant": provider.sign(tenant=None),
        "with a level that is none": provider.sign(clearance="cosmic"),
        "oversized": provider.sign(padding="x" * 9000),
        "no token": "x.y.z",
        "a key that does not exist": "rp_lee_guess",
    }


@pytest.mark.filterwarnings('ignore:JWS algorithm "none"')
def test_every_bad_token_gets_the_same_refusal_and_is_recorded(hospital, serve, provider):
    client, seen = serve(hospital), set()
    hospital.platform.strangers._every_s = 0
    tokens = bad_tokens(provider)

    for what, token in tokens.items():
        response = client.post("/v1/ask", json=ASKED, headers=bearer(token))
        assert response.status_code == 401, what
        problem = response.json()
        problem.pop("request_id")
        seen.add(json.dumps(problem, sort_keys=True))

    assert len(seen) == 1
    assert actions(hospital).count("authenticated_failed") == len(tokens)
    assert hospital.generator.asked == []


def test_the_doctor_can_have_the_issuers_keys_or_says_why_not(hospital, provider):
    assert identities.count_issuer_keys(hospital.settings) == 1

    provider.end()

    with pytest.raises(wiring.PlatformError, match="does not answer"):
        identities.count_issuer_keys(hospital.settings)


# --- Open WebUI


@pytest.fixture
def chat(ward):
    """Return a platform with a registered client, its key, its secret, and one listed user."""
    settings = ward.settings
    client = Principal("chat", "mercy", frozenset())
    key = identities.add_key(settings, client, frozenset(), actor="test", acts_for="openwebui").key
    secret = OctKey.generate_key(256).as_dict(private=True)["k"]
    path = settings.keys_dir / "client-openwebui.secret"
    path.write_text(secret)
    path.chmod(0o600)
    level, wards = Sensitivity.CONFIDENTIAL, frozenset({"cardiology"})
    lee = Principal("lee", "mercy", frozenset({"physician"}), wards, level)
    identities.add_user(settings, lee, frozenset({"mrn:1"}), client="openwebui", sub="7d-lee",
                    actor="test")  # fmt: skip
    return open_to(ward), key, OctKey.import_key(secret)


def statement(secret, **changes):
    now = int(time.time())
    claims = {"sub": "7d-lee", "email": "l@mercy.test", "role": "user", "iss": "open-webui"}
    claims |= {"iat": now, "exp": now + 300, **changes}
    return jws.serialize_compact({"alg": "HS256", "typ": "JWT"}, json.dumps(claims), secret)


def test_a_user_of_the_chat_is_answered_and_the_record_names_the_client(chat, serve):
    one, key, secret = chat
    headers = bearer(key, **{USER_HEADER: statement(secret)})

    response = serve(one).post("/v1/ask", json=ASKED, headers=headers)

    assert "Maria Lopez" in response.json()["answer"]
    found = one.records(request_id=response.json()["request_id"])
    assert {(record.actor, record.client) for record in found} == {("lee", "chat")}


def test_without_its_users_statement_the_chat_is_nobody(chat, serve):
    one, key, secret = chat
    client = serve(one)

    for more in (
        {},
        {USER_HEADER: ""},
        {USER_HEADER: statement(secret, exp=int(time.time()) - 60)},
        {USER_HEADER: statement(OctKey.generate_key(256))},
        {USER_HEADER: statement(secret, sub="7d-new")},
        {"X-OpenWebUI-User-Id": "7d-lee", "X-OpenWebUI-User-Email": "l@mercy.test"},
    ):
        response = client.post("/v1/ask", json=ASKED, headers=bearer(key, **more))
        assert response.status_code == 401
    assert "asked" not in actions(one)


def test_two_statements_are_none(chat, serve):
    one, key, secret = chat
    headers = [("Authorization", f"Bearer {key}")] + [(USER_HEADER, statement(secret))] * 2

    assert serve(one).get("/v1/whoami", headers=headers).status_code == 401


def test_a_statement_by_anybody_but_the_chat_is_refused(chat, serve):
    one, _, secret = chat
    own = identities.add_key(
        one.settings, Principal("kim", "mercy", frozenset({"physician"})), frozenset(), actor="t"
    ).key
    client = serve(one)

    assert client.get("/v1/whoami", headers=bearer(own)).json()["id"] == "kim"
    forged = bearer(own, **{USER_HEADER: statement(secret)})
    assert client.get("/v1/whoami", headers=forged).status_code == 401


# --- keys


def test_a_key_made_for_one_purpose_is_denied_for_another_on_record(ward, serve):
    level, wards = Sensitivity.CONFIDENTIAL, frozenset({"cardiology"})
    only = frozenset({Purpose.HPAYMT})
    job = Principal("job", "mercy", frozenset({"physician"}), wards, level, purposes=only)
    key = identities.add_key(ward.settings, job, frozenset({"mrn:1"}), actor="test").key
    client = serve(open_to(ward))

    response = client.post("/v1/ask", json=ASKED, headers=bearer(key))

    assert response.status_code == 403
    assert actions(ward, actor="job") == ["asked", "denied"]
    assert "TREAT" not in client.get("/v1/whoami", headers=bearer(key)).json()["purposes"]


def test_a_key_that_ended_is_refused(ward, serve):
    who = Principal("job", "mercy", frozenset({"physician"}))
    key = identities.add_key(ward.settings, who, frozenset(), actor="test", days=1).key
    client = serve(open_to(ward))
    assert client.get("/v1/whoami", headers=bearer(key)).status_code == 200

    file = ward.settings.api_keys_file
    lines = file.read_text().splitlines()
    ended = ["expires = 2020-01-01T00:00:00Z" if "expires" in line else line for line in lines]
    file.write_text("\n".join(ended))

    assert client.get("/v1/whoami", headers=bearer(key)).status_code == 401
    assert Action.AUTHENTICATED_FAILED in actions(ward)
