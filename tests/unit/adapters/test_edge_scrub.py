"""What was deleted from the embedded index is in none of its files after a scrub."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from ragplatform.adapters.edge import EdgeIndex
from ragplatform.errors import IndexUnavailableError
from ragplatform.model import Chunk, Labels, Passage, TermWeights
from ragplatform.ports import Entry

DIM = 4
SECRET = b"Whitfield, 078-05-1120"


def entry(number: int, text: str) -> Entry:
    return Entry(
        Passage(
            chunk=Chunk(f"00000000-0000-0000-0000-{number:012}", 0, text, 0, len(text)),
            document=f"d{number}",
            title="",
            labels=Labels("mercy", "clinical"),
            access_class="open",
            subjects=frozenset(),
            generation="g1",
        ),
        (1.0, 0.0, 0.0, 0.0),
        TermWeights((5,), (1.0,)),
    )


def filled(folder: Path) -> EdgeIndex:
    index = EdgeIndex(folder=folder, dim=DIM)
    index.upsert([entry(n, f"Note {n}, nothing in it.") for n in range(300)])
    index.upsert([entry(999, f"Seen today: {SECRET.decode()}.")])
    return index


def holding(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file() and SECRET in p.read_bytes()]


def test_deleting_alone_leaves_the_text_in_segment_and_log_and_a_scrub_takes_it_out(
    tmp_path: Path,
) -> None:
    with closing(filled(tmp_path)) as index:
        assert index.remove("mercy", "d999") == 1
        assert len(holding(tmp_path)) == 2

        index.scrub("mercy")

        assert holding(tmp_path) == []
        assert index.count() == 300
    with closing(EdgeIndex(folder=tmp_path, dim=DIM)) as again:
        assert again.count() == 300
        again.upsert([entry(1000, "New after the scrub.")])
        assert again.remove("mercy", "d7") == 1
        assert again.count() == 300


@pytest.mark.parametrize("after_s", [0.02, 0.08, 0.2])
def test_a_scrub_that_was_killed_loses_nothing_and_is_finished_by_the_next(
    tmp_path: Path, after_s: float
) -> None:
    filled(tmp_path).close()
    child = os.fork()
    if child == 0:
        index = EdgeIndex(folder=tmp_path, dim=DIM)
        index.remove("mercy", "d999")
        index.scrub("mercy")
        os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    with closing(EdgeIndex(folder=tmp_path, dim=DIM)) as index:
        index.remove("mercy", "d999")
        index.scrub("mercy")
        assert index.count() == 300

    assert holding(tmp_path) == []


def test_a_log_that_is_laid_out_otherwise_is_not_called_empty(tmp_path: Path) -> None:
    with closing(filled(tmp_path)) as index:
        index.remove("mercy", "d999")
        (tmp_path / "edge" / "wal" / "first-index").unlink()

        with pytest.raises(IndexUnavailableError, match="not laid out"):
            index.scrub("mercy")
