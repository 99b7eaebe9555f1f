"""Replicas that the edge finds by their health checks, on ports that most of the time are nobody's."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.services.edge.conftest import Rig, Toy, free_ports, until


@pytest.fixture
def replicas() -> Iterator[list[Toy]]:
    """Four that do not listen yet."""
    toys = [Toy(port) for port in free_ports(4)]
    yield toys
    for toy in toys:
        toy.stop()


@pytest.fixture
def rig(start_rig: Callable[..., Rig], replicas: list[Toy]) -> Rig:
    """An edge that may find them."""
    return start_rig(replicas=tuple(toy.port for toy in replicas))


def listen(rig: Rig, toy: Toy, slot: str) -> None:
    toy.slot = slot
    toy.start()
    until(lambda: toy.port in up(rig, slot), f"{toy.port} is found in {slot}")


def up(rig: Rig, slot: str) -> set[int]:
    """Ports of the replicas that take a slot's requests."""
    ports = rig.edge.config.replicas
    states = {own.name: own.up for own in rig.edge.admin.servers() if own.backend == slot}
    return {port for number, port in enumerate(ports, start=1) if states[f"replica-{number}"]}


def answered(rig: Rig, count: int = 6) -> set[int]:
    return {rig.recommend(f"u{n}").json()["port"] for n in range(count)}


def test_before_a_replica_is_found_serve_answers_and_no_other_port_is_tried(rig: Rig, replicas: list[Toy]) -> None:
    assert up(rig, "blue") == set()
    assert answered(rig) == {rig.serve.port}
    listen(rig, replicas[2], "blue")
    assert up(rig, "green") == set()
    assert answered(rig) == {replicas[2].port}


def test_a_reload_asks_no_port_that_nobody_has(rig: Rig, replicas: list[Toy]) -> None:
    listen(rig, replicas[3], "blue")
    rig.edge.reload()
    assert answered(rig) <= {rig.serve.port, replicas[3].port}
    until(lambda: replicas[3].port in up(rig, "blue"), "it is found again")
    assert answered(rig) == {replicas[3].port}


def test_each_slot_has_its_own_replicas(rig: Rig, replicas: list[Toy]) -> None:
    listen(rig, replicas[0], "green")
    listen(rig, replicas[1], "blue")
    assert answered(rig) == {replicas[1].port}
    assert httpx.post(f"{rig.inner_url}/green/v1/recommend", json={}).json()["port"] == replicas[0].port


def test_the_first_idle_replica_answers_and_the_next_one_helps(rig: Rig, replicas: list[Toy]) -> None:
    first, second = replicas[:2]
    for toy in (second, first):
        listen(rig, toy, "blue")
    assert answered(rig) == {first.port}
    first.hold.clear()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(rig.recommend)
        until(lambda: len(first.seen) == 7, "the first is busy")
        assert answered(rig) == {second.port}
        first.hold.set()
        assert held.result().json()["port"] == first.port


def test_one_that_is_to_leave_gets_no_further_request(rig: Rig, replicas: list[Toy]) -> None:
    first, second = replicas[:2]
    for toy in (first, second):
        listen(rig, toy, "blue")
    first.slot = None
    until(lambda: up(rig, "blue") == {second.port}, "the first leaves")
    assert answered(rig) == {second.port}


def test_a_request_to_a_replica_that_died_is_asked_of_the_next(rig: Rig, replicas: list[Toy]) -> None:
    first, second = replicas[:2]
    for toy in (first, second):
        listen(rig, toy, "blue")
    first.break_off = 1
    assert rig.recommend().json()["port"] == second.port
    first.stop()
    assert answered(rig) == {second.port}
    second.stop()
    assert answered(rig) == {rig.serve.port}
