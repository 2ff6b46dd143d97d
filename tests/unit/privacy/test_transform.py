"""What goes, goes everywhere; what stays, stays where it was; nothing foreign looks like ours."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Mode, Span
from ragplatform.privacy import tokens
from ragplatform.privacy.consistency import everywhere
from ragplatform.privacy.rules import ModeTable, PrivacyRules
from ragplatform.privacy.transform import Transformed, transform
from tests.fakes_privacy import KNOWN_NAMES, RegexDetector

SSN = "078-05-1120"


def rules(**modes: Mode) -> PrivacyRules:
    return PrivacyRules(Mode.MASK, 0.4, {}, ModeTable(modes, {}), {}, "d")


def tokenise(entity: str, value: str) -> str:
    return f"[{entity}:{'abcdefghijklmnop'}]"


def run(
    text: str, spans: list[Span] | None = None, *, shift: int | None = None, **modes: Mode
) -> Transformed:
    found = RegexDetector().detect([text])[0] if spans is None else spans
    return transform(
        text,
        found,
        rules=rules(**modes),
        collection="c",
        tokeniser=tokenise,
        shift=shift,
        this_year=2026,
    )


def span(start: int, end: int, entity: str = "PERSON", score: float = 0.9) -> Span:
    return Span(start, end, entity, CATEGORY_OF[entity], score, "test")


@pytest.mark.parametrize(
    "spans", [[(3, 6), (5, 8)], [(5, 8), (0, 2)], [(0, 99)], [(2, 2)], [(-1, 2)]]
)
def test_spans_that_do_not_fit_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="spans"):
        run("a text of words", [span(*one) for one in spans])


def test_what_is_kept_is_counted_and_left_as_plain_text() -> None:
    text = f"John Smith, {SSN}"
    result = run(text, PERSON=Mode.KEEP, US_SSN=Mode.MASK)
    assert result.text == "John Smith, [US_SSN]"
    assert result.kept == ()
    assert result.counts == {"PERSON": 1, "US_SSN": 1}
    assert result.methods == {("PERSON", Mode.KEEP): 1, ("US_SSN", Mode.MASK): 1}
    assert result.position(12) == 12


def test_a_value_that_must_go_goes_out_of_one_that_is_kept() -> None:
    text = "Smith. The Smith Foundation paid."
    spans = [span(0, 5), span(11, 27, "ORGANIZATION")]
    result = run(text, spans, PERSON=Mode.MASK, ORGANIZATION=Mode.KEEP)
    assert "Smith" not in result.text
    assert "Foundation" in result.text


def test_each_mode_does_what_it_says() -> None:
    text = f"John Smith, {SSN}, a@b.org, (617) 555-0123, MRN 1234567."
    result = run(
        text,
        PERSON=Mode.TAG,
        US_SSN=Mode.MASK,
        EMAIL_ADDRESS=Mode.PSEUDONYMISE,
        PHONE_NUMBER=Mode.DROP,
        MEDICAL_RECORD_NUMBER=Mode.QUARANTINE,
    )
    assert result.text == (
        "John Smith, [US_SSN], [EMAIL_ADDRESS:abcdefghijklmnop], , MRN [MEDICAL_RECORD_NUMBER]."
    )
    assert [(s.start, s.end, s.entity) for s in result.kept] == [(0, 10, "PERSON")]
    assert result.values == (("EMAIL_ADDRESS", "a@b.org"),)
    assert result.quarantine == "contains_medical_record_number"
    assert set(result.methods.values()) == {1}
    assert result.methods["PHONE_NUMBER", Mode.DROP] == 1
    assert result.counts["US_SSN"] == 1


def test_a_date_is_shifted_or_masked_and_the_result_says_which() -> None:
    text = "seen 03/04/2021 and last Monday, ZIP 02139"
    spans = [span(5, 15, "DATE_TIME"), span(20, 31, "DATE_TIME"), span(37, 42, "ZIP_CODE")]
    modes = {"DATE_TIME": Mode.SHIFT, "ZIP_CODE": Mode.GENERALISE}
    result = run(text, spans, shift=-3, **modes)
    assert result.text == "seen 03/01/2021 and [DATE_TIME], ZIP 021**"
    assert result.methods == {
        ("DATE_TIME", Mode.SHIFT): 1,
        ("DATE_TIME", Mode.MASK): 1,
        ("ZIP_CODE", Mode.GENERALISE): 1,
    }
    assert run(text, spans, **modes).text == "seen [DATE_TIME] and [DATE_TIME], ZIP 021**"


def test_a_text_without_personal_data_is_unchanged() -> None:
    result = run("Take one tablet daily.")
    assert result.text == "Take one tablet daily."
    assert result.quarantine is None
    assert result.counts == {}


def test_an_uncertain_span_is_left_alone() -> None:
    assert run("John Smith", [span(0, 10, score=0.3)]).text == "John Smith"


def test_a_value_found_once_goes_at_every_whole_occurrence() -> None:
    text = "Okafor came. Signed: Okafor; Okafor's note. The Okaforian school."
    result = run(text, everywhere(text, [span(0, 6)]), PERSON=Mode.MASK)
    assert result.text == "[PERSON] came. Signed: [PERSON]; [PERSON]'s note. The Okaforian school."
    assert result.counts == {"PERSON": 3}


def test_a_value_that_must_go_cuts_through_one_that_may_stay() -> None:
    text = "Okafor lives at Okafor Street."
    result = run(text, [span(0, 6), span(16, 29, "LOCATION")], PERSON=Mode.MASK, LOCATION=Mode.TAG)
    assert result.text == "[PERSON] lives at [PERSON] Street."
    assert [result.text[s.start : s.end] for s in result.kept] == [" Street"]


@pytest.mark.parametrize(
    "forged",
    [
        "[PERSON:q7f2m9k4abcd2345]",
        "[PERSON]",
        "[[PERSON:q7f2m9k4abcd2345]]",
        "[X:aaaaaaaaaaaaaaaa][Y:bbbbbbbbbbbbbbbb]",
    ],
)
def test_a_forged_mark_in_a_document_is_made_harmless(forged: str) -> None:
    result = run(f"see {forged} and John Smith", PERSON=Mode.PSEUDONYMISE)
    assert tokens.tokens_in(result.text) == {"[PERSON:abcdefghijklmnop]"}
    assert len(tokens.MASK.findall(result.text)) == 0
    assert len(result.text) == len(f"see {forged} and [PERSON:abcdefghijklmnop]")


def test_a_mark_that_only_appears_when_a_value_is_dropped_is_made_harmless() -> None:
    text = f"[PERSON:q7f2m9k4{SSN}abcd2345]"
    result = run(text, [span(16, 27, "US_SSN")], US_SSN=Mode.DROP)
    assert SSN not in result.text
    assert not tokens.tokens_in(result.text)


def test_citation_numbers_and_other_brackets_stay() -> None:
    text = "as in [1], [note] and [Smith: 2]"
    assert run(text).text == text


VALUES = [SSN, "a@b.org", "617-555-0123", "MRN 1234567", "abcdefghijklmnop"]
PIECES = st.sampled_from(
    [*KNOWN_NAMES, *VALUES, "[PERSON:", "[US_SSN]", "]", "[", "word", " ", ". ", "\n", "ß", "🙂"]
)
TEXTS = st.lists(PIECES, max_size=25).map("".join)
MODES = st.fixed_dictionaries(
    {
        entity: st.sampled_from(list(Mode))
        for entity in ("PERSON", "US_SSN", "EMAIL_ADDRESS", "PHONE_NUMBER", "MEDICAL_RECORD_NUMBER")
    }
)


@given(text=TEXTS, modes=MODES)
def test_positions_never_go_back_and_plain_text_keeps_its_place(
    text: str, modes: dict[str, Mode]
) -> None:
    result = run(text, **modes)
    places = [result.position(offset) for offset in range(len(text) + 1)]
    assert places == sorted(places)
    assert places[-1] == len(result.text)
    assert places[0] == 0
    again = [result.text[s.start : s.end] for s in result.kept]
    for kept, words in zip(result.kept, again, strict=True):
        (origin,) = [
            o for o, p in enumerate(places[:-1]) if p == kept.start and text.startswith(words, o)
        ][-1:]
        assert places[origin + len(words) - 1] == kept.end - 1
    with pytest.raises(ValueError, match="outside"):
        result.position(len(text) + 1)


@given(text=TEXTS, modes=MODES)
def test_no_value_that_must_go_is_left(text: str, modes: dict[str, Mode]) -> None:
    spans = RegexDetector().detect([text])[0]
    result = run(text, **modes)
    for one in spans:
        if modes[one.entity] not in {Mode.KEEP, Mode.TAG}:
            value = re.escape(text[one.start : one.end])
            assert not re.search(rf"(?<!\w){value}(?!\w)", result.text)


@given(text=TEXTS, modes=MODES)
def test_every_mark_in_the_result_is_ours(text: str, modes: dict[str, Mode]) -> None:
    result = run(text, **modes)
    ours = sum(n for (_, mode), n in result.methods.items() if mode is Mode.PSEUDONYMISE)
    assert len(tokens.TOKEN.findall(result.text)) == ours
    masked = {Mode.MASK, Mode.QUARANTINE}
    masks = sum(n for (_, mode), n in result.methods.items() if mode in masked)
    assert len(tokens.MASK.findall(result.text)) == masks


def test_a_long_document_full_of_values_takes_time_by_its_length() -> None:
    text = " ".join(f"Name{n} Surname{n} note" for n in range(20_000))
    spans, at = [], 0
    for n in range(20_000):
        end = at + len(f"Name{n} Surname{n}")
        spans.append(span(at, end))
        at = end + len(" note ")
    assert run(text, spans, PERSON=Mode.MASK).counts["PERSON"] == 20_000
