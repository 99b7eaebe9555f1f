"""Sending events: ids before the first try, batches that fit, and what is left to send after a failure."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from rankloop.contracts import KINDS
from rankloop.errors import ApiError, SettingsError, Unavailable
from services.client import Event, Policy
from services.events import wire

Open = Callable[..., Any]


def event(number: int, **fields: Any) -> Event:
    return Event(user_id="u1", item_id=f"j{number}", kind="click", **fields)


def took(count: int, *rejected: int) -> tuple[int, Any]:
    return 200, {"accepted": count, "rejected": [{"index": n, "event_id": None, "reason": "no"} for n in rejected]}


def batches(toy: Any) -> list[list[str]]:
    return [[one["item_id"] for one in body["events"]] for _, _, _, body in toy.asked]


def test_events_go_in_batches_and_are_counted_over_all_of_them(toy: Any, open_client: Open) -> None:
    toy.plan = [took(2), took(1, 1), took(1)]
    answer = open_client(toy.url).send_events([event(n) for n in range(5)], batch=2)
    assert batches(toy) == [["j0", "j1"], ["j2", "j3"], ["j4"]]
    assert answer.accepted == 4
    assert [one.index for one in answer.rejected] == [3]


def test_no_event_is_no_request(toy: Any, open_client: Open) -> None:
    assert open_client(toy.url).send_events([]) == wire.Accepted(0, [])
    assert toy.asked == []


def test_an_id_is_made_before_the_first_try_and_kept_in_the_next(toy: Any, open_client: Open) -> None:
    toy.plan = ["drop", (503, b""), took(2)]
    open_client(toy.url).send_events([event(0), event(1, event_id="mine")])
    ids = [[one["event_id"] for one in body["events"]] for _, _, _, body in toy.asked]
    assert ids[0] == ids[1] == ids[2]
    assert len(ids[0][0]) == 32
    assert ids[0][1] == "mine"


def test_what_was_left_out_is_not_sent_and_a_moment_has_its_zone(toy: Any, open_client: Open) -> None:
    toy.plan = [took(2)]
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    open_client(toy.url).send_events([event(0, event_id="a"), event(1, event_id="b", ts=moment, value=2.5, request_id="q")])
    bare, full = toy.asked[0][3]["events"]
    assert bare == {"event_id": "a", "user_id": "u1", "item_id": "j0", "kind": "click"}
    assert full == bare | {"event_id": "b", "item_id": "j1", "ts": "2026-05-01T12:00:00Z", "value": 2.5, "request_id": "q"}


def test_a_batch_is_no_larger_than_the_service_takes_by_default(toy: Any, open_client: Open) -> None:
    toy.plan = [took(1)]
    open_client(toy.url).send_events([event(n, value=1.0, request_id="q" * 250) for n in range(2000)])
    sizes = [int(headers["content-length"]) for _, _, headers, _ in toy.asked]
    assert sum(map(len, batches(toy))) == 2000
    assert max(sizes) < 262_144
    assert len(sizes) < 2000 * 500 / 150_000


def test_a_batch_that_is_too_large_for_the_service_is_halved(toy: Any, open_client: Open) -> None:
    toy.plan = [(413, b""), (413, b""), took(1)]
    assert open_client(toy.url).send_events([event(n) for n in range(4)]).accepted == 4
    assert batches(toy)[2:] == [["j0"], ["j1"], ["j2"], ["j3"]]


def test_one_event_that_is_too_large_is_refused(toy: Any, open_client: Open) -> None:
    toy.plan = [(413, b"")]
    with pytest.raises(ApiError) as told:
        open_client(toy.url).send_events([event(0), event(1)])
    assert told.value.status == 413
    assert len(told.value.unsent) == 2


def test_after_a_failure_the_rest_can_be_sent_again_under_the_same_ids(toy: Any, open_client: Open) -> None:
    toy.plan = [took(2), (503, b""), (503, b""), took(2)]
    client = open_client(toy.url, policy=Policy(tries=2))
    with pytest.raises(Unavailable) as told:
        client.send_events([event(n) for n in range(5)], batch=2)
    client.send_events(told.value.unsent, batch=2)
    ids = [[one["event_id"] for one in body["events"]] for _, _, _, body in toy.asked]
    assert batches(toy) == [["j0", "j1"], ["j2", "j3"], ["j2", "j3"], ["j2", "j3"], ["j4"]]
    assert ids[1] == ids[2] == ids[3]


def test_a_batch_of_nothing_is_refused(toy: Any, open_client: Open) -> None:
    with pytest.raises(SettingsError, match="batch is 0"):
        open_client(toy.url).send_events([event(0)], batch=0)


def test_the_wire_knows_exactly_the_kinds_of_the_contract() -> None:
    assert get_args(wire.Kind) == KINDS
