"""An index that is away, slow or failing: a run waits for it, or ends clearly and can be repeated.

``RAGPLATFORM_SEED`` repeats the failures of a run.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ingest import sources
from ingest.ledger import State
from ingest.prepare import Target
from ingest.report import Report
from ragplatform.adapters import edge_guest
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.qdrant import QdrantIndex, connect
from ragplatform.adapters.shared_edge import Role, SharedEdgeIndex
from ragplatform.adapters.steady import SteadyIndex
from ragplatform.errors import IndexRefusedError, IndexUnavailableError, UnavailableError
from ragplatform.model import Principal, Purpose, Sensitivity
from ragplatform.ports import Entry, Index
from tests.ingest_crash import (
    DIM,
    LARGEST,
    MASTER,
    DigestEmbedder,
    Fuse,
    PlainParser,
    first_version,
    opened,
    second_version,
)
from tests.jobs import job_here
from tests.qdrant_server import Failure, Server, serving

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
SEED = int(os.environ.get("RAGPLATFORM_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
ROOT = Path(__file__).parents[3]
PASSING = [one for one in Failure if one is not Failure.REFUSED]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(dim=DIM) as found:
        yield found


def run(files: Path, data: Path, server: Server, *, patience_s: float = 30.0) -> Report:
    """Run the job into the server, which is waited for."""
    with closing(steady(server, patience_s)) as index:
        return run_into(index, files, data)


def run_into(index: Index, files: Path, data: Path) -> Report:
    """Run the job into an index."""
    report = Report(run=os.urandom(8).hex())
    who = Principal("job", "mercy", frozenset({"ingest"}), clearance=Sensitivity.RESTRICTED)
    with opened(data, Fuse()) as parts:
        job_here(
            run=report.run,
            target=Target(who, Purpose.HOPERAT, "clinical"),
            parser=PlainParser(),
            privacy=parts.privacy,
            policies=parts.policies,
            embedder=DigestEmbedder(),
            weigher=Bm25Weigher(),
            index=index,
            archive=parts.archive,
            catalog=parts.catalog,
            ledger=parts.ledger,
            audit=parts.audit,
            aside=parts.aside,
            name_key=MASTER,
            largest_file=LARGEST,
            on_result=lambda _: None,
        ).run(sources.find([files], sources.GivenLabels()), report)
    return report


def steady(server: Server, patience_s: float) -> Index:
    client = connect(url=server.url, api_key=None, timeout_s=1)
    failing, server.next_failure = server.next_failure, lambda: None
    index = QdrantIndex(client=client, collection="passages", dim=DIM)
    server.next_failure = failing
    return SteadyIndex(index, patience_s=patience_s, still=lambda: True, sleep=lambda _: None)


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no two documents share a write, so that failures come in between."""
    monkeypatch.setattr("ingest.job._BATCH_FILES", 1)


def points(server: Server) -> dict[str, object]:
    found, _ = server.client.scroll("passages", limit=10_000)
    return {str(one.id): one.payload for one in found}


def told_of(first: list[Failure]) -> Callable[[], Failure | None]:
    left = list(first)
    return lambda: left.pop(0) if left else None


@pytest.mark.parametrize("failure", PASSING)
def test_a_run_waits_for_an_index_that_fails_for_a_while(
    server: Server, tmp_path: Path, failure: Failure
) -> None:
    first_version(tmp_path / "files")
    server.next_failure = told_of([failure] * 3)

    report = run(tmp_path / "files", tmp_path / "data", server)

    assert server.failures == [failure] * 3
    assert (report.exit_code, report.states["indexed"]) == (0, 5)
    assert len(points(server)) == report.chunks


def test_whatever_fails_along_the_way_the_index_ends_up_the_same(
    tmp_path: Path,
) -> None:
    ends = []
    for share in (0.0, 0.4):
        chance = random.Random(SEED)
        with serving(dim=DIM, slow_s=1.1) as server:
            data = tmp_path / str(share)
            server.next_failure = lambda chance=chance, share=share: (
                chance.choice(_QUICK) if chance.random() < share else None
            )
            first_version(tmp_path / "files")
            run(tmp_path / "files", data, server)
            second_version(tmp_path / "files")
            run(tmp_path / "files", data, server)
            ends.append(points(server))
    assert ends[0] == ends[1], f"seed {SEED}"


