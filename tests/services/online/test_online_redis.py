"""The online store in a real Redis server, also while that dies."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.connection import Connection

from rankloop.errors import SettingsError, StateUnavailable
from services.online.base import StateStore
from services.online.redis_store import SCRIPT_EVENTS, RedisStore
from tests.services.certificates import self_signed
from tests.services.online.conftest import Server, Starter
from tests.services.online.contract import NOW, Open, StateStoreContract, event, events, fresh

PATIENCE = 60.0


def opened(url: str, *, write: bool = False, timeout: float = 5.0) -> RedisStore:
    """A store with more patience than a request has, for a crowded machine."""
    return RedisStore(url, timeout=timeout, write=write, seen_seconds=600)


def until(holds: Callable[[], bool]) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def answers(store: StateStore) -> bool:
    try:
        store.user("u")
    except StateUnavailable:
        return False
    return True


class TestRedisStore(StateStoreContract):
    @pytest.fixture
    def open_one(self, redis_server: Server) -> Iterator[Open]:
        stores: list[RedisStore] = []

        def open_one(*, write: bool = False) -> RedisStore:
            stores.append(opened(redis_server.url, write=write))
            return stores[-1]

        yield open_one
        for store in stores:
            store.close()

    @pytest.fixture
    def wipe(self, redis_server: Server) -> Callable[[], object]:
        return redis_server.client().flushall


@pytest.fixture
def own_server(start_redis: Starter) -> Iterator[Server]:
    server = start_redis()
    yield server
    server.stop()


def test_a_read_is_one_round_trip(redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(redis_server.url, write=True)
    user, item = fresh("u"), fresh("j")
    store.fold(fresh("w"), (1, 1), [event(fresh("e"), user, item)], now=NOW)
    store.user(user)
    sent: list[object] = []
    send = Connection.send_packed_command

    def counting(self: Connection, command: object, **how: object) -> object:
        sent.append(command)
        return send(self, command, **how)

    monkeypatch.setattr(Connection, "send_packed_command", counting)
    store.user(user)
    assert len(sent) == 1
    store.item(item)
    assert len(sent) == 2


def test_a_script_that_the_server_forgot_is_given_to_it_again(redis_server: Server) -> None:
    store = opened(redis_server.url, write=True)
    user, source = fresh("u"), fresh("w")
    store.fold(source, (1, 1), events(user, NOW), now=NOW)
    redis_server.client().script_flush()
    assert store.fold(source, (1, 2), events(user, NOW), now=NOW) == 1


def test_event_ids_are_forgotten_in_time_and_acts_do_not_pile_up(redis_server: Server) -> None:
    store, client = opened(redis_server.url, write=True), redis_server.client()
    user, source = fresh("u"), fresh("w")
    for part in range(1, 9):
        store.fold(source, (1, part), events(user, *range(NOW, NOW + 150)), now=NOW)
    assert all(0 < client.ttl(key) <= 600 for key in client.scan_iter("rl:s:*"))
    assert int(client.hget(f"rl:u:{user}", "n") or 0) <= 400
    assert client.strlen(f"rl:a:{user}") <= 400 * 20


def test_reads_fail_at_once_while_it_is_down_and_come_back(own_server: Server) -> None:
    store = opened(own_server.url)
    assert store.user("u") is None
    own_server.kill()
    with pytest.raises(StateUnavailable, match="does not answer"):
        store.user("u")
    with pytest.raises(StateUnavailable, match="is not asked"):
        store.user("u")
    own_server.start()
    until(lambda: answers(store))


def test_a_server_that_accepts_and_says_nothing_holds_nobody_up(own_server: Server) -> None:
    store = opened(own_server.url, timeout=0.2)
    until(lambda: answers(store))
    own_server.freeze()
    try:
        with pytest.raises(StateUnavailable, match="TimeoutError"):
            store.user("u")
        with pytest.raises(StateUnavailable, match="is not asked"):
            store.item("j")
    finally:
        own_server.thaw()
    until(lambda: answers(store))


def test_a_store_may_be_opened_before_its_server(start_redis: Starter) -> None:
    server = start_redis()
    server.kill()
    store = opened(server.url, write=True)
    with pytest.raises(StateUnavailable):
        store.position("w")
    with pytest.raises(StateUnavailable):
        store.fold("w", (1, 1), [], now=NOW)
    server.start()
    until(lambda: answers(store))
    assert store.fold("w", (1, 1), events("u", NOW), now=NOW) == 1


def fold_all(store: RedisStore, log: list) -> int:
    """Folds a spool as a curator does, until it is at its end; returns how often the store was away or had gone back."""
    at, refused, deadline = 0, 0, time.monotonic() + PATIENCE
    while at < len(log):
        assert time.monotonic() < deadline
        try:
            at = store.position("w")[1]
            while at < len(log):
                end = min(at + 40, len(log))
                store.fold("w", (1, end), log[at:end], now=NOW)
                at = end
        except StateUnavailable:
            refused += 1
            time.sleep(0.01)
    return refused


@pytest.mark.parametrize("lost", [0, 20_000], ids=["nothing lost", "the last writes lost"])
def test_killing_the_server_while_folding_loses_nothing_and_counts_nothing_twice(start_redis: Starter, lost: int) -> None:
    server = start_redis("--appendonly", "yes")
    users = [fresh("u") for _ in range(7)]
    log = [event(f"e{number}", users[number % 7], f"j{number % 5}", ts=NOW + number) for number in range(20_000)]
    store, ended = opened(server.url, write=True), threading.Event()
    refused: list[int] = []

    def curate() -> None:
        refused.append(fold_all(store, log))
        ended.set()

    curator = threading.Thread(target=curate)
    curator.start()
    for death in range(3):
        client = server.client()
        until(lambda bar=death * 3000 + 500, client=client: int((client.hget("rl:positions", "w") or b"1:0")[2:]) > bar)  # type: ignore[misc]
        server.kill()
        assert not ended.is_set()
        for file in (server.folder / "appendonlydir").glob("*.incr.aof"):
            os.truncate(file, max(0, file.stat().st_size - lost))  # what a crash of the machine does to the last second
        server.start()
        until(lambda: not (how := server.client().info("persistence"))["aof_rewrite_in_progress"] and how["aof_rewrites"] > 0)
    curator.join()
    assert refused[0] >= 3
    assert [state.counts["click"] for state in map(store.user, users) if state] == [
        len(range(own, 20_000, 7)) for own in range(7)
    ]
    assert sum(state.total["click"] for state in (store.item(f"j{one}") for one in range(5)) if state) == 20_000
    assert [act.ts for state in [store.user(users[0])] if state for act in state.acts] == [one.ts for one in log[::7]][-200:]
    server.stop()


def test_a_batch_of_several_parts_has_no_gap(start_redis: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start_redis()
    store = opened(server.url, write=True)
    batch, run = events("u", *range(NOW, NOW + 3 * SCRIPT_EVENTS)), store._run

    def lost_after_the_first(*given: Any) -> Any:
        done = run(*given)
        server.client().flushall()
        return done

    assert store.position("w") == (0, 0)
    monkeypatch.setattr(store, "_run", lost_after_the_first)
    with pytest.raises(StateUnavailable, match="ask for the position again"):
        store.fold("w", (1, 1), batch, now=NOW)
    monkeypatch.undo()
    assert store.position("w") == (0, 0)
    assert store.fold("w", (1, 1), batch, now=NOW) == len(batch)
    state = store.user("u")
    assert state is not None
    assert state.counts == {"click": len(batch)}
    server.stop()


def test_a_batch_that_ended_early_is_taken_up_again(redis_server: Server) -> None:
    user, source = fresh("u"), fresh("w")
    batch = events(user, *range(NOW, NOW + 3 * SCRIPT_EVENTS))
    dying, store = opened(redis_server.url, write=True), opened(redis_server.url, write=True)
    dying._fold(source, (1, 1), batch[:SCRIPT_EVENTS], 0, False)
    assert store.position(source) == (0, 0)
    assert store.fold(source, (1, 1), batch, now=NOW) == 2 * SCRIPT_EVENTS
    state = store.user(user)
    assert state is not None
    assert state.counts == {"click": len(batch)}
    assert redis_server.client().hget("rl:parts", source) is None


def test_curators_of_several_nodes_count_an_event_once(redis_server: Server) -> None:
    user = fresh("u")
    batch = events(user, *range(NOW, NOW + 500))
    stores = [opened(redis_server.url, write=True) for _ in range(4)]
    new: list[int] = []

    def fold(store: RedisStore, source: str, log: list) -> None:
        new.extend(store.fold(source, (1, end), log[end - 50 : end], now=NOW) for end in range(50, 501, 50))

    threads = [
        threading.Thread(target=fold, args=(store, fresh("w"), log))
        for store, log in zip(stores, itertools.cycle([batch, batch[::-1]]), strict=False)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = stores[0].user(user)
    assert state is not None
    assert (sum(new), state.counts) == (500, {"click": 500})
    assert [act.ts for act in state.acts] == list(range(NOW + 300, NOW + 500))


def test_what_is_none_of_ours_is_said(redis_server: Server) -> None:
    user = fresh("u")
    redis_server.client().hset(f"rl:u:{user}", mapping={"n": 3, "began": 1, "last": 1, "events": 1})
    with pytest.raises(StateUnavailable, match="none of ours"):
        opened(redis_server.url).user(user)


def test_a_password_opens_and_is_never_shown(start_redis: Starter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    server = start_redis(password="s3cret")
    assert answers(opened(server.url))
    server.password = "wr0ng"
    store = opened(server.url, write=True)
    shown = []
    for call in (lambda: store.user("u"), lambda: store.fold("w", (1, 1), [], now=NOW), lambda: store.position("w")):
        with pytest.raises(StateUnavailable) as raised:
            call()
        shown.append(str(raised.value) + repr(raised.value.__cause__))
    assert all("127.0.0.1" in text for text in shown)
    assert "wr0ng" not in "".join([*shown, caplog.text])
    server.stop()


@pytest.mark.parametrize("url", ["redis://:s3cret/x@h:1/0", "redis://:s3cret@h:port/0", "redis://:s3cret@h/0?socket_timeout=x"])
def test_a_url_that_cannot_be_read_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="RANKLOOP_STATE_URL") as raised:
        opened(url)
    assert "s3cret" not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return self_signed(tmp_path)


def test_tls_checks_who_answers(start_redis: Starter, certificate: tuple[Path, Path]) -> None:
    key, own = certificate
    tls = ["--tls-cert-file", str(own), "--tls-key-file", str(key), "--tls-ca-cert-file", str(own), "--tls-auth-clients", "no"]
    server = start_redis(*tls, scheme="rediss")
    assert answers(opened(f"{server.url}?ssl_ca_certs={own}"))
    with pytest.raises(StateUnavailable, match=r"(?i)certificate"):
        opened(server.url).user("u")
    server.stop()
