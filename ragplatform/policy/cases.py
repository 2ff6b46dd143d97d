"""The policies' own tests: ``<pack>.cases.toml``, decisions in plain words.

[people.dr-lee]
tenant = "mercy"
roles = ["physician"]

[documents.note]
tenant = "mercy"
collection = "clinical"
sensitivity = "confidential"

[[case]]
says = "A physician reads her own patient's note."
who = "dr-lee"
does = "read"
for = "TREAT"
what = "note"          # a document; for reveal an entity type; else a tenant, by default one's own
related = true         # by default false
broke_glass = true     # by default false
consent = "refused"    # or "given"; by default "silent"
expect = "permit"      # or "deny"
by = "health.care-team"  # optional: a policy that decides; "default" when none does
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from ragplatform.errors import InvalidRequestError, PolicyError
from ragplatform.model import (
    Category,
    Consent,
    Decision,
    Labels,
    Principal,
    Purpose,
    Sensitivity,
)
from ragplatform.policy.classes import validate_labels
from ragplatform.policy.questions import ON_IDENTIFIER, ON_LABELS, Action, Circumstances
from ragplatform.policy.rules import Rule

BY_DEFAULT: Final = "default"

_SUFFIX: Final = ".cases.toml"
_OF_A_CASE: Final = {
    *("says", "who", "does", "for", "what", "related", "broke_glass", "consent", "expect", "by")
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Case:
    """One decision that must fall as written. ``subject`` is labels, an entity type or a tenant."""

    pack: str
    says: str
    who: Principal
    does: Action
    purpose: Purpose
    subject: Labels | str
    circumstances: Circumstances
    permitted: bool
    by: str | None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case fell."""

    case: Case
    decision: Decision

    @property
    def passed(self) -> bool:
        """Whether it fell as written, by the policy named if one is, and without an error."""
        if self.decision.allowed is not self.case.permitted or self.decision.errors:
            return False
        if self.case.by == BY_DEFAULT:
            return not self.decision.policies
        return self.case.by is None or self.case.by in self.decision.policies


