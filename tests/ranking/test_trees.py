"""The laid-out forests give LightGBM's own numbers."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.errors import ModelError
from rankloop.ranking.bitvectors import Bitvectors, compiled
from rankloop.ranking.trees import Forest


def grown(features, target, **parameters):
    defaults = {"objective": "regression", "verbosity": -1, "min_data_in_leaf": 2, "num_leaves": 15, "num_threads": 1, "seed": 1}
    return lightgbm.train(defaults | parameters, lightgbm.Dataset(features, target), num_boost_round=12)


def layouts(booster):
    """The forest in both layouts, or in the one that holds it."""
    forest = Forest.parse(booster.model_to_string())
    return [forest, *filter(None, [Bitvectors.of(forest)])]


@given(
    seed=st.integers(0, 2**32 - 1),
    missing=st.sampled_from([0.0, 0.02, 0.5]),
    rows=st.integers(0, 300),
    leaves=st.sampled_from([2, 15, 32, 33, 64, 65]),
)
@settings(max_examples=40, deadline=None)
def test_scores_are_lightgbms_to_the_last_bit(seed, missing, rows, leaves):
    rng = np.random.default_rng(seed)
    features = np.round(rng.normal(size=(300, 5)), rng.integers(0, 4)).astype(np.float32)
    features[rng.random(features.shape) < missing] = np.nan
    target = np.nan_to_num(features[:, 0]) * features[:, 1].clip(-1, 1) + np.isnan(features[:, 2])
    booster = grown(features, target, num_leaves=leaves)
    asked = np.round(rng.normal(size=(rows, 5)), 1).astype(np.float32)
    asked[rng.random(asked.shape) < 0.2] = np.nan
    expected = booster.predict(asked) if rows else np.empty(0)
    for forest in layouts(booster):
        assert np.array_equal(forest.score(asked), expected)


def test_a_split_of_missing_from_present_is_kept():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 1)).astype(np.float32)
    features[:200] = np.nan
    booster = grown(features, np.isnan(features[:, 0]).astype(float), num_leaves=2)
    asked = np.array([[np.nan], [1e30], [-5.0]], np.float32)
    assert "inf" in booster.model_to_string() or "e+300" in booster.model_to_string()
    for forest in layouts(booster):
        assert np.array_equal(forest.score(asked), booster.predict(asked))


def test_a_tree_without_a_split_adds_its_constant():
    booster = grown(np.zeros((50, 2), np.float32), np.full(50, 3.0))
    asked = np.array([[1.0, np.nan]], np.float32)
    for forest in layouts(booster):
        assert np.array_equal(forest.score(asked), booster.predict(asked))


def test_thresholds_between_two_float32_are_honoured():
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2.0))
    features = np.array([[low], [high]] * 50, np.float32)
    booster = grown(features, np.array([0.0, 1.0] * 50), num_leaves=2)
    for forest in layouts(booster):
        assert np.array_equal(forest.score(features), booster.predict(features))


@pytest.mark.parametrize(("leaves", "layout"), [(32, "uint32"), (64, "uint64"), (65, None)])
def test_a_tree_of_at_most_64_leaves_is_a_vector_of_bits(leaves, layout):
    features = np.random.default_rng(0).normal(size=(4_000, 4)).astype(np.float32)
    text = grown(features, features.prod(axis=1), num_leaves=leaves).model_to_string()
    forest = compiled(text)
    assert (forest.mask.dtype if isinstance(forest, Bitvectors) else None) == layout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tree\nversion=v4", "no tree"),
        ("\nTree=0\nnum_leaves=2\nnum_cat=1\nleaf_value=1 2", "categorical"),
        ("\nTree=0\nnum_leaves=2\nnum_cat=0\nleaf_value=1 2", "cannot be read"),
        ("\nTree=0\nnum_leaves=2\nnum_cat=0\nleaf_value=1 inf", "finite"),
    ],
)
def test_a_text_that_is_not_such_a_model_is_refused(text, says):
    with pytest.raises(ModelError, match=says):
        Forest.parse(text)
