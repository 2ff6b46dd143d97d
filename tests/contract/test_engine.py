"""Every engine takes documents as there is room, and gives each back once."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ingest.engine import Batch, Engine, InProcess, Stage
from ingest.engine_pool import Pool
from ingest.engine_spread import Spread
from ragplatform.errors import ConfigurationError, UnavailableError
from tests import fakes_stages
from tests.fakes_stages import batches, document

WORKERS = 2
Open = Callable[[Callable[[Path], Stage]], Engine]


@pytest.fixture(params=["in process", "pool", "ray"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    engines: list[Engine] = []

    def open_engine(make: Callable[[Path], Stage]) -> Engine:
        engines.append(_engine(request, partial(make, tmp_path)))
        return engines[-1]

    yield open_engine
    for engine in engines:
        engine.close()


def _engine(request: pytest.FixtureRequest, make: Callable[[], Stage]) -> Engine:
    if request.param == "in process":
        return InProcess(make=make)
    if request.param == "pool":
        return Spread(workers=Pool(make=make, count=WORKERS))
    request.getfixturevalue("ray_cluster")
    from ingest.engine_ray import RayWorkers

    return Spread(workers=RayWorkers(make=make, count=WORKERS))


@pytest.fixture
def engine(opened: Open) -> Engine:
    return opened(fakes_stages.make)


def test_every_document_comes_back_once_and_with_its_own_outcome(engine: Engine) -> None:
    given = [document(f"d{number}") for number in range(31)]

    done = list(engine.run(batches(*given, size=3)))

    told = [
        (work.key, outcome.reason)
        for one in done
        for work, outcome in zip(one.works, one.outcomes, strict=True)
    ]
    assert Counter(told) == Counter((work.key, work.key) for work in given)
    assert sum(one.tally.characters for one in done) == len(given)


def test_no_documents_give_nothing_and_make_no_stages(engine: Engine, tmp_path: Path) -> None:
    assert list(engine.run([])) == []

    assert not list(tmp_path.glob("made-*"))


def test_documents_are_asked_for_only_as_there_is_room(engine: Engine) -> None:
    asked = 0

    def source() -> Iterator[Batch]:
        nonlocal asked
        for number in range(40):
            asked += 1
            yield Batch((document(f"d{number}"),))

    most_open = 0
    for done, _ in enumerate(engine.run(source())):
        most_open = max(most_open, asked - done)

    # One at work and one waiting for each worker, one in hand, one asked for beyond.
    assert asked == 40
    assert most_open <= 2 * WORKERS + 2


def test_a_worker_makes_its_stages_once(engine: Engine, tmp_path: Path) -> None:
    list(engine.run(batches(*(document(f"d{number}") for number in range(20)))))

    made = [path.read_text() for path in tmp_path.glob("made-*")]
    assert set(made) == {"1"}
    assert len(made) <= WORKERS


def test_a_part_that_every_document_needs_and_is_away_ends_the_run(engine: Engine) -> None:
    given = [document("good"), document("bad", b"unavailable")]

    with pytest.raises(UnavailableError, match="cannot be started"):
        list(engine.run(batches(*given)))


def test_a_worker_that_is_not_set_up_as_the_job_is_ends_the_run(opened: Open) -> None:
    engine = opened(fakes_stages.make_none)

    with pytest.raises(ConfigurationError, match="other models"):
        list(engine.run(batches(document("d"))))


def test_a_run_that_is_left_early_can_be_closed_twice(engine: Engine) -> None:
    given = [document(f"d{number}", b"sleep 0.01") for number in range(10)]
    next(iter(engine.run(batches(*given))))

    engine.close()
    engine.close()
