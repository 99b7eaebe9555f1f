"""The click model, and that the log follows it."""

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import Columns
from rankloop.judgements import judged_requests
from rankloop.simulation import Marketplace, Scale
from rankloop.simulation.clicks import DECAY, draw_events, examination
from rankloop.simulation.tastes import Chances


def certain(n: int, **given: float) -> Chances:
    return Chances(*(np.full(n, given.get(step, 0.0), np.float32) for step in Chances._fields))


@pytest.mark.parametrize("surface", ["job_feed", "job_search"])
def test_attention_falls_by_a_power_of_the_position(surface: str) -> None:
    looks = examination(surface, 12)
    assert looks == pytest.approx([k ** -DECAY[surface] for k in range(1, 13)], rel=1e-6)


def test_where_every_look_is_a_click_the_click_rate_is_the_examination_curve() -> None:
    lists, length = 20_000, 10
    position = np.tile(np.arange(1, length + 1), lists)
    examined = np.tile(examination("job_search", length), lists)
    events = draw_events(
        certain(len(position), click=1), examined, position, np.zeros(len(position), np.int64), np.random.default_rng(1)
    )
    rate = np.bincount(position[events.row[events.kind == 0]], minlength=length + 1)[1:] / lists
    assert rate == pytest.approx(examination("job_search", length), abs=4 * 0.5 / np.sqrt(lists))


def test_the_shares_of_the_funnel_are_the_products_of_its_chances() -> None:
    n = 100_000
    given = certain(n, click=0.5, save=0.4, apply=0.3, apply_saved=0.6, interview=0.5, hire=0.5, dismiss=0.2)
    one = np.ones(n, np.float32)
    events = draw_events(given, one, np.ones(n, np.int64), np.zeros(n, np.int64), np.random.default_rng(2))
    shares = np.bincount(events.kind, minlength=6) / n
    apply = 0.5 * (0.4 * 0.6 + 0.6 * 0.3)
    expected = [0.5, 0.5 * 0.4, apply, apply / 2, apply / 4, 0.5 * 0.2]
    assert shares == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(n))


def test_nobody_acts_on_what_nobody_looks_at() -> None:
    zero = np.zeros(50, np.float32)
    given = certain(50, click=1, save=1, apply=1, dismiss=1)
    events = draw_events(given, zero, np.ones(50, np.int64), np.zeros(50, np.int64), np.random.default_rng(3))
    assert len(events.row) == 0


@pytest.mark.parametrize("surface", ["job_feed", "job_search"])
def test_the_log_shows_the_examination_curve(surface: str) -> None:
    scale = Scale(users=200, users_per_day=2, items=200, items_per_day=15, clients=60, days=20, impressions=60_000)
    market = Marketplace(scale, rng=6)
    tables = market.history()
    judged = judged_requests(tables, scale.start, tables.impressions[Columns.TS].max())  # type: ignore[arg-type]
    wanted = [at for at, request in enumerate(judged.requests) if request.surface == surface]
    requests, items = [judged.requests[at] for at in wanted], [judged.items[at] for at in wanted]
    chance = np.concatenate(market.truth.click_chances(requests, items))
    position = np.concatenate([judged.positions[at] for at in wanted])
    clicked = np.concatenate([judged.grades[at] > 0 for at in wanted])
    hoped = np.bincount(position, chance)[1:]
    found = np.bincount(position, clicked)[1:] / hoped
    expected = examination(surface, scale.list_length)
    deviation = np.sqrt(expected / hoped)
    assert (np.abs(found - expected) < 4 * deviation).all()
    assert pl.Series(found[:6]).mean() > pl.Series(found[6:]).mean()  # type: ignore[operator]
