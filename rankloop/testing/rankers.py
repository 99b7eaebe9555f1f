"""What every ranker must do, as tests to inherit."""

# ruff: noqa: D102 - the name of a test is its sentence

from pathlib import Path
from typing import ClassVar

import numpy as np

from rankloop.errors import ModelError, NotFitted
from rankloop.metrics import ndcg
from rankloop.ranking.base import Judged, Ranker

__all__ = ["RankerContract"]

_NAMES = ("noise", "decides", "sometimes", "constant")


class RankerContract:
    """The tests a ranker inherits; its own test class gives `make` and its peculiarity.

    Not a measure of quality: the lists are easy. Judged lists have four features, of which `decides` decides the
    grade, `sometimes` repeats it with noise and is mostly NaN, `noise` and `constant` say nothing.

    Example:
        >>> class TestMine(RankerContract):
        ...     def make(self):
        ...         return MyRanker(trees=30)
    """

    least_ndcg: ClassVar[float] = 0.95
    """nDCG@10 that it must reach on lists it has not seen; a random order has about 0.5."""

    _once: ClassVar[Ranker]

    def make(self) -> Ranker:
        """A new ranker, not fitted, small enough to learn in a second."""
        raise NotImplementedError(f"{type(self).__name__} must define make()")

    def fitted(self) -> Ranker:
        """One fit for all tests of a class that only ask."""
        own = type(self)
        if "_once" not in own.__dict__:
            own._once = self.make().fit(_judged(seed=0), _judged(seed=1), rng=np.random.default_rng(0))
        return own._once

    def test_the_feature_that_decides_the_grades_decides_the_order(self) -> None:
        judged = _judged(seed=2)
        reached = ndcg(self.fitted().score(judged.features), judged.grades, judged.sizes, k=10).mean()
        assert reached >= self.least_ndcg, f"nDCG@10 is {reached:.3f} on new lists"

    def test_scores_are_one_finite_float32_a_row(self) -> None:
        features = _judged(seed=2).features
        scores = self.fitted().score(features)
        assert scores.shape == (len(features),)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_a_row_that_is_nan_in_every_feature_has_a_score(self) -> None:
        nothing = np.full((2, len(_NAMES)), np.nan, np.float32)
        assert np.isfinite(self.fitted().score(nothing)).all()

    def test_no_rows_have_no_scores(self) -> None:
        nothing = np.empty((0, len(_NAMES)), np.float32)
        assert self.fitted().score(nothing).shape == (0,)
        assert self.fitted().contributions(nothing).shape == (0, len(_NAMES) + 1)

    def test_the_order_of_the_rows_does_not_change_their_scores(self) -> None:
        features = _judged(seed=2).features
        ranker = self.fitted()
        assert np.array_equal(ranker.score(features[::-1]), ranker.score(features)[::-1])

    def test_contributions_sum_to_the_score(self) -> None:
        features = _judged(seed=2).features
        ranker = self.fitted()
        parts = ranker.contributions(features)
        assert parts.shape == (len(features), len(_NAMES) + 1)
        np.testing.assert_allclose(parts.sum(axis=1), ranker.score(features), rtol=1e-4, atol=1e-4)

    def test_importance_is_a_share_of_each_feature_and_the_deciding_one_is_first(self) -> None:
        importance = self.fitted().importance()
        assert set(importance) == set(_NAMES)
        assert abs(sum(importance.values()) - 1) < 1e-6
        assert max(importance, key=importance.__getitem__) == "decides"

    def test_it_knows_the_names_of_its_features(self) -> None:
        assert self.fitted().names == _NAMES

    def test_what_was_saved_is_what_is_loaded(self, tmp_path: Path) -> None:
        ranker = self.fitted()
        ranker.save(tmp_path)
        loaded = type(ranker).load(tmp_path)
        features = _judged(seed=2).features
        assert loaded.names == ranker.names
        assert loaded.importance() == ranker.importance()
        assert np.array_equal(loaded.score(features), ranker.score(features))
        assert np.array_equal(loaded.contributions(features), ranker.contributions(features))

    def test_the_same_seed_gives_the_same_scores(self) -> None:
        features = _judged(seed=2).features
        again = self.make().fit(_judged(seed=0), _judged(seed=1), rng=np.random.default_rng(0))
        assert np.array_equal(again.score(features), self.fitted().score(features))

    def test_it_learns_without_validation_lists(self) -> None:
        ranker = self.make().fit(_judged(seed=0), rng=np.random.default_rng(0))
        judged = _judged(seed=2)
        assert ndcg(ranker.score(judged.features), judged.grades, judged.sizes, k=10).mean() >= self.least_ndcg

    def test_its_inputs_are_left_as_they_were(self) -> None:
        given, copy = _judged(seed=0), _judged(seed=0)
        self.make().fit(given, _judged(seed=1), rng=np.random.default_rng(0)).score(given.features)
        for mine, theirs in zip(given, copy, strict=True):
            np.testing.assert_array_equal(mine, theirs)

    def test_another_number_of_features_is_refused(self) -> None:
        import pytest

        with pytest.raises(ModelError):
            self.fitted().score(np.zeros((3, len(_NAMES) + 1), np.float32))
        with pytest.raises(ModelError):
            self.fitted().contributions(np.zeros((3, len(_NAMES) - 1), np.float32))

    def test_validation_lists_with_other_features_are_refused(self) -> None:
        import pytest

        other = _judged(seed=1)._replace(names=("noise", "sometimes", "decides", "constant"))
        with pytest.raises(ModelError):
            self.make().fit(_judged(seed=0), other, rng=np.random.default_rng(0))

    def test_names_that_do_not_fit_the_columns_are_refused(self) -> None:
        import pytest

        with pytest.raises(ModelError):
            self.make().fit(_judged(seed=0)._replace(names=_NAMES[:-1]), rng=np.random.default_rng(0))

    def test_an_empty_training_set_is_refused(self) -> None:
        import pytest

        empty = Judged(
            features=np.empty((0, len(_NAMES)), np.float32),
            names=_NAMES,
            grades=np.empty(0, np.int32),
            positions=np.empty(0, np.int32),
            sizes=np.empty(0, np.int64),
            user_ids=np.empty(0, object),
        )
        with pytest.raises(ModelError):
            self.make().fit(empty, rng=np.random.default_rng(0))

    def test_a_ranker_that_was_not_fitted_says_so(self, tmp_path: Path) -> None:
        import pytest

        features = _judged(seed=2).features
        for ask in (
            lambda: self.make().score(features),
            lambda: self.make().contributions(features),
            lambda: self.make().importance(),
            lambda: self.make().save(tmp_path),
        ):
            with pytest.raises(NotFitted):
                ask()


def _judged(seed: int, requests: int = 120) -> Judged:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 15, requests)
    rows = int(sizes.sum())
    starts = np.cumsum(sizes) - sizes
    decides = rng.normal(size=rows)
    decides[starts] = np.abs(decides[starts])  # every request has a relevant row
    sometimes = np.where(rng.random(rows) < 0.3, decides + rng.normal(size=rows), np.nan)
    features = np.column_stack([rng.normal(size=rows), decides, sometimes, np.ones(rows)]).astype(np.float32)
    return Judged(
        features=features,
        names=_NAMES,
        grades=np.digitize(decides, [0.0, 0.8, 1.5]).astype(np.int32),
        positions=(np.arange(rows) - np.repeat(starts, sizes) + 1).astype(np.int32),
        sizes=sizes,
        user_ids=np.array([f"u{n % 40}" for n in range(requests)], object),
    )
