"""A folder that is watched is looked at when something in it changed and came to rest."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.sources import watching
from ingest.sources.watching import Every, FolderWatch, Once
from ragplatform.errors import SourceError

pytest.importorskip("watchfiles")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SETTLE_S", 0.1)


@pytest.fixture(params=[0.0, 0.1], ids=["told", "polled"])
def watch(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FolderWatch]:
    (tmp_path / "below").mkdir()
    made = FolderWatch(tmp_path, threading.Event(), poll_s=request.param)
    yield made
    made.close()


def test_a_change_below_the_folder_is_told_once(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "below" / "a.txt").write_text("alpha")

    assert watch.wait(unfinished=False)
    threading.Timer(1.0, watch._stop.set).start()
    assert not watch.wait(unfinished=False)


def test_a_change_while_a_run_works_is_not_missed(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("alpha")
    time.sleep(1)

    assert watch.wait(unfinished=False)


def test_what_was_left_is_tried_again_without_a_change(watch: FolderWatch) -> None:
    assert watch.wait(unfinished=True)


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be watched"):
        FolderWatch(tmp_path / "none", threading.Event(), poll_s=0)


def test_a_run_now_and_then_ends_when_it_is_told_to_stop() -> None:
    stop = threading.Event()

    assert Every(0.01, stop).wait(unfinished=False)
    stop.set()
    assert not Every(60, stop).wait(unfinished=False)
    assert not Once().wait(unfinished=True)
