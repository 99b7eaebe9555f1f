"""What each guardrail says of what was seen: surely worse, fine, or not enough evidence."""

import pytest
from msgspec.structs import replace

from rankloop.canary import Coverage, Policy, Ratio
from rankloop.canary.judging import judge
from tests.canary.worlds import observation, ratio

POLICY = Policy()


def row(metric: str, *phases, policy: Policy = POLICY):
    return next(one for one in judge(policy, phases) if one.metric == metric and not one.rule.startswith("objective"))


def objective(*phases, policy: Policy = POLICY):
    return judge(policy, phases)[-1]


def test_one_row_for_each_guardrail_and_the_objective_last() -> None:
    rows = judge(POLICY, [observation()])
    assert [one.metric for one in rows] == [*POLICY.active, "apply_rate"]
    assert [one.metric for one in rows if one.needed] == ["errors", "latency_p95", "apply_rate"]
    assert all(one.reason.endswith(".") for one in rows)


@pytest.mark.parametrize(("failed", "outcome"), [(0, "not enough evidence"), (3, "not enough evidence"), (12, "worse")])
def test_a_few_errors_of_nine_hundred_are_judged_as_what_they_are(failed: int, outcome: str) -> None:
    assert row("errors", observation(failed=failed, failed_of_stable=0)).outcome == outcome


def test_no_errors_in_enough_requests_are_fine() -> None:
    seen = observation(weight_bp=2500, units=40_000, failed=0, failed_of_stable=0)
    assert row("errors", seen).outcome == "fine"


def test_many_errors_of_both_accuse_neither() -> None:
    share = 0.05
    seen = observation(weight_bp=500, failed=round(share * 4500), failed_of_stable=round(share * 85_500))
    assert row("errors", seen).outcome != "worse"


def test_a_higher_ratio_below_the_floor_harms_nobody() -> None:
    seen = observation(weight_bp=5000, units=1_000_000, failed=1200, failed_of_stable=100)
    found = row("errors", seen)
    assert found.lower > 5
    assert found.outcome == "fine"


def test_empty_lists_of_one_person_count_as_fewer() -> None:
    one_person = Ratio(units=300, x=30.0, y=900.0, xx=900.0, yy=2700.0 + 891.0, xy=900.0)
    seen = observation(empty=0.0001)
    alone = seen.canary.ratios | {"empty": one_person}
    of_one = replace(seen, canary=replace(seen.canary, ratios=alone))
    of_many = observation(empty=30 / 900)
    assert row("empty", of_many).outcome == "worse"
    assert row("empty", of_one).outcome != "worse"


@pytest.mark.parametrize(
    ("canary", "variance", "outcome"), [(500.0, 100.0, "worse"), (1000.0, 1.0, "fine"), (800.0, 1e6, "not enough evidence")]
)
def test_coverage_is_compared_in_as_many_places(canary: float, variance: float, outcome: str) -> None:
    seen = observation(coverage=Coverage(places=3000, canary=canary, stable=1000.0, variance=variance))
    assert row("coverage", seen).outcome == outcome


def test_a_catalogue_shown_whole_by_both_has_no_variance_and_is_fine() -> None:
    seen = observation(coverage=Coverage(places=10**6, canary=1000.0, stable=1000.0, variance=0.0))
    assert row("coverage", seen).outcome == "fine"


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_score_that_moved_far_is_worse_in_either_direction(sign: int) -> None:
    seen = observation(weight_bp=2500)
    units, mean, spread = seen.canary.units, 1 + sign * 5 * 0.2, 0.2
    moved = Ratio(
        units=units, x=3 * units * mean, y=3.0 * units, xx=9 * units * (mean**2 + spread**2), yy=9.0 * units, xy=9 * units * mean
    )
    found = row("score", replace(seen, canary=replace(seen.canary, ratios=seen.canary.ratios | {"score": moved})))
    assert found.difference == pytest.approx(sign * 5, rel=0.05)
    assert found.outcome == "worse"
    assert row("score", seen).outcome == "fine"


def test_an_overlap_is_held_to_what_it_is_at_least() -> None:
    low, high = observation(overlap=ratio(900, 0.02, lists=10)), observation(overlap=ratio(900, 0.6, lists=10))
    assert (row("overlap", low).outcome, row("overlap", high).outcome) == ("worse", "fine")
    assert row("overlap", observation()).outcome == "not enough evidence"


def test_an_objective_may_ask_for_better() -> None:
    policy = Policy.of({"objective": {"aim": "better", "metric": "ctr@10"}})
    seen = [observation(weight_bp=5000, units=100_000, ctr=ctr) for ctr in (0.3, 0.33)]
    assert [objective(one, policy=policy).outcome for one in seen] == ["not enough evidence", "fine"]


def test_phases_add_up() -> None:
    one = observation(weight_bp=2500, units=60_000)
    lower = [row("apply_rate", *[one] * n).lower for n in (1, 2, 4)]
    assert lower[0] < lower[1] < lower[2] < 0


def test_a_metric_that_was_not_measured_says_so_and_is_no_evidence() -> None:
    seen = observation()
    bare = replace(seen, canary=replace(seen.canary, ratios={}), stable=replace(seen.stable, ratios={}))
    for metric in ("apply_rate", "empty", "score"):
        found = row(metric, bare)
        assert found.outcome == "not enough evidence"
        assert found.difference is None
    assert objective(bare).outcome == "not enough evidence"
