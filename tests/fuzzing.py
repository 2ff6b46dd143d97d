"""Requests made from the service's own description, and what is wrong with their replies.

Valid and broken bodies, parameters and headers for every operation, as several people. Wrong is an
answer of 500 or more, and one whose status, media type, headers or shape the description does not
have.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2
import requests
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

BASE = "http://127.0.0.1"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PEOPLE = (
    *("doctor", "stranger", "researcher", "reception", "compliance", "second-reviewer", "clerk"),
    *("operator", "eraser", "labeller", "administrator", "billing", "banker", "nobody"),
)


@dataclass
class Found:
    """What a run found: how many cases, by status, and each different fault with its first case."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    by_operation: Counter[str] = field(default_factory=Counter)


def operations(app: FastAPI) -> Iterator[Any]:
    """Yield every operation of the description."""
    described = schemathesis.openapi.from_dict(app.openapi())
    for one in described.get_all_operations():
        yield one.ok()


def fuzz(app: FastAPI, client: TestClient, *, cases: int, number: int) -> Found:
    """Send about so many cases, drawn from a seed; a server's own error is in ``faults``."""
    found, draw = Found(), Random(number)
    every = list(operations(app))
    # Each kind of case gets its share, and the shares of small runs are not all rounded up.
    kinds = [(one, mode) for one in every for mode in GenerationMode]
    for at, (operation, mode) in enumerate(kinds):
        share = cases * (at + 1) // len(kinds) - cases * at // len(kinds)
        if share:
            _fuzz_one(operation, mode, client, share, draw, found)
    return found


def _fuzz_one(
    operation: Any, mode: GenerationMode, client: TestClient, cases: int, draw: Random, found: Found
) -> None:
    def send(case: Any) -> None:
        _send(operation, case, client, draw, found)

    quiet = settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    _run(quiet(seed(draw.randrange(2**32))(given(case=operation.as_strategy(mode))(send))))


def _run(test: Callable[[], None]) -> None:
    with warnings.catch_warnings():
        # What schemathesis says of its own drawing is nothing of ours.
        warnings.simplefilter("ignore")
        try:
            test()
        except schemathesis.errors.SchemathesisError as error:
            if "negative" not in str(error).lower():
                raise
        except Exception as error:
            # An operation without anything that could be wrong has no broken cases.
            if type(error).__name__ not in {"Unsatisfiable", "Skipped"}:
                raise


def _send(operation: Any, case: Any, client: TestClient, draw: Random, found: Found) -> None:
    who = draw.choice(PEOPLE)
    sent = case.as_transport_kwargs(base_url=BASE)
    names = ("method", "url", "headers", "files", "data", "params", "cookies", "json")
    try:
        ready = requests.Request(**{name: sent.get(name) for name in names}).prepare()
        headers = dict(ready.headers.items())
        headers |= {"Authorization": f"Bearer {who}"}
        if operation.path == "/mcp":
            headers["Accept"] = "application/json, text/event-stream"
        body = ready.body.encode() if isinstance(ready.body, str) else ready.body
        request = client.build_request(
            str(ready.method), str(ready.url), headers=headers, content=body or b""
        )
    except (UnicodeError, TypeError, ValueError, requests.RequestException, httpx2.InvalidURL):
        return  # what no client can send proves nothing
    response = client.send(request)
    found.cases += 1
    found.statuses[response.status_code] += 1
    found.by_operation[operation.label] += 1
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            _keep(operation, failure, response, request, found)
    except Failure as failure:
        _keep(operation, failure, response, request, found)


def _keep(
    operation: Any, failure: BaseException, response: Any, request: Any, found: Found
) -> None:
    name = f"{operation.label}: {type(failure).__name__} {response.status_code}"
    line = f"{request.method} {request.url} {request.content[:300]!r}"
    found.faults.setdefault(name, f"{str(failure)[:400]} | {line} | {response.text[:300]}")
