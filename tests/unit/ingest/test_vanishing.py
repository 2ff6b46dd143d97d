"""What is no longer where it came from is taken out, on record, and nothing else is."""

from collections import Counter
from pathlib import Path

import pytest

from ingest.ledger import State
from ingest.parse.unpack import Allowance, Opened
from ingest.report import Report
from ingest.sweep import Guard
from ragplatform.audit import query
from ragplatform.audit.events import Action, AuditEvent
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import AuditError
from ragplatform.model import Receipt
from tests.containers import register, zipped
from tests.ingest_crash import BROKEN, DIM, MASTER, Fuse, RecordParser, ingest
from tests.stored import Stored, look


class CountingParser(RecordParser):
    """Counts how often something is opened or cut."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def split(self, data: bytes, name: str) -> tuple[object, ...]:  # type: ignore[override]
        self.calls["split"] += 1
        return super().split(data, name)

    def unpack(self, data: bytes, name: str, allowance: Allowance) -> Opened:
        self.calls["unpack"] += 1
        return super().unpack(data, name, allowance)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def run(
    files: Path, *, sweeping: bool = False, parser: RecordParser | None = None, **guard: int
) -> tuple[Report, Stored]:
    data = files.parent / "data"
    limit = Guard(**({"percent": 100, "documents": 0} | guard))
    made = parser or RecordParser()
    report = ingest(files, data, Fuse(), parser=made, sweeping=sweeping, guard=limit)
    stored = look(data, dim=DIM, master=MASTER)
    assert not stored.wrong_after_a_run()
    return report, stored


def removals(files: Path) -> list[tuple[str, str]]:
    """Return the document and the reason of each removal on record."""
    logs = query.find_logs(files.parent / "data" / "audit")
    records = [record for log in logs for record in query.read(log, action=Action.REMOVED)]
    return [(str(one.details["document"]), str(one.details["reason"])) for one in records]


def test_what_leaves_an_archive_is_taken_out(files: Path) -> None:
    (files / "a.zip").write_bytes(zipped(("one.txt", b"one text"), ("two.txt", b"two text")))
    _, before = run(files)
    (files / "a.zip").write_bytes(zipped(("two.txt", b"two text")))

    report, after = run(files)

    assert dict(report.states) == {"unchanged": 1, "unpacked": 1, "removed": 1}
    [gone] = before.documents.keys() - after.documents.keys()
    assert removals(files) == [(gone, "left_container")]
    assert after.ledger[gone][0] is State.GONE


def test_what_leaves_an_archive_inside_an_archive_goes_with_all_in_it(files: Path) -> None:
    inner = zipped(("deep.txt", b"deep text"), ("deeper.zip", zipped(("x.txt", b"deepest"))))
    (files / "a.zip").write_bytes(zipped(("b.zip", inner), ("stays.txt", b"stays")))
    run(files)
    (files / "a.zip").write_bytes(zipped(("stays.txt", b"stays")))

    report, after = run(files)

    assert report.states["removed"] == 2
    assert after.count == 1


def test_a_person_who_leaves_a_bulk_export_is_taken_out(files: Path) -> None:
    (files / "p.ndjson").write_bytes(register("anna", "bert", "carl"))
    _, before = run(files)
    (files / "p.ndjson").write_bytes(register("anna", "carl"))

    report, after = run(files)

    assert (len(before.documents), len(after.documents)) == (3, 2)
    assert dict(report.states) == {"unchanged": 2, "unpacked": 1, "removed": 1}


def test_a_file_about_one_person_that_comes_to_hold_several_is_cut_and_goes(files: Path) -> None:
    (files / "p.ndjson").write_bytes(register("anna"))
    _, before = run(files)
    (files / "p.ndjson").write_bytes(register("anna", "bert"))

    _, after = run(files)

    [whole] = before.documents
    assert removals(files) == [(whole, "became_container")]
    assert len(after.documents) == 2
    assert after.ledger[whole][0] is State.UNPACKED


def test_a_file_that_no_longer_holds_others_takes_them_along(files: Path) -> None:
    (files / "p.ndjson").write_bytes(register("anna", "bert"))
    run(files)
    (files / "p.ndjson").write_bytes(register("carl"))

    report, after = run(files)

    assert dict(report.states) == {"indexed": 1, "removed": 2}
    assert len(after.documents) == 1
    assert dict(run(files)[0].states) == {"unchanged": 1}


def test_an_unchanged_container_is_not_opened_again(files: Path) -> None:
    (files / "a.zip").write_bytes(zipped(("one.txt", b"one text"), ("bad.txt", b"MZ\0\0")))
    (files / "p.ndjson").write_bytes(register("anna", "bert"))
    (files / "note.txt").write_text("a note")
    first, _ = run(files)
    parser = CountingParser()

    again, _ = run(files, parser=parser)

    assert dict(parser.calls) == {}
    assert dict(again.states) == {"unchanged": 6, "quarantined": 1}
    assert again.quarantined == first.quarantined


def test_a_container_with_something_unsettled_is_opened_again(files: Path) -> None:
    (files / "a.zip").write_bytes(zipped(("one.txt", BROKEN.encode()), ("two.txt", b"two")))
    first, _ = run(files)

    again, _ = run(files)

    assert dict(first.states) == {"failed": 1, "indexed": 1, "unpacked": 1}
    assert dict(again.states) == {"failed": 1, "unchanged": 1, "unpacked": 1}


def test_a_damaged_archive_removes_nothing(files: Path) -> None:
    sound = zipped(("one.txt", b"one text" * 50), ("two.txt", b"two text"))
    (files / "a.zip").write_bytes(sound)
    run(files)
    (files / "a.zip").write_bytes(sound[:100])

    report, after = run(files)

    assert report.states["removed"] == 0
    assert len(after.documents) == 2


def test_only_a_sweep_takes_out_what_the_folder_no_longer_has(files: Path) -> None:
    (files / "a.txt").write_text("text a")
    (files / "b.zip").write_bytes(zipped(("one.txt", b"one text"), ("two.txt", b"two text")))
    run(files)
    (files / "b.zip").unlink()

    assert run(files)[1].count == 3
    report, after = run(files, sweeping=True)

    assert dict(report.states) == {"unchanged": 1, "removed": 2}
    assert (after.count, report.exit_code) == (1, 0)
    assert sorted(why for _, why in removals(files)) == ["left_container"] * 2 + ["left_source"]
    assert dict(run(files, sweeping=True)[0].states) == {"unchanged": 1}


def test_what_comes_back_goes_in_again_under_its_old_id(files: Path) -> None:
    (files / "a.txt").write_text("text a")
    (files / "b.txt").write_text("text b")
    _, before = run(files)
    (files / "a.txt").unlink()
    run(files, sweeping=True)
    (files / "a.txt").write_text("text a")

    report, after = run(files)

    assert report.states["indexed"] == 1
    assert after.same_as(before)


def test_a_source_that_lost_too_much_at_once_loses_nothing_here(files: Path) -> None:
    for number in range(8):
        (files / f"{number}.txt").write_text(f"text {number}")
    run(files)
    for number in range(4):
        (files / f"{number}.txt").unlink()

    report, after = run(files, sweeping=True, percent=20, documents=3)

    assert after.count == 8
    assert (report.refused["gone"], report.refused["known"], report.exit_code) == (4, 8, 2)
    assert run(files, sweeping=True, percent=20, documents=4)[1].count == 4


@pytest.mark.parametrize("label", ['retain_until = "2030-01-01"', 'restrictions = ["legal-hold"]'])
def test_what_has_to_be_kept_stays_and_is_told(files: Path, label: str) -> None:
    (files / "labels.toml").write_text(f'[[rule]]\nmatch = "*"\n{label}\n')
    (files / "a.txt").write_text("text a")
    (files / "b.zip").write_bytes(zipped(("one.txt", b"one text")))
    run(files)
    (files / "a.txt").unlink()
    (files / "b.zip").unlink()

    report, after = run(files, sweeping=True)

    assert dict(report.states) == {"kept": 2}
    assert (after.count, removals(files)) == (2, [])
    assert dict(run(files, sweeping=True)[0].states) == {"kept": 2}


def test_without_its_record_nothing_is_taken_out(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "a.txt").write_text("text a")
    _, before = run(files)
    (files / "a.txt").unlink()
    append = TenantLogs.append

    def failing(self: TenantLogs, event: AuditEvent) -> Receipt:
        if event.action is Action.REMOVED:
            raise AuditError("the disk is full")
        return append(self, event)

    monkeypatch.setattr(TenantLogs, "append", failing)
    with pytest.raises(AuditError):
        run(files, sweeping=True)
    left = look(files.parent / "data", dim=DIM, master=MASTER)

    assert (left.passages, left.catalog) == (before.passages, before.catalog)
    monkeypatch.undo()
    assert run(files, sweeping=True)[1].count == 0
