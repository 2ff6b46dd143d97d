"""Segments that were moved elsewhere: none is missed, and none is missing without a statement."""

import contextlib
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ragplatform.audit.archive import archive
from ragplatform.audit.layout import segments
from ragplatform.audit.note import Signer
from ragplatform.audit.prove import record_proof
from ragplatform.audit.query import read
from ragplatform.audit.statement import Statement, read_statements
from ragplatform.audit.static_tree import static_files
from ragplatform.audit.verify import VerifyReport, verify
from ragplatform.errors import AuditError, NotFoundError, TamperedError
from tests import second_verifier
from tests.fakes_audit import ORIGIN, SIGNING_KEY, event, open_log
from tests.fakes_disk import JournalDisk, KilledError, QuickDisk, copy_log

SIGNER = Signer(ORIGIN, SIGNING_KEY)
SEGMENT_BYTES = 40_000


def move(log: Path, to: Path, keep: int = 2, **changes: object) -> list[Statement]:
    arguments: dict[str, object] = {
        "signer": SIGNER,
        "storage": QuickDisk(),
        "record": lambda moved: f"cli/{moved.first}",
    }
    return archive(log, to, keep=keep, **(arguments | changes))


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("archived")
    with open_log(root / "log", segment_bytes=SEGMENT_BYTES) as log:
        for number in range(600):
            log.append(event(number))
    move(root / "log", root / "elsewhere")
    return root / "log", root / "elsewhere"


@pytest.fixture
def log(archived: tuple[Path, Path], tmp_path: Path) -> Path:
    return copy_log(archived[0], tmp_path / "log")


@pytest.fixture
def elsewhere(archived: tuple[Path, Path], tmp_path: Path) -> Path:
    return copy_log(archived[1], tmp_path / "elsewhere")


def both(log: Path, elsewhere: Path | None = None) -> VerifyReport:
    """What the verifier says, once the second has said the same."""
    report = verify(log, public_key=SIGNER.public_key, archive=elsewhere)
    verdict = second_verifier.check(log, archive=elsewhere)
    assert (verdict.ok, verdict.first_bad) == (report.ok, report.first_bad), verdict
    return report


def test_an_archived_log_verifies_and_says_what_was_not_read(log: Path, elsewhere: Path) -> None:
    first_kept = segments(log)[0][0]

    alone, whole = both(log), both(log, elsewhere)

    assert (alone.ok, alone.records, whole.ok, whole.records) == (True, 600, True, 600)
    assert sum(count for _, count in alone.archived) == first_kept > 256
    assert whole.archived == ()
    assert alone.root == whole.root


def test_a_segment_that_is_gone_without_a_statement_is_missing(log: Path, elsewhere: Path) -> None:
    for statement in read_statements(log, SIGNER).values():
        note = (log / statement.name).read_text()
        (log / statement.name).unlink()

        report = both(log)

        assert (report.ok, report.first_bad) == (False, statement.first)
        (log / statement.name).write_text(note)


def test_a_statement_that_the_log_did_not_sign_is_refused(log: Path) -> None:
    statement = read_statements(log, SIGNER)[0]
    forged = Signer(ORIGIN, bytes(32))
    for note in (
        replace(statement, count=statement.count + 1).signed(forged),
        statement.signed(SIGNER).replace("cli/0", "cli/1"),
        Statement(0, 1, "0" * 64, "cli/0").signed(Signer("other", SIGNING_KEY)),
    ):
        (log / statement.name).write_text(note)

        assert not both(log).ok
        with pytest.raises(TamperedError, match="not signed"):
            read_statements(log, SIGNER)


def test_an_altered_archive_is_found_and_its_record_named(log: Path, elsewhere: Path) -> None:
    first, path = segments(elsewhere / "log")[1]
    path.write_bytes(path.read_bytes().replace(b"u:anna", b"u:anne", 1))
    altered = both(log, elsewhere)
    path.unlink()
    gone = both(log, elsewhere)

    assert (altered.ok, altered.first_bad) == (False, first)
    assert (gone.ok, gone.first_bad) == (False, first)


