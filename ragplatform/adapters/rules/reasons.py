"""Why a rule found what it found, for people who tune rules or doubt a finding."""

from collections.abc import Iterator, Sequence
from typing import Final

from ragplatform.adapters.rules.rule import PROVEN, REACH, Family, Number, Rule
from ragplatform.adapters.rules.tier import FAMILIES
from ragplatform.model import Span

# A label and what links it to its value; see ``rule.labelled``.
_LABEL: Final = 100
_LINKS: Final = " \t\r\n\xa0:#=|>-–\"'“”([<"


def clue(text: str, span: Span, families: Sequence[Family] = FAMILIES) -> str:
    """Return the label or context word that spoke for the span, or "" when none was needed.

    It is a word of the rule, never part of the value. Also "" for what no rule found.
    """
    for rule in _named(span.source, families):
        if rule.context is not None:
            before = max(0, span.start - REACH)
            if found := rule.context.search(text, before, span.start):
                return found[0]
        if isinstance(rule, Rule) and (label := _label(text, span, rule)):
            return label
    return ""


def proven(span: Span, families: Sequence[Family] = FAMILIES) -> bool:
    """Return whether a check of the value itself holds, such as its check digits."""
    kinds = [type(rule) for rule in _named(span.source, families)]
    return Number in kinds or (Rule in kinds and span.score >= PROVEN)


def _named(source: str, families: Sequence[Family]) -> Iterator[Rule | Number]:
    name = source.rpartition(":")[2]
    for family in families:
        yield from (rule for rule in family.rules if rule.name == name)
        yield from (number for number in family.numbers if number.name == name)


def _label(text: str, span: Span, rule: Rule) -> str:
    """Return what a labelled value stands behind, without what links the two."""
    if "v" not in rule.pattern.groupindex or rule.back:
        return ""
    for at in range(max(0, span.start - _LABEL), span.start):
        found = rule.pattern.match(text, at)
        if found and found.span("v") == (span.start, span.end):
            return text[at : span.start].strip(_LINKS)
    return ""
