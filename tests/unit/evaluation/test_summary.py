"""A run as figures, two runs side by side, and their chart."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from ragplatform.errors import ConfigurationError
from ragplatform.evaluation import chart
from ragplatform.evaluation.judging import Judged, Outcome, Reply
from ragplatform.evaluation.summary import compare, read_run, run_of, write_run


def run(values, name="run", metric="ndcg@10"):
    replies = [
        Judged(f"q{n}", Reply(Outcome.ANSWERED, took_s=n / 100, request_id=f"r{n}"), {metric: one})
        for n, one in enumerate(values)
    ]
    return run_of(name, replies)


def test_means_count_only_the_questions_that_a_measure_applies_to():
    judged = [
        Judged("a", Reply(Outcome.ANSWERED), {"mrr": 1.0, "support": 0.5}),
        Judged("b", Reply(Outcome.REFUSED), {"mrr": 0.0}),
    ]

    figures = run_of("run", judged).figures()

    assert (figures["mrr"].mean, figures["mrr"].questions) == (0.5, 2)
    assert (figures["support"].mean, figures["support"].questions) == (0.5, 1)
    assert "answered" not in figures


def test_latencies_are_percentiles_in_milliseconds():
    assert run([1.0] * 101).latency_ms == {"answer_p50": 500.0, "answer_p95": 950.0}


def test_a_run_is_read_as_it_was_written_and_holds_no_text(tmp_path):
    before = run([0.25, 1.0])
    write_run(tmp_path / "run.json", before)

    assert read_run(tmp_path / "run.json") == before
    assert set(json.loads((tmp_path / "run.json").read_text())) == {
        "form", "name", "questions", "metrics", "latency_ms", "outcomes", "said", "scores",
        "requests",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"form": "other/1"}', "\x00"])
def test_a_file_that_is_no_run_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)

    with pytest.raises(ConfigurationError, match=r"run\.json"):
        read_run(tmp_path / "run.json")


def test_a_change_on_every_question_is_clear_and_one_on_few_may_be_chance():
    before = run([0.2, 0.4, 0.3, 0.5, 0.1, 0.6] * 5)
    better = run([0.4, 0.6, 0.5, 0.7, 0.3, 0.8] * 5)
    mixed = run([0.3, 0.3, 0.4, 0.4, 0.2, 0.5] * 5)

    clear, chance = compare(before, better)["ndcg@10"], compare(before, mixed)["ndcg@10"]

    assert clear.change == pytest.approx(0.2)
    assert clear.low == pytest.approx(0.2) == clear.high
    assert clear.clear
    assert clear.p == 0.0
    assert not chance.clear
    assert chance.low < 0 < chance.high
    assert chance.p > 0.05


def test_only_questions_of_both_runs_are_compared_and_too_few_say_nothing():
    before, after = run([0.0] * 3), run([1.0] * 4)

    found = compare(before, after)["ndcg@10"]

    assert found.questions == 3
    assert not found.clear


def test_a_comparison_is_the_same_each_time():
    one, two = run([0.1, 0.9, 0.4] * 4), run([0.2, 0.7, 0.5] * 4)

    assert compare(one, two) == compare(one, two)


def test_a_chart_is_well_formed_says_all_in_words_and_loads_nothing():
    before, after = run([0.5, 0.7], "old <run>"), run([0.6, 0.8], "new & better")

    drawn = chart.draw([before, after])

    root = ET.fromstring(drawn)  # noqa: S314  # our own text
    assert root.attrib["role"] == "img"
    title = root.find("{http://www.w3.org/2000/svg}title")
    said = root.find("{http://www.w3.org/2000/svg}desc")
    assert title is not None
    assert title.text == "Evaluation of old <run> and new & better"
    assert said is not None
    assert "ndcg@10: 0.600 of 2" in (said.text or "")
    assert "prefers-color-scheme:dark" in drawn
    assert not re.search(r"<script|href|@import|url\((?!#)|\bon\w+=", drawn)


def test_a_chart_of_one_run_has_no_legend_and_bars_end_at_their_mean():
    drawn = chart.draw([run([0.5] * 4)])

    assert 'class="two"' not in drawn
    assert 'width="210.0"' in drawn