def test_altered_tiles_of_archived_records_are_found(log: Path) -> None:
    tile = log / "tile" / "0" / "000"
    hashes = tile.read_bytes()
    tile.write_bytes(hashes[:100] + bytes([hashes[100] ^ 1]) + hashes[101:])

    assert not verify(log, public_key=SIGNER.public_key).ok
    assert not second_verifier.check(log).ok


def test_the_log_is_written_on_and_opened_without_its_archived_segments(log: Path) -> None:
    with open_log(log, segment_bytes=SEGMENT_BYTES) as again:
        again.append(event(600))
    shutil.rmtree(log / "tile" / "1")
    with open_log(log, segment_bytes=SEGMENT_BYTES) as again:
        again.append(event(601))

    assert both(log).records == 602


def test_archived_records_are_read_and_proven_from_the_archive(log: Path, elsewhere: Path) -> None:
    assert [record.index for record in read(log, archive=elsewhere)] == list(range(600))
    assert len(read(log)) == 600 - segments(log)[0][0]
    proof = record_proof(log, 3, archive=elsewhere)
    assert "record 3 of 600" in second_verifier.second.check_proof(proof, None)
    with pytest.raises(NotFoundError, match="--archive"):
        record_proof(log, 3)


def test_static_tiles_hold_archived_records_and_need_the_archive(
    log: Path, elsewhere: Path
) -> None:
    files = dict(static_files(log, elsewhere))

    assert {"tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "checkpoint"} < set(files)
    assert len(files["tile/0/002.p/88"]) == 88 * 32
    with pytest.raises(TamperedError, match="--archive"):
        list(static_files(log))


def test_the_two_newest_segments_stay(log: Path, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="2 segments"):
        move(log, tmp_path / "more", keep=1)
    assert move(log, tmp_path / "more") == []


def test_without_its_record_nothing_is_moved(tmp_path: Path) -> None:
    write(tmp_path / "log")
    before = segments(tmp_path / "log")

    def refuse(moved: object) -> str:
        raise AuditError("the disk is full")

    with pytest.raises(AuditError, match="full"):
        move(tmp_path / "log", tmp_path / "elsewhere", record=refuse)
    assert segments(tmp_path / "log") == before
    assert read_statements(tmp_path / "log", SIGNER) == {}


def write(directory: Path, **changes: object) -> None:
    with open_log(directory, **({"segment_bytes": 2_500} | changes)) as log:
        for number in range(12):
            log.append(event(number))


class Killer:
    """Kills at an operation of the disk, once it is armed."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.armed = False

    def __call__(self, kind: str) -> None:
        if self.armed:
            self.left -= 1
            if self.left < 0:
                self.armed = False
                raise KilledError(kind)


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_while_archiving_loses_no_record(tmp_path: Path, seed: int) -> None:
    (tmp_path / "live").mkdir()
    disk = JournalDisk(tmp_path / "live")
    write(disk.root / "log", storage=disk)
    begun = len(disk.journal)
    move(disk.root / "log", disk.root / "elsewhere", storage=disk)
    chance = random.Random(seed)
    for number in range(12):
        image = tmp_path / f"image-{number}"
        disk.image(chance.randrange(begun, len(disk.journal) + 1), chance, image)

        report = verify(image / "log", public_key=None, archive=image / "elsewhere")

        assert (report.ok, report.records) == (True, 12), report


def test_archiving_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    for after in range(0, 60, 4):
        root = tmp_path / f"{after}"
        root.mkdir()
        killer = Killer(after)
        disk = JournalDisk(root, before=killer)
        write(root / "log", storage=disk)
        killer.armed = True
        with contextlib.suppress(KilledError):
            move(root / "log", root / "elsewhere", storage=disk)
        killer.armed = False

        move(root / "log", root / "elsewhere", storage=disk)

        report = verify(root / "log", public_key=None, archive=root / "elsewhere")
        assert (report.ok, report.records, len(segments(root / "log"))) == (True, 12, 2)
