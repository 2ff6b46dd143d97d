"""Whatever is done to a log of 1,000 records, both verifiers find it and name the first bad one.

A change can only show in the group that it is made in or, where it is one to a commit line, in the
next. So each change is tried on the groups around it, from the state in which either verifier comes
to them. On a sample the whole log is verified as well, and must give the same. With AUDIT_FLIPS=all
in the environment every offset is tried; else every 149th, and all of some groups.
"""

import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragplatform.audit import verify as first
from ragplatform.audit.layout import segments
from ragplatform.audit.merkle import leaf_hash
from ragplatform.audit.note import Signer
from ragplatform.audit.verify import VerifyReport, verify
from ragplatform.audit.verify_files import Tiles
from ragplatform.audit.verify_notes import BrokenError, parse_key
from ragplatform.audit.verify_tree import Tree
from tests import second_verifier
from tests.fakes_audit import ORIGIN, SIGNING_KEY, open_log, write_groups
from tests.fakes_disk import copy_log
from tests.second_verifier import Verdict, second

KEY = Signer(ORIGIN, SIGNING_KEY).public_key
NOTE_KEY = parse_key(Signer(ORIGIN, SIGNING_KEY).verifier_key.encode() + b"\n", KEY)
EVERYTHING = os.environ.get("AUDIT_FLIPS") == "all"
RECORDS = 1000
COMMIT = b'{"checkpoint"'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "_PATIENCE_S", 0.0)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tamper") / "log"
    chance = random.Random(1)
    sizes: list[int] = []
    while sum(sizes) < RECORDS - 10:
        sizes += [1, chance.choice([1, 2, 3, 5])]
    write_groups(directory, [*sizes, *[1] * (RECORDS - sum(sizes))])
    return directory


def twin(walk: Any) -> Any:
    """A walk in the same state, that goes on by itself."""
    other = copy.copy(walk)
    other.tree = Tree(Tiles(None))
    other.tree.size = walk.tree.size
    other.tree._levels = [bytearray(hashes) for hashes in walk.tree._levels]
    return other


def second_twin(log: Any) -> Any:
    """The same of the second verifier."""
    other = copy.copy(log)
    other.leaves, other.perfect = log.leaves.copy(), log.perfect.copy()
    return other


class Border:
    """The log up to one group, and how each verifier goes on from there."""

    def __init__(self, log: Path, base: int, groups: list[list[bytes]]) -> None:
        self.base = base
        self.groups = groups
        self.folder = log
        self.first: Any = None
        self.second: Any = None

    @property
    def own(self) -> int:
        """How many records the group has."""
        return len(self.groups[0]) - 1

    def found_by_first(self, lines: bytes, *, every_signature: bool) -> tuple[bool, int | None]:
        walk = twin(self.first)
        try:
            walk._check_piece(lines, "segment", NOTE_KEY, every_signature=every_signature)
        except BrokenError as broken:
            return True, broken.first_bad
        return False, None

    def found_by_second(self, lines: bytes, scratch: Path) -> tuple[bool, int | None]:
        state = second_twin(self.second)
        scratch.write_bytes(lines)
        try:
            state.segment(scratch)
        except second.BadError as error:
            return True, second_verifier.verdict(error).first_bad
        return False, None


@pytest.fixture(scope="module")
def borders(log: Path) -> list[Border]:
    groups: list[list[bytes]] = [[]]
    for line in segments(log)[0][1].read_bytes().splitlines(keepends=True):
        groups[-1].append(line)
        if line.startswith(COMMIT):
            groups.append([])
    groups.pop()
    walk = first._Walk(ORIGIN, [])
    walk.tree.tiles = Tiles(None)
    other = second.Log(log, second.Key((log / "key.pub").read_text()), None)
    found = []
    for place, group in enumerate(groups):
        border = Border(log, walk.tree.size, groups[place : place + 3])
        border.first, border.second = twin(walk), second_twin(other)
        found.append(border)
        walk._check_piece(b"".join(group), "segment", NOTE_KEY, every_signature=True)
        other.group([line[:-1] for line in group], len(other.leaves))
    return found


