"""What is sealed comes back whole, to its own place alone, until somebody in it is forgotten."""

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.audit.storage import Disk, Storage
from ragplatform.errors import (
    ForgottenError,
    InvalidRequestError,
    NotFoundError,
    TamperedError,
    UnavailableError,
)
from ragplatform.privacy.sealed_stream import SEGMENT_BYTES, seal_stream, unseal_stream
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import Place, SealedFiles
from tests.fakes_disk import JournalDisk, KilledError, Op, PickyDisk, caller_of_sync

PLACE = Place("mercy", "d1", "quarantine", "aaaa")
TEXT = b"Maria Lopez, MRN 445566"
SUBJECT = "s_aaaaaaaaaaaaaaaaaaaaaaaa"
CRASHES = int(os.environ.get("RAGPLATFORM_IMAGES", "5000")) // 10


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    opened = Vault(f"sqlite:///{tmp_path}/vault.db", master=bytes(32))
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sealed"


@pytest.fixture
def files(vault: Vault, folder: Path) -> SealedFiles:
    return kept(vault, folder)


def kept(vault: Vault, folder: Path, storage: Storage | None = None) -> SealedFiles:
    return SealedFiles(folder, keys=vault, name_key=bytes(32), storage=storage or Disk())


def only_file(folder: Path) -> Path:
    [path] = [path for path in folder.rglob("*") if path.is_file()]
    return path


def test_nothing_can_be_read_once_the_document_is_forgotten(
    vault: Vault, files: SealedFiles
) -> None:
    files.put(PLACE, TEXT)
    vault.destroy_subject("mercy", vault.subject_ref("mercy", "document:d1"))

    with pytest.raises(ForgottenError):
        files.get(PLACE)


def test_nothing_can_be_read_once_one_of_its_people_is_forgotten(
    vault: Vault, files: SealedFiles
) -> None:
    other = SUBJECT.replace("a", "b")
    files.put(PLACE, TEXT, subjects=[SUBJECT, other])
    vault.destroy_subject("mercy", other)

    with pytest.raises(ForgottenError):
        files.get(PLACE)


def test_a_copy_of_a_forgotten_file_stays_unreadable_when_the_document_comes_again(
    vault: Vault, files: SealedFiles, folder: Path
) -> None:
    files.put(PLACE, TEXT)
    copy = only_file(folder).read_bytes()
    vault.destroy_subject("mercy", vault.subject_ref("mercy", "document:d1"))
    files.put(PLACE, b"another")
    only_file(folder).write_bytes(copy)

    with pytest.raises(TamperedError):
        files.get(PLACE)


