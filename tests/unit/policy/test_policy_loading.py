"""What could decide wrongly later is refused when policies are loaded."""

import shutil
from pathlib import Path

import pytest

from ragplatform.errors import PolicyError
from ragplatform.model import Labels, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Circumstances

SHIPPED = Path(__file__).resolve().parents[3] / "policies"
READ = '(principal, action == Action::"read", resource)'
GOOD = f'@id("good") @why("x") permit {READ};'
CASE = """
[people.lee]
tenant = "mercy"
[documents.note]
tenant = "mercy"
collection = "clinical"
[[case]]
says = "x"
who = "lee"
does = "read"
for = "TREAT"
what = "note"
expect = "permit"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(SHIPPED / "schema.cedarschema", tmp_path)
    (tmp_path / "good.cedar").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("permit (principal", "unexpected end"),
        (f'@why("x") permit {READ};', "needs an @id"),
        (f'@id("") @why("x") permit {READ};', "needs an @id"),
        (f'@id("Not A Name") @why("x") permit {READ};', "needs an @id"),
        (f'@id("x") permit {READ};', "x needs a @why"),
        (f'@id("x") @why(" ") permit {READ};', "x needs a @why"),
        (f'@id("good") @why("x") permit {READ};', "'good' stands in good.cedar already"),
        (
            f'@id("x") @why("x") permit {READ}; @id("x") @why("y") forbid {READ};',
            "'x' stands in other.cedar already",
        ),
        (
            f'@id("x") @why("x") forbid {READ} when {{ resource.sensitivty > 2 }};',
            "x: for policy `policy0`, attribute `sensitivty`",
        ),
        (
            f'@id("x") @why("x") forbid {READ} when {{ resource.department > 2 }};',
            "unexpected type",
        ),
        (
            '@id("x") @why("x") forbid (principal, action == Action::"raed", resource);',
            'unrecognized action `Action::"raed"`',
        ),
        (
            f'@id("x") @why("x") forbid {READ} when {{ context.reason == "x" }};',
            "attribute `reason`",
        ),
        (
            '@id("x") @why("x") forbid (principal == ?principal, action, resource);',
            "templates",
        ),
        (
            f'@id("x") @why("x") forbid {READ} when {{ 1 + 9223372036854775807 > 0 }};',
            "read cannot be decided",
        ),
    ],
)
def test_a_malformed_policy_is_refused_with_file_and_reason(
    folder: Path, text: str, reason: str
) -> None:
    (folder / "other.cedar").write_text(text)

    with pytest.raises(PolicyError) as caught:
        Policies.load(folder)

    assert reason in str(caught.value)
    assert "other.cedar" in str(caught.value) or "cannot be decided" in str(caught.value)


def test_a_folder_without_policies_is_refused(folder: Path) -> None:
    (folder / "good.cedar").write_text("// nothing but a comment")

    with pytest.raises(PolicyError, match="no policy"):
        Policies.load(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        Policies.load(tmp_path / "absent")


def test_a_policy_file_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "other.cedar").write_bytes(b"\xff\xfe")

    with pytest.raises(PolicyError, match=r"other\.cedar"):
        Policies.load(folder)


def test_a_malformed_schema_is_refused(folder: Path) -> None:
    (folder / "schema.cedarschema").write_text("entity User = {")

    with pytest.raises(PolicyError, match=r"schema\.cedarschema"):
        Policies.load(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  clearance: Long,", ""),
        ("  state: String,", "  state: Long,"),
        ("  category: String,", "  category: String,\n  weight: Long,"),
        ("related: Bool", "related: Bool, hour: Long"),
    ],
)
def test_a_schema_that_the_platform_does_not_speak_is_refused(
    folder: Path, old: str, new: str
) -> None:
    schema = folder / "schema.cedarschema"
    text = schema.read_text()
    start = text.index(old)
    schema.write_text(text[:start] + new + text[start + len(old) :])

    with pytest.raises(PolicyError, match="cannot be decided"):
        Policies.load(folder)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('expect = "permit"', 'expect = "maybe"', "case 1"),
        ('expect = "permit"', "", "expect"),
        ('does = "read"', 'does = "peek"', "peek"),
        ('for = "TREAT"', 'for = "FUN"', "FUN"),
        ('who = "lee"', 'who = "kim"', "kim"),
        ('what = "note"', 'what = "memo"', "memo"),
        ('says = "x"', 'says = "x"\nwhen = "noon"', "when"),
        ('tenant = "mercy"\n[doc', 'tenant = "mercy"\nroles = "physician"\n[doc', "people.lee"),
        ('collection = "clinical"', 'collection = "Clinical"', "documents.note"),
        ("[[case]]", "[[case]", "other.cases.toml"),
        ("[[case]]", "[[cases]]", "cases"),
    ],
)
def test_malformed_cases_are_refused_with_file_and_reason(
    folder: Path, old: str, new: str, reason: str
) -> None:
    assert old in CASE
    (folder / "other.cases.toml").write_text(CASE.replace(old, new, 1))

    with pytest.raises(PolicyError, match=r"other\.cases\.toml") as caught:
        Policies.load(folder)

    assert reason in str(caught.value)


def test_the_digest_changes_with_any_file_but_not_with_time(folder: Path) -> None:
    before = Policies.load(folder).digest
    again = Policies.load(folder).digest
    (folder / "good.cedar").write_text(GOOD + "// a comment")
    commented = Policies.load(folder).digest
    (folder / "good.cedar").rename(folder / "renamed.cedar")
    renamed = Policies.load(folder).digest

    assert before == again
    assert len({before, commented, renamed}) == 3


@pytest.mark.parametrize(
    "condition",
    [
        'resource.sensitivity + 9223372036854775807 > 0 && context.purpose == "AML"',
        'resource.sensitivity + 9223372036854775807 > 0 || context.purpose == "AML"',
        'context.purpose != "AML"',
        '!(context.purpose == "AML")',
        'context.purpose == "AML" || context.purpose == "TREAT"',
        '["AML", "TREAT"].contains(context.purpose)',
        '"TREAT" == context.purpose',
        'if context.purpose == "AML" then false else true',
        'context.purpose like "T*"',
    ],
)
def test_a_forbid_that_could_hold_or_fail_for_a_purpose_is_kept_for_it(
    folder: Path, condition: str
) -> None:
    (folder / "other.cedar").write_text(
        f'@id("wall") @why("x") forbid {READ} when {{ {condition} }};'
    )
    policies = Policies.load(folder)
    lee = Principal("lee", "mercy", frozenset())

    decision = policies.decide(
        lee, "read", Purpose.TREAT, Labels("mercy", "clinical"), Circumstances(related=True)
    )

    assert not decision.allowed


def test_a_forbid_over_a_set_of_actions_is_kept_for_each_of_them(folder: Path) -> None:
    head = '(principal, action in [Action::"ingest", Action::"read"], resource)'
    (folder / "other.cedar").write_text(f'@id("wall") @why("x") forbid {head};')
    policies = Policies.load(folder)
    lee = Principal("lee", "mercy", frozenset())

    assert not policies.may(lee, "read", Purpose.TREAT, labels=Labels("mercy", "clinical"))
