"""The crowd: the people who made the log, before lists that somebody else made."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from rankloop.contracts import Columns
from rankloop.errors import DataError
from rankloop.simulation import Crowd, Marketplace, Scale, Truth
from rankloop.simulation.clicks import examination

SCALE = Scale(users=200, users_per_day=2, items=200, items_per_day=15, clients=60, days=20, impressions=30_000)


@pytest.fixture(scope="module")
def market() -> Marketplace:
    return Marketplace(SCALE, rng=3)


@pytest.fixture(scope="module")
def truth(market: Marketplace) -> Truth:
    return market.truth


def test_the_same_seed_brings_the_same_people_whatever_they_were_shown(truth: Truth) -> None:
    one, other = Crowd(truth, rng=5), Crowd(truth, rng=5)
    first = one.visits(50)
    for visit in first:
        one.react(visit, truth.best(one.request(visit), 3))
    assert other.visits(50) == first
    assert other.visits(50) == one.visits(50)
    assert Crowd(truth, rng=6).visits(50) != first


def test_people_come_and_search_as_often_as_in_the_log(market: Marketplace) -> None:
    n = 20_000
    visits = Crowd(market, rng=1).visits(n)
    searches = sum(visit.query is not None for visit in visits) / n
    assert searches == pytest.approx(SCALE.search_share, abs=4 * np.sqrt(0.25 / n))
    activity = market.truth.world.people.activity
    came = Counter(visit.user_id for visit in visits)
    busiest = market.truth.world.user_ids[int(np.argmax(activity))]
    share = float(activity.max() / activity.sum())
    assert came[busiest] / n == pytest.approx(share, abs=4 * np.sqrt(share / n))


def test_queries_are_typed_as_often_as_on_the_day_after_the_log(market: Marketplace) -> None:
    """The crowd agrees with a live day as well as two live days agree with each other."""
    crowd = Counter(visit.query for visit in Crowd(market, rng=1).visits(20_000) if visit.query)
    live, again = (Counter(one.query for one in market.live_requests(20_000, rng=seed) if one.query) for seed in (2, 3))
    texts = sorted(set(crowd) | set(live) | set(again))
    counts = np.array([[own[text] for text in texts] for own in (crowd, live, again)])
    agreement = np.corrcoef(counts)
    assert agreement[0, 1] == pytest.approx(agreement[1, 2], abs=0.03)


def test_a_crowd_of_so_many_people_has_so_many_different_ones(truth: Truth) -> None:
    crowd = Crowd(truth, rng=1, people=17)
    assert len(set(crowd.people)) == 17
    assert {visit.user_id for visit in crowd.visits(2_000)} == set(crowd.people)


@pytest.mark.parametrize("people", [0, 10_000])
def test_more_people_than_there_are_is_refused_in_words(truth: Truth, people: int) -> None:
    with pytest.raises(DataError, match=f"people is {people}; this marketplace has"):
        Crowd(truth, rng=1, people=people)


def test_the_body_is_what_the_service_reads(truth: Truth) -> None:
    crowd = Crowd(truth, rng=1)
    for visit in crowd.visits(40):
        body = visit.body(7)
        expected = {"user_id": visit.user_id, "k": 7, "surface": visit.surface}
        assert body == (expected | {"query": visit.query} if visit.query else expected)
        assert (visit.surface == "job_search") == (visit.query is not None)


def test_clicks_follow_true_preference_and_position(truth: Truth) -> None:
    """The share of clicks at each place is the chance of a look times the chance of a click once looked at."""
    crowd = Crowd(truth, rng=4)
    visit = crowd.visit("u0000003")
    items = truth.best(crowd.request(visit), 6)
    n = 6_000
    clicks: Counter[str] = Counter()
    for number in range(n):
        clicks.update(deed.item_id for deed in crowd.react(visit._replace(number=number), items) if deed.kind == "click")
    expected = truth.click_chances([crowd.request(visit)], [items])[0] * examination(visit.surface, 6)
    for item, share in zip(items, expected, strict=True):
        assert clicks[item] / n == pytest.approx(float(share), abs=4.5 * np.sqrt(0.25 / n))


def test_the_same_visit_and_list_give_the_same_deeds(truth: Truth) -> None:
    for visit in Crowd(truth, rng=4).visits(30):
        items = truth.best(Crowd(truth, rng=1).request(visit), 5)
        assert Crowd(truth, rng=9).react(visit, items) == Crowd(truth, rng=9).react(visit, items)


def test_deeds_come_in_order_of_time_and_a_click_within_the_minute(truth: Truth) -> None:
    crowd = Crowd(truth, rng=4)
    for visit in crowd.visits(50):
        deeds = crowd.react(visit, truth.best(crowd.request(visit), 10))
        assert [deed.after for deed in deeds] == sorted(deed.after for deed in deeds)
        assert all(deed.after > 0 for deed in deeds)


def test_nobody_applies_twice_neither_after_the_log_nor_after_an_earlier_list(truth: Truth) -> None:
    crowd = Crowd(truth, rng=4)
    visit = crowd.visit("u0000003")
    items = truth.best(crowd.request(visit), 5)
    applied: Counter[str] = Counter()
    for number in range(300):
        applied.update(deed.item_id for deed in crowd.react(visit._replace(number=number), items) if deed.kind == "apply")
    assert set(applied.values()) == {1}
    again = Crowd(truth, rng=4, applied=[(visit.user_id, item) for item in items])
    kinds = {deed.kind for number in range(300) for deed in again.react(visit._replace(number=number), items)}
    assert kinds == {"click", "save", "dismiss"}


def test_a_job_that_closed_before_the_end_of_the_log_is_never_clicked(truth: Truth) -> None:
    closed = truth.world.item_ids.gather(np.flatnonzero(truth.world.closed <= truth.world.end)[:10]).to_list()
    crowd = Crowd(truth, rng=4)
    assert [crowd.react(visit, closed) for visit in crowd.visits(50)] == [[]] * 50


def test_the_moment_is_the_end_of_the_log(market: Marketplace) -> None:
    crowd = Crowd(market, rng=4)
    assert crowd.request(crowd.visits(1)[0]).ts == SCALE.start + timedelta(days=SCALE.days)
    assert market.history().impressions[Columns.TS].max() < crowd.request(crowd.visits(1)[0]).ts  # type: ignore[operator]


def test_items_of_another_marketplace_are_refused_in_words(truth: Truth) -> None:
    crowd = Crowd(truth, rng=4)
    with pytest.raises(DataError, match="'logo-i3' is unknown to this marketplace"):
        crowd.react(crowd.visits(1)[0], ["logo-i3"])
