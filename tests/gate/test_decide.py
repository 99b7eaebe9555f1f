"""The gate's three outcomes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.gate import Measured, Policy, decide

PLAIN = Policy(guardrails={}, totals={}, most={}, slices=())
PEOPLE = 400


def measured(name, values, *, metric="ndcg@10", **others):
    units = [f"u{place % PEOPLE}" for place in range(len(values))]
    return Measured(name, units, {metric: values}, **others)


def scores(seed=0, requests=800):
    return np.random.default_rng(seed).beta(2, 3, requests)


def noisy(values, shift=0.0, spread=0.1, seed=1):
    """The same requests under another system: paired, shifted, with noise of its own."""
    return values + shift + spread * np.random.default_rng(seed).normal(size=len(values))


BASE = scores()
CHAMPION = measured("r1", BASE)
POPULAR = measured("popular", noisy(BASE, -0.1, seed=9))


def by_rule(verdict, metric, slice_="all", against=None):
    return next(row for row in verdict.rows if (row.metric, row.slice) == (metric, slice_) and against in (None, row.reference))


def test_a_clearly_better_candidate_passes():
    verdict = decide(measured("r2", noisy(BASE, 0.03)), baseline=POPULAR, champion=CHAMPION, policy=PLAIN)
    assert verdict.outcome == "pass"
    assert len(verdict.reasons) == 2
    assert verdict.champion == "r1"


def test_a_clearly_worse_candidate_fails_and_says_by_how_much():
    verdict = decide(measured("r2", noisy(BASE, -0.05)), baseline=POPULAR, champion=CHAMPION, policy=PLAIN)
    assert verdict.outcome == "fail"
    row = by_rule(verdict, "ndcg@10", against="r1")
    assert f"{row.difference:+.4f}" in verdict.reasons[0]
    assert "loses more than 1.0%" in verdict.reasons[0]


def test_a_candidate_that_may_or_may_not_be_worse_is_not_decided():
    verdict = decide(measured("r2", noisy(BASE, -0.004, spread=0.2)), baseline=POPULAR, champion=CHAMPION, policy=PLAIN)
    assert verdict.outcome == "not enough evidence"


def test_a_loss_within_the_tolerance_passes():
    verdict = decide(measured("r2", BASE - 0.002), baseline=POPULAR, champion=CHAMPION, policy=PLAIN)
    assert verdict.outcome == "pass"
    row = by_rule(verdict, "ndcg@10", against="r1")
    assert row.limit == pytest.approx(-0.01 * BASE.mean())
    assert row.difference == pytest.approx(-0.002)


def test_a_candidate_no_better_than_popular_fails():
    verdict = decide(replace(POPULAR, name="r2"), baseline=POPULAR, policy=PLAIN)
    assert verdict.outcome == "fail"


def test_without_a_champion_the_baseline_stands_in_for_guardrails():
    policy = Policy(guardrails={"recall": 0.05}, totals={}, most={}, slices=())
    both = {"ndcg@10": noisy(BASE, 0.1), "recall": BASE * 0.5}
    candidate = replace(CHAMPION, name="r1", values=both)
    baseline = replace(POPULAR, values={"ndcg@10": BASE, "recall": BASE})
    verdict = decide(candidate, baseline=baseline, policy=policy)
    assert verdict.outcome == "fail"
    assert "recall" in verdict.reasons[0]
    assert verdict.champion is None


@given(seed=st.integers(0, 10**6), requests=st.integers(1, 300), people=st.integers(1, 60), missing=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_champion_itself_never_fails(seed, requests, people, missing):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(requests) < missing, np.nan, rng.random(requests))
    units = rng.integers(0, people, requests).astype(str)
    labels = rng.choice(["job_feed", "job_search"], requests)
    one = Measured(
        "r1",
        units,
        {"ndcg@10": values, "catalogue_recall@100": values, "empty": np.zeros(requests)},
        {"surface": labels, "user": labels, "query": labels},
        {"coverage": 0.3},
    )
    lower = replace(one, name="popular", values={"ndcg@10": values - 0.5, "catalogue_recall@100": values - 0.5})
    policy = Policy(min_requests=2, min_users=2, slice_min_users=2, resamples=100)
    verdict = decide(replace(one, name="r2"), baseline=lower, champion=one, policy=policy, seed=seed)
    assert verdict.outcome != "fail"
    enough = np.isfinite(values).sum() >= 2 and len(set(units[np.isfinite(values)])) >= 2
    assert verdict.outcome == ("pass" if enough else "not enough evidence")


@given(seed=st.integers(0, 10**6), shift=st.floats(-0.2, 0.2))
@settings(max_examples=40, deadline=None)
def test_more_quality_is_never_a_worse_outcome(seed, shift):
    rank = {"fail": 0, "not enough evidence": 1, "pass": 2}
    values = noisy(BASE, shift, seed=seed)
    lower, higher = (
        decide(measured("r2", one), baseline=POPULAR, champion=CHAMPION, policy=PLAIN).outcome for one in (values, values + 0.01)
    )
    assert rank[higher] >= rank[lower]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_requests_does_not_matter(seed):
    order = np.random.default_rng(seed).permutation(len(BASE))
    candidate = measured("r2", noisy(BASE, -0.003, spread=0.2, seed=seed))
    shuffled = [
        Measured(one.name, np.asarray(one.units)[order], {"ndcg@10": one.array("ndcg@10")[order]})
        for one in (candidate, POPULAR, CHAMPION)
    ]
    before = decide(candidate, baseline=POPULAR, champion=CHAMPION, policy=PLAIN)
    after = decide(shuffled[0], baseline=shuffled[1], champion=shuffled[2], policy=PLAIN)
    assert before.outcome == after.outcome
    for one, other in zip(before.rows, after.rows, strict=True):
        assert one.lower == pytest.approx(other.lower, abs=1e-12)


@pytest.mark.parametrize(("requests", "people"), [(199, 199), (400, 99), (1, 1)])
def test_too_little_is_not_enough_evidence_however_good(requests, people):
    units = [f"u{place % people}" for place in range(requests)]
    candidate = Measured("r2", units, {"ndcg@10": np.ones(requests)})
    nothing = Measured("popular", units, {"ndcg@10": np.zeros(requests)})
    verdict = decide(candidate, baseline=nothing, policy=PLAIN)
    assert verdict.outcome == "not enough evidence"
    assert f"{requests} judged requests of {people} people" in verdict.reasons[0]


def test_a_serving_release_that_was_not_measured_is_not_enough_evidence():
    verdict = decide(measured("r2", noisy(BASE, 0.1)), baseline=POPULAR, serving="r1", policy=PLAIN)
    assert verdict.outcome == "not enough evidence"
    assert "r1 serves, and was not measured" in verdict.reasons[0]


def test_a_baseline_that_was_not_measured_is_not_enough_evidence():
    verdict = decide(measured("r2", noisy(BASE, 0.1)), baseline=None, champion=CHAMPION, policy=PLAIN)
    assert verdict.outcome == "not enough evidence"


BETTER = noisy(BASE, 0.1)
SOME_NAN = np.where(np.arange(len(BASE)) < 5, np.nan, BETTER)


@pytest.mark.parametrize(
    ("candidate", "champion", "outcome"),
    [
        (np.full(len(BASE), np.nan), BASE, "fail"),
        (SOME_NAN, BASE, "fail"),
        (np.where(np.isnan(SOME_NAN), np.inf, SOME_NAN), BASE, "fail"),
        (BETTER, np.full(len(BASE), np.nan), "not enough evidence"),
        (BETTER, np.where(np.isnan(SOME_NAN), np.nan, BASE), "not enough evidence"),
        (np.full(len(BASE), np.nan), np.full(len(BASE), np.nan), "not enough evidence"),
    ],
)
def test_a_value_that_is_not_a_number_never_passes(candidate, champion, outcome):
    defined = np.where(np.isnan(champion), np.nan, POPULAR.array("ndcg@10"))
    verdict = decide(
        measured("r2", candidate), baseline=measured("popular", defined), champion=measured("r1", champion), policy=PLAIN
    )
    assert verdict.outcome == outcome


def test_a_request_undefined_for_both_is_left_out():
    verdict = decide(
        measured("r2", SOME_NAN),
        baseline=measured("popular", np.where(np.isnan(SOME_NAN), np.nan, BASE)),
        policy=PLAIN,
    )
    assert verdict.outcome == "pass"
    assert verdict.rows[0].requests == len(BASE) - 5


def test_other_requests_are_not_compared():
    other = Measured("r1", [f"v{place}" for place in range(len(BASE))], {"ndcg@10": BASE})
    verdict = decide(measured("r2", BETTER), baseline=POPULAR, champion=other, policy=PLAIN)
    assert verdict.outcome == "not enough evidence"
    assert "other requests" in verdict.reasons[0]


def with_slices(name, values, **labels):
    return measured(name, values, slices=labels)


SURFACE = np.array(["job_feed", "job_search"])[np.arange(len(BASE)) // 10 % 2]
SLICED = Policy(guardrails={}, totals={}, most={}, slices=("surface",))


def test_harm_to_one_slice_fails_though_the_whole_is_better():
    values = np.where(SURFACE == "job_search", BASE - 0.05, BASE + 0.15)
    verdict = decide(
        with_slices("r2", values, surface=SURFACE),
        baseline=with_slices("popular", BASE - 0.1, surface=SURFACE),
        champion=with_slices("r1", BASE, surface=SURFACE),
        policy=SLICED,
    )
    assert verdict.outcome == "fail"
    assert "surface=job_search" in verdict.reasons[0]
    assert by_rule(verdict, "ndcg@10", "surface=job_feed").outcome == "pass"


def test_a_slice_of_few_people_informs_and_holds_nothing_up():
    few = np.array(["new" if place % PEOPLE < 20 else "known" for place in range(len(BASE))])
    values = np.where(few == "new", BASE - 0.2, BASE + 0.05)
    verdict = decide(
        with_slices("r2", values, user=few),
        baseline=with_slices("popular", BASE - 0.3, user=few),
        champion=with_slices("r1", BASE, user=few),
        policy=Policy(guardrails={}, totals={}, most={}, slices=("user",)),
    )
    assert verdict.outcome == "pass"
    row = by_rule(verdict, "ndcg@10", "user=new")
    assert (row.outcome, row.binding, row.users) == ("not enough evidence", False, 20)


def test_a_dimension_the_policy_names_must_be_there():
    verdict = decide(measured("r2", BETTER), baseline=POPULAR, champion=CHAMPION, policy=SLICED)
    assert verdict.outcome == "not enough evidence"
    assert "not sliced by surface" in verdict.reasons[0]


@pytest.mark.parametrize(("coverage", "outcome"), [(0.41, "pass"), (0.40, "pass"), (0.39, "fail"), (float("nan"), "fail")])
def test_coverage_may_lose_its_share_and_no_more(coverage, outcome):
    policy = Policy(guardrails={}, totals={"coverage": 0.2}, most={}, slices=())
    candidate = measured("r2", BETTER, totals={"coverage": coverage})
    champion = measured("r1", BASE, totals={"coverage": 0.5})
    verdict = decide(candidate, baseline=POPULAR, champion=champion, policy=policy)
    assert verdict.outcome == outcome


@pytest.mark.parametrize(
    ("ours", "theirs"), [({}, {"coverage": 0.5}), ({"coverage": 0.5}, {}), ({"coverage": 0.5}, {"coverage": float("nan")})]
)
def test_a_total_that_was_not_measured_is_not_enough_evidence(ours, theirs):
    policy = Policy(guardrails={}, totals={"coverage": 0.2}, most={}, slices=())
    candidate, champion = measured("r2", BETTER, totals=ours), measured("r1", BASE, totals=theirs)
    assert decide(candidate, baseline=POPULAR, champion=champion, policy=policy).outcome == "not enough evidence"


@pytest.mark.parametrize(("empty", "outcome"), [(8, "pass"), (9, "fail"), (None, "not enough evidence")])
def test_empty_lists_have_a_limit_of_their_own(empty, outcome):
    policy = Policy(guardrails={}, totals={}, most={"empty": 0.01}, slices=())
    values = {"ndcg@10": BETTER}
    if empty is not None:
        values["empty"] = (np.arange(len(BASE)) < empty).astype(float)
    assert decide(replace(CHAMPION, name="r2", values=values), baseline=POPULAR, policy=policy).outcome == outcome


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_share_of_empty_lists_that_is_not_a_number_fails(value):
    policy = Policy(guardrails={}, totals={}, most={"empty": 0.01}, slices=())
    values = {"ndcg@10": BETTER, "empty": np.full(len(BASE), value)}
    assert decide(replace(CHAMPION, name="r2", values=values), baseline=POPULAR, policy=policy).outcome == "fail"


def test_the_same_numbers_and_seed_give_the_same_verdict_and_another_seed_another_interval():
    candidate = measured("r2", noisy(BASE, 0.01))
    first, again, other = (decide(candidate, baseline=POPULAR, champion=CHAMPION, policy=PLAIN, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.rows[1].lower != other.rows[1].lower


@pytest.mark.parametrize(
    ("true_loss", "most_passes", "most_fails"),
    [
        (0.0, 1.0, 0.05),  # nothing is lost: it must hardly ever fail
        (0.02, 0.05, 1.0),  # exactly the tolerance is lost: it must hardly ever pass
        (0.04, 0.005, 1.0),
    ],
)
def test_how_often_the_gate_errs_is_bounded(true_loss, most_passes, most_fails):
    """200 worlds of 600 requests by 200 people whose requests are alike; nominal error 2.5 % a side."""
    policy = Policy(tolerance=0.05, guardrails={}, totals={}, most={}, slices=(), resamples=300)
    outcomes = []
    for world in range(200):
        rng = np.random.default_rng([7, world])
        people = rng.integers(0, 200, 600)
        champion = 0.4 + 0.1 * rng.normal(size=200)[people] + 0.1 * rng.normal(size=600)
        change = 0.05 * rng.normal(size=200)[people] + 0.1 * rng.normal(size=600)
        units = people.astype(str)
        candidate = Measured("r2", units, {"ndcg@10": champion + change - true_loss})
        verdict = decide(
            candidate,
            baseline=Measured("popular", units, {"ndcg@10": champion - 1}),
            champion=Measured("r1", units, {"ndcg@10": champion}),
            policy=policy,
            seed=world,
        )
        outcomes.append(verdict.outcome)
    assert outcomes.count("pass") / 200 <= most_passes
    assert outcomes.count("fail") / 200 <= most_fails
