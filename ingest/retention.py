"""How long documents are kept: ``retention.toml``, at least and at most, by rule.

All rules that fit a document apply. The latest end of a minimum counts, and the earliest end of a
maximum; where they contradict each other the minimum wins, since what is gone cannot be had back.
"""

import calendar
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from ragplatform.catalog import DocumentEntry
from ragplatform.errors import PolicyError
from ragplatform.model import Category, Labels, Sensitivity

RETENTION: Final = "retention.toml"

_PERIOD: Final = re.compile(r"([1-9][0-9]{0,3}) (day|month|year)s?")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MATCHES: Final = frozenset("collection category department restriction sensitivity type".split())
_KEYS: Final = frozenset("id why match keep_at_least keep_at_most from".split())


class CountedFrom(StrEnum):
    """From which day on a rule counts."""

    DATED = "dated"
    """The day that the document itself gives, or else the day it was taken in."""
    TAKEN_IN = "taken_in"
    """The day on which it first came in."""
    CHANGED = "changed"
    """The day on which the version in force came in."""


@dataclass(frozen=True, slots=True)
class Period:
    """A number of days, months or years."""

    count: int
    unit: str

    def after(self, day: date) -> date:
        """Return the day this much later; what falls on no day of its month, on its last."""
        if self.unit == "day":
            return day + timedelta(days=self.count)
        months = day.month - 1 + self.count * (12 if self.unit == "year" else 1)
        year, month = day.year + months // 12, months % 12 + 1
        return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'s' if self.count > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``match`` maps a label, or ``type``, to the values of which one has to be there.

    A document's type is what it says of itself: a FHIR type or ``x12 837``, in lower case.
    """

    id: str
    why: str
    match: Mapping[str, frozenset[str]]
    keep_at_least: Period | None
    keep_at_most: Period | None
    counted_from: CountedFrom

    def fits(self, labels: Labels, kind: str) -> bool:
        """Return whether the rule speaks of documents so labelled and of that type."""
        has = {
            "collection": {labels.collection},
            "department": {labels.department},
            "category": {category.value for category in labels.categories},
            "restriction": set(labels.restrictions),
            "sensitivity": {labels.sensitivity.name.lower()},
            "type": {kind},
        }
        return all(values & has[key] for key, values in self.match.items())


@dataclass(frozen=True, slots=True)
class Terms:
    """How long one document is kept, and by which rules.

    ``kept_until`` is the last day on which nobody may erase it, ``due`` the first on which it is to
    be erased; None where no rule says so.
    """

    kept_until: date | None = None
    kept_by: Rule | None = None
    due: date | None = None
    due_by: Rule | None = None


class Retention:
    """The rules in force. Immutable."""

    def __init__(self, rules: Iterable[Rule], digest: str) -> None:
        self.rules: Final = tuple(rules)
        self.digest: Final = digest
        """A SHA-256 over the file: equal digests keep equally long."""

    @classmethod
    def load(cls, path: Path) -> "Retention":
        """Return the rules of a file. Raises ``PolicyError`` for one that is absent or wrong."""
        try:
            text = path.read_bytes()
            table = tomllib.loads(text.decode())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PolicyError(
                f"{path} cannot be read: {error}; an empty file says that nothing has to be kept"
            ) from error
        if unknown := set(table) - {"rule"}:
            raise PolicyError(f"{path}: unknown key {sorted(unknown)[0]!r}; wanted [[rule]]")
        given = table.get("rule", [])
        if not isinstance(given, list):
            raise PolicyError(f"{path}: `rule` is no list; write [[rule]]")
        rules = [_rule(f"{path}: rule {number}", one) for number, one in enumerate(given, 1)]
        names = [rule.id for rule in rules]
        if twice := {name for name in names if names.count(name) > 1}:
            raise PolicyError(f"{path}: two rules are called {sorted(twice)[0]!r}")
        return cls(rules, hashlib.sha256(text).hexdigest())

    def terms(self, entry: DocumentEntry, labels: Labels) -> Terms:
        """Return how long the document has to be kept, and when it has to go."""
        terms = Terms()
        for rule in self.rules:
            if rule.fits(labels, entry.kind):
                terms = _joined(terms, rule, entry)
        return terms


def _joined(terms: Terms, rule: Rule, entry: DocumentEntry) -> Terms:
    kept_until, kept_by, due, due_by = terms.kept_until, terms.kept_by, terms.due, terms.due_by
    if rule.keep_at_least:
        until = rule.keep_at_least.after(_start(rule, entry))
        if kept_until is None or until > kept_until:
            kept_until, kept_by = until, rule
    if rule.keep_at_most:
        # A document that says it is from the future would else put off its own end.
        ends = rule.keep_at_most.after(min(_start(rule, entry), _changed(entry)))
        if due is None or ends < due:
            due, due_by = ends, rule
    return Terms(kept_until, kept_by, due, due_by)


def _start(rule: Rule, entry: DocumentEntry) -> date:
    taken_in = (entry.taken_in_at or entry.indexed_at).date()
    if rule.counted_from is CountedFrom.CHANGED:
        return _changed(entry)
    if rule.counted_from is CountedFrom.DATED and entry.dated:
        try:
            return date.fromisoformat(entry.dated)
        except ValueError:
            return taken_in
    return taken_in


def _changed(entry: DocumentEntry) -> date:
    return entry.indexed_at.date()


def _rule(where: str, table: object) -> Rule:
    if not isinstance(table, dict):
        raise PolicyError(f"{where} is no table")
    if unknown := set(table) - _KEYS:
        raise PolicyError(f"{where}: unknown key {sorted(unknown)[0]!r}")
    name, why = table.get("id"), table.get("why")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PolicyError(f"{where}: `id` is a name of a-z, 0-9, '.', '_' and '-'")
    where = f"{where} ({name})"
    if not isinstance(why, str) or not why.strip():
        raise PolicyError(f"{where}: `why` names the law or the contract that asks for it")
    least, most = (_period(where, key, table) for key in ("keep_at_least", "keep_at_most"))
    if least is None and most is None:
        raise PolicyError(f"{where}: wanted keep_at_least, keep_at_most or both")
    epoch = date(2000, 1, 1)
    if least and most and least.after(epoch) > most.after(epoch):
        raise PolicyError(f"{where}: keep_at_least is longer than keep_at_most")
    try:
        start = CountedFrom(table.get("from", CountedFrom.TAKEN_IN))
    except ValueError as error:
        known = ", ".join(CountedFrom)
        raise PolicyError(f"{where}: `from` is one of {known}") from error
    return Rule(name, why, _match(where, table.get("match", {})), least, most, start)


def _period(where: str, key: str, table: Mapping[str, object]) -> Period | None:
    text = table.get(key)
    if text is None:
        return None
    match = _PERIOD.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise PolicyError(f"{where}: {key} reads like '6 years', '18 months' or '30 days'")
    return Period(int(match[1]), match[2])


def _match(where: str, table: object) -> dict[str, frozenset[str]]:
    if not isinstance(table, dict):
        raise PolicyError(f"{where}: `match` is no table")
    known: dict[str, frozenset[str]] = {
        "category": frozenset(category.value for category in Category),
        "sensitivity": frozenset(level.name.lower() for level in Sensitivity),
    }
    found = {}
    for key, value in table.items():
        values = value if isinstance(value, list) else [value]
        if key not in _MATCHES or not values or not all(isinstance(one, str) for one in values):
            raise PolicyError(f"{where}: match.{key}: wanted one of {', '.join(sorted(_MATCHES))}")
        if key in known and not set(values) <= known[key]:
            # A misspelt word would silently match nothing, and so keep nothing.
            raise PolicyError(f"{where}: match.{key}: known are {', '.join(sorted(known[key]))}")
        if key == "type" and any(one != one.lower() for one in values):
            raise PolicyError(f"{where}: match.type: wanted lower case, as 'claim' or 'x12 837'")
        found[key] = frozenset(values)
    return found