_QUICK = [one for one in PASSING if one is not Failure.SLOW]


def test_a_run_ends_clearly_when_the_index_stays_away_and_the_next_one_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, data = tmp_path / "files", tmp_path / "data"
    first_version(files)
    server.next_failure = _after(3, Failure.BUSY)

    with pytest.raises(IndexUnavailableError, match="mend it and run again") as caught:
        run(files, data, server, patience_s=0)
    server.next_failure = lambda: None
    # The process that ended is this one, which lives.
    monkeypatch.setattr("ingest.ledger.is_alive", lambda holder: False)
    report = run(files, data, server)

    assert "503" in str(caught.value)
    assert "Maria" not in str(caught.value)
    assert report.states["indexed"] + report.states["unchanged"] == 5
    with opened(data, Fuse()) as parts:
        assert parts.ledger.pending() == []
        held = parts.ledger.entries(state=State.INDEXED)
    assert sum(row.chunks for row in held) == len(points(server))


def _after(count: int, failure: Failure) -> Callable[[], Failure | None]:
    asked = 0

    def next_failure() -> Failure | None:
        nonlocal asked
        asked += 1
        return failure if asked > count else None

    return next_failure


def test_a_key_that_may_not_write_is_told_at_once_and_not_waited_for(
    server: Server, tmp_path: Path
) -> None:
    first_version(tmp_path / "files")
    server.next_failure = _after(0, Failure.REFUSED)

    with pytest.raises(IndexRefusedError, match="qdrant_api_key_file"):
        run(tmp_path / "files", tmp_path / "data", server)

    assert server.failures == [Failure.REFUSED]


OWNER = f"""
import sys, time
from pathlib import Path
from ragplatform.adapters.shared_edge import SharedEdgeIndex
index = SharedEdgeIndex(folder=Path(sys.argv[1]), dim={DIM})
print(index.role, flush=True)
time.sleep(600)
"""


@contextmanager
def owned(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the embedded index in the folder."""
    command = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline().strip() == "owner"
            yield owner
        finally:
            owner.kill()


class AtFirstWrite:
    """An index; when it is first written to, something happens."""

    def __init__(self, index: Index, act: Callable[[], object]) -> None:
        self._index = index
        self._act: Callable[[], object] | None = act

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)

    def upsert(self, entries: Sequence[Entry]) -> None:
        act, self._act = self._act, None
        if act:
            act()
        self._index.upsert(entries)


def guest(folder: Path) -> Index:
    index = SharedEdgeIndex(folder=folder, dim=DIM, patience_s=0.5)
    assert index.role is Role.GUEST
    return SteadyIndex(index, patience_s=5.0, still=lambda: True)


def test_a_run_goes_on_when_the_process_that_holds_the_index_is_killed_in_its_midst(
    tmp_path: Path,
) -> None:
    first_version(tmp_path / "files")
    with owned(tmp_path / "index") as owner, closing(guest(tmp_path / "index")) as index:
        dying = AtFirstWrite(index, owner.kill)
        report = run_into(dying, tmp_path / "files", tmp_path / "data")  # type: ignore[arg-type]
        count = index.count()

    assert (report.exit_code, report.states["indexed"], count) == (0, 5, report.chunks)


def test_a_run_ends_clearly_when_the_process_that_holds_the_index_is_stopped_and_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_guest, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(edge_guest, "GREETING_TIMEOUT_S", 0.3)
    monkeypatch.setattr("ingest.ledger.is_alive", lambda holder: False)
    files, data = tmp_path / "files", tmp_path / "data"
    first_version(files)
    with owned(tmp_path / "index") as owner, closing(guest(tmp_path / "index")) as index:
        stopping = AtFirstWrite(index, lambda: owner.send_signal(signal.SIGSTOP))
        with pytest.raises(UnavailableError, match="mend it and run again"):
            run_into(stopping, files, data)  # type: ignore[arg-type]
        owner.send_signal(signal.SIGCONT)
        monkeypatch.setattr(edge_guest, "REQUEST_TIMEOUT_S", 60.0)
        monkeypatch.setattr(edge_guest, "GREETING_TIMEOUT_S", 30.0)
        report = run_into(index, files, data)

        assert (report.exit_code, report.states["indexed"]) == (0, 5)
        assert sum(index.generations("mercy")[one] != {} for one in index.generations("mercy")) == 5