@dataclass(frozen=True, slots=True)
class CasesReport:
    """All cases' results. ``unexercised`` are policies that decided no case, by ``@id``."""

    results: tuple[CaseResult, ...]
    unexercised: tuple[str, ...]

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """The cases that did not fall as written."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def passed(self) -> bool:
        """Whether every case fell as written. Unexercised policies are reported, not failed."""
        return not self.failures


class Decider(Protocol):
    """What cases are run against."""

    @property
    def rules(self) -> Mapping[str, Rule]:
        """Every policy by its ``@id``."""

    def decide(
        self,
        principal: Principal,
        action: str,
        purpose: Purpose,
        labels: Labels,
        about: Circumstances,
    ) -> Decision:
        """Decide an action on labels."""

    def decide_duty(
        self, principal: Principal, action: str, purpose: Purpose, *, tenant: str | None = None
    ) -> Decision:
        """Decide an action on a tenant."""

    def decide_identifier(
        self, principal: Principal, action: str, purpose: Purpose, entity: str
    ) -> Decision:
        """Decide an action on one entity type."""


def run_cases(cases: Sequence[Case], *, policies: Decider) -> CasesReport:
    """Run all cases and say which policies decided none of them."""
    results = tuple(CaseResult(case, _decide(case, policies)) for case in cases)
    used = {name for result in results for name in result.decision.policies}
    return CasesReport(results, tuple(sorted(set(policies.rules) - used)))


def _decide(case: Case, policies: Decider) -> Decision:
    if isinstance(case.subject, Labels):
        return policies.decide(case.who, case.does, case.purpose, case.subject, case.circumstances)
    if case.does in ON_IDENTIFIER:
        return policies.decide_identifier(case.who, case.does, case.purpose, case.subject)
    return policies.decide_duty(case.who, case.does, case.purpose, tenant=case.subject)


def read_cases(directory: Path) -> list[Case]:
    """Read every ``*.cases.toml`` of the folder, in name order.

    Raises ``PolicyError`` with the file, the case and the reason when one is malformed.
    """
    cases: list[Case] = []
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PolicyError(f"{path.name}: {error}") from error
        cases += _cases_of(path.name, document)
    return cases


def _cases_of(file: str, document: dict[str, Any]) -> list[Case]:
    where = file
    try:
        _only(document, {"people", "documents", "case"})
        people, documents = {}, {}
        for name, table in document.get("people", {}).items():
            where = f"{file}: people.{name}"
            people[name] = _person(name, table)
        for name, table in document.get("documents", {}).items():
            where = f"{file}: documents.{name}"
            documents[name] = _labels(table)
        cases = []
        for number, table in enumerate(document.get("case", []), start=1):
            where = f"{file}: case {number}"
            cases.append(_case(file.removesuffix(_SUFFIX), table, people, documents))
    except (KeyError, ValueError, TypeError, AttributeError, InvalidRequestError) as error:
        raise PolicyError(f"{where}: {error}") from error
    return cases


def _case(
    pack: str, table: dict[str, Any], people: dict[str, Principal], documents: dict[str, Labels]
) -> Case:
    _only(table, _OF_A_CASE)
    who, does = _named(table["who"], people), Action(table["does"])
    subject: Labels | str
    if does in ON_LABELS:
        subject = _named(table["what"], documents)
    elif does in ON_IDENTIFIER:
        subject = _text(table["what"])
    else:
        subject = _text(table.get("what", who.tenant))
    by = table.get("by")
    return Case(
        pack=pack,
        says=_text(table["says"]),
        who=who,
        does=does,
        purpose=Purpose(table["for"]),
        subject=subject,
        circumstances=Circumstances(
            related=_truth(table.get("related", False)),
            opened=_truth(table.get("broke_glass", False)),
            consent=Consent(_text(table.get("consent", Consent.SILENT))),
        ),
        permitted={"permit": True, "deny": False}[_text(table["expect"])],
        by=None if by is None else _text(by),
    )


def _person(name: str, table: dict[str, Any]) -> Principal:
    _only(table, {"tenant", "roles", "departments", "clearance"})
    return Principal(
        id=name,
        tenant=_text(table["tenant"]),
        roles=_texts(table.get("roles", [])),
        departments=_texts(table.get("departments", [])),
        clearance=Sensitivity[_text(table.get("clearance", "internal")).upper()],
    )


def _labels(table: dict[str, Any]) -> Labels:
    _only(
        table,
        {
            "tenant",
            "collection",
            "sensitivity",
            "department",
            "categories",
            "restrictions",
            "state",
            "retain_until",
        },
    )
    labels = Labels(
        tenant=_text(table["tenant"]),
        collection=_text(table["collection"]),
        sensitivity=Sensitivity[_text(table.get("sensitivity", "internal")).upper()],
        department=_text(table.get("department", "")),
        categories=frozenset(Category(kind) for kind in table.get("categories", [])),
        restrictions=_texts(table.get("restrictions", [])),
        state=_text(table.get("state", "current")),
        retain_until=_text(table.get("retain_until", "")),
    )
    validate_labels(labels)
    return labels


def _only(table: dict[str, Any], known: set[str]) -> None:
    if unknown := set(table) - known:
        raise ValueError(f"unknown keys {sorted(unknown)}; known are {sorted(known)}")


def _named(name: object, table: dict[str, _T]) -> _T:
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{name!r} is none of {sorted(table)}")
    return table[name]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} should be a text")
    return value


def _texts(value: object) -> frozenset[str]:
    # A bare string is iterable too, and would become a set of letters.
    if not isinstance(value, list):
        raise TypeError(f"{value!r} should be a list of texts")
    return frozenset(_text(item) for item in value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} should be true or false")
    return value
