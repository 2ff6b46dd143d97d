"""The embedded engine: what it must keep, whom it must keep out, and how it fails."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import qdrant_edge

from ragplatform.adapters.edge import EdgeIndex
from ragplatform.errors import (
    ConfigurationError,
    IndexLockedError,
    IndexUnavailableError,
    TamperedError,
)
from ragplatform.model import (
    AllOf,
    AnyOf,
    Chunk,
    Clause,
    Labels,
    Passage,
    Purpose,
    Scope,
    TermWeights,
)
from ragplatform.ports import Entry

ROOT = Path(__file__).parents[3]
EAST = (1.0, 0.0, 0.0, 0.0)
TERMS = TermWeights((5,), (1.0,))
OPEN = Scope(
    "mercy",
    "dr-ada",
    Purpose.TREAT,
    AnyOf((AllOf((Clause("access_class", frozenset({"open"})),)),)),
    frozenset(),
    "digest",
    "key",
)


def entry(number: int, generation: str = "g1") -> Entry:
    return Entry(
        Passage(
            chunk=Chunk(f"00000000-0000-0000-0000-{number:012}", number, "text", 0, 4),
            document=f"d{number}",
            title="",
            labels=Labels("mercy", "clinical"),
            access_class="open",
            subjects=frozenset(),
            generation=generation,
        ),
        EAST,
        TERMS,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Iterator[EdgeIndex]:
    with closing(EdgeIndex(folder=folder, dim=4)) as found:
        yield found


def test_a_second_opening_of_the_folder_is_refused(index: EdgeIndex, folder: Path) -> None:
    with pytest.raises(IndexLockedError, match="another process"):
        EdgeIndex(folder=folder, dim=4)

    index.upsert([entry(1)])
    assert index.count() == 1


def test_an_index_of_another_encoder_is_refused_and_left_as_it_is(
    index: EdgeIndex, folder: Path
) -> None:
    index.upsert([entry(1)])
    index.close()

    with pytest.raises(ConfigurationError, match="5 dimensions"):
        EdgeIndex(folder=folder, dim=5)

    with closing(EdgeIndex(folder=folder, dim=4)) as again:
        assert again.count() == 1


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    (folder / "edge" / "segments" / "x").mkdir(parents=True)
    (folder / "edge" / "edge_config.json").write_text("{")

    with pytest.raises(IndexUnavailableError):
        EdgeIndex(folder=folder, dim=4)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(IndexUnavailableError):
        EdgeIndex(folder=tmp_path / "file" / "index", dim=4)


def test_a_draft_left_by_a_crash_does_not_matter(folder: Path) -> None:
    (folder / "edge.new-crashed" / "segments").mkdir(parents=True)

    with closing(EdgeIndex(folder=folder, dim=4)) as index:
        index.upsert([entry(1)])
        assert index.count() == 1


def test_only_this_user_can_look_into_a_new_folder(index: EdgeIndex, folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0


def test_everything_is_there_after_closing_and_opening_again(
    index: EdgeIndex, folder: Path
) -> None:
    index.upsert([entry(1), entry(2), entry(3)])
    index.remove("mercy", "d2")
    index.relabel("d3", Labels("mercy", "research"), "closed")
    index.close()

    with closing(EdgeIndex(folder=folder, dim=4)) as again:
        assert again.generations("mercy") == {"d1": {"g1": 1}, "d3": {"g1": 1}}
        [hit] = again.search(EAST, TERMS, OPEN, 10)
        assert hit.passage == entry(1).passage


WRITER = """
import sys
from pathlib import Path
from ragplatform.adapters.edge import EdgeIndex
from tests.unit.adapters.test_edge import entry
index = EdgeIndex(folder=Path(sys.argv[1]), dim=4)
for number in range(10_000):
    index.upsert([entry(number)])
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(folder: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]

    with closing(EdgeIndex(folder=folder, dim=4)) as index:
        for number in acknowledged:
            assert index.fetch(entry(number).passage.chunk.id, OPEN) is not None
        # At most the one whose acknowledgement did not get out may be there besides.
        assert index.count() - len(acknowledged) in {0, 1}


class Watched:
    """A shard that notes what it is asked to do. The engine's own type cannot be patched."""

    def __init__(self, shard: qdrant_edge.EdgeShard) -> None:
        self.shard = shard
        self.dirty = False
        self.asked: list[str] = []

    def update(self, operation: qdrant_edge.UpdateOperation) -> None:
        self.dirty = True
        self.shard.update(operation)

    def flush(self) -> None:
        self.dirty = False
        self.shard.flush()

    def __getattr__(self, name: str) -> object:
        self.asked.append(name)
        return getattr(self.shard, name)


@pytest.fixture
def watched(index: EdgeIndex) -> Watched:
    assert index._shard is not None
    shard = Watched(index._shard)
    index._shard = shard  # type: ignore[assignment]
    return shard


def test_every_change_is_flushed_before_the_call_returns(
    index: EdgeIndex, watched: Watched
) -> None:
    # kill -9 proves nothing of a power cut, since the page cache survives it.
    changes = [
        lambda: index.upsert([entry(1), entry(2, "g2")]),
        lambda: index.relabel("d1", Labels("mercy", "research"), "closed"),
        lambda: index.retire("mercy", "d2", "g9"),
        lambda: index.remove("mercy", "d1"),
    ]
    for change in changes:
        change()
        assert not watched.dirty
    assert index.count() == 0


def test_an_empty_scope_asks_nothing_of_the_engine(index: EdgeIndex, watched: Watched) -> None:
    nothing = Scope("mercy", "x", Purpose.TREAT, AnyOf(()), frozenset(), "digest", "key")

    assert index.search(EAST, TERMS, nothing, 10) == []
    assert index.fetch(entry(1).passage.chunk.id, nothing) is None
    assert watched.asked == []


@pytest.mark.parametrize("payload", [{}, {"tenant_class": "mercy/open"}])
def test_a_point_that_was_not_written_by_us_is_not_shown(
    index: EdgeIndex, payload: dict[str, str]
) -> None:
    index.upsert([entry(1)])
    assert index._shard is not None
    index._shard.update(
        qdrant_edge.UpdateOperation.set_payload([entry(1).passage.chunk.id], {"extra": "x"})
    )
    point = qdrant_edge.Point(entry(2).passage.chunk.id, {"dense": list(EAST)}, payload)
    index._shard.update(qdrant_edge.UpdateOperation.upsert_points([point]))

    with pytest.raises(TamperedError):
        index.search(EAST, TERMS, OPEN, 10)
    with pytest.raises(TamperedError):
        index.fetch(entry(1).passage.chunk.id, OPEN)


def test_what_the_engine_raises_becomes_one_error(index: EdgeIndex) -> None:
    class PanicError(BaseException):
        """What a panic in the engine's Rust code looks like from here."""

    class Panicking:
        def count(self, request: object) -> int:
            raise PanicError

        def flush(self) -> None:
            """Do nothing."""

        def close(self) -> None:
            """Do nothing."""

    real, index._shard = index._shard, Panicking()  # type: ignore[assignment]

    with pytest.raises(IndexUnavailableError):
        index.count()
    index._shard = real
