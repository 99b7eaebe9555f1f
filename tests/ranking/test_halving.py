"""Successive halving: what is decided depends on the curves, not on when they come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.errors import ModelError, SettingsError
from rankloop.ranking import Boosting
from rankloop.ranking.halving import rungs, standings
from rankloop.ranking.space import SPACE, Dimension, draw
from rankloop.ranking.trials import Best, Trials, fingerprint

AT = (10, 30)


def curves_of(seed, trials, step=5, end=60):
    rng = np.random.default_rng(seed)
    rounds = range(step, end + step, step)
    return [tuple((r, float(np.round(rng.random(), 2))) for r in rounds) for _ in range(trials)]


def arrived(trials_object, curves, rng, at_once):
    """Plays a search in which up to `at_once` trials run together and report in a random order."""
    shown = [0] * len(curves)
    running: list[int] = []
    waiting = list(range(len(curves)))
    over: set[int] = set()
    while waiting or running:
        while waiting and len(running) < at_once:
            running.append(waiting.pop(0))
        trial = int(rng.choice(running))
        until = min(shown[trial] + int(rng.integers(1, 4)), len(curves[trial]))
        looks, shown[trial] = curves[trial][shown[trial] : until], until
        over |= set(trials_object.show(trial, looks, ended=until == len(curves[trial])))
        running = [one for one in running if one not in over]
    return trials_object


@given(seed=st.integers(0, 10**6), trials=st.integers(1, 9), at_once=st.integers(1, 9), order=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_any_order_of_arrival_on_any_number_of_cores_comes_to_the_same(tmp_path_factory, seed, trials, at_once, order):
    curves = curves_of(seed, trials)
    plan = [Boosting(rounds=60)] * trials
    alone = arrived(Trials(plan, AT, 3, tmp_path_factory.mktemp("a")), curves, np.random.default_rng(0), 1)
    together = arrived(Trials(plan, AT, 3, tmp_path_factory.mktemp("b")), curves, np.random.default_rng(order), at_once)
    assert alone.standings() == together.standings()
    assert alone.best() == together.best()
    assert alone.table().equals(together.table())


@given(seed=st.integers(0, 10**6), trials=st.integers(2, 9), cut=st.integers(1, 25), order=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_search_that_was_interrupted_comes_to_the_same(tmp_path_factory, seed, trials, cut, order):
    curves = curves_of(seed, trials)
    plan = [Boosting(rounds=60)] * trials
    whole = arrived(Trials(plan, AT, 3, tmp_path_factory.mktemp("whole")), curves, np.random.default_rng(0), 2)
    folder = tmp_path_factory.mktemp("cut")
    first, rng = Trials(plan, AT, 3, folder), np.random.default_rng(order)
    for _ in range(cut):  # a few reports, then the process is gone
        trial = int(rng.integers(0, trials))
        known = len([look for look in curves[trial] if look[0] in first._curves[trial]])
        first.show(trial, curves[trial][: known + 1], ended=known + 1 == len(curves[trial]))
    again = Trials(plan, AT, 3, folder)
    for trial in range(trials):
        if trial not in again.over:
            again.show(trial, curves[trial], ended=True)
    assert again.standings() == whole.standings()
    assert again.over == frozenset(range(trials))


def test_one_in_three_passes_a_rung():
    curves = [((10, value), (30, value)) for value in (0.1, 0.2, 0.3, 0.25, 0.05, 0.4)]
    states = [standing.state for standing in standings(curves, set(range(6)), (10,), 3)]
    # each is best of one, of two, of three; then among the first two of four; fifth of five; first of six
    assert states == ["ended", "ended", "ended", "ended", "stopped", "ended"]


def test_a_trial_that_ended_below_a_rung_is_compared_with_its_best():
    early, late = ((5, 0.9),), ((5, 0.1), (10, 0.9), (30, 0.9))
    assert [standing.state for standing in standings([early, late], {0, 1}, (10,), 3)] == ["ended", "stopped"]


def test_a_trial_waits_for_those_before_it():
    running, ahead = ((5, 0.1),), ((5, 0.5), (10, 0.6), (30, 0.7))
    assert standings([running, ahead], set(), (10,), 3)[1].state == "open"


def test_a_lucky_look_is_no_rung_passed():
    steady, lucky = ((5, 0.5), (10, 0.5)), ((5, 0.1), (10, 0.8))
    assert [standing.state for standing in standings([steady, lucky], set(), (10,), 3)] == ["open", "stopped"]


def test_an_equal_value_passes():
    curve = ((10, 0.5), (30, 0.5))
    assert [standing.state for standing in standings([curve, curve], {0, 1}, (10,), 3)] == ["ended", "ended"]


@pytest.mark.parametrize(
    ("rounds", "reduction", "expected"), [(300, 3, (33, 100)), (64, 2, (32,)), (1000, 4, (62, 250)), (30, 3, ())]
)
def test_rungs_divide_the_rounds(rounds, reduction, expected):
    assert rungs(rounds, reduction) == expected


def test_a_reduction_of_one_is_refused():
    with pytest.raises(SettingsError, match="reduction"):
        rungs(300, 1)


def test_the_best_of_equals_is_the_first_trial_with_the_fewest_rounds(tmp_path):
    trials = Trials([Boosting()] * 2, (), 3, tmp_path)
    trials.show(1, [(5, 0.5)], ended=True)
    trials.show(0, [(5, 0.4), (10, 0.5), (15, 0.5)], ended=True)
    assert trials.best() == Best(1, 5, 0.5, 0.5)  # trial 0 is steady at (0.4 + 0.5 + 0.5) / 3
    trials.show(0, [(5, 0.5), (10, 0.5)], ended=True)
    assert trials.best() == Best(0, 5, 0.5, 0.5)


def test_a_search_without_a_result_says_so(tmp_path):
    with pytest.raises(ModelError, match="more seconds"):
        Trials([Boosting()], (), 3, tmp_path).best()


def test_a_record_of_another_trial_is_refused(tmp_path):
    Trials([Boosting()], (), 3, tmp_path).show(0, [(5, 0.5)], ended=True)
    with pytest.raises(ModelError, match="other settings"):
        Trials([Boosting(num_leaves=7)], (), 3, tmp_path)


def test_more_trials_with_the_same_seed_begin_with_the_same():
    few, many = (draw(Boosting(), count, SPACE, rng=np.random.default_rng(5)) for count in (4, 9))
    assert many[:4] == few
    assert few[0] == Boosting()


def test_every_draw_lies_in_the_space():
    for boosting in draw(Boosting(), 60, SPACE, rng=np.random.default_rng(1)):
        for one in SPACE:
            assert one.low <= getattr(boosting, one.name) <= one.high


def test_a_range_that_cannot_work_is_named():
    with pytest.raises(SettingsError, match="lambda_l2"):
        Dimension("lambda_l2", 0.0, 1.0, "log")


def test_a_fingerprint_sees_every_value(make_lists):
    train, validation = make_lists(0), make_lists(1)
    same = fingerprint(train, validation, {"seed": 1})
    assert same == fingerprint(make_lists(0), make_lists(1), {"seed": 1})
    features = train.features.copy()
    features[-1, -1] += 1
    others = [
        fingerprint(train._replace(features=features), validation, {"seed": 1}),
        fingerprint(train, validation, {"seed": 2}),
        fingerprint(validation, train, {"seed": 1}),
        fingerprint(train._replace(names=(*train.names[:-1], "x")), validation, {"seed": 1}),
    ]
    assert len({same, *others}) == 5
