"""Als: the contract, the optimum it must reach, and what it must not depend on."""

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from rankloop.contracts import Columns
from rankloop.errors import ModelError, NotFitted
from rankloop.retrieval import Als
from rankloop.testing import RetrieverContract, known_request, known_world
from rankloop.vocabulary import Vocabulary


class TestAls(RetrieverContract):
    def make(self):
        return Als(dims=8)


def _matrix(seed: int = 0, users: int = 40, items: int = 30) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    dense = (rng.random((users, items)) < 0.2) * rng.integers(1, 4, (users, items))
    dense[7], dense[:, 5] = 0, 0  # a user and an item without observations
    return sparse.csr_matrix(dense.astype(np.float32))


def _fit(matrix, seed: int = 0, **settings) -> Als:
    settings = {"dims": 6, "unobserved": 0.1, "regularisation": 0.5, "sweeps": 10} | settings
    return Als(**settings).fit_matrix(matrix, rng=np.random.default_rng(seed))


def _penalties(C, als, axis):
    weight = C.sum(axis=axis)
    return als.loss.regularisation * (weight / weight[weight > 0].mean()) ** als.loss.frequency


def _loss(C, als):
    """The loss, by its formula."""
    predicted = als.user_factors.astype(float) @ als.item_factors.T
    fit = (C * (1 - predicted) ** 2).sum() + als.loss.unobserved * (predicted**2).sum()
    sides = ((als.user_factors, _penalties(C, als, 1)), (als.item_factors, _penalties(C, als, 0)))
    return fit + sum((penalty @ (factors.astype(float) ** 2)).sum() for factors, penalty in sides)


def test_the_loss_falls_with_every_sweep():
    C = _matrix().toarray()
    losses = [_loss(C, _fit(_matrix(), sweeps=n)) for n in range(1, 8)]
    assert (np.diff(losses) < 0).all()


def test_users_solve_their_least_squares_problem_exactly_after_enough_steps():
    als, C = _fit(_matrix(), sweeps=2, steps=20), _matrix().toarray().astype(float)
    Y, penalty = als.item_factors.astype(float), _penalties(C, als, 1)
    for user, c in enumerate(C):
        normal = als.loss.unobserved * Y.T @ Y + (Y.T * c) @ Y + penalty[user] * np.eye(als.dims)
        assert als.user_factors[user] == pytest.approx(np.linalg.solve(normal, Y.T @ c), abs=1e-4)


def test_two_steps_a_sweep_reach_the_optimum_of_many():
    C = _matrix().toarray()
    assert _loss(C, _fit(_matrix(), sweeps=40)) == pytest.approx(_loss(C, _fit(_matrix(), sweeps=40, steps=20)), rel=1e-3)


def test_folding_in_a_known_user_gives_the_users_own_factors():
    als, matrix = _fit(_matrix(), steps=10), _matrix()
    row = matrix[3]
    assert als.fold_in(row.indices.astype(np.int64), row.data) == pytest.approx(als.user_factors[3], abs=1e-4)


def test_the_number_of_threads_does_not_change_a_bit():
    one, four = _fit(_matrix(), threads=1), _fit(_matrix(), threads=4)
    assert np.array_equal(one.user_factors, four.user_factors)
    assert np.array_equal(one.item_factors, four.item_factors)


def test_rows_of_very_different_lengths_are_all_solved(monkeypatch):
    from rankloop.retrieval import _factorise

    matrix = sparse.vstack([_matrix(1), sparse.csr_matrix(np.ones((2, 30), np.float32))]).tocsr()
    whole = _fit(matrix)
    monkeypatch.setattr(_factorise, "_FLOATS_AT_ONCE", 150)
    assert _fit(matrix).user_factors == pytest.approx(whole.user_factors, abs=1e-4)


def test_rows_without_observations_stay_0():
    als = _fit(_matrix())
    assert not als.user_factors[7].any()
    assert not als.item_factors[5].any()


def test_the_highest_outcome_on_an_item_counts_not_their_sum():
    world = known_world(days=6)
    catalogue, rng = Vocabulary(world.items[Columns.ITEM_ID]), np.random.default_rng
    applies = world.outcomes.filter(pl.col(Columns.KIND) == "apply")
    without = world.outcomes.join(applies, on=[Columns.REQUEST_ID, Columns.ITEM_ID, Columns.USER_ID], how="anti")
    lowered = type(world)(world.items, world.users, world.impressions, pl.concat([without, applies]))
    fitted = [Als(dims=4).fit(tables, catalogue, rng=rng(0)).user_factors for tables in (world, lowered)]
    assert np.array_equal(*fitted)


def test_recent_outcomes_weigh_more_when_a_half_life_is_given():
    world = known_world(days=10)
    catalogue, rng = Vocabulary(world.items[Columns.ITEM_ID]), np.random.default_rng
    user = world.outcomes[Columns.USER_ID][-1]
    scores = [
        Als(dims=8, half_life_days=half).fit(world, catalogue, rng=rng(0)).score(known_request(world, user))
        for half in (1.0, None)
    ]
    assert not np.allclose(*scores, equal_nan=True)


def test_items_that_are_no_longer_in_the_catalogue_are_learned_from_and_not_scored():
    world = known_world(days=6)
    catalogue = Vocabulary(world.items[Columns.ITEM_ID].gather_every(5))
    als = Als(dims=8).fit(world, catalogue, rng=np.random.default_rng(0))
    scores = als.score(known_request(world, "logo-u0"))
    assert scores.shape == (len(catalogue),)
    assert len(als.item_factors) == world.outcomes[Columns.ITEM_ID].n_unique()


def test_a_log_without_outcomes_has_nothing_to_say():
    world = known_world(days=1)
    quiet = type(world)(world.items, world.users, world.impressions, world.outcomes.clear())
    als = Als(dims=4).fit(quiet, Vocabulary(["a", "b"]), rng=np.random.default_rng(0))
    assert np.isnan(als.score(known_request(world, "logo-u0"))).all()


@pytest.mark.parametrize(
    "wrong", [{"dims": 0}, {"unobserved": 0}, {"regularisation": -1}, {"frequency": -1}, {"half_life_days": 0}, {"sweeps": 0}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ModelError, match=next(iter(wrong))):
        Als(**wrong)


def test_negative_confidences_are_refused():
    with pytest.raises(ModelError, match="above 0"):
        _fit(-_matrix())


def test_folding_in_before_the_fit_is_refused():
    with pytest.raises(NotFitted):
        Als().fold_in(np.array([1]))
