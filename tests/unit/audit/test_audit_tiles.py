"""Tiles: named and filled as C2SP says, mended at opening, durable once their segment is closed."""

import random
import shutil
from pathlib import Path

import pytest

from ragplatform.audit.layout import segments
from ragplatform.audit.merkle import perfect_root
from ragplatform.audit.query import read
from ragplatform.audit.tiles import stored_tile, tile_path, width_at
from ragplatform.audit.verify import verify
from ragplatform.errors import TamperedError
from tests.fakes_audit import event, open_log
from tests.fakes_disk import JournalDisk, copy_log

SEGMENT_BYTES = 40_000


def write(directory: Path, count: int, **changes: object) -> None:
    with open_log(directory, **({"segment_bytes": SEGMENT_BYTES} | changes)) as log:
        for number in range(count):
            log.append(event(number))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / "log"
    write(directory, 700)
    return directory


@pytest.fixture
def log(pristine: Path, tmp_path: Path) -> Path:
    return copy_log(pristine, tmp_path / "log")


def full_tiles(directory: Path) -> dict[str, bytes]:
    """The full tiles of level 0 that a log of this many records must have."""
    leaves = [record.leaf for record in read(directory)]
    return {
        tile_path(0, number): b"".join(leaves[number * 256 : (number + 1) * 256])
        for number in range(len(leaves) // 256)
    }


def lacking(directory: Path) -> list[str]:
    """The tiles that are absent or wrong, but for those that only the open segment fills."""
    closed = segments(directory)[-1][0]
    return [
        path
        for number, (path, hashes) in enumerate(full_tiles(directory).items())
        if (number + 1) * 256 <= closed
        and (not (directory / path).exists() or (directory / path).read_bytes() != hashes)
    ]


@pytest.mark.parametrize(
    ("kind", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 1_234_067, 256, "tile/0/x001/x234/067"),
        (1, 1_000, 7, "tile/1/x001/000.p/7"),
        ("entries", 999, 256, "tile/entries/999"),
    ],
)
def test_tiles_are_named_as_the_standard_says(
    kind: int | str, number: int, width: int, path: str
) -> None:
    assert tile_path(kind, number, width) == path


def test_a_tree_has_the_tiles_of_the_standards_example() -> None:
    size = 70_000

    assert [width_at(0, number, size) for number in (272, 273, 274)] == [256, 112, 0]
    assert [width_at(1, number, size) for number in (0, 1, 2)] == [256, 17, 0]
    assert width_at(2, 0, size) == 1


def test_full_tiles_hold_the_hashes_of_the_records(log: Path) -> None:
    expected = full_tiles(log)

    found = {path: (log / path).read_bytes() for path in expected}

    assert len(found) == 2
    assert found == expected
    assert stored_tile(log, 1, 0, 2) == b"".join(map(perfect_root, expected.values()))


def test_tiles_that_are_gone_or_altered_are_mended_at_opening(log: Path) -> None:
    expected = full_tiles(log)
    for spoil in (lambda path: path.unlink(), lambda path: path.write_bytes(b"x" * 8192)):
        for path in (log / "tile").rglob("*"):
            if path.is_file():
                spoil(path)

        open_log(log).close()

        assert {path: (log / path).read_bytes() for path in expected} == expected
        assert verify(log, public_key=None).ok


def test_a_log_from_before_there_were_tiles_gets_them(log: Path) -> None:
    shutil.rmtree(log / "tile")

    open_log(log).close()

    assert lacking(log) == []
    assert len(full_tiles(log)) == 2


def bytes_read() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].removeprefix("rchar: "))


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs the kernel's own count")
def test_opening_reads_the_last_segment_and_not_the_log(tmp_path: Path) -> None:
    read_at: list[int] = []
    for count in (300, 1500):
        write(tmp_path / f"{count}", count)
        before = bytes_read()

        open_log(tmp_path / f"{count}", segment_bytes=SEGMENT_BYTES).close()

        read_at.append(bytes_read() - before)
    total = sum(path.stat().st_size for _, path in segments(tmp_path / "1500"))

    assert total > 20 * SEGMENT_BYTES
    assert max(read_at) < 4 * SEGMENT_BYTES


def test_a_segment_whose_end_was_cut_off_is_not_written_on(log: Path) -> None:
    _, last = segments(log)[-1]
    (log / "checkpoint").write_text(
        next(line for line in _notes(segments(log)[0][1]) if line.split("\n")[1] == "1")
    )
    for _, path in segments(log)[3:]:
        path.unlink()

    with pytest.raises(TamperedError, match="cut off"):
        open_log(log)
    assert not last.exists()


def _notes(path: Path) -> list[str]:
    from ragplatform.audit.layout import note_of

    lines = path.read_bytes().splitlines()
    return [note_of(line) for line in lines if line.startswith(b'{"checkpoint"')]


def power_cuts(root: Path, deaf: frozenset[str], count: int) -> list[list[str]]:
    """What tiles lack after power cuts at random moments, once the log was opened again."""
    write(root / "model", 258, segment_bytes=10**9)
    # The segment ends just behind the first full tile. So the partial ones there are of a sector
    # each, and there are images in which they survive and the full one does not.
    border = segments(root / "model")[0][1].stat().st_size
    (root / "live").mkdir()
    disk = JournalDisk(root / "live", deaf=deaf)
    write(disk.root / "api", 280, storage=disk, segment_bytes=border)
    rotated = next(
        at for at, op in enumerate(disk.journal) if op.name == f"segment-{258:012d}.jsonl"
    )
    found = []
    for seed in range(count):
        chance = random.Random(seed)
        image = root / f"image-{seed}"
        disk.image(chance.randrange(rotated + 2, len(disk.journal)), chance, image)
        open_log(image / "api", segment_bytes=border).close()
        found.append(lacking(image / "api"))
        shutil.rmtree(image)
    return found


def test_after_a_power_cut_no_tile_of_a_closed_segment_is_lacking(tmp_path: Path) -> None:
    assert power_cuts(tmp_path, frozenset(), 25) == [[]] * 25


@pytest.mark.parametrize("site", ["secure syncs folder of tiles", "secure syncs tile"])
def test_without_the_syncs_of_tiles_some_are_lacking(tmp_path: Path, site: str) -> None:
    assert any(power_cuts(tmp_path, frozenset({site}), 40))
