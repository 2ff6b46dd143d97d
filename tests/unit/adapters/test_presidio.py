"""Our tagger and rules run inside Presidio's own analyzer."""

from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry

from ragplatform.adapters.presidio import PlainEngine, TaggerRecogniser
from ragplatform.adapters.rules.recognisers import recognisers
from tests import real_detector

TEXT = "Angela Okafor, MRN 00123456, moved to ward 7B."


def test_an_analyzer_finds_with_our_parts_and_with_others() -> None:
    wards = PatternRecognizer(
        "WARD", patterns=[Pattern("ward", r"\b\d[A-Z]\b", 0.3)], context=["ward"]
    )
    listed = [TaggerRecogniser(real_detector.tagger()), *recognisers("en"), wards]
    analyzer = AnalyzerEngine(registry=RecognizerRegistry(listed), nlp_engine=PlainEngine())

    found = {(TEXT[one.start : one.end], one.entity_type) for one in analyzer.analyze(TEXT, "en")}

    assert {
        ("Angela Okafor", "PERSON"),
        ("00123456", "MEDICAL_RECORD_NUMBER"),
        ("7B", "WARD"),
    } <= found


def test_a_context_word_raises_a_score_without_lemmas() -> None:
    wards = PatternRecognizer(
        "WARD", patterns=[Pattern("ward", r"\b\d[A-Z]\b", 0.3)], context=["ward"]
    )
    analyzer = AnalyzerEngine(registry=RecognizerRegistry([wards]), nlp_engine=PlainEngine())

    (named,) = analyzer.analyze("moved to ward 7B", "en")
    (bare,) = analyzer.analyze("moved to 7B", "en")

    assert named.score > bare.score


def test_only_the_types_asked_for_come_back() -> None:
    recogniser = TaggerRecogniser(real_detector.tagger())
    assert recogniser.analyze(TEXT, ["LOCATION"]) == []
