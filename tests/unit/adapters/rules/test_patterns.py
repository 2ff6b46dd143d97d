"""A deployment's own patterns are taken only when their cases hold and no text stalls them."""

from pathlib import Path

import pytest

from ragplatform.adapters.rules import patterns
from ragplatform.adapters.rules.patterns import check_patterns, load_patterns
from ragplatform.adapters.rules.tier import FAMILIES, RuleTier
from ragplatform.errors import ConfigurationError

BADGE = """
[[recogniser]]
name = "badge"
entity = "UNIQUE_CODE"
regex = 'B-(?P<v>\\d{6})(?!\\d)'
score = 0.5
keywords = ["badge"]
context = ["employee"]
finds = [{ text = "badge B-123456", value = "123456" }]
leaves = ["badge B-12", "B-123456 is a bolt"]
"""


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "recognisers.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_sound_file_is_read_and_finds_with_the_tier(written) -> None:
    path = written(BADGE)
    assert check_patterns(path) == []
    tier = RuleTier([*FAMILIES, load_patterns(path)])
    text = "The employee showed the badge B-123456."
    (found,) = [one for one in tier.find(text) if one.source == "badge"]
    assert text[found.start : found.end] == "123456"
    assert found.score == pytest.approx(0.85)
    assert tier.version != RuleTier().version


def test_a_keyword_far_before_the_value_does_not_count(written) -> None:
    tier = RuleTier([load_patterns(written(BADGE))])
    assert tier.find("badge" + " " * 200 + "B-123456") == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("UNIQUE_CODE", "BADGE"), "no type"),
        (("score = 0.5", "score = 5"), "score"),
        (("(?!\\d)", "(?!\\d"), "unterminated"),
        (("\\d{6}", "\\d+"), "no bound"),
        (("\\d{6}", "[0-9]{6,}"), "no bound"),
        (('value = "123456"', 'value = "12345"'), "case 1 of finds"),
        (('"badge B-12"', '"badge B-654321"'), "case 1 of leaves"),
        (('leaves = ["badge B-12", "B-123456 is a bolt"]', ""), "must each hold a case"),
        (('context = ["employee"]', 'contexts = ["employee"]'), "unknown keys"),
        (("[[recogniser]]", "[[recognizer]]"), "no [[recogniser]]"),
    ],
)
def test_an_unsound_file_is_refused_with_its_reason(written, change, says: str) -> None:
    path = written(BADGE.replace(*change))
    assert any(says in problem for problem in check_patterns(path))
    with pytest.raises(ConfigurationError):
        load_patterns(path)


def test_a_pattern_that_a_text_stalls_is_refused(written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_TIMEOUT_S", 1)
    nested = BADGE.replace("B-(?P<v>\\d{6})(?!\\d)", "B-(?P<v>(?:\\d{1,60}){6,60})(?![\\d ])")
    assert check_patterns(written(nested)) == ["badge: its time grows faster than the text"]
