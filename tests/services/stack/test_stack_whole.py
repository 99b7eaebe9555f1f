"""The whole stack with real Ray, Serve and HAProxy: started once, in the order a bad day would have it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from components.serve_api import put_into_service
from pipelines.environment import RAY_ENVIRONMENT
from rankloop.errors import StackError
from services import stack
from services.ranking.bento import BuiltBento, build_bento
from services.settings import Settings
from services.stack.place import Place
from services.stack.ports import needed
from services.stack.reaper import own_processes
from services.stack.watchers import Binaries
from tests.services.conftest import Release
from tests.services.edge.conftest import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UP = "import sys; from services import stack; from services.settings import Settings; stack.up(Settings.read())"


@dataclass(frozen=True)
class World:
    """A stack that is up, and two releases for it."""

    settings: Settings
    bentos: tuple[BuiltBento, BuiltBento]

    def deploy(self, bento: BuiltBento) -> None:
        urls = {"serve_api": self.settings.dashboard_url, "serve_url": self.settings.service_url}
        put_into_service(bento.path, bento.release_id, **urls, say=print, seconds=150)  # type: ignore[arg-type]

    def ask(self, user_id: str = "logo-u3") -> httpx.Response:
        return httpx.post(f"{self.settings.service_url}/v1/recommend", json={"user_id": user_id, "k": 3}, timeout=120)

    def ports_beyond_this_machine(self) -> set[int]:
        loopback = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
        listening = [own for own in psutil.net_connections("tcp") if own.status == psutil.CONN_LISTEN]
        pids = {own.pid for own in own_processes(Place(self.settings.home).mark)}
        return {own.laddr.port for own in listening if own.pid in pids and own.laddr.ip not in loopback}

    def process(self, role: str) -> stack.ProcessStatus:
        return next(process for process in stack.status(self.settings).processes if process.role == role)


def variables(settings: Settings) -> dict[str, str]:
    """The environment that `Settings.read` makes these settings from."""
    return {**os.environ, **settings.variables()}


@pytest.fixture(scope="module")
def world(
    free_settings: Callable[..., Settings], make_release: Callable[[int], Release], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A start that was killed with `kill -9`, and the start after it."""
    home = tmp_path_factory.mktemp("a-home-with-a-rather-long-name-as-homes-may-have") / ".rankloop"
    settings = free_settings(home, budget_ms=60_000)  # on a busy machine a request may wait, and is not what these tests refuse
    first, second = (build_bento(make_release(seed).folder, settings.bento_store) for seed in (0, 1))
    path = os.pathsep.join(filter(None, sys.path))
    killed = subprocess.Popen([sys.executable, "-c", UP], env={**variables(settings), "PYTHONPATH": path})
    try:
        while not any(process.name() == "gcs_server" for process in own_processes(Place(settings.home).mark)):
            assert killed.poll() is None, "the first start ended too early"
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        said: list[str] = []
        assert stack.up(settings, say=said.append).state == "up"
        assert said[0] == "cleaning up what an earlier start left behind"
        yield World(settings, (first, second))
    finally:
        stack.down(settings)


