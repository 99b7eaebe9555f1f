"""Lists and outcomes become the sums they should, by formulas, in whatever order they come."""

import math
import random

import pytest

from rankloop.canary import LATENCY_EDGES, METRICS
from rankloop.metrics import ndcg
from services.events.records import ErasureRecord
from services.ranking.fallbacks import NO_TIME, OTHER_LATE
from services.tally.phase import Phase
from services.tally.tally import SURFACES
from tests.services.tally.lists_and_outcomes import BEGAN, done, ratio_of, shown, taken, tallied


def both(tally):
    seen = tally.observation(BEGAN + 60)
    return seen.stable, seen.canary


def test_a_list_counts_for_the_slot_whose_release_it_names() -> None:
    stable, canary = both(tallied(shown("q1"), shown("q2", "bo"), shown("q3", "cy", release="r-new"), shown("q4", release="r-x")))
    assert (stable.release_id, stable.lists, stable.units) == ("r-old", 2, 2)
    assert (canary.release_id, canary.lists, canary.units) == ("r-new", 1, 1)


def test_metrics_are_ratios_of_sums_over_people() -> None:
    stable, _ = both(
        tallied(
            shown("q1"),
            shown("q2", items=[], scores=[], sources=[]),
            shown("q3", "bo", fallback=NO_TIME, scores=[3.0] * 12),
            done("click", "i0", "q1"),
            done("click", "i9", "q1"),
            done("click", "i10", "q1"),
            done("apply", "i11", "q1"),
            done("click", "i3", "q3", "bo"),
        )
    )
    assert stable.ratios["ctr@10"] == ratio_of((2, 2), (1, 1))
    assert stable.ratios["apply_rate"] == ratio_of((1, 2), (0, 1))
    assert stable.ratios["empty"] == ratio_of((1, 2), (0, 1))
    assert stable.ratios["fallback"] == ratio_of((0, 2), (1, 1))
    assert stable.ratios["score"] == ratio_of((1.0, 1), (3.0, 1))


def test_ndcg_is_that_of_the_library_with_the_best_outcome_of_each_item() -> None:
    stable, _ = both(tallied(shown("q1"), done("click", "i1", "q1"), done("apply", "i1", "q1"), done("save", "i4", "q1")))
    grades = [0, 3, 0, 0, 2, *[0] * 7]
    expected = ndcg([float(-place) for place in range(12)], grades, [12], k=10)[0]
    assert stable.ratios["ndcg@10"].x == pytest.approx(expected, abs=1e-9)
    assert stable.ratios["ndcg@10"].y == 1


def test_an_outcome_below_the_tenth_place_makes_an_ndcg_of_zero_and_a_dismissal_none() -> None:
    stable, _ = both(tallied(shown("q1"), done("click", "i10", "q1"), shown("q2", "bo"), done("dismiss", "i0", "q2", "bo")))
    assert stable.ratios["ndcg@10"] == ratio_of((0, 1), (0, 0))


def test_times_are_counted_between_the_bounds() -> None:
    micros = [100, round(1e6 * LATENCY_EDGES[3]) + 1, 10_000_000]
    stable, _ = both(tallied(*(shown(f"q{n}", micros=one) for n, one in enumerate(micros))))
    assert [place for place, count in enumerate(stable.seconds) if count] == [0, 4, len(LATENCY_EDGES)]
    assert sum(stable.seconds) == stable.lists


def test_interleaved_lists_and_those_that_were_to_be_count_for_no_slot_nor_do_their_outcomes() -> None:
    tally = tallied(
        shown("q1", teams=["r-old"] * 12), shown("q2", fallback=OTHER_LATE), done("click", "i0", "q1"), done("click", "i0", "q2")
    )
    stable, _ = both(tally)
    assert (stable.lists, stable.units, stable.ratios["ctr@10"].x, tally.unmatched) == (0, 0, 0, 0)


def test_lists_of_nobody_count_as_lists_and_in_times_but_not_by_unit() -> None:
    stable, _ = both(tallied(shown("q1", ""), shown("q2", ""), done("click", "i0", "q1", "")))
    assert (stable.lists, stable.units, sum(stable.seconds)) == (2, 0, 2)
    assert stable.ratios["ctr@10"] == ratio_of()


def test_the_first_outcome_of_a_kind_by_request_and_item_counts() -> None:
    stable, _ = both(tallied(shown("q1"), *[done("click", "i0", "q1")] * 3, done("click", "i0"), shown("q2", after=30.0)))
    assert stable.ratios["ctr@10"].x == 1


def test_a_request_that_was_answered_twice_counts_once() -> None:
    stable, _ = both(tallied(shown("q1"), shown("q1", after=1.5)))
    assert stable.lists == 1


def test_without_a_request_the_latest_list_of_the_person_that_held_the_item_has_the_outcome() -> None:
    lists = [
        shown("q1", release="r-new", after=1.0),
        shown("q2", after=2.0),
        shown("q3", release="r-new", after=3.0, items=["other"]),
        shown("q4", release="r-new", after=9.0),
        shown("q5", "bo", release="r-new", after=3.0),
    ]
    stable, canary = both(tallied(*lists, done("click", "i0", after=5.0)))
    assert (stable.ratios["ctr@10"].x, canary.ratios["ctr@10"].x) == (1, 0)


