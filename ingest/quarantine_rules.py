"""Rules for what ingest puts aside: decisions on single documents, made general by two people.

The form is closed. A rule speaks of one collection, one reason and one glob of names; it takes such
documents in with what kept them out masked, or rejects them; and it ends by itself. Labels are
``labels.toml``'s and the mapping of sources' work, not this file's.
"""

import fnmatch
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

from ingest.graves import ERASED_BEFORE
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import PolicyError
from ragplatform.privacy.orders import KEYWORD

RULES_FILE: Final = "quarantine.toml"
# A passage that speaks to a model comes in as it is: answers leave it out.
_MASKABLE: Final = frozenset(f"contains_{entity.lower()}" for entity in CATEGORY_OF) | {KEYWORD}
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_KEYS: Final = ("id", "collection", "reason", "match", "do", "because", "by", "approved_by")


class RuleAct(StrEnum):
    """What a rule does with a document that would be put aside."""

    MASK = "mask"
    """Take it in; the values that kept it out are masked, as in every document that comes in."""
    REJECT = "reject"
    """Destroy its bytes at once."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``match`` is a glob over names below the source; ``until`` its last day."""

    id: str
    collection: str
    reason: str
    match: str
    act: RuleAct
    because: str = field(repr=False)
    by: str
    approved_by: str
    until: date

    def fits(self, collection: str, name: str) -> bool:
        """Return whether the rule speaks of documents of this name."""
        return self.collection == collection and fnmatch.fnmatchcase(name, self.match)


def maskable(reason: str) -> bool:
    """Return whether what a document was put aside for can be masked on its way in."""
    return reason in _MASKABLE


def waivable(reason: str) -> bool:
    """Return whether people may let a document in although it was put aside for the reason.

    Only what policy finds in its text, for that can be masked, and what was erased under another
    name. What cannot be read cannot be searched either, and what policy denies is decided by
    policy.
    """
    return maskable(reason) or reason == ERASED_BEFORE


class QuarantineRules:
    """The rules in force today, and which collections hold personal data in any case."""

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        expecting: frozenset[str],
        today: Callable[[], date],
        refusing: frozenset[str] = frozenset(),
    ) -> None:
        """``expecting``: collections in which a run that finds no personal data is suspicious.

        ``refusing``: collections that take in no document with a passage that speaks to a model.
        """
        self._rules = tuple(rules)
        self._today = today
        self.expecting = expecting
        self._refusing = refusing
        text = json.dumps([_digested(rule) for rule in self._rules])
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def load(cls, path: Path, *, today: Callable[[], date]) -> "QuarantineRules":
        """Return the rules of a file; none where there is no file.

        Raises ``PolicyError`` that names the rule and the key when anything in it is unknown,
        missing, or was approved by who proposed it.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            table = {}
        except OSError as error:
            raise PolicyError(f"{path}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path}: is not valid TOML ({error})") from error
        if unknown := table.keys() - {"rule", "expects", "refuses"}:
            raise PolicyError(f"{path}: unknown key {min(unknown)!r}")
        tables = table.get("rule", [])
        if not isinstance(tables, list):
            raise PolicyError(f"{path}: rules are written as [[rule]]")
        rules = [_rule(f"{path}: rule {n}", one) for n, one in enumerate(tables, 1)]
        if len({rule.id for rule in rules}) < len(rules):
            raise PolicyError(f"{path}: two rules have the same id")
        expecting = _collections(path, table, "expects", "personal_data")
        refusing = _collections(path, table, "refuses", "orders")
        return cls(rules, expecting=expecting, today=today, refusing=refusing)

    @property
    def all(self) -> Sequence[Rule]:
        """Every rule of the file, in its order, also those whose day is over."""
        return self._rules

    def in_force(self, rule: Rule) -> bool:
        """Return whether the rule's last day is not over."""
        return self._today() <= rule.until

    def waived(self, collection: str, name: str) -> Mapping[str, Rule]:
        """Return the reasons that do not keep a document of this name out, and by which rule."""
        fitting = (
            rule
            for rule in self._rules
            if rule.act is RuleAct.MASK and self.in_force(rule) and rule.fits(collection, name)
        )
        return {rule.reason: rule for rule in fitting}

    def unasked(self, collection: str) -> frozenset[str]:
        """Return the reasons that keep nothing out of the collection, by nobody's decision."""
        return frozenset[str]() if collection in self._refusing else frozenset({KEYWORD})

    def rejecting(self, collection: str, reason: str, name: str) -> Rule | None:
        """Return the rule that rejects what is put aside for this reason, or None."""
        for rule in self._rules:
            fits = rule.reason == reason and rule.fits(collection, name)
            if rule.act is RuleAct.REJECT and fits and self.in_force(rule):
                return rule
        return None


def written(rule: Rule) -> str:
    """Return the rule as it stands in the file. ``approved_by`` is left to the second person."""
    lines = ["[[rule]]"]
    for key, value in _digested(rule).items():
        # JSON's strings are TOML's, but for characters that JSON leaves as they are.
        text = value if key == "until" else json.dumps(value)
        lines.append(f"{key} = {text}".replace("\x7f", "\\u007f"))
    return "\n".join(lines) + "\n"


def _digested(rule: Rule) -> dict[str, str]:
    return {
        "id": rule.id,
        "collection": rule.collection,
        "reason": rule.reason,
        "match": rule.match,
        "do": rule.act.value,
        "because": rule.because,
        "by": rule.by,
        "approved_by": rule.approved_by,
        "until": rule.until.isoformat(),
    }


def _rule(where: str, table: object) -> Rule:
    """Return the rule of one table. Raises ``PolicyError`` unless all of it is right."""
    if not isinstance(table, dict):
        raise PolicyError(f"{where}: is no table")
    if unknown := table.keys() - {*_KEYS, "until"}:
        raise PolicyError(f"{where}: unknown key {min(unknown)!r}")
    for key in _KEYS:
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise PolicyError(f"{where}: {key} is missing; wanted a string")
    until = table.get("until")
    if type(until) is not date:
        raise PolicyError(f"{where}: until is missing; wanted the rule's last day: 2027-06-30")
    if not _WORD.fullmatch(table["id"]):
        raise PolicyError(f"{where}: id is made of small letters, digits, '.', '_' and '-'")
    if table["by"].strip().casefold() == table["approved_by"].strip().casefold():
        raise PolicyError(f"{where}: approved_by names who proposed it; wanted a second person")
    try:
        act = RuleAct(table["do"])
    except ValueError as error:
        raise PolicyError(f"{where}: do is mask or reject") from error
    if act is RuleAct.MASK and not maskable(table["reason"]):
        raise PolicyError(
            f"{where}: what was put aside for this reason cannot be masked; mask needs a reason "
            "such as contains_password"
        )
    return Rule(
        id=table["id"],
        collection=table["collection"],
        reason=table["reason"],
        match=table["match"],
        act=act,
        because=table["because"],
        by=table["by"].strip(),
        approved_by=table["approved_by"].strip(),
        until=until,
    )


def _collections(path: Path, tables: Mapping[str, object], name: str, key: str) -> frozenset[str]:
    table = tables.get(name, {})
    if not isinstance(table, dict) or table.keys() - {key}:
        raise PolicyError(f"{path}: {name} holds {key}, a list of collections")
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise PolicyError(f"{path}: {name}.{key} is a list of collections")
    return frozenset(found)
