"""The shipped packs' own cases hold, and a case that does not hold is found."""

import shutil
from pathlib import Path

import pytest

from ragplatform.policy.cases import Case, read_cases, run_cases
from ragplatform.policy.engine import Policies

SHIPPED = Path(__file__).resolve().parents[3] / "policies"
CASES = read_cases(SHIPPED)


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies.load(SHIPPED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.pack}: {case.says}")
def test_case(policies: Policies, case: Case) -> None:
    [result] = run_cases([case], policies=policies).results

    assert result.passed, result.decision


def test_every_pack_has_cases_and_every_policy_is_exercised(policies: Policies) -> None:
    report = policies.check()

    assert report.passed
    assert report.unexercised == ()
    packs = [path.stem for path in sorted(SHIPPED.glob("*.cedar"))]
    counts = [sum(case.pack == pack for case in CASES) for pack in packs]
    assert packs == ["base", "finance", "healthcare"]
    assert min(counts) >= 40


def test_no_two_cases_say_the_same() -> None:
    assert len({case.says for case in CASES}) == len(CASES)


def test_removing_any_one_policy_makes_a_case_fail(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED, folder)
    survivors = []
    for path in sorted(folder.glob("*.cedar")):
        whole = path.read_text()
        head, *policies = whole.split("\n@id(")
        for index, policy in enumerate(policies):
            rest = policies[:index] + policies[index + 1 :]
            path.write_text("\n@id(".join([head, *rest]))
            if Policies.load(folder).check().passed:
                survivors.append(policy.splitlines()[0])
        path.write_text(whole)

    assert survivors == []


def test_a_case_that_falls_otherwise_or_by_another_policy_fails(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED, folder)
    for path in folder.glob("*.cases.toml"):
        path.unlink()
    (folder / "own.cases.toml").write_text(
        """
        [people.desk]
        tenant = "mercy"
        roles = ["reception"]
        [documents.note]
        tenant = "mercy"
        collection = "clinical"
        [[case]]
        says = "wrong outcome"
        who = "desk"
        does = "read"
        for = "HOPERAT"
        what = "note"
        expect = "permit"
        [[case]]
        says = "wrong policy"
        who = "desk"
        does = "read"
        for = "HOPERAT"
        what = "note"
        expect = "deny"
        by = "base.clearance"
        [[case]]
        says = "not by default"
        who = "desk"
        does = "read"
        for = "TREAT"
        what = "note"
        expect = "deny"
        by = "default"
        [[case]]
        says = "right"
        who = "desk"
        does = "read"
        for = "HOPERAT"
        what = "note"
        expect = "deny"
        by = "default"
        """
    )

    report = Policies.load(folder).check()

    assert not report.passed
    assert [result.case.says for result in report.failures] == [
        "wrong outcome",
        "wrong policy",
        "not by default",
    ]
    assert "health.care-team" in report.unexercised
