"""Settings are validated whole, documented, and refuse secrets that protect nothing."""

from pathlib import Path

import pytest

from ragplatform import config
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def documented():
    rows = [
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = ",".join(default) if isinstance(default, list) else default
        shown = "none" if shown in {None, ""} else shown
        rows.append(f"| `RAGPLATFORM_{name.upper()}` | `{shown}` | {field.description} |")
    return "\n".join(rows)


def test_every_setting_is_documented_as_it_is():
    assert documented() in DOCS.read_text(encoding="utf-8"), documented()


def test_every_bad_setting_is_named(monkeypatch):
    monkeypatch.setenv("RAGPLATFORM_PORT", "99999")
    monkeypatch.setenv("RAGPLATFORM_ANSWER_MODE", "chatty")

    with pytest.raises(ConfigurationError, match=r"port: .*answer_mode: ") as caught:
        config.load()

    assert "chatty" not in str(caught.value)


def test_a_server_index_needs_its_url():
    with pytest.raises(ConfigurationError, match="qdrant_url"):
        config.load(index_backend="qdrant")


def test_a_config_file_that_is_named_must_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("RAGPLATFORM_CONFIG", str(tmp_path / "none.toml"))

    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        config.load()


def test_the_environment_wins_over_the_file(monkeypatch, tmp_path):
    file = tmp_path / "ragplatform.toml"
    file.write_text(
        'port = 9000\nhost = "127.0.0.9"\nallowed_networks = "10.0.0.0/8, 10.1.0.0/16"\n'
    )
    monkeypatch.setenv("RAGPLATFORM_CONFIG", str(file))
    monkeypatch.setenv("RAGPLATFORM_PORT", "9001")

    settings = config.load()

    assert (settings.port, settings.host) == (9001, "127.0.0.9")
    assert settings.allowed_networks == ["10.0.0.0/8", "10.1.0.0/16"]


@pytest.mark.parametrize("text", ["", "changeme", "00" * 32, "zz" * 32, "ab" * 31])
def test_a_master_key_that_protects_nothing_is_refused(tmp_path, text):
    path = tmp_path / "master.key"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError):
        config.load(secrets_dir=tmp_path).master_key()


def test_a_master_key_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "master.key"
    path.write_text(bytes(range(32)).hex())
    path.chmod(0o644)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        config.load(secrets_dir=tmp_path).master_key()

    path.chmod(0o600)
    assert config.load(secrets_dir=tmp_path).master_key() == bytes(range(32))


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.mercy.test",
        "http://10.0.0.7",
        "ftp://id.mercy.test",
        "id.mercy.test",
        "https://",
        "https://id.mercy.test?x=1",
        "https://id.mercy.test#x",
        "https://user:pass@id.mercy.test",
        "http://localhost.evil.test",
    ],
)
def test_keys_are_never_fetched_over_a_way_that_others_can_alter(issuer):
    with pytest.raises(ConfigurationError, match="oidc_issuer"):
        config.load(oidc_issuer=issuer)


@pytest.mark.parametrize(
    "issuer", ["https://id.mercy.test/realms/staff", "http://127.0.0.1:9400", "http://[::1]:1"]
)
def test_an_issuer_over_tls_or_on_this_host_is_taken(issuer):
    assert config.load(oidc_issuer=issuer).oidc_issuer == issuer


def test_a_pause_longer_than_the_keys_hold_is_refused():
    with pytest.raises(ConfigurationError, match="oidc_keys_pause_s"):
        config.load(oidc_keys_max_age_s=5, oidc_keys_pause_s=6)


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, "change-me-" * 5])
def test_a_clients_secret_that_can_be_guessed_is_refused(tmp_path, secret):
    settings = config.load(secrets_dir=tmp_path)
    path = tmp_path / "client-openwebui.secret"
    path.write_text(secret)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError):
        settings.client_secret("openwebui")


def test_a_clients_secret_is_read_by_its_name(tmp_path):
    path = tmp_path / "client-openwebui.secret"
    path.write_text("k3" * 16)
    path.chmod(0o600)

    assert config.load(secrets_dir=tmp_path).client_secret("openwebui") == "k3" * 16


def test_lists_are_given_with_commas(monkeypatch):
    monkeypatch.setenv("RAGPLATFORM_OIDC_ALGORITHMS", "RS256, ES384")
    monkeypatch.setenv("RAGPLATFORM_OIDC_TENANTS", "mercy,harbor")

    settings = config.load()

    assert (settings.oidc_algorithms, settings.oidc_tenants) == (
        ["RS256", "ES384"],
        ["mercy", "harbor"],
    )
