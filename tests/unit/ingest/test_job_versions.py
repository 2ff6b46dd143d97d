"""What a run makes of a file whose newer version cannot go in."""

from pathlib import Path

import pytest

from ingest.ledger import State
from tests.ingest_crash import BROKEN, DIM, LARGEST, MASTER, Fuse, ingest
from tests.stored import Stored, look


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "note.txt").write_text("Maria Lopez went home.")
    return folder


def run(files: Path) -> Stored:
    data = files.parent / "data"
    ingest(files, data, Fuse())
    return look(data, dim=DIM, master=MASTER)


def states(stored: Stored) -> list[State]:
    return [state for state, _, _ in stored.ledger.values()]


@pytest.mark.parametrize("newer", [b"MZ\0\0", b"x" * (LARGEST + 1)], ids=["program", "too large"])
def test_what_is_quarantined_leaves_no_older_chunk_to_be_found(files: Path, newer: bytes) -> None:
    assert run(files).count == 1
    (files / "note.txt").write_bytes(newer)

    after = run(files)

    assert (after.count, after.catalog, states(after)) == (0, {}, [State.QUARANTINED])


def test_a_file_that_could_not_be_searched_is_tried_again_also_as_it_was_before(
    files: Path,
) -> None:
    first = run(files)
    good = (files / "note.txt").read_text()
    (files / "note.txt").write_text(BROKEN)
    failed = run(files)
    assert (failed.count, states(failed)) == (0, [State.PENDING])
    (files / "note.txt").write_text(good)

    after = run(files)

    assert after.same_as(first)
