"""The rules serve in anybody's Presidio engine, and other packages' classes serve here."""

import pytest

from ragplatform.adapters.rules import recognisers
from ragplatform.adapters.rules.health import HEALTH
from ragplatform.adapters.rules.recognisers import RuleRecogniser, installed_recognisers
from ragplatform.adapters.rules.tier import FAMILIES
from ragplatform.errors import ConfigurationError


def test_a_family_finds_its_own_types_only() -> None:
    recogniser = RuleRecogniser((HEALTH,))
    found = recogniser.analyze("MRN: 00123456, SSN 078-05-1120", recogniser.supported_entities)
    assert [(one.entity_type, one.start, one.end) for one in found] == [
        ("MEDICAL_RECORD_NUMBER", 5, 13)
    ]


def test_only_the_types_asked_for_are_returned() -> None:
    text = "MRN: 00123456, NPI 1234567893"
    found = RuleRecogniser((HEALTH,)).analyze(text, ["NPI"])
    assert {text[one.start : one.end] for one in found} == {"1234567893"}
    assert {one.analysis_explanation.recognizer for one in found} == {"rules_health"}


def test_classes_of_other_packages_come_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        value = "other:Recogniser"

        def load(self):
            return lambda supported_language: RuleRecogniser((FAMILIES[0],), supported_language)

    monkeypatch.setattr(recognisers, "entry_points", lambda group: [Entry()])
    (found,) = installed_recognisers("en")
    assert found.supported_language == "en"


def test_a_class_that_finds_unknown_types_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        value = "other:Recogniser"

        def load(self):
            def make(supported_language: str) -> RuleRecogniser:
                made = RuleRecogniser((FAMILIES[0],), supported_language)
                made.supported_entities = ["SHOE_SIZE"]
                return made

            return make

    monkeypatch.setattr(recognisers, "entry_points", lambda group: [Entry()])
    with pytest.raises(ConfigurationError, match="SHOE_SIZE"):
        installed_recognisers("en")
