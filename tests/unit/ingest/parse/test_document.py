"""Offsets stay true from the first byte to the last edit."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parse import wire
from ingest.parse.document import (
    Claims,
    Heading,
    PageBreak,
    ParsedDocument,
    Part,
    SubjectId,
    TextBuilder,
    clean,
)
from ragplatform.errors import ParseError

DIRTY = st.text(
    st.characters() | st.sampled_from("\ud800\x00\u200b\u200c\u200d\u0301\ufeff\r\n\u2028")
)


@given(DIRTY)
def test_clean_text_is_normal_visible_and_stays_so(text: str) -> None:
    cleaned = clean(text)

    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" for c in cleaned)


@given(st.lists(st.tuples(DIRTY, st.integers(0, 2))))
def test_what_the_builder_notes_stands_where_it_says(blocks: list[tuple[str, int]]) -> None:
    builder = TextBuilder(max_chars=10**6)
    added = []
    for number, (block, kind) in enumerate(blocks, start=1):
        if kind == 0:
            offset = builder.add(block)
            added.append((offset, clean(block).strip("\n") if clean(block).strip() else ""))
        elif kind == 1:
            builder.heading(block, 1)
        else:
            builder.page(clean(block), number, block)
    if builder.blank:
        with pytest.raises(ParseError):
            builder.finish("text/plain")
        return

    document = builder.finish("text/plain")

    assert all(document.text.startswith(block, offset) for offset, block in added)
    assert clean(document.text) == document.text
    assert wire.decode(wire.encode_document(document)) == document


def test_page_at_answers_for_every_offset() -> None:
    document = ParsedDocument("ab\n\ncd", "application/pdf", (PageBreak(0, 1), PageBreak(4, 2)))

    assert [document.page_at(offset) for offset in range(6)] == [1, 1, 1, 1, 2, 2]
    assert ParsedDocument("ab", "text/plain").page_at(1) is None


@pytest.mark.parametrize(
    "structure",
    [
        {"pages": (PageBreak(9, 1),)},
        {"pages": (PageBreak(2, 1), PageBreak(1, 2))},
        {"headings": (Heading(1, 1, "a"),)},
    ],
)
def test_a_structure_that_does_not_fit_its_text_is_refused(structure: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"offset|heading"):
        ParsedDocument("abc", "text/plain", **structure)  # type: ignore[arg-type]


def test_a_masked_title_leaves_the_heading_too() -> None:
    document = ParsedDocument(
        "Report on Roe\nText", "text/plain", (PageBreak(14, 1),), (Heading(0, 1, "Report on Roe"),)
    )

    moved = document.moved(
        "Report on [PERSON]\nText", lambda offset: offset + 5 if offset >= 13 else min(offset, 10)
    )

    assert moved.headings == (Heading(0, 1, "Report on [PERSON]"),)
    assert moved.text[moved.pages[0].offset :] == "Text"


def answer(claims: bytes, pages: bytes = b"[]") -> bytes:
    head = b'{"text": "a", "media_type": "text/plain", "headings": [], "warnings": [],'
    return head + b' "pages": ' + pages + b', "claims": ' + claims + b"}"


NOTHING = b'{"subjects": [], "date": "", "author": "", "type": "", "markings": []}'
WRONG_CLAIMS = (
    b"[]",
    NOTHING.replace(b'"subjects": []', b'"subjects": [[]]'),
    NOTHING.replace(b'"subjects": []', b'"subjects": [[["mrn", "1"]]]'),
    NOTHING.replace(b'"subjects": []', b'"subjects": [[["mrn", 1, ""]]]'),
    NOTHING.replace(b'"date": ""', b'"date": "yesterday"'),
    NOTHING.replace(b'"author": ""', b'"author": "' + b"x" * 1000 + b'"'),
    NOTHING.replace(b'"markings": []', b'"markings": ["public"]'),
)


# A parser that was taken over may send any label: only what one may be is taken.
WRONG_PAGES = (
    b"[[0, 1]]",
    b'[[0, 1, "Roe"]]',
    b'[[0, 1, " iv"]]',
    b"[[0, 1, 4]]",
    b"[[0, 1, null]]",
)


def test_claims_cross_from_the_parsers_process() -> None:
    anna = (SubjectId("mrn", "M-1", "urn:h"), SubjectId("patient", "a1"))
    claims = Claims((anna,), "2024-05-06", "Dr. Lee", "note", frozenset({"vip"}))
    document = ParsedDocument("ab", "text/plain", claims=claims)

    assert wire.decode(wire.encode_document(document)) == document
    assert wire.decode(answer(NOTHING)).claims == Claims()


def test_labels_of_pages_cross_from_the_parsers_process_and_move_with_them() -> None:
    document = wire.decode(answer(NOTHING, b'[[0, 1, "F-12"]]'))

    assert document.pages == (PageBreak(0, 1, "F-12"),)
    assert document.moved("abc", lambda offset: 3 * offset).pages == document.pages


def test_what_a_parser_claims_is_cleaned_and_one_person_is_told_once() -> None:
    builder = TextBuilder(max_chars=10)
    builder.add("ab")
    twice = (SubjectId("mrn", " M-1\x00 ", ""),)
    builder.claim(Claims((twice, twice, (SubjectId("mrn", " "),)), date="soon", author="a\nb"))

    claims = builder.finish("text/plain").claims

    assert claims == Claims(((SubjectId("mrn", "M-1"),),), author="a b")


@pytest.mark.parametrize(
    "parts",
    [
        b"",
        b"[]",
        b'{"parts": 7}',
        b'{"parts": [["a", [[0, 5]]]]}',
        b'{"parts": [["a", [[3, 2]]]]}',
        b'{"parts": [["a", [[-1, 2]]]]}',
        b'{"parts": [[7, [[0, 2]]]]}',
        b'{"reason": "made_up", "message": "x"}',
    ],
)
def test_a_cut_that_does_not_lie_in_the_file_counts_as_a_crash(parts: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        wire.decode_parts(parts, 4)

    assert caught.value.reason == "crashed"


def test_a_small_file_cannot_be_cut_into_a_large_one() -> None:
    parts = tuple(Part(str(number), ((0, 1000),) * 1000) for number in range(10))

    with pytest.raises(ParseError, match="exceed the file"):
        wire.decode_parts(wire.encode_parts(parts), 1000)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        b'{"reason": "made_up", "message": "x"}',
        b'{"reason": "empty", "message": 7}',
        b'{"text": 7, "media_type": "text/plain", "pages": [], "headings": [], "warnings": []}',
        b'{"text": "a\\u0000", "media_type": "text/plain", "pages": [], "headings": [],'
        b' "warnings": []}',
        b'{"text": "a", "media_type": "x/y", "pages": [], "headings": [], "warnings": []}',
        b'{"text": "a", "media_type": "text/plain", "pages": [[5, 1, ""]], "headings": [],'
        b' "warnings": []}',
        b'{"text": "a", "media_type": "text/plain", "pages": [[-1, 1, ""]], "headings": [],'
        b' "warnings": []}',
        b'{"text": "a", "media_type": "text/plain", "pages": [[true, 1, ""]], "headings": [],'
        b' "warnings": []}',
        *(answer(NOTHING, pages) for pages in WRONG_PAGES),
        b'{"text": "a", "media_type": "text/plain", "pages": [], "headings": [],'
        b' "warnings": ["Jane Roe, 41"]}',
        *(answer(claims) for claims in WRONG_CLAIMS),
        b"[" * 100_000,
    ],
)
def test_an_answer_of_another_form_counts_as_a_crash(answer: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        wire.decode(answer)

    assert caught.value.reason == "crashed"


@given(st.binary())
def test_no_answer_at_all_can_do_more_than_fail(answer: bytes) -> None:
    with pytest.raises(ParseError):
        wire.decode(answer)