@pytest.mark.parametrize(
    "size", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 300_000]
)
def test_bytes_come_back_as_they_were(files: SealedFiles, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert files.put(PLACE, data) == size
    assert files.get(PLACE) == data


def test_no_file_and_no_name_holds_the_text(files: SealedFiles, folder: Path) -> None:
    files.put(PLACE, TEXT)
    path = only_file(folder)
    assert b"Lopez" not in path.read_bytes()
    assert re.fullmatch(
        r"[0-9a-f]{2}/[0-9a-f]{40}-[0-9a-f]{40}.sealed", str(path.relative_to(folder))
    )


def test_every_flipped_bit_is_found(files: SealedFiles, folder: Path) -> None:
    files.put(PLACE, TEXT)
    path = only_file(folder)
    good = path.read_bytes()

    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        path.write_bytes(bad)
        with pytest.raises((TamperedError, ForgottenError)):
            files.get(PLACE)


def test_a_file_cut_between_two_segments_is_found(files: SealedFiles, folder: Path) -> None:
    files.put(PLACE, bytes(3 * SEGMENT_BYTES))
    path = only_file(folder)
    whole = path.stat().st_size

    for segments in (1, 2, 3):
        os.truncate(path, whole - segments * (SEGMENT_BYTES + 16))
        with pytest.raises(TamperedError):
            files.get(PLACE)


def test_a_file_put_in_anothers_place_is_found(files: SealedFiles, folder: Path) -> None:
    files.put(PLACE, TEXT)
    path = only_file(folder)
    twin = Place("mercy", "d1", "quarantine", "bbbb")
    files.put(twin, b"other")
    [other] = set(folder.rglob("*.sealed")) - {path}
    shutil.copyfile(path, other)

    with pytest.raises(TamperedError):
        files.get(twin)


def test_two_files_of_the_same_bytes_have_nothing_in_common(
    files: SealedFiles, folder: Path
) -> None:
    files.put(PLACE, TEXT)
    first = only_file(folder).read_bytes()
    files.put(PLACE, TEXT)
    assert only_file(folder).read_bytes()[-len(TEXT) - 16 :] != first[-len(TEXT) - 16 :]


def test_another_tenants_place_of_the_same_words_is_another(files: SealedFiles) -> None:
    files.put(PLACE, TEXT)
    with pytest.raises(NotFoundError):
        files.get(Place("harbor", "d1", "quarantine", "aaaa"))


@pytest.mark.parametrize("word", ["", "../x", "a/b", "Lopez Maria", "é", "x" * 129])
def test_a_place_of_other_words_is_refused(files: SealedFiles, word: str) -> None:
    with pytest.raises(InvalidRequestError):
        files.put(Place("mercy", word, "quarantine", "aaaa"), TEXT)


def test_places_are_found_by_what_is_asked_for(files: SealedFiles) -> None:
    second = Place("mercy", "d1", "archive", "g1")
    third = Place("mercy", "d2", "archive", "g1")
    for place in (PLACE, second, third, Place("harbor", "d9", "archive", "g1")):
        files.put(place, TEXT)

    assert files.places("mercy") == [second, PLACE, third]
    assert files.places("mercy", document="d1") == [second, PLACE]
    assert files.places("mercy", kind="archive") == [second, third]
    assert len(files.places()) == 4


def test_forgetting_a_document_removes_all_its_files_and_no_others(files: SealedFiles) -> None:
    other = Place("mercy", "d2", "quarantine", "aaaa")
    for place in (PLACE, Place("mercy", "d1", "archive", "g1"), other):
        files.put(place, TEXT)

    assert files.forget("mercy", "d1") == 2
    assert files.places() == [other]


def test_forgetting_a_subject_removes_what_is_about_it(files: SealedFiles) -> None:
    other = Place("mercy", "d2", "quarantine", "aaaa")
    files.put(PLACE, TEXT, subjects=[SUBJECT])
    files.put(other, TEXT)
    files.put(Place("harbor", "d1", "quarantine", "aaaa"), TEXT, subjects=[SUBJECT])

    assert files.forget_subject("mercy", SUBJECT) == 1
    assert not files.holds(PLACE)
    assert files.holds(other)
    assert files.places("harbor")


def test_a_sweep_removes_what_nobody_can_read_and_old_drafts(
    vault: Vault, folder: Path, files: SealedFiles
) -> None:
    files.put(PLACE, TEXT, subjects=[SUBJECT])
    other = Place("mercy", "d2", "quarantine", "aaaa")
    files.put(other, TEXT)
    old, fresh = (folder / "00" / f"{name}.draft" for name in ("old", "fresh"))
    old.parent.mkdir(exist_ok=True)
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    vault.destroy_subject("mercy", SUBJECT)

    swept = files.sweep()

    assert (swept.drafts, swept.unreadable) == (1, 1)
    assert files.places() == [other]
    assert fresh.exists()


def test_a_full_disk_leaves_what_was_there(vault: Vault, folder: Path) -> None:
    disk = PickyDisk("")
    files = kept(vault, folder, disk)
    files.put(PLACE, TEXT)
    disk.refused = "sealed"

    with pytest.raises(UnavailableError, match="No space left"):
        files.put(PLACE, b"newer")

    assert files.get(PLACE) == TEXT
    assert only_file(folder)


def test_a_hundred_megabytes_go_through_in_bounded_memory(files: SealedFiles) -> None:
    piece = bytes(1024 * 1024)
    assert files.put(PLACE, (piece for _ in range(100))) == 100 * len(piece)

    with files.opened(PLACE) as pieces:
        sizes = [len(one) for one in pieces]

    assert sum(sizes) == 100 * len(piece)
    assert max(sizes) == SEGMENT_BYTES


def broken_images(root: Path, vault: Vault, number: int, deaf: str = "") -> int:
    """Kill writers at random moments, cut the power at others; count what was then lost."""
    chance = random.Random(7)
    broken = 0
    for life in range(number // 20):
        live, image = root / f"live{life}", root / "image"
        live.mkdir()
        # The kill comes late enough for something to have been acknowledged, most of the time.
        disk = _Deaf(live, deaf, before=_Killer(chance.randrange(60)))
        files = kept(vault, live / "sealed", disk)
        versions = [chance.randbytes(1 + chance.randrange(4000)) for _ in range(5)]
        with suppress(KilledError):
            for version in versions:
                files.put(PLACE, version)
                disk.note(version)
        for _ in range(20):
            notes = disk.image(chance.randrange(len(disk.journal) + 1), chance, image)
            known = [None, *versions]
            at = known.index(notes[-1]) if notes else 0
            broken += _read(kept(vault, image / "sealed")) not in known[at : at + 2]
            shutil.rmtree(image)
        shutil.rmtree(live)
    return broken


def _read(files: SealedFiles) -> bytes | None:
    try:
        return files.get(PLACE)
    except NotFoundError:
        return None
    except TamperedError:
        return b"damaged"


def test_a_power_cut_at_any_moment_leaves_the_old_bytes_or_the_new(
    tmp_path: Path, vault: Vault
) -> None:
    assert broken_images(tmp_path, vault, CRASHES) == 0


@pytest.mark.parametrize("sync", ["_write file", "_write folder", "_make_folder folder"])
def test_without_any_one_sync_a_power_cut_loses_something(
    tmp_path: Path, vault: Vault, sync: str
) -> None:
    assert broken_images(tmp_path, vault, 400, deaf=sync) > 0


class _Deaf(JournalDisk):
    """A journal whose syncs by one function, of files or of folders, do nothing."""

    def __init__(self, root: Path, deaf_to: str, *, before: Callable[[str], None]) -> None:
        super().__init__(root, before=before)
        self._function, _, self._what = deaf_to.partition(" ")

    def heard(self, op: Op, path: Path) -> None:
        what = "folder" if op.kind == "sync_folder" else "file"
        if (caller_of_sync(), what) != (self._function, self._what):
            self.record(op)


class _Killer:
    def __init__(self, left: int) -> None:
        self._left = left

    def __call__(self, kind: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise KilledError


@settings(deadline=None)
@given(
    data=st.binary(max_size=3 * SEGMENT_BYTES),
    cuts=st.lists(st.integers(0, 3 * SEGMENT_BYTES), max_size=5),
)
def test_any_split_of_the_bytes_gives_the_same(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    sealed = b"".join(seal_stream(bytes(32), pieces, b"bound"))
    assert b"".join(unseal_stream(bytes(32), [sealed], b"bound")) == data
