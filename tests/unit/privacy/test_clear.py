"""Only cleared text can enter a prompt, and clearing masks what the reader may not see."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DetectorError
from ragplatform.model import (
    AllOf,
    AnyOf,
    Chunk,
    Clause,
    Labels,
    Passage,
    Purpose,
    Scope,
    Span,
)
from ragplatform.privacy import tokens
from ragplatform.privacy.clear import clear_passage, clear_sentences, compose, excerpt, join
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import Vault
from tests.fakes_privacy import FailingDetector, RegexDetector

RULES = Path(__file__).resolve().parents[3] / "policies" / "privacy.toml"
LABELS = Labels("mercy", "clinical")


def scope(*reveals: str, tenant: str = "mercy") -> Scope:
    everything = AnyOf((AllOf((Clause("collection", frozenset({"clinical"})),)),))
    return Scope(tenant, "p", Purpose.TREAT, everything, frozenset(reveals), "d", "k")


def passage(text: str, *spans: tuple[int, int, str]) -> Passage:
    made = tuple(Span(a, b, e, CATEGORY_OF[e], 0.9, "test") for a, b, e in spans)
    chunk = Chunk("c", 0, text, 0, len(text), spans=made)
    return Passage(chunk, "d", "t", LABELS, "a", frozenset(), "g")


@pytest.fixture
def vault(tmp_path: Path):
    opened = Vault(f"sqlite:///{tmp_path / 'vault.db'}", master=bytes(range(32)))
    yield opened
    opened.close()


@pytest.fixture
def privacy(vault: Vault) -> Privacy:
    return Privacy(detector=RegexDetector(), rules=PrivacyRules.load(RULES), vault=vault)


def test_a_passage_is_masked_where_the_scope_does_not_reveal() -> None:
    text = "On 3 May 2020 in Boston"
    given_passage = passage(text, (3, 13, "DATE_TIME"), (17, 23, "LOCATION"))
    assert clear_passage(given_passage, scope()).text == "On [DATE_TIME] in [LOCATION]"
    assert clear_passage(given_passage, scope("DATE_TIME")).text == "On 3 May 2020 in [LOCATION]"


@pytest.mark.parametrize("spans", [[(5, 99)], [(0, 6), (3, 8)], [(4, 4)]])
def test_spans_that_do_not_fit_their_passage_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="fit"):
        clear_passage(passage("On 3 May 2020", *[(a, b, "DATE_TIME") for a, b in spans]), scope())


def test_parts_of_a_passage_are_masked_as_the_whole_is_also_at_their_edges() -> None:
    held = passage("On 3 May 2020. In Boston.", (3, 13, "DATE_TIME"), (18, 24, "LOCATION"))
    cuts = [(0, 14), (15, 25), (5, 20)]

    texts = [one.text for one in clear_sentences(held, cuts, scope("LOCATION"))]

    assert texts == ["On [DATE_TIME].", "In Boston.", "[DATE_TIME]. In Bo"]
    with pytest.raises(ValueError, match="fit"):
        clear_sentences(passage("On 3 May 2020", (0, 6, "PERSON"), (3, 8, "PERSON")), cuts, scope())


def test_plain_text_cannot_enter_a_prompt() -> None:
    with pytest.raises(TypeError, match="plain text"):
        compose("Question: {question}", question="Who is John Smith?")


@pytest.mark.parametrize("parts", [{}, {"text": 1, "other": 2}, {"other": 1}])
def test_a_template_wants_exactly_its_parts(parts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="wants"):
        compose("{text}", **parts)


def test_what_a_part_says_is_not_read_as_template() -> None:
    text = clear_passage(passage("{number} {text} {0}"), scope())
    assert compose("[{number}] {text}", number=3, text=text).text == "[3] {number} {text} {0}"
    assert join([text, text], "\n").text == "{number} {text} {0}\n{number} {text} {0}"


def test_an_excerpt_may_leave_out_and_never_add() -> None:
    source = clear_passage(passage("As in [12], take one tablet."), scope())
    assert excerpt("As in (12), take one.", source).text == "As in (12), take one."
    for added in ("take two tablets", "tablet one", "John"):
        with pytest.raises(ValueError, match="leave words out"):
            excerpt(added, source)


def test_a_question_meets_the_documents_by_its_tokens(privacy: Privacy) -> None:
    text = "Discharge letter of Maria Lopez, MRN 1234567"
    document = privacy.transform(text, privacy.inspect([text])[0], LABELS)
    question = privacy.clear_question("what does Maria Lopez take?", scope("PERSON"))
    assert "Lopez" not in question.text + document.text
    assert tokens.tokens_in(question.text) < tokens.tokens_in(document.text)
    elsewhere = privacy.clear_question(
        "what does Maria Lopez take?", scope("PERSON", tenant="harbor")
    )
    assert not tokens.tokens_in(elsewhere.text) & tokens.tokens_in(document.text)


def test_a_question_writes_nothing_to_the_vault(privacy: Privacy, vault: Vault) -> None:
    question = privacy.clear_question("Is John Smith a patient?", scope("PERSON"))
    assert vault.reveal("mercy", tokens.tokens_in(question.text)) == {}


def test_a_question_that_cannot_be_searched_is_refused(vault: Vault) -> None:
    privacy = Privacy(detector=FailingDetector(), rules=PrivacyRules.load(RULES), vault=vault)
    with pytest.raises(DetectorError):
        privacy.clear_question("Is John Smith a patient?", scope())


@pytest.mark.parametrize(
    "answer",
    [[], [[], []], [[Span(0, 99, "PERSON", CATEGORY_OF["PERSON"], 1.0, "x")]]],
)
def test_a_detector_that_answers_oddly_is_not_believed(
    vault: Vault, answer: list[list[Span]]
) -> None:
    class Odd:
        version = "odd"

        def detect(self, _texts: object) -> list[list[Span]]:
            return answer

    privacy = Privacy(detector=Odd(), rules=PrivacyRules.load(RULES), vault=vault)
    with pytest.raises(DetectorError):
        privacy.inspect(["John Smith"])


def test_a_committed_value_is_revealed_to_whom_the_scope_allows_until_forgotten(
    privacy: Privacy,
) -> None:
    text = "Maria Lopez, 078-05-1120"
    done = privacy.transform(text, privacy.inspect([text])[0], LABELS)
    subject = privacy.subject_ref("mercy", "MRN-1")
    privacy.commit("mercy", [subject], done)
    assert privacy.reveal(done.text, scope("PERSON")).startswith("Maria Lopez, [US_SSN:")
    assert privacy.reveal(done.text, scope()) == done.text
    assert privacy.reveal(done.text, scope("PERSON", tenant="harbor")) == done.text
    assert privacy.forget("mercy", subject) == 2
    assert privacy.reveal(done.text, scope("PERSON", "US_SSN")) == done.text


def test_values_without_a_subject_are_refused(privacy: Privacy) -> None:
    done = privacy.transform("x", [], LABELS)
    with pytest.raises(ValueError, match="subject"):
        privacy.commit("mercy", [], done)


def test_a_token_that_is_not_in_the_evidence_is_not_revealed(privacy: Privacy) -> None:
    text = "Maria Lopez"
    done = privacy.transform(text, privacy.inspect([text])[0], LABELS)
    privacy.commit("mercy", ["s_x"], done)
    assert privacy.screen(scope("PERSON"), known=()).redact(done.text) == done.text
    assert privacy.screen(scope("PERSON"), known={done.text}).redact(done.text) == text


def test_the_version_follows_detector_and_rules(privacy: Privacy, vault: Vault) -> None:
    other = Privacy(detector=FailingDetector(), rules=PrivacyRules.load(RULES), vault=vault)
    assert privacy.version != other.version


@given(st.text(max_size=60))
def test_what_is_embedded_holds_no_pseudonym(text: str) -> None:
    shown = tokens.embed_view(f"{text}[PERSON:abcdefghijklmnop]{text}[US_SSN]")
    assert not tokens.TOKEN.search(shown)
    assert "abcdefghijklmnop" not in shown
    assert "person" in shown


def test_a_question_does_not_find_by_a_name_that_its_asker_may_not_see(privacy):
    seeing = privacy.clear_question("What does Maria Lopez take?", scope("PERSON")).text
    blind = privacy.clear_question("What does Maria Lopez take?", scope()).text

    assert "Lopez" not in seeing + blind
    assert tokens.tokens_in(seeing)
    assert blind == "What does [PERSON] take?"


def test_what_a_reader_is_shown_in_clear_is_counted_by_type(privacy: Privacy) -> None:
    text = "Maria Lopez, 078-05-1120; John Smith."
    done = privacy.transform(text, privacy.inspect([text])[0], LABELS)
    assert privacy.revealed([done.text, done.text], scope("PERSON")) == {"PERSON": 2}
    assert privacy.revealed([done.text], scope("US_SSN")) == {"US_SSN": 1}
    assert privacy.revealed([done.text], scope()) == {}
