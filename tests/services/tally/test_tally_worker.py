"""A worker follows two spools, notices phases, and counts everything once however often it is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import msgspec
import pytest

from monitoring.metrics import TallyMetrics
from rankloop.bundle import Bundle
from rankloop.canary import Observation
from services.edge import Slots
from services.events.records import ErasureRecord
from services.events.rolling import Sealed
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.tally.keeping import Keeping
from services.tally.phase import Phase
from services.tally.slots import EdgePhases
from services.tally.telling import Told
from services.tally.worker import Worker
from tests.services.tally.lists_and_outcomes import FixedPhases, Home, done, shown

BEGIN = Phase(0.0, ("blue", "green"), ("r-old", "r-new"), 500)


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def worker(home: Home, clock: Clock, phases: FixedPhases | None = None) -> Worker:
    own = Worker(home.settings, TallyMetrics(process=False), phases or FixedPhases(BEGIN), clock=clock)
    own.step()
    return own


def worked(own: Worker, clock: Clock) -> Observation:
    clock.now += 10
    while own.step():
        pass
    own.tell()
    seen = msgspec.json.decode(own.board.json(), type=Told).observation
    assert seen is not None
    return seen


def test_what_is_logged_is_counted(home: Home) -> None:
    clock = Clock()
    own = worker(home, clock)
    home.log(shown("q1", began=clock.now), done("click", "i0", "q1", began=clock.now))
    home.log(shown("q2", release="r-new", began=clock.now))
    seen = worked(own, clock)
    assert (seen.stable.lists, seen.canary.lists, seen.stable.ratios["ctr@10"].x) == (1, 1, 1)
    assert (seen.canary_bp, seen.stable.release_id) == (500, "r-old")
    assert seen.coverage is not None


def test_another_share_begins_another_phase_and_the_same_one_again_does_not(home: Home) -> None:
    clock = Clock()
    phases = FixedPhases(BEGIN)
    own = worker(home, clock, phases)
    home.log(shown("q1", began=clock.now))
    first = worked(own, clock)
    phases.phase = msgspec.structs.replace(BEGIN, began=clock.now)
    assert worked(own, clock).since == first.since
    phases.phase = msgspec.structs.replace(BEGIN, canary_bp=1000)
    clock.now += 1
    second = worked(own, clock)
    assert (second.since > first.since, second.stable.lists, second.canary_bp) == (True, 0, 1000)


def test_one_that_starts_again_goes_on_and_counts_nothing_twice(home: Home) -> None:
    clock = Clock()
    own = worker(home, clock)
    home.log(shown("q1", began=clock.now), done("click", "i0", "q1", began=clock.now))
    first = worked(own, clock)
    own.save()
    home.log(done("click", "i1", "q1", began=clock.now), done("click", "i0", "q1", began=clock.now), shown("q2", began=clock.now))
    again = worked(worker(home, clock), clock)
    assert (again.since, again.stable.lists, again.stable.ratios["ctr@10"].x) == (first.since, 2, 2)


def test_a_share_that_changed_while_it_was_down_begins_another_phase_even_if_it_is_the_same_again(home: Home) -> None:
    clock = Clock()
    own = worker(home, clock)
    home.log(shown("q1", began=clock.now))
    worked(own, clock)
    own.save()
    changed = FixedPhases(msgspec.structs.replace(BEGIN, began=time.time() + 5))
    assert worked(worker(home, clock, changed), clock).stable.lists == 0


def test_a_snapshot_that_cannot_be_read_is_put_aside_and_a_new_one_begins(home: Home) -> None:
    file = home.settings.home / "tally" / "tally.msgpack"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"nothing of ours")
    clock = Clock()
    own = worker(home, clock)
    home.log(shown("q1", began=clock.now))
    assert worked(own, clock).stable.lists == 1
    assert file.with_suffix(".unreadable").exists()


def test_a_demand_to_be_forgotten_reaches_it(home: Home) -> None:
    clock = Clock()
    own = worker(home, clock)
    home.log(shown("q1", began=clock.now))
    worked(own, clock)
    home.log(ErasureRecord("r1", "ann", round(clock.now * 1e6)))
    worked(own, clock)
    unit = own.tally._unit("ann")
    assert own.tally.arms[0].units.table.find(unit) < 0
    assert unit not in own.tally.arms[0].units.table.keys.tolist() + own.tally.arms[0].showings.table["unit"].tolist()


def test_it_says_when_it_is_behind(home: Home) -> None:
    clock = Clock()
    own = worker(home, clock)
    clock.now += 90
    assert msgspec.json.decode(own.board.json(), type=Told).lag_seconds == pytest.approx(90)
    assert "rankloop_tally_lag_seconds 90.0" in own.board.text().decode()


def test_counts_for_dashboards_are_by_slot_place_and_kind(home: Home) -> None:
    clock = Clock()
    own = worker(home, clock)
    home.log(shown("q1", began=clock.now), done("apply", "i0", "q1", began=clock.now))
    worked(own, clock)
    text = own.board.text().decode()
    assert 'rankloop_lists_total{slot="blue",surface="job_feed"} 1.0' in text
    assert 'rankloop_outcomes_total{kind="apply",slot="blue",surface="job_feed"} 1.0' in text


def test_what_a_release_showed_is_told_through_phases_until_it_leaves_its_slot(home: Home) -> None:
    clock = Clock()
    phases = FixedPhases(BEGIN)
    own = worker(home, clock, phases)
    home.log(shown("q1", began=clock.now), done("click", "i0", "q1", began=clock.now))
    home.log(shown("q2", release="r-new", began=clock.now), done("apply", "i1", "q2", began=clock.now))
    worked(own, clock)
    phases.phase = msgspec.structs.replace(BEGIN, slots=("green", "blue"), releases=("r-new", "r-newer"))
    worked(own, clock)
    home.log(shown("q3", release="r-new", began=clock.now))
    worked(own, clock)
    text = own.board.text().decode()
    assert 'rankloop_release_lists_total{release_id="r-new",surface="job_feed"} 2.0' in text
    assert 'rankloop_release_outcomes_total{kind="apply",release_id="r-new",surface="job_feed"} 1.0' in text
    assert "r-old" not in text
    assert 'rankloop_lists_total{slot="blue",surface="job_feed"} 1.0' in text


def test_the_edge_and_the_slots_say_what_holds(tmp_path: Path, slot_server, release, other_release) -> None:
    home = Home(tmp_path, inner_port=slot_server.inner_port, budget_ms=60_000)
    bundles = {slot: Bundle.open(one.folder) for slot, one in (("blue", release), ("green", other_release))}
    stable, other = (bundles[slot].manifest.release_id for slot in ("blue", "green"))
    seconds = [0.0]
    phases = EdgePhases(home.settings, clock=lambda: seconds[0])

    def now() -> Phase:
        seconds[0] += 10
        found = phases.now()
        assert found is not None
        return found

    try:
        slot_server.slots["blue"] = build_app(Engine(bundles["blue"], home.settings), home.settings)
        assert now() == Phase(0.0, ("blue", "green"), (stable, ""), 0)
        slot_server.slots["green"] = build_app(Engine(bundles["green"], home.settings), home.settings)
        Slots(canary_bp=700).write(home.settings.home / "edge" / "slots.json")
        assert now().same(Phase(0.0, ("blue", "green"), (stable, other), 700))
        down = slot_server.slots.pop("green")
        assert now().releases == (stable, other)  # a slot with a weight that is being started again
        slot_server.slots["green"] = down
        Slots(stable="green").write(home.settings.home / "edge" / "slots.json")
        assert now().same(Phase(0.0, ("green", "blue"), (other, stable), 0))
        slot_server.slots["blue"] = down
        assert now().releases == (other, "")
    finally:
        home.close()


def test_the_curator_is_told_which_segments_are_still_needed(home: Home) -> None:
    clock = Clock()
    keeping, writer = Keeping(home.settings.home, clock), home.writers["impressions"]
    segment = Sealed("impressions", writer.name, 1)
    assert keeping.passed(segment)  # there is no tally
    own = worker(home, clock)
    home.log(shown("q1", began=clock.now))
    own.save()
    assert not keeping.passed(segment)
    home.close()
    worked(own, clock)
    assert own.file.exists()
    own.save()
    assert keeping.passed(segment)
    assert not keeping.passed(Sealed("impressions", "another", 1))
    clock.now += 700
    assert keeping.passed(Sealed("impressions", "another", 1))  # it was away for too long


def test_what_was_logged_long_before_the_first_start_is_passed_over(home: Home) -> None:
    clock = Clock()
    home.log(shown("q1", began=clock.now))
    home.writers["impressions"].close()
    clock.now += 3 * 3600
    assert worker(home, clock)._following.positions["impressions"][home.writers["impressions"].name] == (2, 0)


def asked(port: int) -> Told:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/tally", timeout=5) as reply:
        return msgspec.json.decode(reply.read(), type=Told)


def eventually(question, what: str, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := question():
                return found
        except OSError:
            pass  # not up yet: asked again
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def totals(told: Told) -> tuple[float, float]:
    """Lists and clicks of both slots; none before it has read anything."""
    if told.observation is None:
        return 0, 0
    arms = (told.observation.stable, told.observation.canary)
    return sum(arm.lists for arm in arms), sum(arm.ratios["ctr@10"].x for arm in arms)


@pytest.mark.slow
def test_one_that_is_killed_again_and_again_counts_everything_once(tmp_path: Path, slot_server, free_port) -> None:
    home = Home(tmp_path, inner_port=slot_server.inner_port)
    for slot, release_id in (("blue", "r-old"), ("green", "r-new")):
        slot_server.slots[slot] = _ready(release_id)
    Slots(canary_bp=5000).write(home.settings.home / "edge" / "slots.json")
    environment = os.environ | home.settings.variables() | {"RANKLOOP_TALLY_PORT": str(free_port)}

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "services.tally"], env=environment)

    rng, lists = random.Random(2), 0
    process = start()
    try:
        began = eventually(lambda: asked(free_port).phase, "a phase").began
        for kill in range(5):
            for _ in range(40):
                lists, after = lists + 1, time.time() - began
                home.log(shown(f"q{lists}", f"u{lists % 7}", release=rng.choice(["r-old", "r-new"]), after=after, began=began))
                home.log(*[done("click", "i3", f"q{lists}", f"u{lists % 7}", after=after, began=began)] * 2)
            time.sleep(rng.uniform(0.5, 6.0) if kill else 0.0)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = start()

        eventually(lambda: min(totals(asked(free_port))) >= lists, "counting everything")
        told = asked(free_port)
        assert totals(told) == (lists, lists)
        assert (told.phase.began, told.unmatched) == (began, 0)
    finally:
        process.kill()
        process.wait()
        home.close()


def test_a_port_that_is_taken_is_named(tmp_path: Path, slot_server) -> None:
    taken = {"RANKLOOP_HOME": str(tmp_path), "RANKLOOP_TALLY_PORT": str(slot_server.port)}
    found = subprocess.run([sys.executable, "-m", "services.tally"], env=os.environ | taken, capture_output=True, text=True)
    assert found.returncode == 1
    assert f"port {slot_server.port} is taken" in found.stderr
    assert "RANKLOOP_TALLY_PORT" in found.stderr
    assert "Traceback" not in found.stderr


def _ready(release_id: str):
    """A slot that only says which release it holds."""
    body = json.dumps(
        {"status": "ready", "release_id": release_id, "as_of": "2026-01-01T00:00:00Z", "items": 1, "users": 1}
    ).encode()

    async def answer(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    return answer
