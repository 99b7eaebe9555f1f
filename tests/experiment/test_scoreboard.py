"""The scoreboard: correlations that are right where their answer is known, and silence where there is too little."""

import numpy as np
import pytest
from scipy import stats

from rankloop.errors import DataError
from rankloop.experiment import Effect, Scoreboard, Trial, scoreboard
from rankloop.experiment.scoreboard import ENOUGH


def trials(offline, online, width: float = 0.01) -> list[Trial]:
    return [
        Trial(
            name=f"canary-{number}",
            release_id=f"r{number}",
            against="r",
            ended="promoted",
            offline={"ndcg@10": Effect(float(x), paired=True)},
            online={"ctr@10": Effect(float(y), float(y) - width, float(y) + width)},
        )
        for number, (x, y) in enumerate(zip(offline, online, strict=True))
    ]


def only(board: Scoreboard):
    (agreement,) = board.agreements
    return agreement


@pytest.mark.parametrize("seed", range(5))
def test_correlations_are_those_of_scipy_with_ties_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-4, 5, 14), rng.integers(-4, 5, 14)
    found = only(scoreboard(trials(x, y)))
    assert found.kendall.value == pytest.approx(stats.kendalltau(x, y).statistic)
    assert found.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic)


def test_what_rises_together_has_a_correlation_of_1_and_what_falls_of_minus_1() -> None:
    x = np.arange(1, 13) / 100
    assert only(scoreboard(trials(x, x**3))).kendall.value == 1.0
    against = only(scoreboard(trials(x, -(x**3))))
    assert (against.kendall.value, against.spearman.value) == (-1.0, -1.0)
    assert against.says.endswith("what is better offline is worse online; do not choose releases by it.")


def test_a_monotone_change_of_either_metric_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=15), rng.normal(size=15)
    one, other = only(scoreboard(trials(x, y))), only(scoreboard(trials(np.exp(x), y**3)))
    assert one.kendall == other.kendall
    assert one.spearman == other.spearman


def test_the_order_of_trials_changes_no_correlation() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=15), rng.normal(size=15)
    rows = trials(x, y)
    one, other = only(scoreboard(rows)), only(scoreboard(rows[::-1]))
    assert one.kendall.value == pytest.approx(other.kendall.value)
    assert one.same_sign == other.same_sign


@pytest.mark.parametrize("count", [1, ENOUGH - 1])
def test_below_enough_trials_no_correlation_is_stated(count: int) -> None:
    found = only(scoreboard(trials(np.arange(1, count + 1), np.arange(1, count + 1))))
    assert (found.kendall, found.spearman) == (None, None)
    ways = f"ndcg@10 offline and ctr@10 online went the same way in {count} of {count} trials"
    assert found.says == f"{ways}; {ENOUGH} are needed before a correlation is stated."


def test_enough_trials_have_a_correlation_and_an_interval_around_it() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=ENOUGH)
    found = only(scoreboard(trials(x, x + rng.normal(size=ENOUGH))))
    assert found.kendall.lower <= found.kendall.value <= found.kendall.upper
    assert found.kendall.upper - found.kendall.lower > 0.2


def test_the_interval_says_of_independent_metrics_that_nothing_is_shown() -> None:
    """Of independent metrics the interval holds 0 in about 95 of 100 scoreboards, or a few less."""
    rng = np.random.default_rng(4)
    holds = 0
    for _ in range(40):
        found = only(scoreboard(trials(rng.normal(size=20), rng.normal(size=20)), resamples=200))
        holds += found.kendall.lower <= 0 <= found.kendall.upper
    assert holds >= 40 * 0.85


def test_signs_count_only_where_both_went_the_same_way() -> None:
    found = only(scoreboard(trials([1, 1, -1, 0, 2], [1, -1, -1, 1, 0])))
    assert (found.same_sign, found.trials) == (2, 5)


def test_sure_trials_are_those_whose_online_interval_excludes_0() -> None:
    found = only(scoreboard(trials([1, 1, 1, -1], [0.5, -0.5, 0.005, -0.5], width=0.01)))
    assert (found.sure, found.sure_same_sign) == (3, 2)


def test_a_metric_that_never_moved_has_no_correlation() -> None:
    found = only(scoreboard(trials(np.zeros(12), np.arange(12))))
    assert found.kendall is None
    assert found.says.endswith("one of them never moved, so there is no correlation.")


def test_a_trial_without_a_metric_counts_for_the_others_only() -> None:
    rows = trials(range(1, 5), range(1, 5))
    rows.append(Trial(name="x", release_id="x", against="r", ended="aborted", offline={"map@10": Effect(1.0)}, online={}))
    board = scoreboard(rows)
    assert [(one.offline, one.online, one.trials) for one in board.agreements] == [("ndcg@10", "ctr@10", 4)]
    assert len(board.trials) == 5


def test_without_trials_it_is_empty() -> None:
    assert scoreboard([]) == Scoreboard((), ())


def test_a_trial_counts_once() -> None:
    with pytest.raises(DataError, match="two trials have the name 'canary-0'"):
        scoreboard(trials([1], [1]) * 2)


def test_the_same_trials_give_the_same_scoreboard() -> None:
    rows = trials(range(12), [3, 1, 2, 5, 4, 6, 8, 7, 9, 11, 10, 12])
    assert scoreboard(rows) == scoreboard(rows)