def assert_found(border: Border, lines: bytes, bad: Callable[[int | None], bool], at: Path) -> None:
    quick, _ = border.found_by_first(lines, every_signature=False)
    slow, named = border.found_by_first(lines, every_signature=True)
    also, second_named = border.found_by_second(lines, at)
    assert (quick, slow, also) == (True, True, True), (border.base, lines[:80])
    assert bad(named), (border.base, named)
    assert bad(second_named), (border.base, second_named)


def flips(borders: list[Border]) -> Iterator[tuple[Border, int]]:
    whole = random.Random(2).sample(range(len(borders) - 3), 2)
    count = 0
    # A change to the very last commit line is found by its signature alone: see below.
    for place, border in enumerate(borders[:-1]):
        for offset in range(sum(map(len, border.groups[0]))):
            count += 1
            if EVERYTHING or place in whole or count % 149 == 0:
                yield border, offset


@pytest.mark.timeout(7200)
def test_a_byte_flipped_at_every_offset_is_found_and_its_group_named(
    borders: list[Border], tmp_path: Path
) -> None:
    tried = 0
    for border, offset in flips(borders):
        lines = b"".join(line for group in border.groups for line in group)
        mask = (0x01, 0x20, 0x80)[offset % 3]
        flipped = lines[:offset] + bytes([lines[offset] ^ mask]) + lines[offset + 1 :]

        assert_found(border, flipped, within(border.base, border.own), tmp_path / "part")
        tried += 1
    assert tried > 4_000


def within(base: int, count: int) -> Callable[[int | None], bool]:
    return lambda named: named is not None and base <= named < base + count


def changes(border: Border) -> Iterator[tuple[str, list[bytes], int]]:
    """Every record of a group deleted, doubled, swapped with the next, preceded, and cut after."""
    lines = [line for group in border.groups for line in group]
    records = [at for at, line in enumerate(lines) if not line.startswith(COMMIT)]
    forged = lines[0].replace(b"u:anna", b"u:anne")
    for at in range(border.own):
        bad = border.base + at
        later = records[at + 1]
        swapped = lines.copy()
        swapped[at], swapped[later] = swapped[later], swapped[at]
        yield "deleted", lines[:at] + lines[at + 1 :], bad
        yield "doubled", lines[: at + 1] + lines[at:], bad + 1
        yield "swapped", swapped, bad
        yield "inserted", [*lines[:at], forged, *lines[at:]], bad
        yield "cut", lines[: at + 1], bad


def test_a_record_deleted_doubled_swapped_inserted_or_cut_off_is_found_and_named(
    borders: list[Border], tmp_path: Path
) -> None:
    tried = 0
    for border in borders[:-3]:
        for what, lines, bad in changes(border):
            # A record that is there twice is the bad one, or the next, which is out of place; where
            # a group is not closed or not in its place, its first record is the first bad one.
            fits = within(border.base, bad - border.base + 1)

            assert_found(border, b"".join(lines), fits, tmp_path / "part")
            tried += 1
            assert what
    assert tried > 4_900


def test_what_is_found_from_a_border_is_what_is_found_in_the_whole_log(
    log: Path, borders: list[Border], tmp_path: Path
) -> None:
    chance = random.Random(5)
    whole = segments(log)[0][1].read_bytes()
    copied = copy_log(log, tmp_path / "log")
    for border in chance.sample(borders[:-3], 8):
        lines = b"".join(line for group in border.groups for line in group)
        start = whole.index(lines)
        offset = chance.randrange(sum(map(len, border.groups[0])))
        flipped = lines[:offset] + bytes([lines[offset] ^ 1]) + lines[offset + 1 :]
        segments(copied)[0][1].write_bytes(whole[:start] + flipped + whole[start + len(lines) :])

        report = verify(copied, public_key=KEY)
        verdict = second_verifier.check(copied)

        named = border.found_by_first(flipped, every_signature=True)[1]
        assert (report.ok, report.first_bad) == (False, named)
        assert verdict.first_bad == border.found_by_second(flipped, tmp_path / "part")[1]


