"""No text stalls the search: its time grows with the length alone, whatever the text repeats."""

import time
from collections.abc import Callable

import pytest
from presidio_analyzer import EntityRecognizer

from ragplatform.adapters.detector import IdentifierDetector
from ragplatform.adapters.rules.recognisers import recognisers
from ragplatform.privacy.consistency import everywhere
from tests import real_detector

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
def detector() -> IdentifierDetector:
    return real_detector.detector()


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
    detector: IdentifierDetector, unit: str
) -> None:
    prose, odd = filled(PROSE, 4000), filled(unit, 4000)
    ordinary = seconds(lambda: detector.detect([prose]))
    assert seconds(lambda: detector.detect([odd])) < MOST_GROWTH * ordinary


def test_names_beside_endless_words_are_found(
    detector: IdentifierDetector,
) -> None:
    text = f"{'a' * 300} Mr. John Smith {'(' * 700} \n {'b' * 257} Boston"
    found = {text[span.start : span.end] for span in detector.detect([text])[0]}
    assert {"John Smith", "Boston"} <= found


@pytest.mark.parametrize("unit", ["Jan 1 ", "Aaa ", "a.", "Aaa Bbb "])
def test_values_are_found_everywhere_in_time_that_grows_with_the_text(
    detector: IdentifierDetector, unit: str
) -> None:
    def run(text: str) -> Callable[[], object]:
        every_other = detector.detect([text])[0][::2]
        return lambda: everywhere(text, every_other)

    before, after = (seconds(run(filled(unit, n))) for n in (5000, 20000))
    assert after < max(MOST_GROWTH * before, UNMEASURABLE_S)
