"""What ingest makes of a filing: facts in its passages, and in none of them what policy hides."""

from pathlib import Path
from typing import cast

import pytest

from ingest.parse.document import Claims, PageBreak, ParsedDocument
from ingest.prepare import Parsed, Parser, Preparer
from ingest.report import Tally
from ingest.sources import GivenLabels, SourceFile
from ingest.work import Target, Work
from ragplatform.model import Labels, Passage, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import Vault
from tests.fakes_privacy import RegexDetector

POLICIES = Path("policies")
COVER = """FORM 10-K
For the fiscal year ended December 31, 2022
Commission file number 1-9595
{name}
(Exact name of registrant as specified in its charter)
Common Stock NWT New York Stock Exchange
"""
ROWS = "\n".join(f"Item {number} of the list $ {number},000 $ {number}" for number in range(20))
LONG = "\n".join(f"Item {number} of the list $ {number},000 $ {number}" for number in range(150))


@pytest.fixture
def prepare(tmp_path: Path):  # type: ignore[no-untyped-def]
    vault = Vault(f"sqlite:///{tmp_path / 'vault.db'}", master=b"m" * 32)
    privacy = Privacy(
        detector=RegexDetector(), rules=PrivacyRules.load(POLICIES / "privacy.toml"), vault=vault
    )

    def run(  # type: ignore[no-untyped-def]
        text: str,
        *,
        name: str = "filing.txt",
        day: str = "",
        collection: str = "credit",
        page_labels: tuple[str, ...] = (),
    ):
        labels = Labels("harbor", collection)
        clerk = Principal("job", "harbor", frozenset({"ingest"}))
        pages = tuple(
            PageBreak(at, number, page_labels[number - 1] if page_labels else "")
            for number, at in enumerate([0, *(n + 1 for n, c in enumerate(text) if c == "\f")], 1)
        )
        document = ParsedDocument(text, "text/plain", pages, claims=Claims(date=day))
        preparer = Preparer(
            target=Target(clerk, Purpose.HOPERAT, collection),
            parser=cast(Parser, None),
            privacy=privacy,
            policies=Policies.load(POLICIES),
            largest_file=10**6,
        )
        source = SourceFile(Path(name), name, GivenLabels())
        work = Work(source, b"x", "key", "sha", labels, frozenset(), "doc", "g1")
        tally = Tally()
        parsed = Parsed(work, document)
        [found] = preparer.inspect([parsed], tally)
        return preparer.finish(parsed, found, tally).passages

    yield run
    vault.close()


def parts(passages: tuple[Passage, ...]) -> list[set[str]]:
    return [set(one.facts.parts) for one in passages]


def test_every_passage_of_a_filing_says_whose_it_is_and_the_first_stands_for_it(prepare) -> None:
    cover = COVER.format(name="NORTHWIND INC.")
    passages = prepare(f"{cover}\n\nConsolidated Balance Sheets\n{ROWS}")

    assert {one.facts.organisations for one in passages} == {frozenset({"northwind", "$nwt"})}
    assert {one.facts.years for one in passages} == {frozenset({"2022"})}
    assert parts(passages) == [{"cover"}, {"balance-sheet"}]


def test_every_piece_of_a_long_statement_is_of_it_and_says_its_title(prepare) -> None:
    _, first, *others = prepare(
        f"{COVER.format(name='NORTHWIND INC.')}\n\nConsolidated Balance Sheets\n{LONG}"
    )

    assert others
    assert first.chunk.heading == ()
    for one in others:
        assert one.facts.parts == {"balance-sheet"}
        assert one.chunk.heading == ("Consolidated Balance Sheets",)


def test_a_person_in_a_company_s_place_is_in_no_fact(prepare) -> None:
    [first, *_] = prepare(COVER.format(name="Maria Lopez"))

    assert first.facts.organisations == {"$nwt"}
    assert "lopez" not in str(first.facts).lower()


def test_the_day_of_a_document_moves_with_its_other_dates(prepare) -> None:
    [kept] = prepare("A visit of no note.", day="2024-03-15")
    [moved] = prepare("A visit of no note.", day="2024-03-15", collection="research")

    assert kept.facts.dates == {"2024-03-15"}
    assert moved.facts.dates
    assert moved.facts.dates != kept.facts.dates


def test_a_document_that_says_nothing_of_itself_has_no_facts(prepare) -> None:
    [only] = prepare("Visiting hours end at eight.")

    assert only.facts == type(only.facts)()


def test_a_passage_carries_the_labels_of_its_own_pages(prepare) -> None:
    long = "This page says more than would go into one passage beside others. " * 8
    several = prepare(f"One.\fTwo.\f{long}\f{long}", page_labels=("i", "", "F-1", "F-2"))

    assert [(p.chunk.page, p.chunk.page_end, p.chunk.page_labels) for p in several] == [
        (1, 3, ((1, "i"), (3, "F-1"))),
        (4, 4, ((4, "F-2"),)),
    ]
    assert several[0].chunk.label_of(2) is None
    assert several[0].chunk.label_of(None) is None
