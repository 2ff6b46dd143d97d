"""Reading finds what was recorded, and only what is durable."""

import threading
from pathlib import Path

import pytest

from ragplatform.audit.events import Action
from ragplatform.audit.layout import segments
from ragplatform.audit.query import find_logs, newest_checkpoint, origin_of, read
from ragplatform.errors import NotFoundError, TamperedError
from tests.fakes_audit import ORIGIN, event, open_log, write_groups


def indexes(directory: Path, **conditions: object) -> list[int]:
    return [record.index for record in read(directory, **conditions)]  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Ten records over several segments, of two people, tenants and actions."""
    with open_log(tmp_path / "log", segment_bytes=1500) as log:
        for number in range(10):
            log.append(
                event(
                    number,
                    action=Action.ASKED if number % 2 else Action.ANSWERED,
                    actor="u:anna" if number < 5 else "u:ben",
                    tenant="mercy" if number < 7 else "harbor",
                )
            )
    assert len(segments(tmp_path / "log")) > 2
    return tmp_path / "log"


def test_a_folder_without_a_log_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read(tmp_path)
    assert find_logs(tmp_path / "none") == []


def test_a_damaged_key_file_is_said(log: Path) -> None:
    for content in (b"", b"\xff+"):
        (log / "key.pub").write_bytes(content)
        with pytest.raises(TamperedError):
            read(log)


@pytest.mark.parametrize("newest_first", [False, True])
def test_each_condition_narrows(log: Path, newest_first: bool) -> None:
    def found(**conditions: object) -> list[int]:
        result = indexes(log, newest_first=newest_first, **conditions)
        assert result == sorted(result, reverse=newest_first)
        return sorted(result)

    assert found() == list(range(10))
    assert found(since=4) == [4, 5, 6, 7, 8, 9]
    assert found(since=10) == []
    assert found(actor="u:ben") == [5, 6, 7, 8, 9]
    assert found(tenant="harbor") == [7, 8, 9]
    assert found(action=Action.ASKED) == [1, 3, 5, 7, 9]
    assert found(request_id="r-6") == [6]
    assert found(actor="u:ben", action=Action.ASKED, since=6, tenant="harbor") == [7, 9]
    assert found(actor="nobody") == []


def test_a_value_that_stands_elsewhere_in_a_record_is_not_mistaken(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        log.append(event(0, details={"collections": ['"actor":"u:ben"', '"request":"r-9"']}))
        log.append(event(1, actor='u:"ben"\n'))

    assert indexes(tmp_path / "log", actor="u:ben") == []
    assert indexes(tmp_path / "log", request_id="r-9") == []
    assert indexes(tmp_path / "log", actor='u:"ben"\n') == [1]


def test_a_limit_takes_the_oldest_or_the_newest(log: Path) -> None:
    assert indexes(log, limit=2) == [0, 1]
    assert indexes(log, limit=2, newest_first=True) == [9, 8]
    assert indexes(log, limit=2, newest_first=True, actor="u:anna") == [4, 3]
    assert indexes(log, limit=0) == []


def test_reading_from_the_end_meets_blocks_at_any_place(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        for number in range(60):
            log.append(event(number, sealed={"answer": "x" * (number * 331 % 7000)}))

    assert indexes(tmp_path / "log", newest_first=True) == list(range(59, -1, -1))


@pytest.mark.parametrize("newest_first", [False, True])
def test_what_no_commit_covers_is_not_yet_a_record(tmp_path: Path, newest_first: bool) -> None:
    write_groups(tmp_path / "log", [1, 3])
    path = segments(tmp_path / "log")[0][1]
    whole = path.read_bytes()
    second_group = whole.split(b"\n", 2)[2]
    start = len(whole) - len(second_group)

    for end in range(start, len(whole), 11):
        path.write_bytes(whole[:end])
        assert indexes(tmp_path / "log", newest_first=newest_first) == [0]


def test_a_log_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    with open_log(tmp_path / "log", segment_bytes=20_000) as log:
        writer = threading.Thread(
            target=lambda: [log.append(event(number)) for number in range(500)]
        )
        writer.start()
        seen = 0
        while writer.is_alive():
            forward, backward = (
                indexes(tmp_path / "log"),
                indexes(tmp_path / "log", newest_first=True),
            )
            assert forward == list(range(len(forward)))
            assert backward == list(range(len(backward)))[::-1]
            assert seen <= len(forward) <= len(backward)
            seen = len(forward)
        writer.join()

    assert len(indexes(tmp_path / "log")) == 500


def test_the_logs_of_several_writers_are_found(tmp_path: Path) -> None:
    for name in ("ingest", "api"):
        open_log(tmp_path / name, origin=f"ragplatform/{name}").close()
    (tmp_path / "other").mkdir()

    assert [path.name for path in find_logs(tmp_path)] == ["api", "ingest"]
    assert origin_of(tmp_path / "api") == "ragplatform/api"
    assert ORIGIN == "ragplatform/test"


def test_the_newest_checkpoint_is_had_without_the_writer(tmp_path: Path) -> None:
    with open_log(tmp_path / "log", segment_bytes=1000) as log:
        assert newest_checkpoint(tmp_path / "log") == log.checkpoint()
        for number in range(5):
            log.append(event(number))
            assert newest_checkpoint(tmp_path / "log") == log.checkpoint()
    with open_log(tmp_path / "log", segment_bytes=1000) as log:
        assert newest_checkpoint(tmp_path / "log") == log.checkpoint()
    with pytest.raises(NotFoundError):
        newest_checkpoint(tmp_path)
