"""What a run keeps of a file, and what it makes of one whose newer version cannot go in."""

from pathlib import Path

import pytest

from ingest.ledger import Ledger, State
from ragplatform.catalog import SqlCatalog
from ragplatform.model import Mode
from ragplatform.policy.classes import access_class
from tests.ingest_crash import BROKEN, DIM, LARGEST, MASTER, Fuse, PlainParser, ingest
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


def test_how_each_value_was_treated_stays_on_record(files: Path) -> None:
    (files / "note.txt").write_text("Maria Lopez, SSN 078-05-1120, went home with Maria Lopez.")

    run(files)

    catalog = SqlCatalog(f"sqlite:///{files.parent / 'data/catalog.db'}", access_class=access_class)
    [entry] = catalog.documents("mercy")
    catalog.close()
    assert entry.treated is not None
    assert entry.treated["PERSON", Mode.PSEUDONYMISE] == 2
    assert {mode for _, mode in entry.treated} == {Mode.PSEUDONYMISE}


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


class NextParser(PlainParser):
    """The same, of a later version."""

    version = "plain-2"


def test_documents_of_an_older_pipeline_are_counted_until_they_are_taken_in_anew(
    files: Path, tmp_path: Path
) -> None:
    run(files)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "other.txt").write_text("Another note.")
    data = files.parent / "data"
    counts = []

    for folder in (tmp_path / "more", files):
        ingest(folder, data, Fuse(), parser=NextParser())
        ledger = Ledger(f"sqlite:///{data / 'catalog.db'}")
        counts.append(ledger.of_older_pipelines("mercy"))
        ledger.close()

    assert counts == [{("mercy", "clinical"): 1}, {}]
