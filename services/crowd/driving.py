"""An open loop: people come at a rate whatever the service does, read what they are given, and tell what they did."""

import asyncio
import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, cast

import msgspec
import numpy as np

from rankloop.errors import ApiError, SettingsError, Unavailable
from rankloop.simulation import Crowd, Visit
from services.client import Event, calls
from services.client.events import named, sent
from services.client.exchange import asked
from services.crowd.asking import Asking
from services.crowd.seen import Key, Report, Seen
from services.events.wire import Kind

__all__ = ["HASTE", "Driver", "Plan"]

HASTE: Final = 3600.0
"""An hour of the marketplace is a second here: an application follows within seconds, a hire within minutes."""

_POST_SECONDS: Final = 0.25
_BATCH: Final = 500
"""Events at once: few enough to go in one request, so that a batch is taken whole or not."""

_DRAWN: Final = 256


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a crowd comes.

    Attributes:
        rate: people a second, in the mean; they come at random moments.
        seconds: how long; 0: until told to stop.
        k: items they ask for.
        haste: seconds of the marketplace's time in one of ours, between a list and what follows it.
        most_waiting: people who may wait for an answer at once; whoever comes beyond that leaves without asking.

    Raises:
        SettingsError: a number that cannot work.
    """

    rate: float = 20.0
    seconds: float = 60.0
    k: int = 10
    haste: float = HASTE
    most_waiting: int = 500

    def __post_init__(self) -> None:
        for name in ("rate", "k", "haste", "most_waiting"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be more than 0")
        if not self.seconds >= 0:
            raise SettingsError(f"seconds is {self.seconds}; give how long people come, or 0 for until Ctrl-C")


class Driver:
    """One crowd before one service.

    Args:
        crowd: who comes, and what they do.
        asking: where they ask.
        plan: how many, how long.
        seed: of the moments at which they come.

    Attributes:
        seen: the counts so far.
    """

    def __init__(self, crowd: Crowd, asking: Asking, plan: Plan, *, seed: int) -> None:
        self.seen = Seen()
        self._crowd, self._asking, self._plan = crowd, asking, plan
        self._rng = np.random.default_rng(seed)
        self._visits: list[Visit] = []
        self._to_come: list[tuple[float, int, Event]] = []
        self._due: list[Event] = []
        self._whose: dict[str, Key] = {}
        self._waiting = self._numbered = 0

    async def run(self, stopping: asyncio.Event | None = None, tell: Callable[[Seen, float], None] | None = None) -> Report:
        """Lets them come until the time is over or `stopping` is set, and waits for those who wait.

        Args:
            stopping: set from outside to end early.
            tell: called a few times a second with the counts and the seconds so far.

        Raises:
            DataError: the release shows items that the crowd's marketplace does not have.
            ApiError: the service does not take events of ours at all.
        """
        stopping, began = stopping or asyncio.Event(), time.monotonic()
        posting = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                teller = tasks.create_task(self._post_until(posting, tell, began))
                async with asyncio.TaskGroup() as people:
                    await self._come(people, stopping, began)
                seconds = time.monotonic() - began
                posting.set()
                await teller
        except BaseExceptionGroup as group:
            raise _first(group) from None
        self.seen.unsent, self.seen.to_come = len(self._due), len(self._to_come)
        return self.seen.report(seconds)

    async def _come(self, people: asyncio.TaskGroup, stopping: asyncio.Event, began: float) -> None:
        due, end = began, began + (self._plan.seconds or float("inf"))
        while not stopping.is_set():
            due += self._rng.exponential(1 / self._plan.rate)
            if due >= end:
                return
            if (wait := due - time.monotonic()) > 0 and await _set_within(stopping, wait):
                return
            visit = self._next()
            self.seen.came += 1
            if self._waiting >= self._plan.most_waiting:
                self.seen.unasked += 1
                continue
            people.create_task(self._one(visit, due))

    def _next(self) -> Visit:
        if not self._visits:
            self._visits = self._crowd.visits(_DRAWN)[::-1]
        return self._visits.pop()

    async def _one(self, visit: Visit, due: float) -> None:
        """One person: asks, reads, and will act."""
        k = self._plan.k
        if visit.query is None:
            call = calls.recommend(visit.user_id, k, visit.surface, None, None)
        else:
            call = calls.search(visit.query, visit.user_id, k, visit.surface, None, None)
        self._waiting += 1
        try:
            held = await self._asking.hold(asked(self._asking.line, call))
        except ApiError as error:
            self.seen.failed[str(error.status or "no answer")] += 1
            return
        finally:
            self._waiting -= 1
            self.seen.later = self._asking.later
        now, answer = time.monotonic(), held.answer
        key = self.seen.list_shown(held.slot, answer, visit.user_id, now - due)
        for deed in self._crowd.react(visit, [item.item_id for item in answer.items]):
            event = Event(
                user_id=visit.user_id,
                item_id=deed.item_id,
                kind=cast(Kind, deed.kind),
                value=deed.value,
                request_id=answer.request_id,
            )
            self._will_send(now + deed.after / self._plan.haste, event, key)

    def _will_send(self, due: float, event: Event, key: Key) -> None:
        (event,) = named([event])
        assert event.event_id is not None
        self._whose[event.event_id] = key
        heapq.heappush(self._to_come, (due, self._numbered, event))
        self._numbered += 1

    async def _post_until(self, over: asyncio.Event, tell: Callable[[Seen, float], None] | None, began: float) -> None:
        """Sends what is due several times a second, and once more when everybody has left."""
        last = False
        while not last:
            last = await _set_within(over, _POST_SECONDS)
            await self._post()
            if tell is not None:
                tell(self.seen, time.monotonic() - began)

    async def _post(self) -> None:
        now, moment = time.monotonic(), datetime.now(UTC)
        while self._to_come and self._to_come[0][0] <= now:
            self._due.append(msgspec.structs.replace(heapq.heappop(self._to_come)[2], ts=moment))
        waiting, self._due = self._due, []
        for start in range(0, len(waiting), _BATCH):
            chunk = waiting[start : start + _BATCH]
            try:
                held = await self._asking.hold(sent(self._asking.line, chunk, _BATCH))
            except Unavailable:
                self._due += chunk  # with their ids: what was taken after all is not taken twice
                continue
            self._taken(chunk, {one.index: one.reason for one in held.answer.rejected})

    def _taken(self, events: list[Event], rejected: dict[int, str]) -> None:
        for index, event in enumerate(events):
            key = self._whose.pop(event.event_id or "")
            if index in rejected:
                self.seen.rejected[rejected[index]] += 1
            else:
                self.seen.deed_taken(key, event.kind)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event is set within so many seconds."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error itself, out of the groups it came in."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
