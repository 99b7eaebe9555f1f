"""When to send, when to wait and when to give up, as a conversation with whoever owns the network and the clock.

A conversation is a generator: it yields `Send` or `Wait`, is told what came of it, and returns the answer. Both clients
hold the same conversations; one blocks where the other awaits.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from random import Random
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from rankloop.errors import ApiError, SettingsError, Unavailable
from services.client.calls import Call
from services.ranking.schemas import Problem

__all__ = ["Conversation", "Failure", "Line", "Policy", "Reply", "Send", "Step", "Wait", "asked"]

T = TypeVar("T")

_LATER: Final = frozenset({429, 502, 503, 504})
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait, and how often to try.

    Every question of this client may be asked twice: an answer changes nothing, an event has its id, and a person is
    forgotten once. So each is tried again after a broken connection and after 429, 502, 503 and 504: after what
    `Retry-After` says, and a random part of a wait that doubles.

    Attributes:
        connect: longest wait for a connection, seconds.
        read: longest silence of the service, seconds.
        tries: how often a question is sent at most.
        budget: no try begins later than this after the first, seconds, and none is given more than what is left.
        first_wait: the upper end of the first random wait, seconds.
        longest_wait: where doubling ends, seconds.

    Raises:
        SettingsError: a value that cannot work.
    """

    connect: float = 1.0
    read: float = 5.0
    tries: int = 4
    budget: float = 10.0
    first_wait: float = 0.05
    longest_wait: float = 2.0

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in self.__slots__}
        for name, value in values.items():
            if not value > 0:
                raise SettingsError(f"{name} is {value!r}; it must be more than 0")


class Send(NamedTuple):
    """Send this, and tell what came.

    Attributes:
        call: the question.
        connect: longest wait for a connection, seconds.
        read: longest silence, seconds.
    """

    call: Call[Any]
    connect: float
    read: float


class Wait(NamedTuple):
    """Do nothing for so many seconds."""

    seconds: float


class Reply(NamedTuple):
    """What the service said; header names are found in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Failure(NamedTuple):
    """Nothing came, in words."""

    reason: str


Step = Send | Wait
Conversation = Generator[Step, Reply | Failure | None, T]


class Line(NamedTuple):
    """What a conversation needs of the world.

    Attributes:
        policy: how long, how often.
        rng: spreads the waits of many clients.
        now: seconds on a clock that never goes back.
        wall: seconds since the epoch, for a `Retry-After` that is a date.
    """

    policy: Policy
    rng: Random
    now: Callable[[], float]
    wall: Callable[[], float]


def asked(line: Line, call: Call[T]) -> Conversation[T]:
    """Asks until there is an answer, or a reason to give up.

    Raises:
        ApiError: the service refused, failed, or said what cannot be read.
        Unavailable: no answer came, or only "later", as often as the policy allows.
    """
    policy, began = line.policy, line.now()
    left = policy.budget
    for number in range(1, policy.tries + 1):
        came = yield Send(call, min(policy.connect, left), min(policy.read, left))
        if isinstance(came, Reply) and came.status not in _LATER:
            return _read(call, came)
        wait = _wait(line, came, number)
        left = began + policy.budget - line.now() - wait
        if number == policy.tries or left <= 0:
            raise _gave_up(call, came, number, line.now() - began)
        yield Wait(wait)
    raise AssertionError("a policy has at least one try")


def _read(call: Call[T], reply: Reply) -> T:
    if not 200 <= reply.status < 300:
        detail, request_id = _explained(call, reply)
        raise ApiError(reply.status, detail, request_id)
    try:
        return msgspec.json.decode(reply.content, type=call.answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"what {call.path} answered cannot be read: {error}"
        raise ApiError(reply.status, detail, call.request_id, "use the client of the service's version") from error


def _gave_up(call: Call[Any], came: Reply | Failure | None, tries: int, seconds: float) -> Unavailable:
    remedy = f"tried {tries} times in {seconds:.1f} s; ask again later"
    if isinstance(came, Reply):
        detail, request_id = _explained(call, came)
        return Unavailable(came.status, detail, request_id, remedy)
    return Unavailable(None, came.reason if came else "nothing was sent", call.request_id, remedy)


def _explained(call: Call[Any], reply: Reply) -> tuple[str, str]:
    """The detail and the request id of a problem, or what can be said of an answer that is none."""
    try:
        problem = msgspec.json.decode(reply.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        known = reply.status in HTTPStatus._value2member_map_
        text = reply.content[:_SHOWN].decode(errors="replace").strip()
        return text or (HTTPStatus(reply.status).phrase if known else "no reason given"), call.request_id
    return problem.detail, problem.request_id or call.request_id


def _wait(line: Line, came: Reply | Failure | None, number: int) -> float:
    jitter = line.rng.uniform(0.0, min(line.policy.longest_wait, line.policy.first_wait * 2 ** (number - 1)))
    given = came.headers.get("retry-after", "") if isinstance(came, Reply) else ""
    return _seconds(given.strip(), line.wall()) + jitter


def _seconds(retry_after: str, wall: float) -> float:
    """What `Retry-After` asks for: seconds, or a date; nothing where it is neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(wall, UTC)).total_seconds())
