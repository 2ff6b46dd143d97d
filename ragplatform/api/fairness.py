"""Whose request is at work: few at once, shared out between tenants and persons, none by count.

A batch job may ask without end, yet it never holds more than a person's share, and whoever waits
beside it is served by turns: a tenant after a tenant and, within each, a person after a person.
Who waits does so in the event loop and takes no thread from those at work.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from ragplatform.api.caller import Caller
from ragplatform.errors import BusyError
from ragplatform.wiring import Platform

# How much the newest duration counts in what a request typically takes.
_NEWEST: Final = 0.2
_LONGEST_RETRY_S: Final = 120


@dataclass(frozen=True, slots=True)
class Shares:
    """How many requests may be at work, and how many may wait for that and for how long."""

    at_once: int
    per_tenant: int
    per_person: int
    waiting: int
    longest_wait_s: float


@dataclass(slots=True, eq=False)
class _Turn:
    """One request; ``admitted`` becomes true when it may work, false when it may not."""

    tenant: str
    person: str
    admitted: asyncio.Future[bool]


class Turns:
    """Gives requests their turn to work. Belongs to one event loop.

    Before somebody's request works, every other person who waits in the tenant gets at most one
    turn; tenants take turns in the same way.
    """

    def __init__(self, shares: Shares, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares = shares
        self._clock = clock
        self._running: dict[_Turn, float] = {}
        # Tenant to person to requests; who is first in a dictionary is served next.
        self._waiting: dict[str, dict[str, deque[_Turn]]] = {}
        self._typical_s = 1.0

    @property
    def at_work(self) -> int:
        """How many requests are at work."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(map(self._waiting_of, self._waiting))

    @property
    def room_for_what_can_wait(self) -> bool:
        """Whether something may begin that nobody sits in front of.

        Only while no request waits and half of all places are free: whoever asks meanwhile finds
        one without waiting for it to end.
        """
        return not self._waiting and 2 * len(self._running) < self._shares.at_once

    @asynccontextmanager
    async def turn(self, tenant: str, person: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it for as long as the block runs, however that ends.

        Raises ``BusyError`` when too many wait, or when the turn did not come in time.
        """
        loop = asyncio.get_running_loop()
        turn = _Turn(tenant, person, loop.create_future())
        self._join(turn)
        timer = loop.call_later(self._shares.longest_wait_s, _decline, turn)
        try:
            if not await turn.admitted:
                raise self._busy(tenant, person)
            timer.cancel()
            yield
        finally:
            timer.cancel()
            self._leave(turn)

    def _join(self, turn: _Turn) -> None:
        if self._may_work(turn.tenant, turn.person):
            # Whoever waits now may not work, or it would be at work.
            self._start(turn)
            return
        if self.waiting >= self._shares.waiting:
            self._make_room(turn)
        self._waiting.setdefault(turn.tenant, {}).setdefault(turn.person, deque()).append(turn)

    def _make_room(self, turn: _Turn) -> None:
        """Turn away the newest request of whoever has most waiting: the newcomer, if it is that."""

        def tenant_waits(tenant: str) -> tuple[int, bool]:
            own = tenant == turn.tenant
            return self._waiting_of(tenant) + own, own

        tenant = max([turn.tenant, *self._waiting], key=tenant_waits)
        lines = self._waiting.get(tenant, {})
        own = tenant == turn.tenant

        def person_waits(person: str) -> tuple[int, bool]:
            mine = own and person == turn.person
            return len(lines.get(person, ())) + mine, mine

        person = max([*lines, *([turn.person] if own else [])], key=person_waits)
        if own and person == turn.person:
            raise self._busy(tenant, person)
        newest = lines[person][-1]
        self._withdraw(newest)
        _decline(newest)

    def _leave(self, turn: _Turn) -> None:
        began = self._running.pop(turn, None)
        if began is None:
            self._withdraw(turn)
            return
        self._typical_s += _NEWEST * (self._clock() - began - self._typical_s)
        while next_turn := self._next():
            self._start(next_turn)

    def _start(self, turn: _Turn) -> None:
        self._running[turn] = self._clock()
        turn.admitted.set_result(True)

    def _next(self) -> _Turn | None:
        """Take the request out of the lines that is to work next, if one may."""
        for tenant, lines in self._waiting.items():
            for person, line in lines.items():
                if not self._may_work(tenant, person):
                    continue
                # One whose caller went away, or whose time ran out, is about to leave by itself.
                turn = next((one for one in line if not one.admitted.done()), None)
                if turn is not None:
                    self._withdraw(turn)
                    self._to_the_end(tenant, person)
                    return turn
        return None

    def _withdraw(self, turn: _Turn) -> None:
        lines = self._waiting.get(turn.tenant, {})
        line = lines.get(turn.person, deque())
        if turn not in line:
            return
        line.remove(turn)
        if not line:
            del lines[turn.person]
        if not lines:
            del self._waiting[turn.tenant]

    def _to_the_end(self, tenant: str, person: str) -> None:
        if lines := self._waiting.pop(tenant, None):
            self._waiting[tenant] = lines
            if line := lines.pop(person, None):
                lines[person] = line

    def _may_work(self, tenant: str, person: str) -> bool:
        own = [turn for turn in self._running if turn.tenant == tenant]
        return (
            len(self._running) < self._shares.at_once
            and len(own) < self._shares.per_tenant
            and sum(turn.person == person for turn in own) < self._shares.per_person
        )

    def _waiting_of(self, tenant: str) -> int:
        return sum(map(len, self._waiting.get(tenant, {}).values()))

    def _busy(self, tenant: str, person: str) -> BusyError:
        """Return the refusal, with when what is at work and waits should be through."""
        now = self._clock()
        ages = [now - began for began in self._running.values()]
        # What is at work may take longer than what was done before it.
        typical_s = max(self._typical_s, sum(ages) / max(1, len(ages)))
        ahead = len(self._waiting.get(tenant, {}).get(person, ())) + 1
        rounds = max(ahead / self._shares.per_person, (self.waiting + 1) / self._shares.at_once)
        retry_after_s = min(_LONGEST_RETRY_S, max(1, math.ceil(rounds * typical_s)))
        return BusyError(
            "the service works on as much as it can, and this request found no turn in time: "
            "nothing was done; ask again after the time in Retry-After",
            retry_after_s=retry_after_s,
        )


def _decline(turn: _Turn) -> None:
    if not turn.admitted.done():
        turn.admitted.set_result(False)


async def _hold(request: Request, who: Caller) -> AsyncIterator[None]:
    """Hold a turn until the response is sent, or the caller went away."""
    platform: Platform = request.app.state.platform
    turns: Turns = request.app.state.turns
    try:
        async with turns.turn(who.tenant, who.id):
            yield
    except BusyError:
        state = request.state
        await run_in_threadpool(platform.record_turned_away, who, state.request_id, state.trace)
        raise


ONE_TURN: Final = Depends(_hold)
"""What a route depends on so that its requests wait for their turn."""
