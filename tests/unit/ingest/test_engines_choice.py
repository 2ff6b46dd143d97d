"""Which engine is opened for what was asked."""

import os
from collections.abc import Callable

import pytest

from ingest import engines
from ingest.engine import InProcess, Stage
from ingest.engine_spread import Spread
from ingest.engines import EngineChoice, EngineKind, open_engine, room_for_workers
from ragplatform.errors import ConfigurationError

GIB = 1024**3


def no_stages() -> Stage:
    raise AssertionError("nothing is worked on")


def opened(choice: EngineChoice) -> object:
    engine, _ = open_engine(choice, here=no_stages, elsewhere=no_stages, ray_without_tls=False)
    return engine


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what sets the free memory, on a machine of four cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    return lambda size: monkeypatch.setattr(engines, "_free_bytes", lambda: size)


@pytest.mark.parametrize(("size", "room"), [(0, 1), (3 * GIB, 1), (5 * GIB, 3), (64 * GIB, 4)])
def test_there_are_as_many_workers_as_cores_and_memory_allow(
    free: Callable[[int], None], size: int, room: int
) -> None:
    free(size)

    assert room_for_workers() == room


def test_the_job_works_itself_where_there_is_room_for_one(free: Callable[[int], None]) -> None:
    free(GIB)

    assert isinstance(opened(EngineChoice()), InProcess)


def test_workers_that_are_asked_for_are_processes_of_their_own(
    free: Callable[[int], None],
) -> None:
    free(GIB)

    assert isinstance(opened(EngineChoice(workers=1)), Spread)
    assert isinstance(opened(EngineChoice(EngineKind.HERE)), InProcess)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--address"):
        EngineChoice(address="10.0.0.7:6379")
    with pytest.raises(ConfigurationError, match="one process"):
        EngineChoice(EngineKind.HERE, workers=2)


def test_the_usual_number_of_workers_gives_way_to_what_is_asked_for() -> None:
    assert EngineChoice().or_usual(3).workers == 3
    assert EngineChoice(workers=2).or_usual(3).workers == 2
    assert EngineChoice(EngineKind.HERE).or_usual(3).workers == 0


def test_this_machine_says_how_much_memory_is_free() -> None:
    assert 0 < engines._free_bytes() < 2**50
