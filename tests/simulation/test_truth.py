"""Utility, answers and live requests: they agree with each other and with the log."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from rankloop.contracts import GRADES, SCHEMAS, Columns
from rankloop.errors import DataError
from rankloop.judgements import judged_requests
from rankloop.metrics import UndefinedMetric, ndcg
from rankloop.request import Request
from rankloop.simulation import Marketplace, Scale, Truth
from rankloop.simulation.clicks import examination

SCALE = Scale(users=200, users_per_day=2, items=200, items_per_day=15, clients=60, days=20, impressions=30_000)


@pytest.fixture(scope="module")
def market() -> Marketplace:
    return Marketplace(SCALE, rng=3)


@pytest.fixture(scope="module")
def truth(market: Marketplace) -> Truth:
    return market.truth


@pytest.fixture(scope="module")
def live(truth: Truth) -> list[Request]:
    return truth.live_requests(200, rng=5)


def grade_of(outcomes: pl.DataFrame) -> pl.DataFrame:
    return outcomes.with_columns(grade=pl.col(Columns.KIND).replace_strict(GRADES, return_dtype=pl.Int32))


def test_answers_agree_with_the_truth_in_the_mean(truth: Truth, live: list[Request]) -> None:
    lists = [truth.best(request, 10) for request in live]
    times = 100
    outcomes = truth.answers(live * times, lists * times, rng=1, request_ids=[str(at) for at in range(len(live) * times)])
    grades = grade_of(outcomes).group_by(Columns.REQUEST_ID, Columns.ITEM_ID).agg(pl.col("grade").max())
    found = grades["grade"].sum() / times
    expected = truth.values(live, lists).sum()
    assert found == pytest.approx(expected, rel=0.02)


def test_clicks_of_answers_agree_with_the_click_chances(truth: Truth, live: list[Request]) -> None:
    request = live[0]
    items = truth.best(request, 5)
    n = 20_000
    outcomes = truth.answers([request] * n, [items] * n, rng=2)
    clicks = outcomes.filter(pl.col(Columns.KIND) == "click")[Columns.ITEM_ID].value_counts()
    share = dict(clicks.iter_rows())
    expected = truth.click_chances([request], [items])[0] * examination(request.surface, 5)
    assert [share[item] / n for item in items] == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(n))


def test_an_answer_has_the_columns_of_the_contract(truth: Truth, live: list[Request]) -> None:
    outcomes = truth.answer(live[0], truth.best(live[0], 10), rng=1, request_id="q1")
    assert dict(outcomes.schema) == SCHEMAS["outcomes"]
    assert outcomes[Columns.TS].is_sorted()


def test_the_marketplace_answers_as_its_truth_does(market: Marketplace, live: list[Request]) -> None:
    items = market.truth.best(live[1], 10)
    assert_frame_equal(market.answer(live[1], items, rng=8), market.truth.answer(live[1], items, rng=8))
    assert market.live_requests(3, rng=9) == market.truth.live_requests(3, rng=9)


def test_an_empty_list_is_answered_by_nothing(truth: Truth, live: list[Request]) -> None:
    assert truth.answer(live[0], [], rng=1).is_empty()
    assert truth.utilities([], []) == []
    assert truth.utility(live[0], []).shape == (0,)


def test_many_requests_are_worth_what_each_is_alone(truth: Truth, live: list[Request]) -> None:
    lists = [truth.world.item_ids.sample(7, seed=at).to_list() for at in range(len(live))]
    together = truth.utilities(live, lists)
    for request, own, worth in zip(live, lists, together, strict=True):
        assert truth.utility(request, own).tobytes() == worth.tobytes()


def test_utility_lies_between_nothing_and_a_hire(truth: Truth, live: list[Request]) -> None:
    worth = truth.utility(live[0], truth.best(live[0], 100))
    assert 0 < worth.min() <= worth.max() < GRADES["hire"]


def test_a_closed_job_is_worth_nothing_and_is_not_clicked(truth: Truth, live: list[Request]) -> None:
    closed = truth.world.item_ids.gather(np.flatnonzero(truth.world.closed < truth.world.end)).to_list()
    assert len(closed) > 10
    assert (truth.utility(live[0], closed) == 0).all()
    assert truth.answer(live[0], closed, rng=1).is_empty()


def test_a_job_not_posted_yet_is_worth_nothing(truth: Truth, live: list[Request]) -> None:
    last = truth.world.item_ids[-1]
    early = replace(live[0], ts=SCALE.start - timedelta(days=30))
    assert truth.utility(early, [last])[0] == 0


def test_the_best_list_is_worth_more_than_any_other(truth: Truth, live: list[Request]) -> None:
    best = [truth.best(request, 10) for request in live]
    turned = [own[::-1] for own in best]
    other = [truth.world.item_ids.sample(10, seed=at).to_list() for at in range(len(live))]
    assert (truth.values(live, best) >= truth.values(live, turned)).all()
    assert (truth.values(live, best) >= truth.values(live, other)).all()


def test_the_oracle_orders_logged_lists_better_than_the_log_did(market: Marketplace, truth: Truth) -> None:
    judged = judged_requests(market.history(), SCALE.start + timedelta(days=10), SCALE.start + timedelta(days=20))
    sizes = [len(own) for own in judged.items]
    grades = np.concatenate(judged.grades)
    clicked = [bool(own.max() > 0) for own in judged.grades]
    worth = np.concatenate(truth.utilities(judged.requests, judged.items))
    place = np.concatenate(judged.positions)
    with pytest.warns(UndefinedMetric):
        oracle, logged = (ndcg(score, grades, sizes, k=10)[clicked] for score in (worth, -place))
    assert oracle.mean() > logged.mean() + 0.05
    assert 0.5 < oracle.mean() < 0.85, "an oracle knows chances, not what will happen"


def test_a_saved_truth_is_the_same_in_another_place(truth: Truth, live: list[Request], tmp_path: Path) -> None:
    truth.save(tmp_path / "truth")
    loaded = Truth.load(tmp_path / "truth")
    items = truth.best(live[0], 20)
    assert loaded.best(live[0], 20) == items
    assert loaded.utility(live[0], items).tobytes() == truth.utility(live[0], items).tobytes()
    assert loaded.live_requests(20, rng=1) == truth.live_requests(20, rng=1)
    assert_frame_equal(loaded.answer(live[0], items, rng=1), truth.answer(live[0], items, rng=1))


def test_a_folder_without_a_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"world\.json is missing"):
        Truth.load(tmp_path)


def test_live_requests_come_on_the_day_after_history(live: list[Request]) -> None:
    end = SCALE.start + timedelta(days=SCALE.days)
    assert all(end <= request.ts < end + timedelta(days=1) for request in live)
    assert [request.ts for request in live] == sorted(request.ts for request in live)
    assert {request.surface for request in live} == {"job_feed", "job_search"}
    assert all((request.query is None) == (request.surface == "job_feed") for request in live)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user_id": "somebody"}, "'somebody' is unknown"),
        ({"user_id": "u9999999"}, "'u9999999' is unknown"),
        ({"surface": "talent_search"}, "only 'job_feed' and 'job_search'"),
        ({"surface": "job_search", "query": "asdf qwer"}, "nobody types this here"),
    ],
)
def test_what_the_marketplace_does_not_know_is_refused(
    truth: Truth, live: list[Request], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        truth.utility(replace(live[0], **change), ["j0000000"])


def test_an_unknown_item_is_refused(truth: Truth, live: list[Request]) -> None:
    with pytest.raises(DataError, match="'x1' is unknown"):
        truth.utility(live[0], ["j0000000", "x1"])
