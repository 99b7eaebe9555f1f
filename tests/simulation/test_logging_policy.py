"""The old rules, and that the propensities they log are true."""

import numpy as np
import pytest

from rankloop.simulation.logging_policy import EXPLORATION, found_points, fresh_points, popular_points, rank

POINTS = np.array([9, 9, 5, 5, 5, -1, 3, 3, 1, 0, 0, 0], np.int8)


def test_new_jobs_have_more_points() -> None:
    assert fresh_points(np.array([-0.5, 0.5, 2, 5, 9], np.float32)).tolist() == [6, 6, 4, 2, 0]


def test_the_most_clicked_tenth_has_two_points_and_the_next_fifth_one() -> None:
    assert popular_points(np.arange(10, dtype=np.float32)).tolist() == [0] * 7 + [1, 1, 2]


def test_a_job_without_clicks_has_no_points_for_popularity() -> None:
    assert popular_points(np.zeros(10, np.float32)).tolist() == [0] * 10


def test_any_word_in_common_counts_the_same() -> None:
    assert found_points(np.array([0, 0.2, 1], np.float32)).tolist() == [0, 6, 6]


def test_jobs_with_more_points_stand_higher_unless_the_request_explores() -> None:
    shown = rank(np.tile(POINTS, (2_000, 1)), 4, np.random.default_rng(1))
    levels = POINTS[shown.column]
    ordered = (np.diff(levels, axis=1) <= 0).all(axis=1)
    assert ordered.mean() >= 1 - EXPLORATION - 0.03


def test_a_job_that_cannot_be_shown_is_not_shown() -> None:
    shown = rank(np.tile(POINTS, (2_000, 1)), 12, np.random.default_rng(2))
    assert not (shown.column == 5).any()
    assert (shown.column[:, -1] == -1).all(), "eleven jobs cannot fill twelve places"
    assert np.isnan(shown.propensity[:, -1]).all()


@pytest.mark.parametrize("length", [2, 3, 4])
def test_the_propensity_is_the_frequency_of_a_job_at_a_position(length: int) -> None:
    n = 60_000
    shown = rank(np.tile(POINTS, (n, 1)), length, np.random.default_rng(3))
    for place in range(length):
        counts = np.bincount(shown.column[:, place], minlength=len(POINTS))
        for job in np.flatnonzero(counts):
            said = np.unique(shown.propensity[shown.column[:, place] == job, place])
            assert len(said) == 1
            assert counts[job] / n == pytest.approx(said[0], abs=4 * float(np.sqrt(said[0] / n)))


def test_no_jobs_make_an_empty_list() -> None:
    shown = rank(np.zeros((3, 0), np.int8), 5, np.random.default_rng(4))
    assert shown.column.shape == shown.propensity.shape == (3, 0)


def test_no_requests_make_no_lists() -> None:
    assert len(rank(np.zeros((0, 9), np.int8), 5, np.random.default_rng(5)).column) == 0
