"""The detector as a deployment has it: our rules and the tagger that comes with the platform."""

from functools import cache

from ragplatform.adapters.detector import IdentifierDetector
from ragplatform.adapters.rules.tier import RuleTier
from ragplatform.adapters.tagger import Tagger
from ragplatform.models import WEIGHTS

TAGGER = WEIGHTS / "identifiers-minilm-l2"


@cache
def tagger() -> Tagger:
    """Return the tagger, loaded once for all tests."""
    return Tagger(TAGGER)


def detector() -> IdentifierDetector:
    """Return a fresh detector on the shared tagger."""
    return IdentifierDetector(rules=RuleTier(), tagger=tagger(), added=())
