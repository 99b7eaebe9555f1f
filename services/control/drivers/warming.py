"""What a release that nobody gets yet says to real requests: whether it answers, and how fast."""

import math
import time
from collections.abc import Sequence
from typing import Final

import httpx
import msgspec

from services.ranking.schemas import Answer, RecommendRequest, SearchRequest

__all__ = ["Asked", "Warmth", "warm"]

Asked = RecommendRequest | SearchRequest
"""What a person may ask for a list by."""

_WORST: Final = 5
_ANSWER_SECONDS: Final = 10.0


class Warmth(msgspec.Struct, frozen=True, kw_only=True):
    """How a release took the requests.

    Attributes:
        requests: how many it was asked.
        failed: how many of them had no answer of its own: an error, another release's, or none at all.
        empty: how many answers held no item.
        p50_ms: the median time of an answer, milliseconds, from the request to its last byte; None where there is no answer.
        p95_ms: the time that one answer of twenty takes longer than, milliseconds; None where there is no answer.
        worst: up to five of the failures, each other one, in words.
        unasked: how many were not asked, since the time was over.
    """

    requests: int
    failed: int
    empty: int
    p50_ms: float | None
    p95_ms: float | None
    worst: tuple[str, ...] = ()
    unasked: int = 0

    @property
    def is_well(self) -> bool:
        """Whether it was asked at all, each request got an answer, and some answer held items."""
        return self.requests > self.empty and not self.failed


def warm(url: str, requests: Sequence[Asked], *, seconds: float, release_id: str | None = None, token: str = "") -> Warmth:
    """Asks a slot what people asked, one request after the other, and logs none of it as an impression.

    Args:
        url: of the slot, such as `http://127.0.0.1:21011/green`.
        requests: what to ask.
        seconds: the longest time for all of them; what is left then is not asked.
        release_id: the release that must answer; None: whichever does.
        token: of this program, with the scope to read; empty: none.
    """
    from services.ranking.interleave import PART  # the rollback, which shares this package, need not wait for it

    headers = {PART: "1", "Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    end, times, empty = time.monotonic() + seconds, list[float](), 0
    failures: list[str] = []
    asked = 0
    with httpx.Client(headers=headers) as client:
        for request in requests:
            left = end - time.monotonic()
            if left <= 0:
                break
            asked += 1
            began = time.perf_counter()
            found = _answer(client, url, request, min(left, _ANSWER_SECONDS), release_id)
            if isinstance(found, str):
                failures.append(found)
                continue
            times.append(1000 * (time.perf_counter() - began))
            empty += not found.items
    return Warmth(
        requests=asked,
        failed=len(failures),
        empty=empty,
        p50_ms=_quantile(times, 0.5),
        p95_ms=_quantile(times, 0.95),
        worst=tuple(dict.fromkeys(failures))[:_WORST],
        unasked=len(requests) - asked,
    )


def _answer(client: httpx.Client, url: str, request: Asked, seconds: float, release_id: str | None) -> Answer | str:
    """The answer; or in words why there is none."""
    path = "/v1/search" if isinstance(request, SearchRequest) else "/v1/recommend"
    try:
        reply = client.post(url + path, content=msgspec.json.encode(request), timeout=seconds)
    except httpx.TimeoutException:
        return f"{path}: no answer within {seconds:.1f} s"
    except httpx.TransportError as error:
        return f"{path}: no answer: {error}"
    if reply.is_error:
        return f"{path}: {reply.status_code}: {_detail(reply)}"
    try:
        answer = msgspec.json.decode(reply.content, type=Answer)
    except msgspec.DecodeError as error:
        return f"{path}: the answer cannot be read: {error}"
    if release_id is not None and answer.release_id != release_id:
        return f"{path}: release {answer.release_id} answered, not {release_id}"
    return answer


def _detail(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["detail"])[:300]
    except (ValueError, KeyError, TypeError):
        return reply.text.strip()[:300] or "it gave no reason"


def _quantile(times: Sequence[float], share: float) -> float | None:
    """The smallest time that at least this share is not above."""
    return sorted(times)[math.ceil(share * len(times)) - 1] if times else None
