"""The vocabulary is closed, complete, emitted and documented."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragplatform.__main__ import app
from ragplatform.audit import vocabulary_page
from ragplatform.audit.details import unverified_id
from ragplatform.audit.events import Action
from ragplatform.audit.vocabulary import VOCABULARY, require_known
from tests.sample_events import sample

ROOT = Path(__file__).parents[3]
DEFINES = {"events.py", "vocabulary.py", "vocabulary_page.py"}


def emitted() -> set[str]:
    """Return the names of the actions that our code mentions, outside their definition."""
    files = [*(ROOT / "ragplatform").rglob("*.py"), *(ROOT / "ingest").rglob("*.py")]
    texts = [
        file.read_text(encoding="utf-8")
        for file in files
        if not (file.parent.name == "audit" and file.name in DEFINES)
    ]
    return {name for text in texts for name in re.findall(r"\bAction\.([A-Z_]+)\b", text)}


def test_every_action_has_an_entry_and_every_entry_an_emitter() -> None:
    assert set(VOCABULARY) == set(Action)
    assert {action.name for action in Action} - emitted() == set()


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("whole", [False, True])
def test_what_an_entry_lists_is_accepted_and_one_detail_more_is_not(
    action: Action, whole: bool
) -> None:
    details = sample(action, whole=whole)
    require_known(action, details, dict.fromkeys(VOCABULARY[action].sealed, "x"))

    with pytest.raises(ValueError, match="none of"):
        require_known(action, details | {"question": "x"}, {})
    with pytest.raises(ValueError, match="none of"):
        require_known(action, details, {"passage": "x"})


@pytest.mark.parametrize("action", [one for one in Action if sample(one)])
def test_a_detail_that_an_entry_needs_may_not_be_missing(action: Action) -> None:
    for name in sample(action):
        left = {key: value for key, value in sample(action).items() if key != name}
        with pytest.raises(ValueError, match="missing"):
            require_known(action, left, {})


def test_the_page_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["audit", "vocabulary"])

    assert printed.exit_code == 0
    assert printed.output == (ROOT / "docs" / "audit-events.md").read_text(encoding="utf-8")
    assert printed.output == vocabulary_page.markdown()


def test_programs_read_the_same() -> None:
    told = json.loads(CliRunner().invoke(app, ["audit", "vocabulary", "--json"]).output)

    assert set(told["actions"]) == {str(action) for action in Action}
    assert all(one["meaning"].endswith(".") for one in told["actions"].values())


@pytest.mark.parametrize("text", ["", "Ms Lopez, born 1961", "x" * 65, "a\nb", "[PERSON:abc]"])
def test_what_does_not_look_like_an_id_is_not_taken_for_one(text: str) -> None:
    assert unverified_id(text) is None
    assert unverified_id("00000000-0000-4000-8000-000000000001") is not None
