"""A file's name is personal data too: nothing of a person is left in the title."""

import os
from itertools import pairwise

import pytest

from ingest import sources, titles
from ingest.work import _open_regular
from ragplatform.entities import CATEGORY_OF, TAGGER
from ragplatform.errors import ConfigurationError, QuarantinedError
from ragplatform.model import Span
from tests.fakes_privacy import RegexDetector

BODY = "MRN 20451877 Maria Lopez, phone 617-555-0123, seen with Okafor."


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("discharge_Lopez_Maria.pdf", ["Lopez", "Maria"]),
        ("HIVclinicMariaLopez.pdf", ["Maria", "Lopez"]),
        ("note-MRN_2045-1877.pdf", ["2045", "1877"]),
        ("20451877.pdf", ["20451877"]),
        ("call 6175550123 back.txt", ["6175550123"]),
        ("OKAFOR loan.docx", ["OKAFOR"]),
        ("case 99887766 closed.txt", ["99887766"]),
    ],
)
def test_nothing_of_the_document_s_people_is_left_in_its_title(name, values):
    in_text, *in_name = RegexDetector().detect([BODY, name, titles.spoken(name)])

    spans = titles.personal(name, in_name, BODY, in_text)

    left = list(titles.spoken(name))
    for span in spans:
        left[span.start : span.end] = "#" * (span.end - span.start)
    assert not [value for value in values if value in "".join(left)], "".join(left)
    assert all(a.end <= b.start for a, b in pairwise(spans))


@pytest.mark.parametrize("name", ["visiting hours.html", "10-K 2023.pdf", "lab results.csv"])
def test_an_ordinary_name_stays_readable(name):
    in_text, *in_name = RegexDetector().detect([BODY, name, titles.spoken(name)])

    assert titles.personal(name, in_name, BODY, in_text) == []


def tagged(name, value, entity):
    start = name.index(value)
    return Span(start, start + len(value), entity, CATEGORY_OF[entity], 0.9, TAGGER)


@pytest.mark.parametrize(
    ("name", "value", "entity", "personal"),
    [
        ("ward-round-delirium.txt", "round", "STREET_ADDRESS", False),
        ("complaint-thread.txt", "txt", "PERSON", False),
        ("note Lindqvist.txt", "Lindqvist", "PERSON", True),
        ("note by Dr. Lindqvist", "Lindqvist", "PERSON", True),
        ("advice jdoe42.txt", "jdoe42", "USERNAME", True),
        ("advice mlindqvist.txt", "mlindqvist", "USERNAME", True),
    ],
)
def test_what_a_tagger_of_prose_takes_a_name_s_ordinary_words_for_does_not_count(
    name, value, entity, personal
):
    text = "Written by Maria, user mlindqvist."
    in_text = [tagged(text, "Maria", "PERSON"), tagged(text, "mlindqvist", "USERNAME")]

    spans = titles.personal(name, [[tagged(name, value, entity)], []], text, in_text)

    assert [name[span.start : span.end] for span in spans] == [value] * personal


def test_a_pipe_is_not_read(tmp_path):
    pipe = tmp_path / "b.txt"
    os.mkfifo(pipe)

    with pytest.raises(QuarantinedError, match="pipe"):
        _open_regular(pipe)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "real.txt").write_text("text")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")

    with pytest.raises(OSError, match="symbolic"):
        _open_regular(tmp_path / "link.txt")
    assert [file.name for file in sources.find([tmp_path], sources.GivenLabels())] == ["real.txt"]


def test_labels_that_anybody_could_have_written_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "labels.toml").write_text('[[rule]]\nmatch = "*"\nsensitivity = "public"\n')
    (tmp_path / "labels.toml").chmod(0o666)

    with pytest.raises(ConfigurationError, match="decides who reads"):
        list(sources.find([tmp_path], sources.GivenLabels()))

    (tmp_path / "labels.toml").chmod(0o644)
    assert len(list(sources.find([tmp_path], sources.GivenLabels()))) == 1
