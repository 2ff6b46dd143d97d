"""What every test may ask for."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ragplatform.api.app import create_app
from tests.fakes import Bench, make_bench

pytest_plugins = ["tests.fixtures_postgres", "tests.fixtures_ray", "tests.fixtures_vllm"]


@pytest.fixture
def memory() -> Iterator[Path]:
    """Return a folder in memory where there is one: kills and faults prove the same, sooner."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Return a maker of platforms on fakes; each is closed at the end of the test."""
    made: list[Bench] = []

    def make(**changes: object) -> Bench:
        one = make_bench(tmp_path / str(len(made)), **changes)  # type: ignore[arg-type]
        made.append(one)
        return one

    yield make
    for one in made:
        one.platform.store.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Bench], TestClient]]:
    """Return a maker of HTTP clients for platforms on fakes."""
    clients: list[TestClient] = []

    def client(one: Bench) -> TestClient:
        made = TestClient(create_app(one.platform), raise_server_exceptions=False)
        clients.append(made)
        return made

    yield client
    for made in clients:
        made.close()
