from datetime import date

import pytest

from bench.privacy.examples import Example, pupa, wnut17
from bench.privacy.layouts import LAYOUTS, in_all_layouts, marked, unmarked
from bench.privacy.scores import tally

TEXT = "Ann Lee lives in Ulm, call 555-0100."
GOLD = ((0, 7, "NAME"), (17, 20, "CITY"), (27, 35, "PHONE"))


def test_any_overlap_is_a_hit_and_only_whole_cover_is_full():
    one = tally([Example(TEXT, GOLD)], [[(0, 3, "PERSON"), (27, 30, "P"), (31, 35, "P")]])

    assert (one.hit["NAME"], one.hit["CITY"], one.hit["PHONE"]) == (1, 0, 1)
    assert (one.recall, one.full_recall) == (2 / 3, 1 / 3)
    assert one.precision == 1.0


def test_a_dash_left_open_between_two_findings_does_not_break_the_cover():
    one = tally([Example(TEXT, GOLD[2:])], [[(27, 30, "P"), (31, 35, "P")]])

    assert one.full_recall == 1.0


def test_what_overlaps_no_gold_is_false_unless_it_lies_on_neutral_ground():
    example = Example(TEXT, GOLD[:1], neutral=GOLD[1:2])
    one = tally([example], [[(0, 7, "PERSON"), (17, 20, "LOCATION"), (22, 26, "PERSON")]])

    assert one.precision == 0.5
    assert [place for _, place in one.false] == [(22, 26, "PERSON")]


def test_f2_weighs_recall_twice_as_much_as_precision():
    example = Example("abcdefgh", ((0, 1, "X"), (2, 3, "X"), (4, 5, "X"), (6, 7, "X")))
    one = tally([example], [[(0, 1, "X"), (2, 3, "X"), (4, 5, "X"), (7, 8, "X")]])

    assert (one.recall, one.precision) == (0.75, 0.75)
    assert one.f2 == pytest.approx(0.75)


def test_finding_nothing_is_precise_and_worthless():
    one = tally([Example(TEXT, GOLD)], [[]])

    assert (one.recall, one.precision, one.f2) == (0.0, 1.0, 0.0)


def test_marks_go_and_leave_the_places_of_the_values():
    example = unmarked(f"To {marked('name', 'Ann')} in {marked('-state', 'Ohio')}.")

    assert example == Example("To Ann in Ohio.", ((3, 6, "name"),), ((10, 14, "state"),))


@pytest.mark.parametrize("number", range(len(LAYOUTS)))
def test_every_layout_writes_gold_where_the_value_stands(number):
    fields = {"given": "Ann", "family": "Lee", "birth": date(1950, 2, 3), "phone": "555-0100"}
    example = list(in_all_layouts(fields))[number]

    values = {example.text[start:end].casefold() for start, end, _ in example.gold}
    assert "\ue000" not in example.text
    assert "{" not in example.text or LAYOUTS[number].name == "json"
    assert values <= {"ann", "lee", "555-0100"} | {
        date(1950, 2, 3).strftime(form).casefold()
        for form in ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y", "%B %d, %Y", "%d %b %Y")
    }


def test_listed_strings_are_found_as_whole_words_whatever_their_case(tmp_path):
    line = '{"user_query": "ANN met Anna, ann.", "pii_units": "ann||"}'
    (tmp_path / "PUPA_New.jsonl").write_text(line)

    (example,) = pupa(tmp_path, None)["pupa"]
    assert [example.text[start:end] for start, end, _ in example.gold] == ["ANN", "ann"]


def test_tagged_words_become_spans_of_the_joined_text(tmp_path):
    lines = "Meet\tO\nAnn\tB-person\nLee\tI-person\non\tO\niPad\tB-product"
    (tmp_path / "emerging.dev.conll").write_text(lines)

    (example,) = wnut17(tmp_path, None)["wnut17"]
    assert example == Example("Meet Ann Lee on iPad", ((5, 12, "person"),), ((16, 20, "product"),))
