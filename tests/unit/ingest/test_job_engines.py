"""A run whose stages are done by other processes leaves what one in this process leaves."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.engine import Engine
from ingest.engine_pool import Pool
from ingest.engine_ray import RayWorkers
from ingest.engine_spread import Spread
from tests.ingest_crash import (
    DIM,
    MASTER,
    Fuse,
    apart,
    first_version,
    ingest,
    second_version,
    worker_stages,
)
from tests.stored import Stored, look


@pytest.fixture(params=["pool", "ray"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "pool":
        workers = Pool(make=worker_stages, count=2)
    else:
        address = request.getfixturevalue("ray_cluster")
        workers = RayWorkers(make=worker_stages, count=2, address=address, without_tls=False)
    spread = Spread(workers=workers)
    yield spread
    spread.close()


@pytest.fixture
def files(memory: Path) -> Path:
    first_version(memory / "files")
    return memory / "files"


def stored(data: Path) -> Stored:
    return look(data, dim=DIM, master=MASTER)


def test_workers_leave_the_same_ids_passages_and_states_as_this_process(
    files: Path, memory: Path, engine: Engine
) -> None:
    here, there = memory / "here", memory / "there"
    ingest(files, here, Fuse())
    ingest(files, there, Fuse(), engine=engine)
    assert stored(there).same_as(stored(here))
    second_version(files)

    report = ingest(files, there, Fuse(), engine=engine)

    assert report.states == ingest(files, here, Fuse()).states
    assert stored(there).same_as(stored(here))
    assert stored(there).wrong_after_a_run() == []


def killed_amid(files: Path, data: Path, point: int) -> int:
    """Run in a pool, and die by SIGKILL at a write."""

    def run() -> None:
        spread = Spread(workers=Pool(make=worker_stages, count=2))
        ingest(files, data, Fuse(point), engine=spread)
        spread.close()

    return apart(run)


@pytest.mark.parametrize("point", [3, 9, 14, 22, 27])
def test_a_job_that_is_killed_while_others_work_for_it_is_mended_by_the_next_run(
    files: Path, memory: Path, point: int
) -> None:
    ingest(files, memory / "whole", Fuse())
    data = memory / "killed"

    assert killed_amid(files, data, point) == -signal.SIGKILL

    assert stored(data).wrong_at_any_moment() == []
    ingest(files, data, Fuse())
    assert stored(data).wrong_after_a_run() == []
    assert stored(data).same_as(stored(memory / "whole"))


def test_an_unchanged_corpus_starts_no_worker(files: Path, memory: Path) -> None:
    ingest(files, memory / "data", Fuse())
    pool = Pool(make=worker_stages, count=2)

    ingest(files, memory / "data", Fuse(), engine=Spread(workers=pool))

    assert pool.pids == []


def test_workers_killed_amid_a_run_lose_no_document(
    files: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few documents a batch, so that workers still have some when the first are told of.
    monkeypatch.setattr("ingest.job._BATCH_FILES", 4)
    for number in range(60):
        (files / f"more-{number}.txt").write_text(f"Visit {number} of Maria Lopez, MRN 4471230.")
    ingest(files, memory / "whole", Fuse())
    pool = Pool(make=worker_stages, count=2)
    killed: list[int] = []

    def kill_some(state: object) -> None:
        told.append(state)
        if len(told) % 16 == 3 and pool.pids:
            killed.append(pool.pids[0])
            os.kill(killed[-1], signal.SIGKILL)

    told: list[object] = []
    engine = Spread(workers=pool)
    ingest(files, memory / "killed", Fuse(), engine=engine, on_result=kill_some)

    engine.close()
    ingest(files, memory / "killed", Fuse())
    assert killed
    assert stored(memory / "killed").same_as(stored(memory / "whole"))
