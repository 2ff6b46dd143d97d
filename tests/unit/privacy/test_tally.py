"""Counts of what became of personal data are read from what is stored, each value once."""

from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Category, Chunk, Labels, Mode, Passage, Span
from ragplatform.privacy.safe_harbor import KINDS, UNNAMED
from ragplatform.privacy.tally import Quasi, Tally, tally_document

TOKEN = "[PERSON:abcdefghij234567]"


def passage(text: str, *tagged: tuple[str, str], start: int = 0) -> Passage:
    places = [(text.index(value), value, entity) for value, entity in tagged]
    spans = tuple(
        Span(at, at + len(value), entity, Category.PII, 0.9, "test") for at, value, entity in places
    )
    return Passage(
        chunk=Chunk(f"c{start}", 0, text, start, start + len(text), spans=spans),
        document="d",
        title="t",
        labels=Labels("mercy", "clinical"),
        access_class="a",
        subjects=frozenset(),
        generation="g",
    )


def test_masks_pseudonyms_and_tagged_values_are_told_apart() -> None:
    text = f"{TOKEN} [US_SSN] seen in Boston, {TOKEN} again"

    tally = tally_document([passage(text, ("Boston", "LOCATION"))])

    assert tally.marks == {
        ("PERSON", Mode.PSEUDONYMISE): 2,
        ("US_SSN", Mode.MASK): 1,
        ("LOCATION", Mode.TAG): 1,
    }


def test_what_two_passages_repeat_is_counted_once() -> None:
    first = passage(f"seen by {TOKEN} in Boston", ("Boston", "LOCATION"), start=0)
    second = passage(f"{TOKEN} in Boston today", ("Boston", "LOCATION"), start=8)

    tally = tally_document([second, first])

    assert tally.marks == {("PERSON", Mode.PSEUDONYMISE): 1, ("LOCATION", Mode.TAG): 1}
    assert tally.passages == 2


def test_what_is_left_in_clear_makes_the_quasi_identifiers() -> None:
    text = "She is 47, of 02139, born 3 May 1979, seen 2 June 2025 and 2 June 2026."
    tagged = [
        ("47", "AGE"),
        ("02139", "ZIP_CODE"),
        ("3 May 1979", "DATE_OF_BIRTH"),
        ("2 June 2025", "DATE_TIME"),
        ("2 June 2026", "DATE_TIME"),
    ]

    quasi = tally_document([passage(text, *tagged)]).quasi

    assert quasi == Quasi(places=("021",), ages=("1979", "40-49"), sex="female", year="2026")


def test_what_is_masked_identifies_nobody() -> None:
    assert tally_document([passage("Seen on [DATE_TIME] in [ZIP_CODE].")]).quasi == Quasi(
        (), (), "", ""
    )


def test_k_is_the_smallest_class_and_sizes_add_up_to_all_documents() -> None:
    tally = Tally()
    for text in ("he", "he", "he", "she"):
        tally.add(tally_document([passage(text)]))

    assert (tally.documents, tally.k, len(tally.classes)) == (4, 1, 2)
    assert tally.documents_in_classes(1, 1) == 1
    assert tally.documents_in_classes(2, 4) == 3
    assert tally.documents_in_classes(11, None) == 0
    assert Tally().k == 0


def test_every_type_stands_under_one_letter_or_under_none_on_purpose() -> None:
    named = [entity for kind in KINDS for entity in kind.types]

    assert "".join(kind.letter for kind in KINDS) == "ABCDEFGHIJKLMNOPQR"
    assert len(named) == len(set(named))
    assert set(named) & UNNAMED == set()
    assert set(CATEGORY_OF) <= set(named) | UNNAMED
