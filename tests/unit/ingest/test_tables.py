"""Tables are found in plain lines, with what stands above them, and prose is none."""

from ingest.chunk import MAX_TABLE_CHARS, chunk
from ingest.tables import tables

STATEMENT = """Consolidated Balance Sheets
$ in millions
February 2, 2019 February 3, 2018
Assets
Current assets
Cash and cash equivalents $ 1,980 $ 1,101
Short-term investments — 2,032
Receivables, net 1,015 1,049
Merchandise inventories 5,409 5,209
Other current assets 466 438
Total current assets 8,870 9,829
Less accumulated depreciation (6,690) (6,279)
Goodwill 915 425
Total assets $ 12,901 $ 13,049"""
PROSE = """Net sales grew by 4.5 percent in fiscal 2019, to $42.9 billion, from $41.2 billion.
The growth came from 1,026 stores in the domestic segment, of which 12 were opened in the year.
We expect between $42.0 and $43.0 billion in fiscal 2020, and capital expenditures of $850 million.
In 2017 and 2018 we had spent $688 million and $819 million, mostly on stores and on our website."""


def found(text: str) -> list[str]:
    return [text[table.start : table.end] for table in tables(text)]


def test_a_statement_is_one_table_with_its_title_and_its_columns() -> None:
    assert found(f"{PROSE}\n{STATEMENT}\n\n{PROSE}") == [STATEMENT]


def test_prose_that_is_full_of_figures_is_no_table() -> None:
    assert found(PROSE * 3) == []


def test_two_tables_with_prose_between_them_are_two() -> None:
    assert found(f"{STATEMENT}\n{PROSE}\n{STATEMENT}") == [STATEMENT, STATEMENT]


def test_a_few_figures_in_a_text_stay_in_it() -> None:
    assert found("Sales 5 6\nCosts 3 4\nProfit 2 2") == []


def test_a_list_of_years_is_no_row() -> None:
    assert found("\n".join(["Years 2017 2018 2019"] * 40)) == []


def test_a_table_is_one_piece_although_it_is_longer_than_a_piece() -> None:
    text = f"{PROSE}\n\n{STATEMENT * 2}\n\n{PROSE}"

    pieces = [piece for piece in chunk(text, guarded=[]) if piece.table]

    assert [text[piece.start : piece.end] for piece in pieces] == [STATEMENT * 2]


def test_a_longer_table_is_cut_between_lines_and_each_piece_knows_its_caption() -> None:
    rows = "\n".join(f"Item {number} of the list $ {number},000 $ 1" for number in range(200))
    text = f"Schedule of items\nin thousands\n{rows}\n\nThe end."

    first, *others = [piece for piece in chunk(text, guarded=[]) if piece.table]

    assert first.caption is None
    assert others
    for piece in (first, *others):
        assert piece.end - piece.start <= MAX_TABLE_CHARS
        assert all(line.startswith(("Item", "Schedule", "in t")) for line in
                   text[piece.start : piece.end].splitlines())  # fmt: skip
    for piece in others:
        assert piece.caption is not None
        assert text[slice(*piece.caption)] == "Schedule of items\nin thousands"


def test_no_edge_of_a_table_cuts_what_is_guarded() -> None:
    start = len(PROSE) + 1
    guarded = [(start - 5, start + 5)]

    pieces = chunk(f"{PROSE}\n{STATEMENT}\n{PROSE}", guarded=guarded)

    edges = {edge for piece in pieces for edge in (piece.start, piece.end)}
    assert not any(start - 5 < edge < start + 5 for edge in edges)


def test_a_page_begins_a_piece_and_its_number_stays_with_the_table_before_it() -> None:
    first = f"{STATEMENT}\nSee the notes.\n50"
    text = f"{first}\n\n{PROSE}"

    pieces = chunk(text, guarded=[], pages=[0, len(first) + 2])

    assert text[pieces[0].start : pieces[0].end] == first
    assert pieces[1].start == len(first) + 2
