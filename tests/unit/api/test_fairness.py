"""Turns: who works, who waits and for how long, who is turned away, and that no place is lost."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ragplatform.api.fairness import Shares, Turns
from ragplatform.errors import BusyError

SHARES = Shares(at_once=4, per_tenant=4, per_person=4, waiting=1000, longest_wait_s=60.0)


class Ward:
    """Requests under test: each works until it is told to end."""

    def __init__(self, **shares: float) -> None:
        self.now = 0.0
        self.turns = Turns(replace(SHARES, **shares), clock=lambda: self.now)
        self.order: list[str] = []
        self.refused: list[tuple[str, int]] = []
        self._ends: dict[str, list[asyncio.Event]] = {}

    async def ask(self, person: str, times: int = 1) -> list[asyncio.Task[None]]:
        """Start requests of ``tenant/name`` and let them get as far as they get."""
        tasks = [asyncio.create_task(self._work(person)) for _ in range(times)]
        await settle()
        return tasks

    async def end(self, person: str) -> None:
        """Let the eldest working request of the person end."""
        self._ends[person].pop(0).set()
        await settle()

    def at_work(self, person: str) -> int:
        return len(self._ends.get(person, []))

    async def _work(self, person: str) -> None:
        tenant, name = person.split("/")
        try:
            async with self.turns.turn(tenant, name):
                self.order.append(person)
                ended = asyncio.Event()
                self._ends.setdefault(person, []).append(ended)
                try:
                    await ended.wait()
                finally:
                    if ended in self._ends[person]:
                        self._ends[person].remove(ended)
        except BusyError as error:
            self.refused.append((person, error.retry_after_s))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await settle()

    asyncio.run(whole())


def test_a_job_of_64_leaves_places_in_which_others_work_at_once() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=4, per_person=2)

        await ward.ask("mercy/batch", 64)
        await ward.ask("mercy/nurse")

        assert (ward.at_work("mercy/batch"), ward.at_work("mercy/nurse")) == (2, 1)

    run(scenario)


def test_who_waits_beside_a_job_of_64_waits_for_one_turn_of_it_at_most() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=4, per_person=4)
        await ward.ask("mercy/batch", 64)

        await ward.ask("mercy/nurse")
        for _ in range(2):
            await ward.end("mercy/batch")

        assert ward.order[4:] == ["mercy/batch", "mercy/nurse"]

    run(scenario)


def test_persons_take_turns_however_many_requests_each_has_waiting() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1)
        await ward.ask("mercy/batch", 5)
        await ward.ask("mercy/nurse", 2)
        await ward.ask("mercy/doctor", 1)

        for _ in range(8):
            await ward.end(ward.order[-1])

        assert [name.split("/")[1] for name in ward.order] == [
            *("batch", "batch", "nurse", "doctor", "batch", "nurse", "batch", "batch")
        ]

    run(scenario)


def test_tenants_take_turns_however_many_persons_each_has_waiting() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1)
        await ward.ask("mercy/first")
        for number in range(4):
            await ward.ask(f"mercy/p{number}", 3)
        await ward.ask("harbor/banker", 3)

        for _ in range(6):
            await ward.end(ward.order[-1])

        tenants = [name.split("/")[0] for name in ward.order[1:]]
        assert tenants == ["mercy", "harbor"] * 3

    run(scenario)


def test_a_tenant_never_has_more_than_its_share_though_places_are_free() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=4, per_tenant=3, per_person=2)
        for name in ("a", "b", "c"):
            await ward.ask(f"mercy/{name}", 5)

        await ward.ask("harbor/banker", 5)

        assert Counter(name.split("/")[0] for name in ward.order) == {"mercy": 3, "harbor": 1}

    run(scenario)


def test_a_turn_that_does_not_come_in_time_is_refused_and_leaves_no_trace() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1, longest_wait_s=0.01)
        await ward.ask("mercy/batch")
        waiting = await ward.ask("mercy/nurse")

        await asyncio.wait_for(waiting[0], 5)

        assert [person for person, _ in ward.refused] == ["mercy/nurse"]
        assert (ward.turns.at_work, ward.turns.waiting) == (1, 0)
        await ward.end("mercy/batch")
        assert ward.turns.at_work == 0

    run(scenario)


def test_a_full_line_turns_away_the_newest_of_whoever_has_most_waiting() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1, waiting=3)
        await ward.ask("mercy/batch", 5)
        assert [person for person, _ in ward.refused] == ["mercy/batch"]

        await ward.ask("mercy/nurse")

        assert [person for person, _ in ward.refused] == ["mercy/batch"] * 2
        assert ward.turns.waiting == 3
        await ward.end("mercy/batch")
        await ward.end("mercy/batch")
        assert ward.at_work("mercy/nurse") == 1

    run(scenario)


def test_a_tenant_that_fills_the_line_makes_room_for_another() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1, waiting=4)
        await ward.ask("mercy/first")
        for number in range(4):
            await ward.ask(f"mercy/p{number}")

        await ward.ask("harbor/banker")

        [(refused, _)] = ward.refused
        assert refused.startswith("mercy/")
        await ward.end("mercy/first")
        await ward.end(ward.order[-1])
        assert ward.at_work("harbor/banker") == 1

    run(scenario)


def test_without_room_to_wait_whoever_finds_no_place_is_refused_at_once() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1, waiting=0)

        await ward.ask("mercy/batch", 2)

        assert (len(ward.order), len(ward.refused)) == (1, 1)

    run(scenario)


def test_a_refusal_says_to_come_back_when_what_is_at_work_should_be_through() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1, waiting=2)
        await ward.ask("mercy/batch", 3)
        ward.now = 7.5

        await ward.ask("mercy/batch")

        # Two wait before it, and what is at work takes 7.5 seconds at least.
        assert ward.refused == [("mercy/batch", 23)]

    run(scenario)


def test_a_refusal_never_says_to_come_back_at_once_nor_tomorrow() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1, waiting=0)
        await ward.ask("mercy/batch", 2)
        ward.now = 1e6
        await ward.ask("mercy/batch")

        assert [seconds for _, seconds in ward.refused] == [1, 120]

    run(scenario)


@pytest.mark.parametrize("failing", [RuntimeError, asyncio.CancelledError])
def test_work_that_fails_gives_its_place_back(failing: type[BaseException]) -> None:
    async def scenario() -> None:
        turns = Turns(replace(SHARES, at_once=1))

        with pytest.raises(failing):
            async with turns.turn("mercy", "nurse"):
                raise failing

        assert turns.at_work == 0

    run(scenario)


def test_who_leaves_while_waiting_gives_the_turn_to_the_next() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1)
        await ward.ask("mercy/batch")
        [gone] = await ward.ask("mercy/gone")
        await ward.ask("mercy/nurse")

        gone.cancel()
        await ward.end("mercy/batch")

        assert ward.order == ["mercy/batch", "mercy/nurse"]

    run(scenario)


def test_who_leaves_at_the_moment_of_its_turn_loses_nobody_a_place() -> None:
    async def scenario() -> None:
        ward = Ward(at_once=1)
        await ward.ask("mercy/batch")
        [gone] = await ward.ask("mercy/gone")
        await ward.ask("mercy/nurse")

        # Admitted and cancelled before it ran again.
        ward._ends["mercy/batch"].pop().set()
        await asyncio.sleep(0)
        gone.cancel()
        await settle()

        assert ward.order[-1] == "mercy/nurse"
        assert ward.turns.at_work == 1

    run(scenario)


@pytest.mark.parametrize("seed", range(20))
def test_no_share_is_passed_and_no_place_is_lost_whatever_happens(seed: int) -> None:
    async def scenario() -> None:
        dice = random.Random(seed)
        ward = Ward(at_once=5, per_tenant=4, per_person=2, waiting=8, longest_wait_s=0.005)
        people = [f"{tenant}/{name}" for tenant in ("mercy", "harbor") for name in "abc"]
        tasks: list[asyncio.Task[None]] = []
        for _ in range(300):
            person = dice.choice(people)
            act = dice.random()
            if act < 0.5:
                tasks += await ward.ask(person)
            elif act < 0.8 and ward.at_work(person):
                await ward.end(person)
            elif act < 0.95 and tasks:
                tasks.pop(dice.randrange(len(tasks))).cancel()
                await settle()
            else:
                await asyncio.sleep(0.006)
            working = Counter({one: ward.at_work(one) for one in people})
            assert working.total() == ward.turns.at_work <= 5
            assert max(working.values()) <= 2
            assert sum(n for one, n in working.items() if one.startswith("mercy")) <= 4
            assert ward.turns.waiting <= 8
            assert not [
                person
                for tenant, lines in ward.turns._waiting.items()
                for person in lines
                if ward.turns._may_work(tenant, person)
            ]

        for task in tasks:
            task.cancel()
        await settle()

        assert (ward.turns.at_work, ward.turns.waiting) == (0, 0)

    run(scenario)
