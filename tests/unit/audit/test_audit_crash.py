"""What was acknowledged survives power cuts, kills and failed syncs; and each sync is needed."""

import hashlib
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragplatform.audit.events import Action
from ragplatform.audit.log import AuditLog
from ragplatform.audit.query import read
from ragplatform.audit.verify import verify
from ragplatform.errors import AuditError, PlatformError
from tests.fakes_audit import event, open_log
from tests.fakes_disk import JournalDisk, KilledError

SEGMENT_BYTES = 2_500


@dataclass(frozen=True)
class Acknowledged:
    """A receipt that a caller got."""

    index: int
    leaf: bytes


@dataclass(frozen=True)
class Closed:
    """``close`` returned, with so many records in the log."""

    size: int


class Trouble:
    """Lets an operation of the disk fail or kills the process there, once."""

    def __init__(self) -> None:
        self.left = -1
        self.kind = ""
        self.error: BaseException = KilledError()

    def set(self, kind: str, left: int, error: BaseException) -> None:
        self.kind, self.left, self.error = kind, left, error

    def __call__(self, kind: str) -> None:
        if self.left < 0 or self.kind not in {"", kind}:
            return
        self.left -= 1
        if self.left < 0:
            raise self.error


def append(log: AuditLog, disk: JournalDisk, number: int) -> None:
    # Of many sizes, from a fraction of a sector to several of them.
    receipt = log.append(event(number, sealed={"answer": "x" * (number * 331 % 1500)}))
    disk.note(Acknowledged(receipt.index, receipt.leaf))


def run(disk: JournalDisk, first: int, count: int) -> None:
    """One life of a writer: open, append, close; cut short where the disk says so."""
    opened: list[AuditLog] = []
    try:
        log = open_log(disk.root / "logs" / "api", storage=disk, segment_bytes=SEGMENT_BYTES)
        opened.append(log)
        for number in range(first, first + count):
            append(log, disk, number)
        log.close()
        disk.note(Closed(log._tree.size))
    except (KilledError, AuditError):
        if opened:
            # The kernel drops a dead process's lock; nothing else of it remains.
            opened[0]._poison = "dead"
            opened[0].close()


def lives(disk: JournalDisk, trouble: Trouble, chance: random.Random) -> None:
    """Several lives of writers, most of which end badly at a random moment."""
    for life in range(5):
        error: BaseException = chance.choice([KilledError(), OSError(5, "Input/output error")])
        kind = chance.choice(["", "sync", "write", "sync_folder"])
        trouble.set(kind, chance.randrange(8 if kind else 30), error)
        run(disk, life * 10, chance.randrange(1, 9))


def violation(image: Path, notes: list[object]) -> str:
    """Open what the power cut left, and say what promise it breaks; empty if none."""
    directory = image / "logs" / "api"
    aside = directory / "checkpoint"
    size = int(aside.read_text().split("\n")[1]) if aside.exists() and aside.stat().st_size else 0
    try:
        open_log(directory, segment_bytes=SEGMENT_BYTES).close()
        records = {record.index: record for record in read(directory)}
        report = verify(directory, public_key=None)
    except PlatformError as error:
        return f"does not open: {error}"
    for note in notes:
        if isinstance(note, Acknowledged) and (
            note.index not in records or records[note.index].leaf != note.leaf
        ):
            return f"record {note.index} was acknowledged and is lost"
        if isinstance(note, Closed) and size < note.size:
            return "the checkpoint that was set aside at closing is lost"
    told = {
        str(record.details["kept_as"]): record.details["sha256"]
        for record in records.values()
        if record.action == Action.RECOVERED
    }
    kept = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.glob("torn-*.bin")
    }
    if kept != told:
        return "a torn end was not kept, or not reported"
    return "" if report.ok else report.problem


def images(disk: JournalDisk, root: Path, seed: int, count: int) -> Iterator[str]:
    """Draw images at random moments; yield what each breaks."""
    chance = random.Random(seed)
    for number in range(count):
        image = root / f"image-{number}"
        at = chance.randrange(len(disk.journal) + 1)
        notes = disk.image(at, chance, image)
        yield violation(image, notes)
        shutil.rmtree(image)


def drama(root: Path, seed: int, deaf: frozenset[str] = frozenset()) -> JournalDisk:
    """A disk on which writers lived and died; ``deaf`` names the syncs that do nothing."""
    live = root / "live"
    live.mkdir()
    trouble = Trouble()
    disk = JournalDisk(live, deaf=deaf, before=trouble)
    lives(disk, trouble, random.Random(seed))
    return disk


# In the drama of 178 a writer dies between giving the key its name and syncing that name, and in an
# image of it the next one's checkpoint was kept and the key lost: once a bug here.
@pytest.mark.parametrize("seed", [*range(10), 178])
def test_a_power_cut_at_any_moment_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    disk = drama(tmp_path, seed)

    broken = [words for words in images(disk, tmp_path, seed, 40) if words]

    assert broken == []


def test_torn_ends_do_occur_and_are_reported(tmp_path: Path) -> None:
    """Otherwise the tests above would be about power cuts that leave nothing half written."""
    reported = 0
    for seed in range(8):
        (tmp_path / f"{seed}").mkdir()
        disk = drama(tmp_path / f"{seed}", seed)
        reported += len(read(disk.root / "logs" / "api", action=Action.RECOVERED))

    assert reported >= 2


NEEDED = (
    "_commit syncs segment",
    "_segment syncs api",
    "claim syncs api",
    "make_folders syncs live",
    "make_folders syncs logs",
    "put syncs api",
    "put syncs checkpoint",
    "put syncs key",
    "put syncs torn",
    "recover syncs segment",
)


# These keep the tiles, not the records: see test_audit_tiles.py.
TILE_SYNCS = ("secure syncs folder of tiles", "secure syncs tile")


def test_the_list_of_syncs_is_complete(tmp_path: Path) -> None:
    sites: set[str] = set()
    for seed in range(12):
        (tmp_path / f"{seed}").mkdir()
        sites |= drama(tmp_path / f"{seed}", seed).sites

    assert sites == {*NEEDED, *TILE_SYNCS}


@pytest.mark.parametrize("site", NEEDED)
def test_without_any_one_of_its_syncs_the_log_breaks_its_promise(tmp_path: Path, site: str) -> None:
    for seed in range(80):
        place = tmp_path / f"{seed}"
        place.mkdir()
        disk = drama(place, seed, frozenset({site}))
        if any(images(disk, place, seed, 25)):
            return
    pytest.fail(f"nothing was lost without this sync: {site}")
