"""The demo's search of every byte finds what is there, and looks for what must be gone."""

from pathlib import Path

import pytest

from demo.leaks import left_under, must_be_gone
from demo.tour import COLLECTIONS
from ragplatform.privacy.rules import PrivacyRules

POLICIES = Path(__file__).resolve().parents[3] / "policies"


@pytest.mark.parametrize(
    "written",
    [
        b"seen by Ann Perez.",
        b"ANN PEREZ",
        "Ann Perez".encode("utf-16-le"),
        b"\0" * 99 + b"ann perez",
    ],
)
def test_a_value_in_a_file_is_found_however_it_is_written(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "page.dat").write_bytes(written)

    assert left_under(tmp_path, ["Ann Perez", "078-05-1120"]) == ["Ann Perez"]


def test_part_of_another_word_is_no_value(tmp_path: Path) -> None:
    (tmp_path / "page.dat").write_bytes(b"Joann Perezal, 1078-05-11209")

    assert left_under(tmp_path, ["Ann Perez", "078-05-1120"]) == []


def test_what_the_rules_tag_may_stay_and_what_they_replace_may_not() -> None:
    values = must_be_gone(PrivacyRules.load(POLICIES / "privacy.toml"), COLLECTIONS)

    assert "Eleanor Whitfield" in values
    assert "September 17, 2025" not in values
    assert len(values) > 250
