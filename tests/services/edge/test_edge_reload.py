"""A running edge takes a new configuration without losing a request, and refuses one that is wrong."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from rankloop.errors import SettingsError, StackError
from services.edge import Slots
from tests.services.edge.conftest import Rig, until


def test_five_reloads_lose_no_request(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig(serve_in_flight=64)
    stop, counts, faults = threading.Event(), [0] * 3, list[str]()

    def ask(number: int) -> None:
        """One client that keeps its connection, one that makes a new one each time, one that sends events."""
        with httpx.Client(base_url=rig.url, timeout=20) as kept:
            while not stop.is_set():
                path = "/v1/events" if number == 2 else "/v1/recommend"
                try:
                    answer = httpx.post(f"{rig.url}{path}", json={}, timeout=20) if number == 1 else kept.post(path, json={})
                except httpx.TransportError as error:
                    faults.append(repr(error))
                else:
                    if answer.status_code != 200:
                        faults.append(answer.text)
                counts[number] += 1

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for asker in askers:
        asker.start()
    for weight in (100, 200, 300, 400, 500):
        seen = list(counts)
        rig.edge.reload(replace(rig.edge.config, queue_ms=weight))
        until(lambda seen=seen: all(now > then + 5 for now, then in zip(counts, seen, strict=True)), "requests go on")
    stop.set()
    for asker in askers:
        asker.join()
    assert faults == []
    assert "timeout queue 500ms" in rig.edge.file.read_text()


def test_weights_survive_a_reload_and_a_new_start(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig()
    wanted = Slots(stable="green", canary_bp=700, interleave_bp=30)
    rig.edge.set_slots(wanted)
    rig.edge.reload()
    assert rig.edge.slots() == wanted
    assert "set-var proc.canary_bp int(700)" in rig.edge.file.read_text()
    again = type(rig.edge)(rig.edge.folder, replace(rig.edge.config, slots=Slots()))
    assert again.config.slots == wanted


def test_a_configuration_that_is_wrong_changes_nothing(start_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = start_rig()
    (tmp_path / "none.pem").write_text("no certificate")
    before = rig.edge.file.read_text()
    with pytest.raises(StackError, match=r"HAProxy refuses .*none\.pem"):
        rig.edge.reload(replace(rig.edge.config, certificate=tmp_path / "none.pem"))
    assert rig.edge.file.read_text() == before
    assert rig.recommend().status_code == 200


def test_a_port_that_is_taken_is_said(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig()
    edge = type(rig.edge)(rig.edge.folder / "second", replace(rig.edge.config, admin_socket=rig.edge.folder / "b.sock"))
    with pytest.raises(StackError, match=r"HAProxy did not start; .*edge.log says why"):
        edge.start(seconds=10)
    assert "cannot bind" in (edge.folder / "edge.log").read_text().lower()


def test_a_socket_whose_path_is_too_long_is_refused(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig()
    with pytest.raises(SettingsError, match="too long for a UNIX socket"):
        replace(rig.edge.config, admin_socket=Path("/tmp") / ("x" * 100))


def test_stopping_answers_what_is_under_way(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig()
    rig.serve.hold.clear()
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(rig.recommend().status_code))
    asking.start()
    until(lambda: bool(rig.serve.seen), "the request is under way")
    threading.Timer(0.5, rig.serve.hold.set).start()
    rig.edge.stop(seconds=20)
    asking.join()
    assert answers == [200]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", rig.edge.config.http_port)) != 0


def test_with_its_master_dead_the_worker_lets_go_of_the_port(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig()
    assert rig.edge._started is not None
    master = psutil.Process(rig.edge._started.pid)
    workers = master.children()
    os.kill(master.pid, signal.SIGKILL)
    until(
        lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers), "the worker ends"
    )
    rig.edge.stop()
    rig.edge.start(seconds=30)
    until(lambda: rig.up("blue"), "blue is up")
    assert rig.recommend().status_code == 200
