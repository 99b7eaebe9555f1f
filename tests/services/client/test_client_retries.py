"""What a client does when the service is slow, away, or says "later"."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import ApiError, DataError, SettingsError, Unavailable
from services.client import Policy
from services.client.calls import ready, recommend
from services.client.exchange import Failure, Line, Reply, Send, Wait, asked
from tests.services.client.conftest import ANSWER

Open = Callable[..., Any]
BUSY = {"status": 503, "title": "Service Unavailable", "detail": "too much is asked; ask again", "request_id": "q7"}


@pytest.mark.parametrize("trouble", [(502, b"bad"), (503, BUSY), (504, b""), (429, BUSY), "drop", "half"])
def test_a_passing_trouble_is_not_seen(toy: Any, open_client: Open, trouble: Any) -> None:
    toy.plan = [trouble, trouble, (200, ANSWER)]
    client = open_client(toy.url)
    assert client.recommend("u1").items[0].item_id == "j1"
    assert len(toy.asked) == 3
    assert len(client.waits) == 2


def test_every_try_asks_the_same_under_the_same_id(toy: Any, open_client: Open) -> None:
    toy.plan = [(503, BUSY), "drop", (200, ANSWER)]
    open_client(toy.url).recommend("u1", 3)
    assert len({headers["x-request-id"] for _, _, headers, _ in toy.asked}) == 1
    assert [body for _, _, _, body in toy.asked] == [{"user_id": "u1", "k": 3, "surface": "job_feed"}] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 500])
def test_a_refusal_is_told_at_once_in_the_words_of_the_service(toy: Any, open_client: Open, status: int) -> None:
    toy.plan = [(status, BUSY | {"status": status})]
    with pytest.raises(ApiError, match="too much is asked") as told:
        open_client(toy.url).recommend("u1")
    assert not isinstance(told.value, Unavailable)
    assert (told.value.status, told.value.detail, told.value.request_id) == (status, BUSY["detail"], "q7")
    assert len(toy.asked) == 1


def test_after_the_last_try_it_is_told_as_unavailable(toy: Any, open_client: Open) -> None:
    toy.plan = [(503, BUSY)]
    with pytest.raises(Unavailable, match="tried 3 times") as told:
        open_client(toy.url, policy=Policy(tries=3)).recommend("u1", request_id="mine")
    assert (told.value.status, told.value.request_id) == (503, "q7")
    assert len(toy.asked) == 3


def test_a_service_that_is_not_there_is_unavailable_without_a_status(toy: Any, open_client: Open) -> None:
    toy.close()
    with pytest.raises(Unavailable, match="no answer came") as told:
        open_client(toy.url).recommend("u1", request_id="mine")
    assert (told.value.status, told.value.request_id) == (None, "mine")


def test_a_service_that_is_silent_is_asked_again(toy: Any, open_client: Open) -> None:
    toy.plan = ["hang", (200, ANSWER)]
    assert open_client(toy.url, policy=Policy(read=0.2, budget=60.0)).recommend("u1").release_id == "r-abc"
    assert len(toy.asked) == 2


def test_a_connection_is_used_again_and_one_that_was_closed_is_replaced(toy: Any, open_client: Open) -> None:
    toy.plan = [(200, ANSWER), (200, ANSWER), "leave", (200, ANSWER)]
    client = open_client(toy.url)
    for _ in range(5):
        client.recommend("u1")
    assert toy.connections == 2


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"items": 3}', b"\xff"])
def test_an_answer_that_cannot_be_read_is_an_error_that_says_so(toy: Any, open_client: Open, content: bytes) -> None:
    toy.plan = [(200, content)]
    with pytest.raises(ApiError, match="cannot be read"):
        open_client(toy.url).recommend("u1")


def test_an_answer_of_a_later_version_with_more_in_it_is_read(toy: Any, open_client: Open) -> None:
    toy.plan = [(200, ANSWER | {"new": 1})]
    assert open_client(toy.url).recommend("u1").release_id == "r-abc"


@pytest.mark.parametrize("content", [b"", b"plain words", b"[1]"])
def test_a_refusal_that_is_no_problem_is_told_too(toy: Any, open_client: Open, content: bytes) -> None:
    toy.plan = [(418, content)]
    with pytest.raises(ApiError) as told:
        open_client(toy.url).recommend("u1", request_id="mine")
    assert told.value.detail == (content.decode() or "I'm a Teapot")
    assert told.value.request_id == "mine"


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://x", "http://", "http://x:y"])
def test_an_address_that_is_none_is_named(open_client: Open, url: str) -> None:
    with pytest.raises(DataError, match="give an address"):
        open_client(url).recommend("u1")


@pytest.mark.parametrize("fields", [{"connect": 0}, {"read": -1}, {"tries": 0}, {"budget": float("nan")}])
def test_a_policy_that_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(fields))):
        Policy(**fields)


class World:
    """A clock that goes on only when something waits or is silent."""

    def __init__(self, policy: Policy, seed: int = 0) -> None:
        self.at = 0.0
        self.waits: list[float] = []
        self.line = Line(policy, Random(seed), lambda: self.at, lambda: 1_000_000.0 + self.at)

    def hold(self, outcomes: list[tuple[float, Reply | Failure]]) -> Any:
        """Holds a conversation in which the service takes so long for each outcome."""
        talk, came, sends = asked(self.line, ready(None)), None, iter(outcomes)
        self.sends: list[Send] = []
        try:
            while True:
                step = talk.send(came)
                if isinstance(step, Wait):
                    self.at, came = self.at + step.seconds, None
                    self.waits.append(step.seconds)
                    continue
                self.sends.append(step)
                seconds, came = next(sends)
                self.at += min(seconds, step.read)
        except StopIteration as ended:
            return ended.value


def later(retry_after: str = "") -> Reply:
    return Reply(503, {"retry-after": retry_after} if retry_after else {}, b"")


@given(
    st.lists(st.tuples(st.floats(0, 20), st.sampled_from([later(), later("1"), Failure("away")])), min_size=30, max_size=30),
    st.builds(
        Policy,
        connect=st.floats(0.1, 5),
        read=st.floats(0.1, 10),
        tries=st.integers(1, 20),
        budget=st.floats(0.1, 30),
        first_wait=st.floats(0.001, 1),
        longest_wait=st.floats(0.001, 5),
    ),
)
def test_no_conversation_is_longer_than_its_budget_and_its_last_try(outcomes: Any, policy: Policy) -> None:
    world = World(policy)
    with pytest.raises(Unavailable):
        world.hold(outcomes)
    assert world.at <= policy.budget + 1e-6
    assert len(world.sends) <= policy.tries
    assert all(send.read <= policy.read and send.connect <= policy.connect for send in world.sends)


def test_waits_are_random_below_a_bound_that_doubles_up_to_the_longest() -> None:
    policy = Policy(tries=9, budget=1e9, first_wait=1.0, longest_wait=8.0)
    worlds = [World(policy, seed) for seed in range(300)]
    for world in worlds:
        with pytest.raises(Unavailable):
            world.hold([(0.0, Failure("away"))] * 9)
    for number, bound in enumerate([1, 2, 4, 8, 8, 8, 8, 8]):
        waits = [world.waits[number] for world in worlds]
        assert min(waits) < 0.05 * bound
        assert 0.95 * bound < max(waits) <= bound


@pytest.mark.parametrize(
    ("given", "at_least"),
    [
        ("2", 2.0),
        (format_datetime(datetime.fromtimestamp(1_000_000, UTC) + timedelta(seconds=3), usegmt=True), 3.0),
        (format_datetime(datetime.fromtimestamp(1_000_000, UTC) - timedelta(seconds=3), usegmt=True), 0.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("²", 0.0),
    ],
)
def test_retry_after_is_waited_for(given: str, at_least: float) -> None:
    world = World(Policy(first_wait=0.1))
    world.hold([(0.0, later(given)), (0.0, Reply(200, {}, READY))])
    assert at_least <= world.waits[0] <= at_least + 0.1


@pytest.mark.parametrize("given", ["60", "9" * 400])
def test_a_wait_beyond_the_budget_is_not_begun(given: str) -> None:
    world = World(Policy(budget=10.0))
    with pytest.raises(Unavailable, match="tried 1 times"):
        world.hold([(0.0, later(given))])
    assert world.at == 0.0


READY = b'{"status": "ready", "release_id": "r", "as_of": "", "items": 1, "users": 1}'


def test_the_last_try_gets_no_more_time_than_is_left() -> None:
    world = World(Policy(read=5.0, budget=8.0, first_wait=0.001))
    world.hold([(5.0, Failure("silent")), (0.0, Reply(200, {}, READY))])
    assert world.sends[1].read == pytest.approx(3.0, abs=0.01)


def test_a_request_id_is_made_once_for_a_call_and_differs_between_calls() -> None:
    first, second = (recommend("u", 1, "job_feed", None, None) for _ in range(2))
    assert first.request_id != second.request_id
