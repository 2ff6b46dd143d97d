"""A change of policies is shown in cases and in cells before it is rolled out."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragplatform.__main__ import app
from ragplatform.model import Category, Labels, Sensitivity
from ragplatform.policy.diff import PolicyDiff, describe, diff
from ragplatform.policy.engine import Policies

SHIPPED = Path(__file__).resolve().parents[3] / "policies"
CASES = """
[people.dr-stone]
tenant = "mercy"
roles = ["physician"]
departments = ["cardiology"]
clearance = "restricted"

[people.front-desk]
tenant = "mercy"
roles = ["reception"]
clearance = "confidential"

[documents.note]
tenant = "mercy"
collection = "clinical"
sensitivity = "confidential"
department = "cardiology"
categories = ["PHI"]

[documents.therapy]
tenant = "mercy"
collection = "clinical"
sensitivity = "confidential"
department = "cardiology"
categories = ["PHI"]
restrictions = ["psychotherapy"]

[[case]]
says = "A physician reads her own patient's note."
who = "dr-stone"
does = "read"
for = "TREAT"
what = "note"
related = true
expect = "permit"

[[case]]
says = "A physician does not read her patient's psychotherapy notes."
who = "dr-stone"
does = "read"
for = "TREAT"
what = "therapy"
related = true
expect = "deny"

[[case]]
says = "Reception reads no notes."
who = "front-desk"
does = "read"
for = "HOPERAT"
what = "note"
expect = "deny"
"""
MORE = """
@id("local.reception-reads")
@why("Reception reads what their department holds.")
permit (principal, action == Action::"read", resource)
when {
  context.purpose == "HOPERAT" && principal.roles.contains("reception") &&
  resource.sensitivity <= 2
};
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped policies with a handful of people and documents: the hospital's first cases."""
    folder = tmp_path_factory.mktemp("old")
    for path in (*SHIPPED.glob("*.cedar"), SHIPPED / "schema.cedarschema"):
        shutil.copy(path, folder)
    (folder / "few.cases.toml").write_text(CASES)
    return folder


@pytest.fixture
def changed(old: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of copies without one rule, or with one more."""

    def change(*, without: str = "", more: str = "") -> Path:
        folder = tmp_path / "new"
        shutil.copytree(old, folder)
        for path in folder.glob("*.cedar"):
            rule = rf'@id\("{re.escape(without)}"\).*?;\n'
            text = path.read_text()
            path.write_text(re.sub(rule, "", text, flags=re.DOTALL) if without else text)
        (folder / "local.cedar").write_text(more)
        return folder

    return change


def compared(old: Path, new: Path) -> PolicyDiff:
    return diff(Policies.load(old), Policies.load(new))


def test_a_forbid_that_goes_is_seen_in_its_cases_and_its_cells(
    old: Path, changed: Callable[..., Path]
) -> None:
    found = compared(old, changed(without="health.psychotherapy-notes"))

    assert found.cases
    assert found.cells
    assert all(change.after and not change.before for change in (*found.cases, *found.cells))
    assert all("psychotherapy" in change.what for change in found.cells)


def test_a_permit_that_comes_is_seen_in_cells_that_no_case_speaks_of(
    old: Path, changed: Callable[..., Path]
) -> None:
    found = compared(old, changed(more=MORE))

    assert found.cells
    assert {change.by for change in found.cells} == {("local.reception-reads",)}
    assert all("reception" in change.what and "HOPERAT" in change.what for change in found.cells)


def test_a_new_right_to_see_values_in_clear_is_shown(
    old: Path, changed: Callable[..., Path]
) -> None:
    rule = MORE.replace('"read"', '"reveal"').replace("resource.sensitivity <= 2", "true")
    found = compared(old, changed(more=rule.replace("reception-reads", "all-in-clear")))

    assert any(change.after and "sees PERSON in clear" in change.what for change in found.reveals)


@pytest.mark.parametrize(("more", "code"), [("", 0), (MORE, 1)])
def test_the_command_ends_with_1_only_where_something_changes(
    old: Path, changed: Callable[..., Path], more: str, code: int
) -> None:
    new = changed(more=more)

    ran = CliRunner().invoke(app, ["policy", "diff", str(old), str(new), "--json"])

    assert ran.exit_code == code
    assert bool(json.loads(ran.stdout)["cells"]) is bool(code)


def test_a_folder_without_policies_is_an_error_with_its_name(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["policy", "diff", str(SHIPPED), str(tmp_path)])

    assert ran.exit_code == 2
    assert "schema.cedarschema" in ran.output


def test_a_class_is_described_by_all_its_labels() -> None:
    labels = Labels(
        "mercy",
        "clinical",
        Sensitivity.CONFIDENTIAL,
        "cardiology",
        frozenset({Category.PHI}),
        frozenset({"vip"}),
        "draft",
    )
    assert describe(labels) == "clinical/cardiology confidential [vip] {PHI} draft"
