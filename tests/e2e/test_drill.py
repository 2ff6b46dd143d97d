"""A deployment that was lost comes back from its backup: the drill, with a few documents."""

import shutil
from pathlib import Path

import pytest

from demo.drill import CORPUS, Drill, drill


@pytest.mark.timeout(900)
def test_a_lost_deployment_comes_back_and_what_was_erased_since_does_not(tmp_path: Path) -> None:
    files = tmp_path / "files"
    shutil.copytree(CORPUS / "discharge", files / "discharge")
    shutil.copy(CORPUS / "labels.toml", files)

    seen = drill(Drill(tmp_path, [files]))

    assert isinstance(seen["documents"], int)
    assert seen["documents"] > 1
    # Vectors were kept: nothing was embedded again.
    assert seen["embedded"] == 0
