"""Documents are written together, and each as if it were written alone."""

from pathlib import Path

import pytest

from ingest.ledger import Ledger
from ingest.report import FileState
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.errors import InvalidRequestError
from ragplatform.ports import Entry
from tests.ingest_crash import DIM, MASTER, Fuse, ingest
from tests.stored import look


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"Maria Lopez went home on day {number}.")
    return folder


def test_many_are_made_durable_in_the_index_at_once(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    usual = EdgeIndex.upsert
    monkeypatch.setattr(
        EdgeIndex, "upsert", lambda self, some: (sizes.append(len(some)), usual(self, some))[1]
    )

    ingest(files, files.parent / "data", Fuse())

    assert sizes == [5]


def test_one_that_the_index_refuses_takes_no_other_with_it(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = EdgeIndex.upsert

    def refusing(self: EdgeIndex, some: list[Entry]) -> None:
        if any("day 3" in one.passage.chunk.text for one in some):
            raise InvalidRequestError("not this one")
        usual(self, some)

    monkeypatch.setattr(EdgeIndex, "upsert", refusing)

    report = ingest(files, files.parent / "data", Fuse())

    assert report.states == {FileState.INDEXED: 4, FileState.FAILED: 1}
    stored = look(files.parent / "data", dim=DIM, master=MASTER)
    assert stored.count == 4
    assert not any("day 3" in one.chunk.text for one in stored.passages.values())
    assert stored.wrong_at_any_moment() == []


def test_one_that_another_run_holds_takes_no_other_with_it(files: Path) -> None:
    data = files.parent / "data"
    ingest(files, data, Fuse())
    held = _hold_one(data)
    for path in files.iterdir():
        path.write_text(path.read_text() + " She is well.")

    report = ingest(files, data, Fuse())

    assert report.states == {FileState.INDEXED: 4, FileState.FAILED: 1}
    stored = look(data, dim=DIM, master=MASTER)
    untouched = [p.chunk.text for p in stored.passages.values() if "well" not in p.chunk.text]
    assert len(untouched) == 1
    held.close()


def _hold_one(data: Path) -> Ledger:
    ledger = Ledger(f"sqlite:///{data / 'catalog.db'}")
    one = ledger.entries()[0]
    ledger.begin(
        tenant=one.tenant,
        collection=one.collection,
        source_key=one.source_key,
        sha256="newer",
        document=one.document,
        generation="newer",
        run="another",
        display_name="",
    )
    return ledger
