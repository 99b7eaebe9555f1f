"""Performance: late outcomes, intervals by person, and estimates from scores, against truths that are known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from rankloop.drift import Performance
from rankloop.drift.performance import Mean, Period, clustered, estimated, horizon, measured, over
from rankloop.errors import DataError

START = datetime(2026, 5, 4, tzinfo=UTC)
REFERENCE = Period(START, START + timedelta(days=10))
WINDOW = Period(START + timedelta(days=10), START + timedelta(days=13))
DAY = timedelta(days=1)


def world(
    days: int = 13, lists: int = 600, *, rate: float = 0.2, later: float | None = None, seed: int = 3, harder: float = 0.0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lists of five; a click comes with `rate` (from day 10 on `later`), hours after; scores are calibrated."""
    rng = np.random.default_rng(seed)
    n = days * lists
    day = np.repeat(np.arange(days), lists)
    at = day * 86_400 + rng.integers(0, 86_400, n)
    user = rng.integers(0, 200, n)
    chance = np.clip(rng.beta(2, 8, (n, 5)) * (rate / 0.2) - np.where(day >= 10, harder, 0.0)[:, None], 0.0, 1.0)
    scale = np.where(day >= 10, (later or rate) / rate, 1.0)[:, None]
    clicked = rng.random((n, 5)) < np.clip(chance * scale, 0, 1)
    late = rng.exponential(6 * 3600, (n, 5))
    row, place = np.indices((n, 5))
    moment = pl.Series([START + timedelta(seconds=int(s)) for s in np.repeat(at, 5)], dtype=pl.Datetime("us", "UTC"))
    request, item = [f"r{i}" for i in row.ravel()], [f"i{i}-{p}" for i, p in zip(row.ravel(), place.ravel(), strict=True)]
    shown = pl.DataFrame(
        {
            "request_id": request,
            "ts": moment,
            "user_id": [f"u{u}" for u in np.repeat(user, 5)],
            "item_id": item,
            "position": place.ravel() + 1,
            "score": chance.ravel(),
        }
    )
    done = shown.select("request_id", "item_id", "user_id", "ts").with_columns(
        kind=pl.lit("click"), ts=pl.col("ts") + pl.duration(seconds=pl.Series(late.ravel().astype(np.int64)))
    )
    return shown, done.filter(pl.Series(clicked.ravel()))


def ctr(shown: pl.DataFrame, done: pl.DataFrame, now: datetime) -> Performance:
    known = done.filter(pl.col("ts") < now)
    return next(own for own in measured(shown, known, reference=REFERENCE, window=WINDOW, now=now) if own.metric == "ctr@10")


def test_the_horizon_is_the_delay_within_which_nine_in_ten_came() -> None:
    found = horizon(*world(), "click")
    assert found is not None
    assert found.total_seconds() / 3600 == pytest.approx(-6 * np.log(0.1), rel=0.05)
    assert horizon(*world(), "hire") is None


@pytest.mark.parametrize("hours", [12, 24, 60, 200])
def test_young_lists_do_not_look_worse_than_they_are(hours: int) -> None:
    found = ctr(*world(), now=WINDOW.since + timedelta(hours=36 + hours))
    assert found.ratio is not None
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < 1 < found.upper
    assert found.ratio == pytest.approx(1, abs=0.1)


def test_a_day_counts_when_its_lists_are_older_than_the_horizon() -> None:
    found = ctr(*world(), now=WINDOW.since + 2 * DAY)
    assert [day.counts for day in found.days] == [True, False, False]
    assert found.days[0].ripe == 1
    assert 0 < found.days[1].ripe < 0.9
    assert found.days[2].value is None


def test_a_real_loss_is_measured() -> None:
    found = ctr(*world(later=0.12), now=WINDOW.until + 2 * DAY)
    assert found.upper is not None
    assert found.upper < 1
    assert found.ratio == pytest.approx(0.6, abs=0.08)
    assert f"{found.ratio:.2f} of the reference" in found.says


def test_nothing_is_said_before_anything_has_ripened() -> None:
    found = ctr(*world(), now=WINDOW.since + timedelta(hours=1))
    assert (found.value, found.ratio) == (None, None)
    assert "not enough" in found.says


def test_ndcg_of_a_list_whose_clicks_are_on_top_is_one_and_lists_without_a_click_do_not_count() -> None:
    moment = pl.Series([START] * 40 * 3, dtype=pl.Datetime("us", "UTC"))
    rows = [(f"r{i}", f"u{i}", f"i{p}", p) for i in range(40) for p in (1, 2, 3)]
    shown = pl.DataFrame(rows, schema=["request_id", "user_id", "item_id", "position"], orient="row").with_columns(ts=moment)
    done = shown.filter(pl.col("position") == 2).with_columns(kind=pl.lit("click"), ts=pl.col("ts") + pl.duration(hours=1))
    period = Period(START, START + DAY)
    found = {own.metric: own for own in measured(shown, done, reference=period, window=period, now=START + 3 * DAY)}
    assert found["ndcg@10"].value == pytest.approx(1 / np.log2(3))
    assert found["ctr@10"].value == 1
    assert "apply_rate" not in found


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        taste = rng.normal(1.0, 0.3, 150)
        means = []
        for _ in range(2):
            who = rng.integers(0, 150, 1200)
            fresh = rng.normal(1.0, 0.3, 150) if means else taste  # other people in the other period
            means.append(clustered(fresh[who] + rng.normal(0, 0.5, 1200), who))
        found = over(means[0], means[1])
        assert found is not None
        covered += found[1] <= 1 <= found[2]
    assert 0.92 <= covered / 400 <= 0.98


def test_a_ratio_needs_thirty_people_on_both_sides() -> None:
    assert over(Mean(1.0, 0.1, 99, 29), Mean(1.0, 0.1, 99, 99)) is None
    assert over(Mean(0.0, 0.0, 99, 99), Mean(1.0, 0.1, 99, 99)) is None


def test_an_estimate_sees_harder_requests_before_their_outcomes_come_and_says_what_it_cannot_see() -> None:
    shown, done = world(harder=0.03)
    truth = ctr(shown, done, WINDOW.until + 5 * DAY)
    (guess,) = estimated(shown, done.filter(pl.col("ts") < WINDOW.since), reference=REFERENCE, window=WINDOW)
    assert (guess.metric, guess.kind) == ("ctr@10", "estimated")
    assert truth.ratio is not None
    assert guess.ratio is not None
    assert guess.upper is not None
    assert guess.upper < 1
    assert guess.ratio == pytest.approx(truth.ratio, abs=0.08)
    blind, clicks = world(later=0.1)
    (unmoved,) = estimated(blind, clicks, reference=REFERENCE, window=WINDOW)
    assert unmoved.ratio == pytest.approx(1, abs=0.05)
    assert "blind" in unmoved.says


def test_without_scores_nothing_is_estimated() -> None:
    shown, done = world()
    assert estimated(shown.drop("score"), done, reference=REFERENCE, window=WINDOW) == ()


def test_what_cannot_work_is_refused() -> None:
    shown, done = world(days=1, lists=5)
    with pytest.raises(DataError, match="no time zone"):
        measured(shown, done, reference=REFERENCE, window=WINDOW, now=datetime(2026, 5, 20))
    with pytest.raises(DataError, match="step"):
        measured(shown, done, reference=REFERENCE, window=WINDOW, now=WINDOW.until, step=timedelta(0))
