"""What was acknowledged survives power cuts, kills and failed syncs; and each sync is needed.

``RAGPLATFORM_IMAGES`` sets how many states that a power cut can leave are drawn and opened (5,000
by default), ``RAGPLATFORM_SEED`` where the dramas that lead to them begin.
"""

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from ragplatform.audit.events import Action
from ragplatform.audit.lasting import LastingLog
from ragplatform.audit.layout import CHECKPOINT
from ragplatform.audit.log import AuditLog, GivenUp, utc_now
from ragplatform.audit.query import read
from ragplatform.audit.tiles import WIDTH, tile_path
from ragplatform.audit.verify import verify
from ragplatform.errors import AuditError, PlatformError
from tests.fakes_audit import ORIGIN, event, open_log
from tests.fakes_disk import JournalDisk, KilledError

SEGMENT_BYTES = 2_500
IMAGES = int(os.environ.get("RAGPLATFORM_IMAGES", "5000"))
SEED = int(os.environ.get("RAGPLATFORM_SEED", "0"))
PARTS = 10
PER_DRAMA = 25


@dataclass(frozen=True)
class Acknowledged:
    """A receipt that a caller got."""

    index: int
    leaf: bytes


@dataclass(frozen=True)
class Closed:
    """``close`` returned, with so many records in the log."""

    size: int


@dataclass(frozen=True)
class Found:
    """What a power cut left: the promise that it breaks, "" for none; and how many torn ends."""

    broken: str
    torn: int = 0


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


def lasting(disk: JournalDisk) -> LastingLog:
    """The log as a process has it, with pauses that are always over."""

    def open_one(after: GivenUp | None) -> AuditLog:
        place = disk.root / "logs" / "api"
        return open_log(place, storage=disk, segment_bytes=SEGMENT_BYTES, after=after)

    return LastingLog(
        origin=ORIGIN,
        tenant="",
        log=None,
        open_log=open_one,
        clock=utc_now,
        pause_clock=count(0, 100).__next__,
    )


def append(log: LastingLog, disk: JournalDisk, number: int) -> None:
    # Of many sizes, from a fraction of a sector to several of them.
    receipt = log.append(event(number, sealed={"answer": "x" * (number * 331 % 1500)}))
    disk.note(Acknowledged(receipt.index, receipt.leaf))


def run(disk: JournalDisk, numbers: range, *, stubborn: bool) -> None:
    """One life of a writer: open, append, close; cut short where the disk says so.

    One who is stubborn goes on in the same process after the disk has failed.
    """
    log = lasting(disk)
    try:
        for number in numbers:
            try:
                append(log, disk, number)
            except AuditError:
                if not stubborn:
                    break
        alive = not log.dark
        log.close()
        if alive:
            disk.note(Closed(size_aside(disk.root / "logs" / "api")))
    except (KilledError, AuditError):
        # The kernel drops a dead process's lock; nothing else of it remains.
        log.close()


def size_aside(directory: Path) -> int:
    """Return the size in the checkpoint that was set aside, 0 if there is none."""
    aside = directory / CHECKPOINT
    there = aside.exists() and aside.stat().st_size
    return int(aside.read_text().split("\n")[1]) if there else 0


def lives(disk: JournalDisk, trouble: Trouble, chance: random.Random, first: int = 0) -> None:
    """Several lives of writers, most of which end badly at a random moment."""
    for life in range(5):
        error: BaseException = chance.choice([KilledError(), OSError(5, "Input/output error")])
        kind = chance.choice(["", "sync", "write", "sync_folder"])
        trouble.set(kind, chance.randrange(8 if kind else 30), error)
        start = first + life * 10
        run(disk, range(start, start + chance.randrange(1, 9)), stubborn=chance.random() < 0.5)


def found(image: Path, notes: list[object]) -> Found:
    """Open what the power cut left, and say what promise it breaks."""
    directory = image / "logs" / "api"
    size = size_aside(directory)
    try:
        open_log(directory, segment_bytes=SEGMENT_BYTES).close()
        records = {record.index: record for record in read(directory)}
        report = verify(directory, public_key=None)
    except PlatformError as error:
        return Found(f"does not open: {error}")
    for note in notes:
        if isinstance(note, Acknowledged) and (
            note.index not in records or records[note.index].leaf != note.leaf
        ):
            return Found(f"record {note.index} was acknowledged and is lost")
        if isinstance(note, Closed) and size < note.size:
            return Found("the checkpoint that was set aside at closing is lost")
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
        return Found("a torn end was not kept, or not reported")
    return Found("" if report.ok else report.problem, len(told))


