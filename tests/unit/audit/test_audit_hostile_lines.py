"""What a hostile line or a full disk leaves behind is a clear error, not a broken program."""

from pathlib import Path

import pytest

from ragplatform.audit import seeds
from ragplatform.audit.record import decode
from ragplatform.errors import TamperedError


def test_a_line_nested_too_deep_is_not_a_record() -> None:
    with pytest.raises(TamperedError):
        decode(b"[" * 200_000, origin="log")


def test_a_full_disk_at_the_first_seed_leaves_no_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "log.json"
    with monkeypatch.context() as patched:
        patched.setattr(seeds, "put", full)
        with pytest.raises(OSError, match="No space"):
            seeds.SealSeeds(path).seed(0)

    assert seeds.SealSeeds(path).seed(0) == seeds.SealSeeds(path).seed(0)
