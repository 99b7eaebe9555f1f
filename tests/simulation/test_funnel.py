"""Click, save, apply, interview, hire: their order, their delays, and the capacity of a job."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import Columns
from rankloop.simulation import Marketplace, Scale
from rankloop.simulation.simulate import Log

KEY = [Columns.REQUEST_ID, Columns.ITEM_ID]
BEFORE = {"save": "click", "apply": "click", "interview": "apply", "hire": "interview"}


@pytest.fixture(scope="module")
def market() -> Marketplace:
    return Marketplace(
        Scale(users=250, users_per_day=3, items=250, items_per_day=16, clients=90, days=30, impressions=40_000), rng=4
    )


@pytest.fixture(scope="module")
def outcomes(market: Marketplace) -> pl.DataFrame:
    return market.history().outcomes


@pytest.fixture(scope="module")
def log(market: Marketplace) -> Log:
    return market._run(None)


def of(outcomes: pl.DataFrame, kind: str) -> pl.DataFrame:
    return outcomes.filter(pl.col(Columns.KIND) == kind)


@pytest.mark.parametrize(("kind", "first"), BEFORE.items())
def test_each_step_follows_the_one_before_it(outcomes: pl.DataFrame, kind: str, first: str) -> None:
    steps = of(outcomes, kind)
    joined = steps.join(of(outcomes, first), on=KEY, suffix="_first")
    assert joined.height == steps.height > 0
    assert (joined[Columns.TS] > joined["ts_first"]).all()


def test_each_step_is_rarer_than_the_one_before_it(outcomes: pl.DataFrame) -> None:
    counts = dict(outcomes[Columns.KIND].value_counts().iter_rows())
    assert counts["click"] > 2 * counts["apply"] > 4 * counts["interview"] > 4 * counts["hire"] > 0


@pytest.mark.parametrize(
    ("kind", "first", "shortest", "longest"),
    [
        ("save", "click", timedelta(minutes=1), timedelta(hours=1)),
        ("apply", "click", timedelta(minutes=10), timedelta(days=4)),
        ("interview", "apply", timedelta(hours=4), timedelta(days=21)),
        ("hire", "interview", timedelta(days=1), timedelta(days=21)),
    ],
)
def test_delays_are_of_their_own_size(
    outcomes: pl.DataFrame, kind: str, first: str, shortest: timedelta, longest: timedelta
) -> None:
    joined = of(outcomes, kind).join(of(outcomes, first), on=KEY, suffix="_first")
    delay = joined[Columns.TS] - joined["ts_first"]
    assert delay.min() >= shortest  # type: ignore[operator]
    assert delay.quantile(0.99) <= longest  # type: ignore[operator]


def test_a_click_follows_its_impression_within_minutes(market: Marketplace, outcomes: pl.DataFrame) -> None:
    clicks = of(outcomes, "click").join(market.history().impressions, on=KEY, suffix="_shown")
    delay = clicks[Columns.TS] - clicks["ts_shown"]
    assert delay.min() > timedelta(seconds=1)  # type: ignore[operator]
    assert delay.max() < timedelta(minutes=5)  # type: ignore[operator]


def test_only_a_click_has_a_value_and_it_is_seconds(outcomes: pl.DataFrame) -> None:
    assert of(outcomes, "click")[Columns.VALUE].is_between(0.1, 3 * 3600).all()
    assert outcomes.filter(pl.col(Columns.KIND) != "click")[Columns.VALUE].is_null().all()


def test_a_dismissed_impression_was_not_clicked(outcomes: pl.DataFrame) -> None:
    dismissed = of(outcomes, "dismiss")
    assert dismissed.height > 0
    assert dismissed.join(of(outcomes, "click"), on=KEY).is_empty()


def test_a_job_hires_no_more_people_than_it_has_openings(log: Log) -> None:
    hires = np.bincount(log.outcomes.item[log.outcomes.kind == 4], minlength=len(log.world.closed))
    assert (hires <= log.world.jobs.openings).all()
    assert hires.max() >= 1


def test_the_hire_that_fills_the_last_opening_closes_the_job(log: Log) -> None:
    hired = log.outcomes.kind == 4
    hires = np.bincount(log.outcomes.item[hired], minlength=len(log.world.closed))
    full = np.flatnonzero(hires == log.world.jobs.openings)
    last = [log.outcomes.ts[hired & (log.outcomes.item == job)].max() for job in full]
    assert len(full) > 0
    assert log.world.closed[full].tolist() == last


def test_a_job_without_a_last_hire_closes_when_it_expires(log: Log) -> None:
    hires = np.bincount(log.outcomes.item[log.outcomes.kind == 4], minlength=len(log.world.closed))
    waiting = (hires < log.world.jobs.openings) & (log.world.closed < log.world.end)
    assert (log.world.closed[waiting] == log.world.jobs.expires[waiting]).all()


def test_nobody_applies_for_a_closed_job(log: Log) -> None:
    late = log.outcomes.ts > log.world.closed[log.outcomes.item]
    assert not np.isin(log.outcomes.kind[late], (1, 2, 3, 4)).any()
