"""What the rules say about one finding, and which of their lines says it."""

from dataclasses import dataclass

from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Mode, Span
from ragplatform.privacy.rules import PrivacyRules


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a finding.

    ``counts`` is whether its score reaches ``threshold``; one that does not is left as it stands.
    ``line`` is the key of ``privacy.toml`` that chose the mode, such as ``types.PERSON``.
    """

    counts: bool
    threshold: float
    mode: Mode
    line: str


def verdict(rules: PrivacyRules, span: Span, collection: str | None) -> Verdict:
    """Return the rules' verdict on a span of a document of the collection; None stands for none."""
    return Verdict(
        counts=rules.counts(span, collection),
        threshold=rules.threshold(span.entity, collection),
        mode=rules.mode(span.entity, collection),
        line=_line(rules, span.entity, collection),
    )


def _line(rules: PrivacyRules, entity: str, collection: str | None) -> str:
    category = CATEGORY_OF[entity]
    tables = [("", rules.general)]
    if collection is not None and collection in rules.collections:
        tables.insert(0, (f"collections.{collection}.", rules.collections[collection]))
    for prefix, table in tables:
        if entity in table.types:
            return f"{prefix}types.{entity}"
        if category in table.categories:
            return f"{prefix}categories.{category}"
    return "default"
