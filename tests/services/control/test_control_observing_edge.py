"""What a real HAProxy counts of what happened to requests, as an observer reads it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from services.control.observing.edges import Grown
from services.edge import Slots
from services.settings import Settings
from services.tally.slots import EdgePhases
from tests.services.edge.conftest import Rig, Told, start_rig, until

__all__ = ["start_rig"]


def test_failures_are_answers_of_a_slot_and_no_refusals_of_a_full_queue(start_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = start_rig(serve_in_flight=1, queue_ms=200)
    grown = Grown([f"http://127.0.0.1:{rig.edge.config.metrics_port}/metrics"], httpx.Client(), tmp_path / "counts.json")
    rig.recommend()
    assert grown.since(1.0) == {"blue": (0, 0), "green": (0, 0)}

    for _ in range(5):
        assert rig.recommend().status_code == 200
    rig.serve.told = Told(500, body=b"no release")
    for _ in range(3):
        assert rig.recommend().status_code == 503
    rig.serve.told = None
    assert grown.since(1.0) == {"blue": (8, 3), "green": (0, 0)}

    rig.serve.hold.clear()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(rig.recommend) for _ in range(4)]
        until(lambda: sum(one.done() for one in asked) == 3, "three have waited too long")
        rig.serve.hold.set()
    assert sorted(one.result().status_code for one in asked) == [200, 503, 503, 503]
    assert grown.since(1.0) == {"blue": (12, 3), "green": (0, 0)}


def test_the_tally_knows_a_phase_by_the_edges_that_are_named(start_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = start_rig()
    settings = Settings.read(home=tmp_path, edges=str(rig.edge.config.admin_socket), inner_port=rig.edge.config.inner_port - 11)
    phases = EdgePhases(settings)
    for slots in (Slots(canary_bp=300), Slots(stable="green")):
        rig.edge.set_slots(slots)
        found = phases.now()
        assert found is not None
        assert (found.slots, found.canary_bp) == ((slots.stable, slots.idle), slots.canary_bp)
    rig.edge.stop()
    assert phases.now() is None
