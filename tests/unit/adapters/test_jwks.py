"""An issuer's keys: which are taken, how long they hold, and what strangers cannot make us do."""

import json
import threading

import httpx2
import pytest
from joserfc.jwk import OctKey, RSAKey

from ragplatform.adapters.jwks import (
    DiscoveredKeys,
    FixedKeys,
    Patience,
    fetch_keys,
    read_key_set,
)
from ragplatform.errors import ConfigurationError, UnavailableError
from tests.fakes_identity import EC, ED, ISSUER, RSA, Clock, key_set

PATIENCE = Patience(max_age_s=300, pause_s=10, grace_s=900)


class Provider:
    """A provider that can rotate its keys and go away, and counts who asks."""

    def __init__(self, *keys):
        self.keys = keys
        self.away = False
        self.asked = 0

    def __call__(self):
        self.asked += 1
        if self.away:
            raise UnavailableError("away")
        return read_key_set(key_set(*self.keys))


def opened(provider, clock):
    return DiscoveredKeys(provider, patience=PATIENCE, clock=clock)


# --- which keys are taken


def test_every_kind_of_public_key_is_taken_by_its_name():
    assert set(read_key_set(key_set(RSA, EC, ED))) == {"rsa-1", "ec-1", "ed-1"}


@pytest.mark.parametrize(
    "bad",
    [
        OctKey.generate_key(256, {"kid": "oct"}).as_dict(private=True),
        {**RSA.as_dict(private=False), "use": "enc"},
        {name: value for name, value in RSA.as_dict(private=False).items() if name != "kid"},
        {**RSA.as_dict(private=False), "kid": 7},
        {**RSA.as_dict(private=False), "n": RSA.as_dict(private=False)["n"][:300]},
        {"kty": "RSA", "kid": "x", "n": "é" * 400, "e": "AQAB"},
        {"kty": "RSA", "kid": "x"},
        {"kty": "PQ", "kid": "x"},
        {"kty": ["RSA"], "kid": "x"},
        "RSA",
    ],
    ids="shared encryption nameless number short garbled empty unknown listed text".split(),
)
def test_a_key_that_is_not_for_signatures_in_public_is_left_out(bad):
    assert set(read_key_set({"keys": [bad, EC.as_dict(private=False)]})) == {"ec-1"}
    with pytest.raises(ValueError, match="no named public key"):
        read_key_set({"keys": [bad]})


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, {"keys": []}])
def test_what_is_no_key_set_gives_no_keys(document):
    with pytest.raises(ValueError, match="no named public key"):
        read_key_set(document)


# --- a fixed file


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(key_set(RSA)))
    path.chmod(0o644)
    return path


