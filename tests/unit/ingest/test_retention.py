"""The rules of how long documents are kept."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ingest.retention import Retention
from ragplatform.errors import PolicyError
from ragplatform.model import Category, Labels
from tests.state import ENTRY

POLICIES = Path(__file__).parents[3] / "policies"
LABELS = Labels("mercy", "clinical", categories=frozenset({Category.PHI}))
DOCUMENT = replace(
    ENTRY,
    indexed_at=datetime(2026, 6, 1, tzinfo=UTC),
    taken_in_at=datetime(2024, 2, 29, tzinfo=UTC),
    dated="2020-05-05",
)


def rules(folder: Path, text: str) -> Retention:
    path = folder / "retention.toml"
    path.write_text(text)
    return Retention.load(path)


def rule(name: str, **more: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f'[[rule]]\nid = "{name}"\nwhy = "a law"\n{lines}'


@pytest.mark.parametrize(
    ("start", "until"),
    [
        ("dated", date(2026, 5, 5)),
        ("taken_in", date(2030, 2, 28)),
        ("changed", date(2032, 6, 1)),
    ],
)
def test_a_period_counts_from_the_day_that_the_rule_names(
    tmp_path: Path, start: str, until: date
) -> None:
    found = rules(tmp_path, rule("r", keep_at_least='"6 years"', **{"from": f'"{start}"'}))

    assert found.terms(DOCUMENT, LABELS).kept_until == until


def test_the_longest_minimum_and_the_shortest_maximum_count(tmp_path: Path) -> None:
    text = "".join(
        (
            rule("short", keep_at_least='"1 year"', keep_at_most='"18 months"'),
            rule("long", keep_at_least='"2 years"', keep_at_most='"10 years"'),
            rule("of-others", keep_at_least='"90 years"', match='{ collection = "banking" }'),
        )
    )

    terms = rules(tmp_path, text).terms(DOCUMENT, LABELS)

    assert terms.kept_by is not None
    assert terms.kept_by.id == "long"
    assert terms.due_by is not None
    assert terms.due_by.id == "short"
    assert (terms.kept_until, terms.due) == (date(2026, 2, 28), date(2025, 8, 29))


@pytest.mark.parametrize(
    "match",
    ['{ category = "PHI" }', '{ collection = ["banking", "clinical"] }', '{ department = "" }'],
)
def test_a_rule_fits_documents_that_have_one_of_its_values(tmp_path: Path, match: str) -> None:
    found = rules(tmp_path, rule("r", keep_at_least='"6 years"', match=match))

    assert found.terms(DOCUMENT, LABELS).kept_until is not None
    assert found.terms(DOCUMENT, Labels("mercy", "else", department="x")).kept_until is None


def test_a_rule_may_be_for_documents_that_say_what_they_are(tmp_path: Path) -> None:
    found = rules(
        tmp_path, rule("r", keep_at_least='"10 years"', match='{ type = ["claim", "x12 837"] }')
    )

    kept = [found.terms(replace(DOCUMENT, kind=one), LABELS).kept_by for one in ("claim", "note")]

    assert [one is not None for one in kept] == [True, False]
    with pytest.raises(PolicyError, match="lower case"):
        rules(tmp_path, rule("r", keep_at_least='"1 year"', match='{ type = "Claim" }'))


def test_a_document_cannot_put_off_its_end_by_a_date_from_the_future(tmp_path: Path) -> None:
    found = rules(tmp_path, rule("r", keep_at_most='"1 year"', **{"from": '"dated"'}))

    due = found.terms(replace(DOCUMENT, dated="2999-01-01"), LABELS).due

    assert due == date(2027, 6, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[rule]\nid = 'x'",
        rule("r"),
        rule("r", keep_at_least='"six years"'),
        rule("r", keep_at_least='"2 years"', keep_at_most='"1 year"'),
        rule("r", keep_at_least='"2 years"', **{"from": '"birth"'}),
        rule("r", keep_at_least='"2 years"', match='{ category = "PIH" }'),
        rule("r", keep_at_least='"2 years"', match='{ colection = "x" }'),
        rule("r", keep_at_least='"2 years"') * 2,
        rule("r", keep_at_least='"2 years"', keepatmost='"3 years"'),
        "not toml",
    ],
)
def test_a_file_with_anything_wrong_in_it_is_refused_whole(tmp_path: Path, text: str) -> None:
    with pytest.raises(PolicyError, match=r"retention\.toml"):
        rules(tmp_path, text)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="an empty file"):
        Retention.load(tmp_path / "retention.toml")


def test_the_rules_that_come_with_the_platform_are_sound() -> None:
    assert len(Retention.load(POLICIES / "retention.toml").rules) >= 5
