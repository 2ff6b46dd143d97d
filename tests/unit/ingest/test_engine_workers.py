"""Workers that end: what they had is done elsewhere, and what ends them is put aside."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from ingest.engine import Done, Engine
from ingest.engine_pool import Pool
from ingest.engine_ray import RayWorkers
from ingest.engine_spread import Spread
from ragplatform.errors import UnavailableError
from tests import fakes_stages
from tests.fakes_stages import batches, document

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["pool", "ray"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    make = partial(fakes_stages.make, tmp_path)
    if request.param == "pool":
        workers = Pool(make=make, count=2)
    else:
        address = request.getfixturevalue("ray_cluster")
        workers = RayWorkers(make=make, count=2, address=address, without_tls=False)
    spread = Spread(workers=workers)
    yield spread
    spread.close()


def reasons(done: list[Done]) -> dict[str, str]:
    """Return each document's reason; its own name stands for a good end."""
    return {
        work.key: outcome.reason
        for one in done
        for work, outcome in zip(one.works, one.outcomes, strict=True)
    }


def test_a_document_that_ends_its_worker_twice_is_put_aside_and_the_others_go_on(
    engine: Engine,
) -> None:
    given = [document(f"d{number}") for number in range(12)]
    given[5] = document("d5", b"kill")

    done = list(engine.run(batches(*given, size=4)))

    good = {work.key: work.key for work in given}
    assert reasons(done) == good | {"d5": "worker_lost"}
    assert sum(len(one.works) for one in done) == len(given)


def test_a_worker_that_is_killed_for_no_fault_of_its_documents_loses_none(
    engine: Engine, tmp_path: Path
) -> None:
    once = b"kill-once " + os.fsencode(tmp_path / "killed")
    given = [document("first", once), *(document(f"d{number}") for number in range(8))]

    done = list(engine.run(batches(*given, size=3)))

    assert reasons(done) == {work.key: work.key for work in given}


def test_workers_that_never_begin_end_the_run(tmp_path: Path) -> None:
    engine = Spread(workers=Pool(make=partial(fakes_stages.make_dead, tmp_path), count=2))

    with pytest.raises(UnavailableError, match="end before they have begun"):
        list(engine.run(batches(document("d"))))

    engine.close()


def test_a_large_file_goes_out_alone(tmp_path: Path) -> None:
    given = [document(f"d{number}", b"x" * 600) for number in range(4)]
    pool = Pool(make=partial(fakes_stages.make, tmp_path), count=2)
    engine = Spread(workers=pool, most_bytes=1000)

    out = [sum(map(len, engine._given)) for _ in engine.run(batches(*given, size=1))]

    engine.close()
    assert out == [1, 1, 1, 0]


def test_closing_leaves_no_process(tmp_path: Path) -> None:
    pool = Pool(make=partial(fakes_stages.make, tmp_path), count=2)
    engine = Spread(workers=pool)
    given = [document(f"d{number}", b"sleep 30") for number in range(4)]
    run = engine.run(batches(document("quick"), *given, size=1))
    next(run)
    pids = pool.pids

    engine.close()

    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


DRIVER = """
import signal
import sys
from functools import partial
from pathlib import Path
from ingest.engine_pool import Pool
from ingest.engine_spread import Spread
from tests import fakes_stages
from tests.fakes_stages import batches, document

# A shell that runs tests in the background has them ignore an interrupt, and so all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
pool = Pool(make=partial(fakes_stages.make, Path(sys.argv[1])), count=2)
run = Spread(workers=pool).run(batches(document("a"), document("b", b"sleep 60"), size=1))
next(run)
print(*pool.pids, flush=True)
next(run)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_when_the_job_does(tmp_path: Path, end: signal.Signals) -> None:
    job = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert job.stdout is not None
    pids = [int(word) for word in job.stdout.readline().split()]

    job.send_signal(end)
    job.wait(60)

    job.stdout.close()
    assert len(pids) == 2
    assert gone_within(60, lambda: not any(map(psutil.pid_exists, pids)))


def gone_within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()
