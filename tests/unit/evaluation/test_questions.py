"""The file of an evaluation: what it may say, and that a mistake is named and never repeated."""

import json

import pytest

from demo import make_evaluation
from ragplatform.errors import ConfigurationError
from ragplatform.evaluation.questions import Expected, Item, read_questions
from ragplatform.model import Purpose

GOOD = {"id": "q1", "question": "Why was apixaban stopped for Maria Lopez?"}


def written(tmp_path, *lines):
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    return path


def test_a_line_says_who_asks_for_what_and_what_should_come(tmp_path):
    line = {**GOOD, "as": "mercy/dr-lee", "purpose": "TREAT", "collections": ["clinical"],
            "relevant": [{"file": "a.pdf", "page": 2, "grade": 2}]}  # fmt: skip

    (one,) = read_questions(written(tmp_path, line, ""))

    assert (one.person, one.purpose) == ("mercy/dr-lee", Purpose.TREAT)
    assert one.collections == frozenset({"clinical"})
    assert one.relevant == (Item(file="a.pdf", page=2, grade=2.0),)
    assert one.expected is Expected.ANSWER
    assert "Lopez" not in repr(one)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Maria Lopez", "line 2: no JSON object"),
        (["Maria Lopez"], "line 2: no JSON object"),
        ({**GOOD, "id": "Maria Lopez"}, "id"),
        ({**GOOD, "id": "q2", "purpose": "Maria Lopez"}, "purpose"),
        ({**GOOD, "id": "q2", "expect": "Maria Lopez"}, "expect"),
        ({**GOOD, "id": "q2", "relevant": [{"page": 1}]}, "relevant"),
        ({**GOOD, "id": "q2", "relevant": [{"document": "d", "start": 1}]}, "relevant"),
        ({**GOOD, "id": "q2", "relevant": [{"document": "d", "page": 0}]}, "relevant"),
        ({**GOOD, "id": "q2", "answer": "Maria Lopez"}, "answer"),
        (GOOD, "'q1' stands there twice"),
    ],
    ids=range(10),
)
def test_a_mistake_is_named_by_line_and_field_and_not_repeated(tmp_path, line, names):
    with pytest.raises(ConfigurationError, match=names) as refused:
        read_questions(written(tmp_path, GOOD, line))

    assert "Lopez" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe"])
def test_a_file_without_questions_is_refused(tmp_path, content):
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError):
        read_questions(path)


def test_the_demo_s_run_is_made_of_the_demo_s_questions():
    assert make_evaluation.RUN.read_text("utf-8") == make_evaluation.made()
    assert len(read_questions(make_evaluation.RUN)) == 50
