"""What lies in an archive or a mail goes in as documents of its own, each with its own fate."""

import io
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from ingest.ledger import State
from ingest.report import FileResult, FileState, Report
from tests.ingest_crash import DIM, MASTER, Fuse, ingest
from tests.stored import Stored, look


def zipped(*entries: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in entries:
            archive.writestr(name, body)
    return target.getvalue()


def nested(levels: int) -> bytes:
    data = zipped(("note.txt", b"the innermost note"))
    for _ in range(levels - 1):
        data = zipped(("inner.zip", data))
    return data


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def run(files: Path) -> tuple[Report, Stored]:
    data = files.parent / "data"
    report = ingest(files, data, Fuse())
    return report, look(data, dim=DIM, master=MASTER)


def test_each_file_of_an_archive_is_a_document_and_the_archive_is_none(files: Path) -> None:
    inner = zipped(("deep.txt", b"deep text"))
    (files / "a.zip").write_bytes(zipped(("x/one.txt", b"one text"), ("b.zip", inner)))

    report, stored = run(files)

    assert dict(report.states) == {"indexed": 2, "unpacked": 2}
    assert len(stored.documents) == 2
    assert not stored.wrong_at_any_moment()


def test_what_did_not_change_inside_an_archive_is_not_done_again(files: Path) -> None:
    (files / "a.zip").write_bytes(zipped(("one.txt", b"one text"), ("two.txt", b"two text")))
    run(files)
    (files / "a.zip").write_bytes(zipped(("one.txt", b"one text"), ("two.txt", b"new text")))

    report, _ = run(files)

    assert dict(report.states) == {"unchanged": 1, "indexed": 1, "unpacked": 1}


def test_one_bad_member_keeps_no_other_out(files: Path) -> None:
    entries = (("../up.txt", b"x"), ("bad.txt", b"MZ\0\0"), ("good.txt", b"good text"))
    (files / "a.zip").write_bytes(zipped(*entries))

    report, _ = run(files)

    assert dict(report.states) == {"quarantined": 2, "indexed": 1, "unpacked": 1}
    assert dict(report.quarantined) == {"unsafe_path": 1, "type_mismatch": 1}


def test_archives_nested_without_end_are_refused_at_the_bound(files: Path) -> None:
    (files / "fine.zip").write_bytes(nested(4))
    (files / "deep.zip").write_bytes(nested(6))

    report, _ = run(files)

    assert report.states["indexed"] == 1
    assert dict(report.quarantined) == {"archive_bomb": 1}


def test_a_damaged_archive_is_quarantined_once_and_then_known(files: Path) -> None:
    (files / "a.zip").write_bytes(zipped(("one.txt", b"x" * 500))[:100])
    first, _ = run(files)

    again, _ = run(files)

    assert dict(first.quarantined) == dict(again.quarantined) == {"malformed": 1}


def test_a_damaged_archive_says_that_what_it_held_stays_in(files: Path) -> None:
    sound = zipped(("one.txt", b"x" * 500), ("two.txt", b"y" * 500))
    (files / "a.zip").write_bytes(sound)
    run(files)
    (files / "a.zip").write_bytes(sound[:100])
    told: list[FileResult] = []

    ingest(files, files.parent / "data", Fuse(), on_result=told.append)

    [refused] = [one for one in told if one.state is FileState.QUARANTINED]
    assert refused.detail.endswith(
        "2 documents of its earlier version stay in until it can be opened or is gone"
    )


def test_a_mended_archive_leaves_no_quarantine_behind(files: Path) -> None:
    sound = zipped(("one.txt", b"x" * 500))
    (files / "a.zip").write_bytes(sound[:100])
    run(files)
    (files / "a.zip").write_bytes(sound)

    _, stored = run(files)

    states = {state for state, _, _ in stored.ledger.values()}
    assert states == {State.INDEXED, State.UNPACKED}


def test_a_mail_goes_in_with_its_attachment_beside_it(files: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "Results"
    message.set_content("See attached.")
    message.add_attachment("Sodium 140", filename="r.txt")
    (files / "m.eml").write_bytes(message.as_bytes())

    report, stored = run(files)

    assert dict(report.states) == {"indexed": 2}
    assert len(stored.documents) == 2