@pytest.mark.parametrize("name", ["key.pub", "checkpoint", "last commit"])
def test_a_byte_flipped_in_key_checkpoint_or_last_commit_is_found(
    log: Path, tmp_path: Path, name: str
) -> None:
    copied = copy_log(log, tmp_path / "log")
    path = segments(copied)[0][1] if name == "last commit" else copied / name
    whole = path.read_bytes()
    start = whole.rindex(b"\n" + COMMIT) + 1 if name == "last commit" else 0
    step = 1 if EVERYTHING else 41
    for offset in range(start, len(whole), step):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])

        assert not verify(copied, public_key=KEY).ok, offset
        assert not second_verifier.check(copied).ok, offset


def segment_leaves(log: Path) -> list[bytes]:
    lines = segments(log)[0][1].read_bytes().splitlines()
    return [leaf_hash(line) for line in lines if not line.startswith(COMMIT)]


def flipped_tile(log: Path, tile: Path, offset: int) -> tuple[VerifyReport, Verdict]:
    whole = tile.read_bytes()
    tile.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
    return verify(log, public_key=KEY), second_verifier.check(log)


def restore(log: Path, copied: Path) -> None:
    shutil.rmtree(copied)
    copy_log(log, copied)


def found_in_tiles(log: Path, leaves: list[bytes]) -> tuple[int | None, int | None]:
    """What either verifier says of the tiles, once it has read all records."""
    tree = Tree(Tiles(log))
    named: list[int | None] = [None, None]
    try:
        for leaf in leaves:
            tree.grow(leaf)
        tree.finish()
    except BrokenError as broken:
        named[0] = broken.first_bad
    other = second.Log(log, None, None)
    other.leaves = leaves
    try:
        other.check_tiles()
    except second.BadError as error:
        named[1] = second_verifier.verdict(error).first_bad
    return named[0], named[1]


def test_a_byte_flipped_in_a_tile_is_found_and_its_record_named(log: Path, tmp_path: Path) -> None:
    copied = copy_log(log, tmp_path / "log")
    tiles = [path for path in (copied / "tile").rglob("*") if path.is_file()]
    assert len(tiles) == 4  # three full ones of level 0, and the one above them
    leaves = segment_leaves(log)
    report, verdict = flipped_tile(copied, tiles[0], 77)
    assert not report.ok
    assert (report.first_bad, verdict.first_bad) == found_in_tiles(copied, leaves)
    restore(log, copied)
    for path in tiles:
        whole = path.read_bytes()
        level = int(path.relative_to(copied / "tile").parts[0])
        number = 0 if level else int(path.name)  # above the first three there is one partial tile
        for offset in range(0, len(whole), 1 if EVERYTHING else 61):
            path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
            bad = (number * 256 + offset // 32) << (8 * level)

            assert found_in_tiles(copied, leaves) == (bad, bad)
        path.write_bytes(whole)


def test_a_log_cut_off_or_rolled_back_to_any_checkpoint_is_found_with_a_held_one(
    log: Path, borders: list[Border], tmp_path: Path
) -> None:
    copied = copy_log(log, tmp_path / "log")
    held = (log / "checkpoint").read_text()
    path = segments(copied)[0][1]
    whole = path.read_bytes()
    for tile in (copied / "tile").rglob("*"):
        tile.is_file() and tile.unlink()
    chance = random.Random(6)
    for border in chance.sample(borders[1:], 10):
        commit = border.first.above
        path.write_bytes(whole[: whole.index(b"".join(border.groups[0]))])
        (copied / "checkpoint").write_text(json.loads(commit)["checkpoint"])

        alone = verify(copied, public_key=KEY)
        report = verify(copied, public_key=KEY, held_checkpoint=held)
        verdict = second_verifier.check(copied, held=log / "checkpoint")

        assert (alone.ok, alone.records) == (True, border.base)
        assert (report.ok, report.first_bad) == (False, border.base)
        assert (verdict.ok, verdict.first_bad) == (False, border.base)


def test_a_roll_back_is_found_by_the_tiles_that_it_left(log: Path, tmp_path: Path) -> None:
    copied = copy_log(log, tmp_path / "log")
    with open_log(tmp_path / "short") as short:
        held = short.checkpoint()
    segments(copied)[0][1].unlink()
    (copied / "checkpoint").write_text(held)

    report, verdict = verify(copied, public_key=KEY), second_verifier.check(copied)

    assert (report.ok, report.first_bad) == (False, 0)
    assert (verdict.ok, verdict.first_bad) == (False, 0)
