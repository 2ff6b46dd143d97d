"""Training texts are labelled where their values stand."""

import random

import pytest

pytest.importorskip("faker", reason="Faker is installed with the development extra only")

from train.corpora import Labelled
from train.generate import TEMPLATES, Template, _cut, _rewritten, _template_lines
from train.values import Values


@pytest.fixture(scope="module")
def values() -> Values:
    return Values(3)


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.txt")), ids=lambda path: path.stem)
def test_every_template_can_be_filled(values: Values, path: object) -> None:
    chance = random.Random(5)
    for line in _template_lines(path):
        made = Template(line, values).fill(chance)
        end = 0
        for start, stop, label in made.spans:
            assert end <= start < stop <= len(made.text), line
            assert label
            end = stop


def test_choices_and_escapes_are_read(values: Values) -> None:
    made = {
        Template("(a|b(c|d)|)\\(x\\)\\n", values).fill(random.Random(n)).text for n in range(40)
    }
    assert made == {"a(x)\n", "bc(x)\n", "bd(x)\n", "(x)\n"}


def test_an_unknown_slot_is_refused(values: Values) -> None:
    with pytest.raises(ValueError, match="nickname"):
        Template("Hello {nickname}", values)


def test_the_same_seed_gives_the_same_values() -> None:
    one, other = Values(9), Values(9)
    assert [one.make("name_any") for _ in range(20)] == [other.make("name_any") for _ in range(20)]


def test_careless_writing_moves_no_label() -> None:
    whole = Labelled("İlker lives in Leeds.", ((0, 5, "PERSON"), (15, 20, "LOCATION")))
    for n in range(60):
        one = _rewritten(whole, random.Random(n))
        assert len(one.text) == len(whole.text)
        assert one.spans == whole.spans


def test_a_long_text_is_cut_inside_no_value() -> None:
    text = "It rained all day. " * 52 + "Dr. Angela Okafor came. " * 40
    start = text.index("Dr. Angela")
    spans = tuple((at, at + 17, "PERSON") for at in range(start, len(text) - 5, 24))
    parts = list(_cut(Labelled(text, spans)))
    assert "".join(part.text for part in parts) == text
    assert sum(len(part.spans) for part in parts) == len(spans)
    assert all(part.text[s:e] == "Dr. Angela Okafor" for part in parts for s, e, _ in part.spans)
