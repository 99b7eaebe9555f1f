"""Experiments in the record: begun, ended, read from the log, and on the scoreboard."""

from datetime import timedelta

import polars as pl
import pytest

from rankloop.errors import Conflict, ControlError
from rankloop.sources.log_layout import LOG_SCHEMAS
from services.control import database as db
from services.control.readout import Readouts
from services.control.scoreboard import read_scoreboard
from services.edge import Slots
from tests.services.control.control_world import POLICY, world
from tests.services.edge.conftest import shared_rig, start_rig

__all__ = ["shared_rig", "start_rig"]

BY = {"who": "ann", "why": "which one do people prefer"}
WEEK = 7 * 86_400.0


@pytest.fixture
def two(shared_rig, tmp_path):
    """A world in which r1 serves and r2 answers in the idle slot."""
    shared_rig.edge.set_slots(Slots())
    with world(shared_rig, tmp_path) as own:
        own.serving("r1")
        own.register("r2")
        own.controller.hold("r2", **BY)
        own.tick(3)
        yield own


def the(own) -> db.Experiment:
    return own.views.experiments().experiments[0]


def log_lists(own, clicks: int) -> None:
    """Writes lists of both releases to the log, one for each person; of so many people the tried item is clicked."""
    at = own.now + timedelta(seconds=5)
    teams = (("x", "r2", 1), ("y", "r1", 2))
    rows = [
        {"request_id": f"q{n}", "ts": at, "surface": "job_feed", "user_id": f"u{n}", "item_id": item, "position": place}
        | {"release_id": team}
        for n in range(40)
        for item, team, place in teams
    ]
    done = [
        {"ts": at, "received": at, "event_id": f"e{n}", "user_id": f"u{n}", "item_id": "x", "request_id": f"q{n}"}
        | {"kind": "click"}
        for n in range(clicks)
    ]
    for table, told in (("impressions", rows), ("outcomes", done)):
        folder = own.settings.home / "log" / table / f"date={at:%Y-%m-%d}" / f"hour={at:%H}"
        folder.mkdir(parents=True)
        pl.DataFrame(told, schema=LOG_SCHEMAS[table]).write_parquet(folder / "a.parquet")


def test_an_experiment_gives_its_share_at_the_edge_and_ends_when_its_time_is_over(two) -> None:
    begun = two.controller.begin_experiment(1000, {"seconds": 100}, **BY)
    (split,) = two.edges.read().values()
    assert (begun.release_id, begun.against, split.interleave_bp) == ("r2", "r1", 1000)
    two.tick(seconds=50)
    assert the(two).status == "running"
    two.tick(seconds=51)
    (split,) = two.edges.read().values()
    assert (the(two).status, split.interleave_bp) == ("ended", 0)
    kinds = [own.kind for own in two.views.events(subject=begun.experiment_id).events]
    assert kinds[:2] == ["experiment.withdrawn", "experiment.ended"]


def test_it_is_read_from_the_log_once_its_outcomes_have_come_and_is_on_the_scoreboard(two) -> None:
    two.controller.begin_experiment(1000, {"seconds": 100, "ripe_seconds": 50, "kinds": ["click"]}, **BY)
    log_lists(two, clicks=30)
    two.tick(seconds=101)
    waits = Readouts(two.settings).ripe(the_row(two)) - two.now
    assert waits > timedelta(seconds=50)
    two.tick(seconds=waits.total_seconds() - 1)
    assert the(two).status == "ended"
    two.tick(seconds=2)
    readout = the(two).readout
    assert the(two).status == "read", two.controller.status().faults
    assert (readout.requests, readout.people, readout.planned) == (40, 40, True)
    assert (readout.likings[0].wins, readout.likings[0].silent, readout.likings[0].outcome) == (30, 10, "tried")
    with two.database.read() as session:
        (trial,) = read_scoreboard(session).trials
    assert (trial.release_id, trial.against, trial.ended) == ("r2", "r1", "interleaved")
    assert trial.online["prefer by click"].difference == 30 / 30 - 1 / 2


def the_row(own) -> db.Experiment:
    with own.database.read() as session:
        return db.experiments(session)[0]


def test_one_ended_by_hand_is_read_and_decides_nothing(two) -> None:
    begun = two.controller.begin_experiment(1000, {"seconds": 1000, "ripe_seconds": 0, "kinds": ["click"]}, **BY)
    log_lists(two, clicks=30)
    two.now += timedelta(seconds=10)
    two.controller.end_experiment(begun.experiment_id, **BY)
    two.tick(2, seconds=two.settings.segment_seconds + 60)
    readout = the(two).readout
    assert (readout.planned, readout.likings[0].wins, readout.likings[0].outcome) == (False, 30, "not enough evidence")
    with pytest.raises(Conflict, match="is read"):
        two.controller.end_experiment(begun.experiment_id, **BY)


def test_two_at_once_a_canary_beside_and_a_share_by_hand_are_refused(two) -> None:
    begun = two.controller.begin_experiment(1000, {}, **BY)
    with pytest.raises(Conflict, match=begun.experiment_id):
        two.controller.begin_experiment(500, {}, **BY)
    with pytest.raises(Conflict, match=begun.experiment_id):
        two.controller.interleave(500, **BY)
    two.register("r3")
    with pytest.raises(Conflict, match="interleaved"):
        two.controller.start_canary("r3", POLICY, **BY)
    assert the(two).design["seconds"] == WEEK


@pytest.mark.parametrize("change", ["rollback", "swap", "interleave"])
def test_what_takes_its_share_away_ends_it(two, change: str) -> None:
    two.controller.begin_experiment(1000, {}, **BY)
    if change == "interleave":
        two.controller.interleave(0, **BY)
    else:
        getattr(two.controller, change)(**BY)
    (split,) = two.edges.read().values()
    assert (the(two).status, split.interleave_bp) == ("ended", 0)


def test_a_slot_that_does_not_answer_and_a_design_that_cannot_work_begin_nothing(two) -> None:
    with pytest.raises(ControlError, match="seconds"):
        two.controller.begin_experiment(1000, {"seconds": -1}, **BY)
    with pytest.raises(ControlError, match="once"):
        two.controller.begin_experiment(1000, {"kinds": ["click", "click"]}, **BY)
    two.controller.empty(**BY)
    two.tick(2)
    with pytest.raises(Conflict, match="no release that answers"):
        two.controller.begin_experiment(1000, {}, **BY)
    assert two.views.experiments().experiments == []
