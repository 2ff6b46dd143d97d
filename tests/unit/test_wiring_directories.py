"""A package of the deployment's own may say who is related to whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragplatform import openers
from ragplatform.config import Settings
from ragplatform.model import Principal, Purpose
from ragplatform.ports import Relatives
from ragplatform.privacy.vault import Vault

LEE = Principal("lee", "mercy", frozenset({"physician"}))


class Ward:
    """A directory that a package would bring."""

    name = "ward"
    max_age_s = 3600.0

    def relatives(self, principal: Principal) -> Relatives:
        assert principal == LEE
        return Relatives(frozenset({"mrn:1"}), datetime.now(UTC))


@dataclass(frozen=True)
class Point:
    """An entry point of the group."""

    def load(self) -> type[Ward]:
        return Ward


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault(f"sqlite:///{tmp_path / 'vault.db'}", master=bytes(range(32)))
    yield made
    made.close()


def test_a_directory_that_is_installed_is_asked_and_its_raw_ids_become_references(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def installed(*, group: str) -> list[Point]:
        asked.append(group)
        return [Point()]

    monkeypatch.setattr(openers, "entry_points", installed)

    register = openers.open_register(Settings(data_dir=tmp_path / "data"), vault)
    standing = register.standing(LEE, Purpose.TREAT)
    register.close()

    assert asked == ["ragplatform.directories"]
    assert standing.related == {vault.subject_ref("mercy", "mrn:1")}