def test_a_file_is_read_again_when_it_changes(file):
    keys = FixedKeys(file)
    assert keys.find("rsa-1")

    file.write_text(json.dumps(key_set(EC)))

    assert keys.find("rsa-1") is None
    assert keys.find("ec-1")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": []}', "[" * 5000])
def test_a_broken_file_leaves_no_removed_key_alive(file, content):
    keys = FixedKeys(file)

    file.write_text(content)

    for _ in range(2):
        with pytest.raises(ConfigurationError):
            keys.find("rsa-1")


def test_a_file_that_vanished_leaves_no_key_alive(file):
    keys = FixedKeys(file)
    file.unlink()

    for _ in range(2):
        with pytest.raises(ConfigurationError):
            keys.find("rsa-1")


def test_a_file_that_others_may_write_is_refused(file):
    file.chmod(0o664)

    with pytest.raises(ConfigurationError, match="others may write"):
        FixedKeys(file)


# --- fetched keys


def test_keys_are_fetched_once_and_kept():
    provider, clock = Provider(RSA, EC), Clock()
    keys = opened(provider, clock)

    for _ in range(5):
        assert keys.find("rsa-1")
        clock.now += 50

    assert provider.asked == 1


def test_a_new_key_is_found_at_once():
    provider, clock = Provider(RSA), Clock()
    keys = opened(provider, clock)
    keys.find("rsa-1")
    provider.keys = (RSA, EC)
    clock.now += 11

    assert keys.find("ec-1")
    assert provider.asked == 2


def test_a_removed_key_is_refused_once_the_kept_ones_are_old():
    provider, clock = Provider(RSA, EC), Clock()
    keys = opened(provider, clock)
    keys.find("rsa-1")
    provider.keys = (EC,)

    clock.now += 301

    assert keys.find("rsa-1") is None


def test_made_up_key_names_cannot_make_us_hammer_the_provider():
    provider, clock = Provider(RSA), Clock()
    keys = opened(provider, clock)

    for number in range(1000):
        assert keys.find(f"made-up-{number}") is None
        clock.now += 0.02

    assert provider.asked <= 3


def test_while_the_provider_is_away_the_last_keys_hold_for_the_grace_and_no_longer():
    provider, clock = Provider(RSA), Clock()
    keys = opened(provider, clock)
    keys.find("rsa-1")
    provider.away = True

    clock.now += 300 + 900
    assert keys.find("rsa-1")

    clock.now += 1
    with pytest.raises(UnavailableError):
        keys.find("rsa-1")
    with pytest.raises(UnavailableError):
        keys.find("made-up")


def test_a_provider_that_is_away_is_not_hammered_either():
    provider, clock = Provider(RSA), Clock()
    provider.away = True
    keys = opened(provider, clock)

    for _ in range(100):
        with pytest.raises(UnavailableError):
            keys.find("rsa-1")

    assert provider.asked == 1


def test_a_provider_that_comes_back_is_heard_again():
    provider, clock = Provider(RSA), Clock()
    provider.away = True
    keys = opened(provider, clock)
    with pytest.raises(UnavailableError):
        keys.find("rsa-1")

    provider.away = False
    clock.now += 11

    assert keys.find("rsa-1")


def test_whoever_has_a_key_that_holds_does_not_wait_for_a_slow_provider():
    provider, clock = Provider(RSA), Clock()
    asked, go_on = threading.Event(), threading.Event()

    def slow():
        if provider.asked:
            asked.set()
            assert go_on.wait(20)
        return provider()

    keys = opened(slow, clock)
    keys.find("rsa-1")
    clock.now += 301
    waiting = threading.Thread(target=keys.find, args=("rsa-1",))
    waiting.start()
    assert asked.wait(20)

    assert keys.find("rsa-1")

    go_on.set()
    waiting.join(20)
    assert provider.asked == 2


# --- what is fetched


def client(answers):
    def answer(request):
        found = answers.get(str(request.url), (404, {}))
        if isinstance(found, Exception):
            raise found
        status, body = found
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx2.Response(status, content=content)

    return lambda: httpx2.Client(transport=httpx2.MockTransport(answer))


WELL_KNOWN = f"{ISSUER}/.well-known/openid-configuration"
JWKS = "https://id.mercy.test/jwks"
GOOD = {WELL_KNOWN: (200, {"issuer": ISSUER, "jwks_uri": JWKS}), JWKS: (200, key_set(RSA))}


def test_the_keys_are_found_by_discovery():
    assert set(fetch_keys(ISSUER, client(GOOD))) == {"rsa-1"}


@pytest.mark.parametrize(
    "changes",
    [
        {WELL_KNOWN: (200, {"issuer": f"{ISSUER}/", "jwks_uri": JWKS})},
        {WELL_KNOWN: (200, {"jwks_uri": JWKS})},
        {WELL_KNOWN: (200, {"issuer": ISSUER})},
        {WELL_KNOWN: (200, {"issuer": ISSUER, "jwks_uri": "http://id.mercy.test/jwks"})},
        {WELL_KNOWN: (200, {"issuer": ISSUER, "jwks_uri": "https://evil.test/jwks"})},
        {WELL_KNOWN: (200, {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"})},
        {WELL_KNOWN: (200, [])},
        {WELL_KNOWN: (200, b"<html>")},
        {WELL_KNOWN: (200, b"[" * 100_000)},
        {WELL_KNOWN: (301, b"")},
        {WELL_KNOWN: httpx2.ConnectTimeout("slow")},
        {JWKS: (500, b"")},
        {JWKS: (500, key_set(RSA))},
        {WELL_KNOWN: (404, {"issuer": ISSUER, "jwks_uri": JWKS})},
        {JWKS: (200, {"keys": []})},
        {JWKS: (200, b" " * 300_000 + json.dumps(key_set(RSA)).encode())},
        {JWKS: httpx2.ReadError("gone")},
    ],
)
def test_what_is_not_the_issuers_own_answer_gives_no_keys(changes):
    elsewhere = {f"{place}.test/jwks": GOOD[JWKS] for place in ("https://evil", "http://id.mercy")}

    with pytest.raises(UnavailableError):
        fetch_keys(ISSUER, client({**GOOD, **elsewhere, **changes}))


def test_a_key_of_the_right_size_is_not_too_short():
    assert read_key_set(key_set(RSAKey.generate_key(2048, {"kid": "a"})))
