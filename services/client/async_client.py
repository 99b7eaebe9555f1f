"""The client that awaits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from types import TracebackType
from typing import TypeVar

import httpx

from services.client import calls
from services.client.calls import Call
from services.client.events import Event, sent
from services.client.exchange import Conversation, Failure, Line, Policy, Reply, Send, Wait, asked
from services.client.transport import base, came, failed, headers_for, options
from services.events.wire import Accepted, Receipt, StateShown
from services.ranking.schemas import Answer, RankAnswer, RankRequest, Readiness, SimilarAnswer

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient:
    """`Client` for code that awaits; the same questions, arguments, tries and errors.

    Args:
        url: the edge's address.
        token: None: that of `RANKLOOP_TOKEN`, where it is set.
        policy: how long, how often.
        transport: instead of the network.
        rng: of the random part of waits.
        sleep: how to wait.

    Example:
        >>> async with AsyncClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     answer = await client.recommend("u17", k=3)
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        policy: Policy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        rng: Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url, self._sleep = url, sleep
        self._line = Line(policy or Policy(), rng or Random(), time.monotonic, time.time)
        self._http = httpx.AsyncClient(base_url=base(url), headers=headers_for(token), transport=transport)

    async def recommend(
        self, user_id: str, k: int = 10, surface: str = "job_feed", *, request_id: str | None = None, unit: str | None = None
    ) -> Answer:
        """The best items for a person."""
        return await self._asked(calls.recommend(user_id, k, surface, request_id, unit))

    async def search(
        self,
        query: str,
        user_id: str | None = None,
        k: int = 10,
        surface: str = "job_search",
        *,
        request_id: str | None = None,
        unit: str | None = None,
    ) -> Answer:
        """The best items for a search text, for a person where one is named."""
        return await self._asked(calls.search(query, user_id, k, surface, request_id, unit))

    async def rank(
        self,
        user_id: str,
        item_ids: Sequence[str],
        *,
        query: str | None = None,
        explain: bool = False,
        surface: str | None = None,
        request_id: str | None = None,
        unit: str | None = None,
    ) -> RankAnswer:
        """Given items in the release's order; with `explain`, why."""
        return await self._asked(calls.rank(RankRequest(user_id, list(item_ids), query, explain, surface), request_id, unit))

    async def similar(
        self, item_id: str, k: int = 10, *, request_id: str | None = None, unit: str | None = None
    ) -> SimilarAnswer:
        """Open items near one item."""
        return await self._asked(calls.similar(item_id, k, request_id, unit))

    async def send_events(self, events: Iterable[Event], *, batch: int = 1000) -> Accepted:
        """Says what people did, in batches; an event without an id is given one before it is first sent.

        The answer counts over all batches, and `index` is the place among all events. Events that the service rejects
        one by one are no error: sent again as they are, they would be rejected again.

        Raises:
            ApiError: a batch was refused as a whole; `unsent` holds its events and those after it.
        """
        return await self._held(sent(self._line, events, batch))

    async def delete_user(self, user_id: str, *, request_id: str | None = None) -> Receipt:
        """Has a person forgotten; the receipt says how far that is."""
        return await self._asked(calls.delete_user(user_id, request_id))

    async def receipt(self, receipt_id: str, *, request_id: str | None = None) -> Receipt:
        """How far a deletion is."""
        return await self._asked(calls.receipt(receipt_id, request_id))

    async def user_state(self, user_id: str, *, request_id: str | None = None) -> StateShown:
        """What is known this second of a person."""
        return await self._asked(calls.user_state(user_id, request_id))

    async def ready(self, *, request_id: str | None = None) -> Readiness:
        """Which release answers."""
        return await self._asked(calls.ready(request_id))

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def _asked(self, call: Call[T]) -> T:
        return await self._held(asked(self._line, call))

    async def _held(self, conversation: Conversation[T]) -> T:
        outcome: Reply | Failure | None = None
        try:
            while True:
                step = conversation.send(outcome)
                if isinstance(step, Wait):
                    await self._sleep(step.seconds)
                    outcome = None
                else:
                    outcome = await self._sent(step)
        except StopIteration as ended:
            answer: T = ended.value
            return answer

    async def _sent(self, step: Send) -> Reply | Failure:
        try:
            return came(await self._http.request(**options(step)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return failed(error, self._url)
