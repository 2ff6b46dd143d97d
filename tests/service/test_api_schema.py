"""Whatever is sent, no reply is an error of ours, and each is as the description says."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

pytest.importorskip("schemathesis", reason="schemathesis (in the lock file) is not installed")

from fastapi.responses import JSONResponse

from ingest import serving
from ragplatform.api.app import create_app
from tests.fakes import make_bench
from tests.fuzzing import BASE, fuzz, operations

CASES = int(os.environ.get("RAGPLATFORM_API_CASES", "300"))
SEED = int(os.environ.get("RAGPLATFORM_SEED", "1"))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    """The whole interface, with a passage of a patient in it."""
    one = make_bench(tmp_path)
    one.put("Apixaban was stopped for Maria Lopez after a bleed.", subjects=["mrn:1"], page=2)
    routes = serving.extension(one.platform)
    yield create_app(one.platform, [routes])
    routes.close()
    one.platform.store.close()


@pytest.mark.timeout(300 + CASES)
def test_no_request_ends_in_an_error_of_ours_or_in_a_reply_that_is_not_described(
    app: FastAPI,
) -> None:
    with TestClient(app, raise_server_exceptions=False, base_url=BASE) as client:
        found = fuzz(app, client, cases=CASES, number=SEED)

    assert found.faults == {}
    # What no client can send is not counted, and of health there is little to draw.
    assert found.cases > 0.6 * CASES, found
    assert {one.label for one in operations(app)} - set(found.by_operation) == set()


def test_a_reply_that_is_not_described_and_one_of_500_would_be_found() -> None:
    app = FastAPI()

    @app.get("/odd")
    def odd(n: int) -> JSONResponse:
        return JSONResponse({}, 418)

    @app.get("/broken")
    def broken(n: int) -> JSONResponse:
        return JSONResponse({}, 500)

    with TestClient(app, raise_server_exceptions=False, base_url=BASE) as client:
        found = fuzz(app, client, cases=20, number=1)

    assert {name.split()[1].rstrip(":") for name in found.faults} == {"/odd", "/broken"}