@pytest.mark.parametrize(("after", "clicks"), [(30 * 60, 1), (30 * 60 + 2, 0)])
@pytest.mark.parametrize("request_id", ["q1", None])
def test_after_half_an_hour_an_outcome_belongs_to_no_list(request_id: str | None, after: float, clicks: int) -> None:
    tally = tallied(shown("q1"), done("click", "i0", request_id, after=after))
    assert (both(tally)[0].ratios["ctr@10"].x, tally.unmatched) == (clicks, 1 - clicks)


def test_an_outcome_of_an_item_that_the_named_list_did_not_hold_counts_for_nothing() -> None:
    tally = tallied(shown("q1"), done("click", "elsewhere", "q1"), done("click", "i0", "unknown"))
    assert (both(tally)[0].ratios["ctr@10"].x, tally.unmatched) == (0, 2)


def test_another_phase_begins_at_nothing_and_late_outcomes_of_the_earlier_one_do_not_count() -> None:
    tally = tallied(shown("q1"))
    tally.begin(Phase(BEGAN + 100, ("blue", "green"), ("r-old", "r-new"), 2500))
    taken(tally, shown("late", after=99.0), done("click", "i0", "q1", after=101.0), done("click", "i0", after=101.0))
    stable, _ = both(tally)
    assert (stable.lists, stable.units, stable.ratios["ctr@10"]) == (0, 0, ratio_of())
    assert both(taken(tally, shown("q2", after=101.0)))[0].lists == 1


def test_one_release_in_both_slots_is_that_of_the_stable_one_and_an_empty_slot_has_none() -> None:
    stable, canary = both(tallied(shown("q1"), phase=Phase(BEGAN, ("blue", "green"), ("r-old", ""), 0)))
    assert (stable.lists, canary.lists, canary.release_id) == (1, 0, "")


def crowd(rng: random.Random) -> list:
    """Lists and outcomes of eight people, some that belong nowhere."""
    records = []
    for n in range(120):
        user, after = f"u{rng.randrange(8)}", rng.uniform(0, 1700)
        items = rng.sample([f"i{k}" for k in range(30)], rng.randrange(0, 15))
        changed = {"scores": [rng.gauss(0, 3) for _ in items], "sources": ["popular"] * len(items), "micros": rng.randrange(9000)}
        release = rng.choice(["r-old", "r-old", "r-new"])
        records.append(shown(f"q{n}", user, release=release, after=after, items=items, **changed))
        for item in rng.sample(items, min(len(items), rng.randrange(4))):
            kind, named = rng.choice(["click", "click", "save", "apply", "dismiss"]), rng.choice([f"q{n}", None])
            records.append(done(kind, item, named, user, after=after + rng.uniform(0, 60)))
    return records


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_things_are_read_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    records = crowd(rng)
    first = tallied(*records)
    shuffled = rng.sample(records, len(records))
    other = tallied(*shuffled)
    assert other.observation(0.0, other.coverage()) == first.observation(0.0, first.coverage())


@pytest.mark.parametrize("seed", range(5))
def test_the_moments_that_grew_are_those_from_scratch_exactly(seed: int) -> None:
    tally = tallied(*crowd(random.Random(seed)))
    for arm in tally.arms:
        assert arm.units.moments == arm.units.from_scratch()
        assert any(any(moments) for moments in arm.units.moments.values())


def test_outcomes_wait_until_their_list_can_have_been_read() -> None:
    tally = tallied()
    tally.take_event(done("click", "i0", "q1", after=2.0))
    tally.advance(BEGAN + 2.1)
    tally.take_list(shown("q1"))
    tally.advance(BEGAN + 10)
    assert both(tally)[0].ratios["ctr@10"].x == 1


def test_a_person_who_is_forgotten_stays_in_the_sums_as_nobody() -> None:
    tally = tallied(shown("q1"), shown("q2", "bo"), done("click", "i0", "q1"))
    before = tally.observation(0.0, tally.coverage())
    taken(tally, ErasureRecord("r1", "ann", round(1e6 * (BEGAN + 3))), done("click", "i1", "q1"), done("click", "i2"))
    assert tally.observation(0.0, tally.coverage()) == before
    assert both(taken(tally, shown("q3", after=70.0)))[0].units == 3  # who comes back is somebody new


@pytest.mark.parametrize("score", [math.nan, math.inf, -1e300])
def test_a_score_that_no_ranker_gives_breaks_nothing(score: float) -> None:
    stable, _ = both(tallied(shown("q1", items=["a"], scores=[score], sources=["popular"])))
    assert all(math.isfinite(getattr(stable.ratios["score"], moment)) for moment in ("x", "y", "xx", "yy", "xy"))


def test_product_places_beyond_a_number_are_counted_together() -> None:
    tally = tallied(*(shown(f"q{n}", surface=f"s{n}") for n in range(SURFACES + 5)))
    assert tally.shown["blue", "r-old", "other"] == 5
    assert len(tally.shown) == SURFACES + 1


def test_memory_of_lists_is_bounded_by_half_an_hour() -> None:
    tally = tallied()
    for n in range(200):
        taken(tally, shown(f"q{n}", after=60.0 * n))
    assert len(tally.lists) <= (35 + 2) * 17 / 16 + 1
    assert both(tally)[0].lists == 200


def test_every_metric_is_there_before_anything_was_seen() -> None:
    for arm in both(tallied()):
        assert arm.ratios == {metric: ratio_of() for metric in METRICS}