def test_the_stack_is_up_without_a_release(world: World) -> None:
    status = stack.status(world.settings)
    assert (status.state, status.release_id, status.application) == ("up", None, None)
    roles = [own.role for own in status.processes]
    of_ray = {"ray head", "ray node", "haproxy", "ray dashboard", "serve controller"}
    assert of_ray | {"supervisor", "edge", "curator", "tally", "control plane"} <= set(roles)
    assert (roles.count("collector"), roles.count("shadow worker")) == (2, 0)
    assert world.settings.serve_port in world.process("haproxy").ports
    assert [own.name for own in status.slots] == ["blue", "green"]
    if Binaries.found().missing:
        assert status.watched.startswith("not watched: install ")
    else:
        assert {"prometheus", "alertmanager"} <= set(roles)
        assert status.watched.startswith(f"watched by Prometheus on {world.settings.prometheus_port} and Alertmanager on ")
        prometheus = status.urls["Prometheus"]
        until(lambda: httpx.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"] != [], "its rules are read")
    edges = {port for own in status.processes if own.role == "edge" for port in own.ports}
    assert edges == {world.settings.http_port, world.settings.edge_metrics_port, world.settings.inner_port + 11}


def test_up_again_changes_nothing(world: World) -> None:
    said: list[str] = []
    head = world.process("ray head").pid
    stack.up(world.settings, say=said.append)
    assert said == ["the stack is up already"]
    assert world.process("ray head").pid == head


def test_only_haproxys_read_only_pages_listen_beyond_this_machine(world: World) -> None:
    world.deploy(world.bentos[0])
    while not (beyond := world.ports_beyond_this_machine()):  # HAProxy is being replaced by itself, with the new routes
        time.sleep(0.1)
    assert beyond == {world.settings.haproxy_metrics_port, world.settings.haproxy_stats_port}


def test_a_deployed_bento_answers_over_http(world: World) -> None:
    world.deploy(world.bentos[0])
    answer = world.ask()
    assert answer.status_code == 200
    assert answer.json()["release_id"] == world.bentos[0].release_id
    assert len(answer.json()["items"]) == 3
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    problem = httpx.post(f"{world.settings.service_url}/v1/recommend", json={"user_id": "u", "k": 0})
    assert (problem.status_code, problem.json()["title"]) == (422, "Unprocessable Entity")
    assert stack.status(world.settings).release_id == world.bentos[0].release_id


def test_a_killed_replica_is_replaced_and_requests_recover(world: World) -> None:
    killed = world.process("replica").pid
    os.kill(killed, signal.SIGKILL)
    answers = [world.ask()]
    while answers[-1].status_code == 503:  # there is no second one that could answer
        assert answers[-1].headers["retry-after"] == "1"
        assert len(answers) < 120
        time.sleep(1)
        answers.append(world.ask())
    answer = answers[-1]
    assert answer.status_code == 200
    assert answer.json()["release_id"] == world.bentos[0].release_id
    assert world.process("replica").pid != killed


def test_a_new_release_replaces_the_old_without_a_gap_and_with_its_own_code(world: World) -> None:
    old, new = world.bentos
    code = Path(new.path) / "src" / "services" / "ranking" / "schemas.py"
    code.write_text(code.read_text().replace('status: str = "alive"', 'status: str = "alive, says the Bento"'))
    asker = (
        "import httpx, sys, time\nfound = []\n"
        "while sys.argv[2] not in found[-3:] or len(found) < 20:\n"
        "    answer = httpx.post(sys.argv[1], json={'user_id': 'logo-u3'}, timeout=60)\n"
        "    found.append(answer.json()['release_id'] if answer.status_code == 200 else answer.text)\n"
        "    time.sleep(0.02)\n"
        "print(*sorted(set(found)))"
    )
    url = f"{world.settings.service_url}/v1/recommend"
    with subprocess.Popen([sys.executable, "-c", asker, url, new.release_id], stdout=subprocess.PIPE, text=True) as asking:
        world.deploy(new)
        out, _ = asking.communicate(timeout=120)
    assert out.split() == sorted([old.release_id, new.release_id])
    assert httpx.get(f"{world.settings.slot_url('blue')}/healthz").json() == {"status": "alive, says the Bento"}


def test_a_bento_that_is_not_there_is_refused_at_once_and_the_release_stays(world: World) -> None:
    missing = BuiltBento("x:y", str(world.settings.home / "nowhere"), "r-none", 0.0, 0)
    with pytest.raises(StackError, match=r"DEPLOY_FAILED[\s\S]*is no Bento of ours"):
        world.deploy(missing)
    assert world.ask().json()["release_id"] == world.bentos[1].release_id


def test_an_altered_release_never_takes_a_request(world: World, tmp_path: Path) -> None:
    folder = shutil.copytree(world.bentos[0].path, tmp_path / "altered")
    (folder / "src" / "bundle" / "items.parquet").write_bytes(b"nonsense")
    with pytest.raises(StackError, match="DEPLOY_FAILED"):
        world.deploy(BuiltBento("x:y", str(folder), "r-altered", 0.0, 0))
    assert "items.parquet was altered" in stack.status(world.settings).message
    assert world.ask().json()["release_id"] == world.bentos[1].release_id
    world.deploy(world.bentos[0])
    assert world.ask().json()["release_id"] == world.bentos[0].release_id


def slots_that_answer(world: World) -> list[str]:
    """The slot that answers each of a hundred people."""
    with httpx.Client(base_url=world.settings.service_url, timeout=120) as client:
        asked = [client.post("/v1/recommend", json={"user_id": f"u{n}", "k": 1}) for n in range(100)]
    assert [answer.text for answer in asked if answer.status_code != 200] == []
    return [answer.headers["x-rankloop-slot"] for answer in asked]


def test_an_empty_slot_has_no_weight(world: World) -> None:
    for change in (stack.weigh, stack.interleave):
        with pytest.raises(StackError, match=r"slot green holds no release .*`rankloop slots fill RELEASE`"):
            change(world.settings, 100)
        assert change(world.settings, 0).canary_bp == 0
    with pytest.raises(StackError, match="slot green holds no release"):
        stack.swap(world.settings)
    assert stack.clear(world.settings) is None
    with pytest.raises(StackError, match=rf"no release 'r-none' .*; there is .*{world.bentos[0].release_id}"):
        stack.fill(world.settings, "r-none", say=print)


def test_the_idle_slot_takes_a_release_a_share_and_then_everybody(world: World) -> None:
    stable, canary = (bento.release_id for bento in world.bentos)
    assert stack.fill(world.settings, canary, say=print) == "green"
    assert set(slots_that_answer(world)) == {"blue"}
    slots = stack.weigh(world.settings, 4_000)
    expected = [slots.slot_of(f"u{n}")[0] for n in range(100)]
    assert slots_that_answer(world) == expected
    assert set(expected) == {"blue", "green"}
    for refused in (lambda: stack.fill(world.settings, stable, say=print), lambda: stack.clear(world.settings)):
        with pytest.raises(StackError, match="slot green has 4000 basis points"):
            refused()
    world.deploy(world.bentos[0])  # the pipeline deploys into the stable slot, and the other stays
    found = {own.name: (own.release_id, own.weight_bp) for own in stack.status(world.settings).slots}
    assert found == {"blue": (stable, 0), "green": (canary, 4_000)}
    stack.swap(world.settings)
    assert set(slots_that_answer(world)) == {"green"}
    assert stack.status(world.settings).release_id == canary
    assert httpx.get(f"{world.settings.service_url}/readyz").json()["release_id"] == canary


def test_both_slots_and_who_is_stable_outlive_down(world: World) -> None:
    stable, canary = (bento.release_id for bento in world.bentos)
    stack.weigh(world.settings, 1_000)
    assert stack.down(world.settings) > 5
    again = stack.up(world.settings)
    assert [(own.name, own.release_id, own.weight_bp) for own in again.slots] == [("green", canary, 0), ("blue", stable, 1_000)]
    stack.weigh(world.settings, 0)
    stack.swap(world.settings)
    assert stack.clear(world.settings) == "green"
    assert set(slots_that_answer(world)) == {"blue"}


@pytest.mark.parametrize("role", ["collector", "curator", "edge", "tally", "control plane"])
def test_a_killed_process_beside_ray_is_started_again_at_once(world: World, role: str) -> None:
    before = [own.pid for own in stack.status(world.settings).processes if own.role == role]
    os.kill(before[-1], signal.SIGKILL)
    until(lambda: not psutil.pid_exists(before[-1]), "it is dead")
    until(
        lambda: len([own for own in stack.status(world.settings).processes if own.role == role]) == len(before),
        "another is there",
    )
    until(lambda: stack.status(world.settings).message == "", "all run")
    until(
        lambda: httpx.post(f"{world.settings.service_url}/v1/events", json={"events": []}, timeout=30).status_code == 200,
        "events",
    )
    assert world.ask().status_code == 200


def test_the_edge_takes_another_limit_while_it_runs(world: World) -> None:
    stack.reload(world.settings.model_copy(update={"max_body_bytes": 2_000}))
    answer = httpx.post(f"{world.settings.service_url}/v1/rank", content=b"x" * 2_001)
    assert (answer.status_code, answer.json()["title"]) == (413, "Request Entity Too Large")
    stack.reload(world.settings)
    assert world.ask().status_code == 200


def test_a_driver_finds_the_cores_of_the_machine_beside_the_replica(world: World) -> None:
    script = (
        "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')\n"
        "print(ray.available_resources()['CPU'])"
    )
    environment = {**os.environ, **RAY_ENVIRONMENT}
    command = [sys.executable, "-c", script, world.settings.ray_address]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert float(done.stdout.split()[-1]) >= (os.cpu_count() or 1)


def test_the_logs_name_the_replica(world: World) -> None:
    lines = list(stack.logs(world.settings, lines=5, only="replica"))
    assert lines
    assert all("replica" in line.source for line in lines)


def test_down_leaves_no_process_no_port_and_no_socket_and_the_release_comes_back(world: World) -> None:
    place, ports = Place(world.settings.home), set(needed(world.settings))
    assert stack.down(world.settings) > 5
    assert own_processes(place.mark) == []
    assert not [own for own in psutil.net_connections("tcp") if own.status == psutil.CONN_LISTEN and own.laddr.port in ports]
    assert not place.door.is_symlink()
    assert stack.status(world.settings).state == "down"
    assert stack.down(world.settings) == 0
    again = stack.up(world.settings)
    assert (again.state, again.release_id) == ("up", world.bentos[0].release_id)


def test_a_stack_without_its_head_is_broken_and_down_ends_it(world: World) -> None:
    os.kill(world.process("ray head").pid, signal.SIGKILL)
    status = stack.status(world.settings)
    assert (status.state, status.release_id) == ("broken", None)
    said: list[str] = []
    assert stack.down(world.settings, say=said.append) > 5
    assert "stopping Serve" not in said
    assert own_processes(Place(world.settings.home).mark) == []
