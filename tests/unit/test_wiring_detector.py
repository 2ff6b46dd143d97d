"""A deployment's own patterns are read with the platform's rules, or stop the start."""

import shutil
from pathlib import Path

import pytest

from ragplatform import openers
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError

POLICIES = Path(__file__).parents[2] / "policies"
SOUND = """
[[recogniser]]
name = "badge"
entity = "UNIQUE_CODE"
regex = 'B!(?P<v>[a-z]{4})'
score = 0.9
finds = [{ text = "badge B!abcd", value = "abcd" }]
leaves = ["badge"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(POLICIES, tmp_path / "policies")
    return Settings(policies_dir=tmp_path / "policies", data_dir=tmp_path / "data")


def test_own_patterns_find_beside_the_rules(settings: Settings) -> None:
    (settings.policies_dir / "recognisers.toml").write_text(SOUND, encoding="utf-8")
    spans = openers.open_inspector(settings).inspect(["Lost: B!qxyz, mail a@b.org"])[0]
    assert {span.source for span in spans} >= {"badge"}
    assert "EMAIL_ADDRESS" in {span.entity for span in spans}


def test_a_pattern_whose_case_fails_stops_the_start(settings: Settings) -> None:
    wrong = SOUND.replace('value = "abcd"', 'value = "zzzz"')
    (settings.policies_dir / "recognisers.toml").write_text(wrong, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="badge"):
        openers.open_detector(settings)
