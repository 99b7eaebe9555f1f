"""The client's own conversations, held so that one also learns which slot answered and how often it was asked."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Generic, NamedTuple, TypeVar

import httpx

from services.client.exchange import Conversation, Failure, Line, Policy, Reply, Wait
from services.client.transport import base, came, failed, headers_for, options

__all__ = ["Asking", "Held"]

T = TypeVar("T")

SLOT = "x-rankloop-slot"


class Held(NamedTuple, Generic[T]):
    """What came of a conversation.

    Attributes:
        answer: the service's.
        slot: which slot gave it; empty where the edge did not say.
        later: how often the service said "later" or nothing before it.
    """

    answer: T
    slot: str
    later: int


class Asking:
    """Asks one service as `AsyncClient` does: the same tries, waits and errors.

    Args:
        url: the edge's address.
        token: None: that of `RANKLOOP_TOKEN`.
        policy: how long, how often.
        seed: of the random part of waits.
        transport: instead of the network.
        sleep: how to wait.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        policy: Policy,
        seed: int,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.line = Line(policy, Random(seed), time.monotonic, time.time)
        self.later = 0
        self._url, self._sleep = url, sleep
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=64)
        self._http = httpx.AsyncClient(base_url=base(url), headers=headers_for(token), limits=limits, transport=transport)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def hold(self, conversation: Conversation[T]) -> Held[T]:
        """Holds a conversation to its end.

        Raises:
            ApiError: as the conversation does.
        """
        outcome: Reply | Failure | None = None
        slot, waits = "", 0
        try:
            while True:
                step = conversation.send(outcome)
                if isinstance(step, Wait):
                    waits += 1
                    self.later += 1
                    await self._sleep(step.seconds)
                    outcome = None
                    continue
                try:
                    outcome = came(await self._http.request(**options(step)))
                    slot = outcome.headers.get(SLOT, "")
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    outcome = failed(error, self._url)
        except StopIteration as ended:
            return Held(ended.value, slot, waits)