def images(disk: JournalDisk, root: Path, seed: int, number: int) -> Iterator[Found]:
    """Draw images at random moments; yield what each holds.

    Every third loses power a second time, while the log is opened again.
    """
    chance = random.Random(seed)
    for _ in range(number):
        image = root / "image"
        at = chance.randrange(len(disk.journal) + 1)
        notes = disk.image(at, chance, image)
        if chance.random() < 1 / 3:
            again = cut_again(image, chance, root / "again")
            shutil.rmtree(image)
            image = again
        yield found(image, notes)
        shutil.rmtree(image)


def cut_again(image: Path, chance: random.Random, into: Path) -> Path:
    """Open what a power cut left, with another one at a random moment of that."""
    disk = JournalDisk(image)
    with suppress(PlatformError):
        open_log(image / "logs" / "api", storage=disk, segment_bytes=SEGMENT_BYTES).close()
    disk.image(chance.randrange(len(disk.journal) + 1), chance, into)
    return into


def drama(
    root: Path, seed: int, deaf: frozenset[str] = frozenset(), before: Path | None = None
) -> JournalDisk:
    """A disk on which writers lived and died; ``deaf`` names the syncs that do nothing.

    ``before`` holds what was written, and durable, in times of peace.
    """
    live = root / "live"
    live.mkdir(parents=True)
    if before is not None:
        shutil.copytree(before, live / "logs" / "api")
    trouble = Trouble()
    disk = JournalDisk(live, deaf=deaf, before=trouble)
    lives(disk, trouble, random.Random(seed))
    return disk


# In the drama of 178 a writer dies between giving the key its name and syncing that name, and in an
# image of it the next one's checkpoint was kept and the key lost: once a bug here.
@pytest.mark.timeout(60 + IMAGES // 20)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_power_cut_at_any_moment_loses_nothing_acknowledged(memory: Path, part: int) -> None:
    seeds = range(SEED + part, SEED + part + PARTS * (IMAGES // PARTS // PER_DRAMA), PARTS)
    broken, drawn, torn = [], 0, 0
    for seed in [*seeds, *([178] if part == 0 else [])]:
        disk = drama(memory / str(seed), seed)
        for one in images(disk, memory, seed, PER_DRAMA):
            drawn, torn = drawn + 1, torn + one.torn
            if one.broken:
                broken.append((seed, one.broken))
        shutil.rmtree(memory / str(seed))

    assert broken == []
    assert drawn >= IMAGES // PARTS
    # Otherwise this would be about power cuts that leave nothing half written.
    assert torn > drawn // 20


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that is some records short of filling its first tile of hashes."""
    directory = tmp_path_factory.mktemp("peace") / "log"
    with open_log(directory) as log:
        for number in range(WIDTH - 9):
            log.append(event(number))
    return directory


@pytest.mark.timeout(60 + IMAGES // 20)
@pytest.mark.parametrize("part", range(2))
def test_nor_does_one_while_a_tile_fills(memory: Path, peace: Path, part: int) -> None:
    broken, full = [], 0
    for seed in range(SEED + part, SEED + part + IMAGES // PER_DRAMA // 5, 2):
        disk = drama(memory / str(seed), seed, before=peace)
        full += (disk.root / "logs" / "api" / tile_path(0, 0)).exists()
        broken += [one.broken for one in images(disk, memory, seed, PER_DRAMA) if one.broken]
        shutil.rmtree(memory / str(seed))

    assert broken == []
    assert full


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


def test_the_list_of_syncs_is_complete(memory: Path) -> None:
    sites: set[str] = set()
    for seed in range(12):
        sites |= drama(memory / str(seed), seed).sites

    assert sites == {*NEEDED, *TILE_SYNCS}


@pytest.mark.parametrize("site", NEEDED)
def test_without_any_one_of_its_syncs_the_log_breaks_its_promise(memory: Path, site: str) -> None:
    for seed in range(80):
        place = memory / str(seed)
        disk = drama(place, seed, frozenset({site}))
        if any(one.broken for one in images(disk, place, seed, PER_DRAMA)):
            return
    pytest.fail(f"nothing was lost without this sync: {site}")
