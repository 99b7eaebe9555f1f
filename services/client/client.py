"""The client that blocks."""

import time
from collections.abc import Callable, Iterable, Sequence
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

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """Asks a Rankloop service; safe to share between threads, and cheap only when kept: it reuses its connections.

    Every method tries again as its policy says, and raises `ApiError` where the service refused, `Unavailable` where it
    could not be had. `request_id` names a request in the service's logs and is made where absent; `unit` is what the
    edge splits traffic by where that is not the user.

    Args:
        url: the edge's address.
        token: None: that of `RANKLOOP_TOKEN`, where it is set.
        policy: how long, how often.
        transport: instead of the network.
        rng: of the random part of waits.
        sleep: how to wait.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     [item.title for item in client.recommend("u17", k=3).items]
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        policy: Policy | None = None,
        transport: httpx.BaseTransport | None = None,
        rng: Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._sleep = url, sleep
        self._line = Line(policy or Policy(), rng or Random(), time.monotonic, time.time)
        self._http = httpx.Client(base_url=base(url), headers=headers_for(token), transport=transport)

    def recommend(
        self, user_id: str, k: int = 10, surface: str = "job_feed", *, request_id: str | None = None, unit: str | None = None
    ) -> Answer:
        """The best items for a person."""
        return self._asked(calls.recommend(user_id, k, surface, request_id, unit))

    def search(
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
        return self._asked(calls.search(query, user_id, k, surface, request_id, unit))

    def rank(
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
        return self._asked(calls.rank(RankRequest(user_id, list(item_ids), query, explain, surface), request_id, unit))

    def similar(self, item_id: str, k: int = 10, *, request_id: str | None = None, unit: str | None = None) -> SimilarAnswer:
        """Open items near one item."""
        return self._asked(calls.similar(item_id, k, request_id, unit))

    def send_events(self, events: Iterable[Event], *, batch: int = 1000) -> Accepted:
        """Says what people did, in batches; an event without an id is given one before it is first sent.

        The answer counts over all batches, and `index` is the place among all events. Events that the service rejects
        one by one are no error: sent again as they are, they would be rejected again.

        Raises:
            ApiError: a batch was refused as a whole; `unsent` holds its events and those after it.
        """
        return self._held(sent(self._line, events, batch))

    def delete_user(self, user_id: str, *, request_id: str | None = None) -> Receipt:
        """Has a person forgotten; the receipt says how far that is."""
        return self._asked(calls.delete_user(user_id, request_id))

    def receipt(self, receipt_id: str, *, request_id: str | None = None) -> Receipt:
        """How far a deletion is."""
        return self._asked(calls.receipt(receipt_id, request_id))

    def user_state(self, user_id: str, *, request_id: str | None = None) -> StateShown:
        """What is known this second of a person."""
        return self._asked(calls.user_state(user_id, request_id))

    def ready(self, *, request_id: str | None = None) -> Readiness:
        """Which release answers."""
        return self._asked(calls.ready(request_id))

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _asked(self, call: Call[T]) -> T:
        return self._held(asked(self._line, call))

    def _held(self, conversation: Conversation[T]) -> T:
        outcome: Reply | Failure | None = None
        try:
            while True:
                step = conversation.send(outcome)
                if isinstance(step, Wait):
                    self._sleep(step.seconds)
                    outcome = None
                else:
                    outcome = self._sent(step)
        except StopIteration as ended:
            answer: T = ended.value
            return answer

    def _sent(self, step: Send) -> Reply | Failure:
        try:
            return came(self._http.request(**options(step)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return failed(error, self._url)
