"""Why somebody cannot read, and the least that would have to be otherwise."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragplatform.__main__ import app
from ragplatform.model import Labels, Principal, Purpose, Sensitivity
from ragplatform.policy.changes import Change, smallest
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Circumstances
from tests.standings import KIN

POLICIES = Policies.load(Path(__file__).resolve().parents[3] / "policies")
ROLES = {role for case in POLICIES.cases for role in case.who.roles}
NOTE = Labels("mercy", "clinical", Sensitivity.CONFIDENTIAL, "surgery")
RELATED = Change("related", "yes")


def physician(clearance: Sensitivity = Sensitivity.CONFIDENTIAL) -> Principal:
    return Principal("p", "mercy", frozenset({"physician"}), clearance=clearance)


def ways(who: Principal, labels: Labels, *, related: bool = False) -> list[tuple[Change, ...]]:
    return smallest(POLICIES, who, Purpose.TREAT, labels, Circumstances(related), roles=ROLES)


def test_no_change_opens_another_tenants_papers() -> None:
    theirs = Labels("harbor", "clinical", Sensitivity.INTERNAL)

    assert ways(physician(), theirs) == []


def test_what_nobody_may_read_has_no_way_to_it() -> None:
    draft = Labels("mercy", "clinical", Sensitivity.INTERNAL, state="draft")

    assert ways(physician(), draft, related=True) == []


def test_one_change_is_named_alone_where_one_is_enough() -> None:
    assert ways(physician(), NOTE) == [(RELATED,)]
    assert ways(physician(Sensitivity.INTERNAL), NOTE, related=True) == [
        (Change("clearance", "confidential"),)
    ]


def test_two_are_named_together_where_neither_is_enough() -> None:
    found = ways(physician(Sensitivity.INTERNAL), NOTE)

    assert (RELATED, Change("clearance", "confidential")) in found
    assert all(len(way) == 2 for way in found)


def test_what_is_permitted_needs_no_change() -> None:
    assert ways(physician(), NOTE, related=True) == []


def test_every_way_that_is_named_permits_when_it_is_gone() -> None:
    reception = Principal("p", "mercy", frozenset({"reception"}), clearance=Sensitivity.INTERNAL)
    found = smallest(POLICIES, reception, Purpose.TREAT, NOTE, KIN, roles=ROLES)

    assert found
    for way in found:
        to = {change.kind: change.to for change in way}
        who = Principal(
            "p",
            "mercy",
            reception.roles | ({to["role"]} if "role" in to else set()),
            clearance=Sensitivity[to.get("clearance", "internal").upper()],
            departments=frozenset({to["department"]} if "department" in to else set()),
        )
        purpose = Purpose(to.get("purpose", "TREAT"))
        assert POLICIES.decide(who, "read", purpose, NOTE, KIN).allowed


def explained(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["policy", "explain", *arguments, "--collection", "clinical"])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_the_command_says_why_and_what_would_permit_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragplatform.commands.console.settings", lambda: None)
    monkeypatch.setattr("ragplatform.openers.open_policies", lambda _: POLICIES)

    told = json.loads(explained("TREAT", "--roles", "physician", "--json"))

    assert told["allowed"] is False
    assert told["changes"] == [[{"kind": "related", "to": "yes"}]]
    assert told["policy_digest"] == POLICIES.digest
    assert "permitted if related" in explained("TREAT", "--roles", "physician")
