"""SMART backend services, against a server that checks them: no registered key, no data."""

import time
from collections.abc import Iterator

import pytest
from joserfc.jwk import ECKey, RSAKey

from ingest.sources.fhir import Fhir, FhirOptions
from ingest.sources.fhir_bulk import BulkExport
from ingest.sources.fhir_http import FhirServer, Origins
from ingest.sources.fhir_smart import BackendServices, Bearer, read_key
from ragplatform.egress import Allowed, client
from ragplatform.errors import ConfigurationError, SourceError
from tests.fhir_server import FhirProcess
from tests.source_worlds_remote import require

TOKEN = "a-static-token-for-the-test"
RSA, CURVE = RSAKey.generate_key(2048), ECKey.generate_key("P-384")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirProcess]:
    require("sekmet-fhir", "sekmet")
    clients = [
        {
            "client_id": key.key_type,
            "jwks": {"keys": [{**key.as_dict(private=False), "kid": key.thumbprint()}]},
            "scopes": "system/*.read",
        }
        for key in (RSA, CURVE)
    ]
    auth = {
        "types": ["bearer", "smart"],
        "tokens": [TOKEN],
        "smart_clients": clients,
        "token_lifetime": 31,
    }
    process = FhirProcess(tmp_path_factory.mktemp("fhir"), auth, token=TOKEN)
    process.put({"resourceType": "Patient", "id": "p1", "gender": "female"})
    yield process
    process.stop()


def source(server: FhirProcess, key: RSAKey | ECKey, clock=time.time) -> Fhir:
    origins = Origins(server.base, (f"http://127.0.0.1:{server.port}",))
    made = client(Allowed.of([]), timeout_s=20)
    credential = BackendServices(
        client_id=key.key_type,
        key=key,
        key_id=key.thumbprint(),
        scope="system/*.read",
        token_url="",
        origins=origins,
        client=made,
        clock=clock,
    )
    asked = FhirServer(origins=origins, client=made, credential=credential)
    export = BulkExport(server=asked, level="system", types=("Patient",), patience_s=60)
    return Fhir(server=asked, export=export, options=FhirOptions(types=("Patient",)))


@pytest.mark.parametrize("key", [RSA, CURVE], ids=["RS384", "ES384"])
def test_with_a_registered_key_the_export_is_given(server, key):
    opened = source(server, key)

    names = [one.name for one in opened.list("")]
    opened.close()

    assert names == ["Patient/p1.json"]


def test_a_token_is_renewed_before_it_ends_and_not_at_each_request(server):
    # The server's tokens live for 31 seconds, of which the last 30 are not used.
    fetched: list[float] = []

    def clock() -> float:
        fetched.append(time.time())
        return fetched[-1]

    opened = source(server, RSA, clock)
    list(opened.list(""))
    before = len(fetched)
    time.sleep(1.1)
    list(opened.list(""))
    opened.close()

    assert len(fetched) > before


def test_with_a_key_that_is_not_registered_nothing_is_given(server):
    opened = source(server, RSAKey.generate_key(2048))

    with pytest.raises(SourceError, match="token endpoint refuses us"):
        list(opened.list(""))
    opened.close()


def test_a_token_that_the_server_refuses_is_tried_once_more_and_then_an_error(server):
    origins = Origins(server.base)
    asked: list[str] = []
    read = Bearer(lambda: asked.append("x") or "another-token")
    opened = FhirServer(
        origins=origins, client=client(Allowed.of([]), timeout_s=20), credential=read
    )

    answer = opened.ask("Patient/p1")
    opened.close()

    assert answer.status == 401
    assert len(asked) == 2


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "x" * 20_000, "ümlaut"])
def test_what_is_no_token_is_never_sent(token):
    with pytest.raises(SourceError):
        Bearer(lambda: token).header(renew=False)


def test_a_key_is_read_from_pem_and_jwk_and_nothing_else_is_taken_for_one(tmp_path):
    pem, jwk, public = (tmp_path / name for name in ("key.pem", "key.json", "public.pem"))
    pem.write_bytes(RSA.as_pem(private=True))
    jwk.write_text(str(CURVE.as_dict(private=True)).replace("'", '"'))
    public.write_bytes(RSA.as_pem(private=False))

    assert read_key(pem).thumbprint() == RSA.thumbprint()
    assert read_key(jwk).thumbprint() == CURVE.thumbprint()
    for wrong in (public, tmp_path / "absent"):
        with pytest.raises(ConfigurationError):
            read_key(wrong)
