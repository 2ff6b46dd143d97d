"""Annotations stand where their marks do, and a screen that counts finds the passage cited."""

from dataclasses import replace

from ragplatform.answer.events import ShownPassage
from ragplatform.api.openai.notes import Notes
from ragplatform.model import Citation, Labels, Purpose


def shown(number, title="a.pdf"):
    return ShownPassage(number, f"c{number}", "d", title, "text", "clinical", "application/pdf",
                        number, number, 0, 4, (), None, Labels("mercy", "clinical"))  # fmt: skip


def citation(number):
    return Citation(number, f"c{number}", "d", "a.pdf", number, 0, 4, "text")


def notes(*, counts=False, public_url=""):
    made = Notes(public_url=public_url, purpose=Purpose.TREAT, counts=counts)
    made.found([shown(n) for n in (1, 2, 3)])
    return made


def test_a_note_is_due_when_its_mark_stands_in_the_text():
    made = notes()
    made.said("It bled ")
    made.cited(citation(2))
    assert made.due() == []

    made.said("much. [2]")

    (note,) = made.due()
    assert (note.number, note.start, note.end) == (2, 14, 17)
    assert made.due(end=True) == []


def test_each_passage_is_told_once_however_often_it_is_cited():
    made = notes()
    for _ in range(3):
        made.said("So. [1] ")
        made.cited(citation(1))

    assert [one.number for one in made.due() + made.due(end=True)] == [1]


def test_passages_before_the_cited_one_come_along_only_for_a_screen_that_counts():
    told = {}
    for counts in (False, True):
        made = notes(counts=counts)
        made.said("So. [3] Thus. [1]")
        made.cited(citation(3))
        made.cited(citation(1))
        told[counts] = [one.number for one in made.due(end=True)]

    assert told == {False: [3, 1], True: [1, 2, 3]}


def test_passages_of_one_document_have_titles_of_their_own():
    made = notes(counts=True)
    made.said("So. [3]")
    made.cited(citation(3))

    titles = [one.title for one in made.due()]

    assert titles == ["[1] a.pdf, page 1", "[2] a.pdf, page 2", "[3] a.pdf, page 3"]


def test_a_title_names_the_page_as_its_document_does_too():
    made = notes()
    made.said("So. [2]")
    made.cited(replace(citation(2), page_label="F-12"))

    assert [one.title for one in made.due()] == ["[2] a.pdf, page 2 (F-12)"]


def test_addresses_are_paths_unless_the_service_knows_where_it_is_reached():
    path = "/v1/sources/c1?purpose=TREAT"
    for url, wanted in (("", path), ("https://rag.test/", f"https://rag.test{path}")):
        made = notes(public_url=url)
        made.said("[1]")
        made.cited(citation(1))
        assert made.due()[0].url == wanted
