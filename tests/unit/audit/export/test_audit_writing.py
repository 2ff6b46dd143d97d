"""An export holds little in memory, says truly what it came to, and nobody else can read it."""

import hashlib
import itertools
import os
from pathlib import Path

import pytest

from ragplatform.audit.export.formats import WRITERS, Format
from ragplatform.audit.export.writing import Export, private_file
from ragplatform.errors import InvalidRequestError
from tests.sample_records import records


def test_an_export_takes_no_more_records_than_a_block_needs(tmp_path: Path) -> None:
    [first, *_] = records(tmp_path)
    taken = itertools.count()
    endless = (first for _ in taken)

    block = next(Export(endless, WRITERS[Format.NDJSON]).blocks())

    assert 64 * 1024 <= len(block) < 65 * 1024
    assert next(taken) < 1000


@pytest.mark.parametrize("form", Format)
def test_an_export_says_how_many_records_and_the_digest_of_all_its_bytes(
    tmp_path: Path, form: Format
) -> None:
    found = records(tmp_path)
    made = Export(found * 50, WRITERS[form])
    whole = b"".join(made.blocks())

    assert (made.done.records, made.done.sha256) == (
        len(found) * 50,
        hashlib.sha256(whole).hexdigest(),
    )


def test_a_file_that_was_not_finished_does_not_stay(tmp_path: Path) -> None:
    def half(path: Path) -> None:
        with private_file(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nobody_else_reads_the_file_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with private_file(tmp_path / "out") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_a_file_that_exists_or_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "there").write_text("mine")

    for name in ("link", "there", "none/out"):
        with pytest.raises(InvalidRequestError), private_file(tmp_path / name):
            pass
    assert (tmp_path / "there").read_text() == "mine"
    assert not (tmp_path / "target").exists()
