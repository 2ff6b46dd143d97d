"""What sources.toml may say of FHIR, SFTP and IMAP sources is checked before anything connects."""

import pytest

from ingest.sources.kind import Reach
from ingest.sources.kinds import KINDS
from ingest.sources.options import Options
from ragplatform.egress import Allowed
from ragplatform.errors import ConfigurationError

SFTP = {"user": "a", "known_hosts": "/etc/known_hosts", "key_file": "/etc/key"}
IMAP = {"user": "a", "password_file": "/etc/pw"}


def check(kind: str, place: str, table: dict[str, object]) -> None:
    options = Options("sources.toml: source 1", table)
    options.require_known(KINDS[kind].keys)
    KINDS[kind].check(place, options)


@pytest.mark.parametrize(
    ("kind", "place", "table"),
    [
        ("fhir", "https://ehr.example/fhir", {}),
        ("fhir", "https://ehr.example/fhir", {"level": "group:ward-7", "token_file": "/t"}),
        ("fhir", "https://ehr.example/fhir", {"client_id": "x", "key_file": "/k"}),
        ("fhir", "http://127.0.0.1:8080/fhir", {"level": "search", "types": ["Patient"]}),
        ("sftp", "sftp://files.example/export", SFTP),
        ("sftp", "sftp://files.example:2222/", {**SFTP, "key_file": "", "password_env": "PW"}),
        ("imap", "imaps://mail.example", IMAP),
        ("imap", "imaps://mail.example:993/", {"user": "a", "token_env": "TOKEN"}),
    ],
)
def test_what_can_be_right_passes_without_reading_a_secret(kind, place, table):
    check(kind, place, table)


@pytest.mark.parametrize(
    ("kind", "place", "table"),
    [
        ("fhir", "http://ehr.example/fhir", {}),
        ("fhir", "https://ehr.example/fhir", {"level": "everything"}),
        ("fhir", "https://ehr.example/fhir", {"level": "group:a/../b"}),
        ("fhir", "https://ehr.example/fhir", {"level": "search"}),
        ("fhir", "https://ehr.example/fhir", {"client_id": "x"}),
        (
            "fhir",
            "https://ehr.example/fhir",
            {"client_id": "x", "key_file": "/k", "token_env": "T"},
        ),
        ("fhir", "https://ehr.example/fhir", {"deletions": "never"}),
        ("fhir", "https://ehr.example/fhir", {"files_from": ["http://files.example"]}),
        ("fhir", "https://ehr.example/fhir", {"token": "inline"}),
        ("sftp", "sftp://files.example/export", {}),
        ("sftp", "sftp://files.example/export", {**SFTP, "known_hosts": ""}),
        ("sftp", "sftp://files.example/export", {**SFTP, "password_file": "/pw"}),
        ("sftp", "sftp://files.example/export", {**SFTP, "key_file": ""}),
        ("sftp", "https://files.example/export", SFTP),
        ("sftp", "sftp://files.example:99999/export", SFTP),
        ("imap", "imap://mail.example", IMAP),
        ("imap", "imaps://mail.example/INBOX", IMAP),
        ("imap", "imaps://mail.example", {"user": "a"}),
        ("imap", "imaps://mail.example", {**IMAP, "token_file": "/t"}),
        ("imap", "imaps://mail.example", {**IMAP, "password": "inline"}),
    ],
)
def test_what_cannot_be_right_is_refused(kind, place, table):
    with pytest.raises(ConfigurationError):
        check(kind, place, table)


def test_every_server_that_a_fhir_source_may_ask_is_among_its_addresses():
    table = {"files_from": ["https://files.example"], "token_url": "https://login.example/token"}

    urls = KINDS["fhir"].urls("https://ehr.example/fhir", Options("here", table))

    allowed = Allowed.of([], urls)
    for host in ("ehr.example", "files.example", "login.example"):
        assert allowed.permits_host(host)


@pytest.mark.parametrize(
    ("kind", "place", "table"),
    [
        ("fhir", "https://ehr.example/fhir", {}),
        ("sftp", "sftp://files.example/export", SFTP),
        ("imap", "imaps://mail.example", IMAP),
    ],
)
def test_opening_a_source_connects_to_nothing_yet(kind, place, table):
    source = KINDS[kind].open(place, Options("here", table), Reach(Allowed.of([])))

    source.close()
