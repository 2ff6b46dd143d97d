"""The register keeps its promises on SQLite and on PostgreSQL alike."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragplatform.access.register import ConsentEntry, Opening, Register, Relation
from ragplatform.errors import UnavailableError
from ragplatform.model import Consent, Principal, Purpose, Standing
from ragplatform.ports import Relatives

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
LEE = Principal("lee", "mercy", frozenset({"physician"}), subjects=frozenset({"s_key"}))
HOUR = timedelta(hours=1)


class Clock:
    """A clock that stands until it is moved."""

    now = NOON

    def __call__(self) -> datetime:
        return self.now


class Ward:
    """A directory that says what it is told to."""

    name = "ward"
    max_age_s = 60.0

    def __init__(self) -> None:
        self.answer: Relatives | None = Relatives(frozenset({"raw:7"}), NOON)

    def relatives(self, principal: Principal) -> Relatives:
        if self.answer is None:
            raise UnavailableError("away")
        return self.answer


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    database: Callable[[], str] = request.getfixturevalue("postgres")
    return database()


def opened(url: str, clock: Clock, *directories: Ward) -> Register:
    return Register(
        url,
        subject_ref=lambda tenant, raw: f"{tenant}/{raw}",
        directories=directories,
        now=clock,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def register(url: str, clock: Clock) -> Iterator[Register]:
    made = opened(url, clock)
    yield made
    made.close()


def standing(
    register: Register, who: Principal = LEE, purpose: Purpose = Purpose.TREAT
) -> Standing:
    return register.standing(who, purpose)


def test_a_relation_is_seen_at_once_by_every_other_process(
    url: str, clock: Clock, register: Register
) -> None:
    other = opened(url, clock)

    register.relate("mercy", [Relation("lee", "s1", NOON)])
    assert standing(other).related == {"s_key", "s1"}
    assert register.unrelate("mercy", "lee", "s1") == 1
    assert standing(other).related == {"s_key"}
    other.close()


def test_relations_are_of_one_tenant_one_person_and_one_time(
    register: Register, clock: Clock
) -> None:
    register.relate("harbor", [Relation("lee", "s1", NOON)])
    register.relate("mercy", [Relation("adams", "s2", NOON)])
    register.relate("mercy", [Relation("lee", "s3", NOON + HOUR, NOON + 2 * HOUR)])

    seen = []
    for hours in (0, 1, 1.99, 2):
        clock.now = NOON + hours * HOUR
        seen.append(standing(register).related)

    assert seen == [{"s_key"}, {"s_key", "s3"}, {"s_key", "s3"}, {"s_key"}]


def test_a_feed_is_replaced_whole_and_leaves_others_alone(register: Register) -> None:
    register.relate("mercy", [Relation("lee", "by-hand", NOON)])
    register.replace_feed(
        "mercy", "hr", [Relation("lee", f"s{n}", NOON) for n in range(2500)], None
    )
    assert len(standing(register).related) == 2502

    register.replace_feed("mercy", "hr", [Relation("lee", "s9", NOON)], 3600)

    assert standing(register).related == {"s_key", "by-hand", "s9"}
    listed = {one.name: (one.relations, one.max_age_s) for one in register.feeds("mercy")}
    assert listed == {"by-hand": (1, None), "hr": (1, 3600)}


def test_a_feed_that_is_too_old_counts_for_nothing_and_is_named(
    register: Register, clock: Clock
) -> None:
    register.relate("mercy", [Relation("lee", "by-hand", NOON)])
    register.replace_feed("mercy", "hr", [Relation("lee", "s1", NOON)], 3600)

    clock.now = NOON + HOUR
    assert standing(register).related == {"s_key", "by-hand", "s1"}
    clock.now = NOON + HOUR + timedelta(seconds=1)
    dark = standing(register)
    assert (dark.related, dark.dark) == ({"s_key", "by-hand"}, ("hr",))
    assert standing(register, replace(LEE, tenant="harbor")).dark == ()

    register.replace_feed("mercy", "hr", [Relation("lee", "s1", NOON)], 3600)
    assert standing(register).dark == ()


@pytest.mark.parametrize(
    ("answer", "related", "dark"),
    [
        (Relatives(frozenset({"7"}), NOON), {"s_key", "mercy/7"}, ()),
        (Relatives(frozenset({"7"}), NOON - timedelta(seconds=60)), {"s_key", "mercy/7"}, ()),
        (Relatives(frozenset({"7"}), NOON - timedelta(seconds=61)), {"s_key"}, ("ward",)),
        # What claims to be from the future proves nothing about now.
        (Relatives(frozenset({"7"}), NOON + HOUR), {"s_key"}, ("ward",)),
        (None, {"s_key"}, ("ward",)),
    ],
)
def test_a_directory_counts_only_while_it_answers_and_is_fresh(
    url: str, clock: Clock, answer: Relatives | None, related: set[str], dark: tuple[str, ...]
) -> None:
    ward = Ward()
    ward.answer = answer
    register = opened(url, clock, ward)

    found = standing(register)

    assert (found.related, found.dark) == (related, dark)
    register.close()


def say(register: Register, word: Consent, starts: datetime, ends: datetime | None = None) -> None:
    entry = ConsentEntry("s1", Purpose.HRESCH, word, starts, ends)
    register.set_consent("mercy", entry, f"{word}{starts:%d%H%M}")


def test_the_last_word_counts_from_its_start_on(register: Register, clock: Clock) -> None:
    say(register, Consent.GIVEN, NOON)
    say(register, Consent.REFUSED, NOON + HOUR, NOON + 2 * HOUR)

    seen = []
    for hours in (0, 1, 2):
        clock.now = NOON + hours * HOUR
        found = standing(register, purpose=Purpose.HRESCH)
        seen.append((set(found.consenting), set(found.refusing)))

    assert seen == [({"s1"}, set()), (set(), {"s1"}), (set(), set())]
    assert standing(register, purpose=Purpose.TREAT).refusing == frozenset()
    assert standing(register, replace(LEE, tenant="harbor"), Purpose.HRESCH).refusing == frozenset()


def test_taking_a_word_back_takes_back_what_was_to_come_too(
    register: Register, clock: Clock
) -> None:
    say(register, Consent.REFUSED, NOON)
    say(register, Consent.GIVEN, NOON + HOUR)
    clock.now = NOON + timedelta(minutes=30)

    say(register, Consent.SILENT, clock.now)

    for hours in (0.5, 2):
        clock.now = NOON + hours * HOUR
        found = standing(register, purpose=Purpose.HRESCH)
        assert (found.consenting, found.refusing) == (frozenset(), frozenset())
    [past] = register.consents("mercy", "s1")
    assert (past.consent, past.ends) == (Consent.REFUSED, NOON + timedelta(minutes=30))


def test_a_refusal_outlasts_a_consent_that_ends(register: Register, clock: Clock) -> None:
    say(register, Consent.REFUSED, NOON, NOON + 9 * HOUR)
    say(register, Consent.GIVEN, NOON + HOUR, NOON + 2 * HOUR)
    say(register, Consent.REFUSED, NOON + 5 * HOUR)
    say(register, Consent.GIVEN, NOON + 3 * HOUR, NOON + 6 * HOUR)

    seen = []
    for hours in (0, 1, 2, 3, 5, 6, 20):
        clock.now = NOON + hours * HOUR
        found = standing(register, purpose=Purpose.HRESCH)
        seen.append((bool(found.consenting), bool(found.refusing)))

    no, yes = (False, True), (True, False)
    assert seen == [no, yes, no, yes, yes, no, no]


def test_a_consent_without_end_takes_every_refusal_back(register: Register, clock: Clock) -> None:
    say(register, Consent.REFUSED, NOON)
    say(register, Consent.REFUSED, NOON + 5 * HOUR)
    say(register, Consent.GIVEN, NOON + HOUR)

    for hours in (1, 6):
        clock.now = NOON + hours * HOUR
        found = standing(register, purpose=Purpose.HRESCH)
        assert (found.consenting, found.refusing) == ({"s1"}, frozenset())


def test_a_word_that_nobody_knows_counts_as_a_refusal(register: Register) -> None:
    say(register, Consent.GIVEN, NOON)
    with register._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE access_consents SET consent = 'yes'")

    assert standing(register, purpose=Purpose.HRESCH).refusing == {"s1"}


def glass(name: str, subject: str = "s1", who: str = "lee") -> Opening:
    return Opening(name, "mercy", who, subject, Purpose.ETREAT, NOON, NOON + HOUR, b"sealed")


def test_an_opening_counts_for_its_person_purpose_and_time_alone(
    register: Register, clock: Clock
) -> None:
    register.open_glass(glass("g1"), most=3)

    assert standing(register, purpose=Purpose.ETREAT).opened == {"s1"}
    assert standing(register, purpose=Purpose.ETREAT).glass == ("g1",)
    assert standing(register).opened == frozenset()
    assert standing(register, replace(LEE, id="x"), Purpose.ETREAT).opened == frozenset()
    assert standing(register, replace(LEE, tenant="harbor"), Purpose.ETREAT).glass == ()
    clock.now = NOON + HOUR
    assert standing(register, purpose=Purpose.ETREAT).opened == frozenset()


def test_of_many_openings_at_once_no_more_than_the_most_hold(register: Register) -> None:
    done: list[bool] = []

    def open_one(number: int) -> None:
        done.append(register.open_glass(glass(f"g{number}"), most=3))

    threads = [threading.Thread(target=open_one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [False] * 5 + [True] * 3
    assert len(standing(register, purpose=Purpose.ETREAT).glass) == 3
    assert register.open_glass(glass("other", who="adams"), most=3)


def test_a_use_is_noted_once_for_each_request_that_showed_something_by_it(
    register: Register,
) -> None:
    register.open_glass(glass("g1"), most=3)
    register.open_glass(glass("g2", "s2"), most=3)
    now = standing(register, purpose=Purpose.ETREAT)

    for request, subjects in (("r1", {"s1"}), ("r1", {"s1"}), ("r2", {"s1", "s9"}), ("r3", {"s9"})):
        register.note_use(now, request, frozenset(subjects))

    assert {one.id: one.uses for one in register.openings("mercy")} == {"g1": 2, "g2": 0}


def test_of_many_reviewers_one_signs_off(register: Register) -> None:
    register.open_glass(glass("g1"), most=3)
    done: list[bool] = []

    def sign(number: int) -> None:
        done.append(register.sign_off("g1", verdict="ok", reviewer=f"r{number}", note=b""))

    threads = [threading.Thread(target=sign, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [False] * 7 + [True]
    assert register.openings("mercy", reviewed=False) == []


def test_a_value_stays_unmasked_for_its_person_passage_and_time(
    register: Register, clock: Clock
) -> None:
    register.unmask(LEE, "chunk", "[PERSON:a]", NOON + HOUR)
    register.unmask(LEE, "chunk", "[PERSON:a]", NOON + HOUR)

    assert register.unmasked(LEE, "chunk") == {"[PERSON:a]"}
    assert register.unmasked(LEE, "other") == frozenset()
    assert register.unmasked(replace(LEE, id="x"), "chunk") == frozenset()
    assert register.unmasked(replace(LEE, tenant="harbor"), "chunk") == frozenset()
    clock.now = NOON + HOUR
    assert register.unmasked(LEE, "chunk") == frozenset()


def test_of_who_is_forgotten_nothing_stays(register: Register) -> None:
    register.relate("mercy", [Relation("lee", "s1", NOON), Relation("lee", "s2", NOON)])
    say(register, Consent.GIVEN, NOON)
    register.open_glass(glass("g1"), most=3)
    register.note_use(standing(register, purpose=Purpose.ETREAT), "r1", frozenset({"s1"}))

    assert register.forget("mercy", "s1") == 3

    left = standing(register, purpose=Purpose.ETREAT)
    assert (left.related, left.opened) == ({"s_key", "s2"}, frozenset())
    assert register.consents("mercy", "s1") == []
    # That it happened waits for its verdict still, without a word of whom or why.
    [waiting] = register.openings("mercy", reviewed=False)
    assert (waiting.sealed, waiting.uses) == (b"", 1)


def test_a_database_that_does_not_answer_is_said_and_nothing_is_left_out(
    register: Register,
) -> None:
    with register._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE access_consents")

    with pytest.raises(UnavailableError):
        standing(register)
