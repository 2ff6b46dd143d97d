"""The rules as Presidio recognisers, each family usable in anybody's analyzer engine."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final

from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from ragplatform.adapters.rules.rule import Family
from ragplatform.adapters.rules.tier import FAMILIES, RuleTier
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import ConfigurationError

GROUP: Final = "ragplatform.recognisers"


class RuleRecogniser(EntityRecognizer):
    """Finds what one or more families of rules find, on texts of any length and language."""

    def __init__(
        self, families: Sequence[Family] = FAMILIES, supported_language: str = "en"
    ) -> None:
        self._tier = RuleTier(families)
        self._label = "rules_" + "_".join(family.name for family in families)
        super().__init__(
            supported_entities=sorted(self._tier.entities),
            name=self._label,
            supported_language=supported_language,
        )

    def load(self) -> None:
        """Do nothing: the rules are compiled already."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return what the rules find, of the types asked for."""
        wanted = set(entities)
        return [
            RecognizerResult(
                entity_type=found.entity,
                start=found.start,
                end=found.end,
                score=found.score,
                analysis_explanation=AnalysisExplanation(self._label, found.score, found.source),
                recognition_metadata={
                    RecognizerResult.RECOGNIZER_NAME_KEY: found.source,
                    RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
                },
            )
            for found in self._tier.find(text)
            if found.entity in wanted
        ]


def recognisers(language: str) -> list[EntityRecognizer]:
    """Return a fresh recogniser for each family of rules."""
    return [RuleRecogniser((family,), language) for family in FAMILIES]


def installed_recognisers(language: str) -> list[EntityRecognizer]:
    """Return one of each Presidio recogniser that an installed package offers for this language.

    A package offers a class in the entry point group ``ragplatform.recognisers``. Raises
    ``ConfigurationError`` when one is no recogniser or finds types that the platform has no rule
    for.
    """
    offered: list[EntityRecognizer] = []
    for entry in entry_points(group=GROUP):
        made = entry.load()(supported_language=language)
        if not isinstance(made, EntityRecognizer):
            raise ConfigurationError(f"{entry.value} is no Presidio EntityRecognizer")
        unknown = sorted(set(made.supported_entities) - set(CATEGORY_OF))
        if unknown:
            raise ConfigurationError(
                f"{entry.value} finds types without a rule: {', '.join(unknown)}; map them to "
                "types of ragplatform.entities"
            )
        offered.append(made)
    return offered
