"""LambdaMART: the shipped contract, and what is its own."""

import json
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from rankloop.errors import ModelError
from rankloop.metrics import ndcg
from rankloop.ranking import Boosting, ByFeature, Judged, LambdaMart
from rankloop.testing import RankerContract

pytestmark = pytest.mark.filterwarnings("ignore::rankloop.metrics.UndefinedMetric")
SMALL = Boosting(rounds=40, patience=0, min_data_in_leaf=5, num_leaves=8)


class TestLambdaMart(RankerContract):
    """The shipped contract; two different settings would make two rankers."""

    def make(self):
        return LambdaMart(SMALL)


class TestUnbiasedLambdaMart(RankerContract):
    def make(self):
        return LambdaMart(Boosting(rounds=40, patience=0, min_data_in_leaf=5, num_leaves=8, unbiased=True))


class TestByFeature(RankerContract):
    def make(self):
        return ByFeature("decides")


@pytest.fixture(scope="module")
def fitted(make_lists):
    return LambdaMart(SMALL).fit(make_lists(0), make_lists(1), rng=np.random.default_rng(0))


def quality(ranker, judged):
    return np.nanmean(ndcg(ranker.score(judged.features), judged.grades, judged.sizes, k=10))


def test_it_finds_an_order_that_no_single_feature_has(make_lists, fitted):
    judged = make_lists(2)
    alone = ByFeature("feature_0").fit(judged, rng=np.random.default_rng(0))
    assert quality(fitted, judged) > quality(alone, judged) + 0.05


def test_the_rounds_kept_are_those_of_the_best_validation_ndcg(make_lists):
    settings = Boosting(rounds=60, patience=20, min_data_in_leaf=5)
    ranker = LambdaMart(settings).fit(make_lists(0), make_lists(1), rng=np.random.default_rng(0))
    values = [value for _, value in ranker.curve]
    steady = [np.mean(values[max(0, place - 4) : place + 1]) for place in range(len(values))]
    assert ranker.rounds == 5 * (int(np.argmax(steady)) + 1)
    assert quality(ranker, make_lists(1)) == pytest.approx(dict(ranker.curve)[ranker.rounds], abs=1e-6)


def test_it_stops_when_patience_is_used_up(make_lists):
    ranker = LambdaMart(Boosting(rounds=400, patience=10, learning_rate=0.5)).fit(
        make_lists(0, 60), make_lists(1), rng=np.random.default_rng(0)
    )
    assert ranker.curve[-1][0] == ranker.rounds + 10 < 400


def test_validation_counts_a_tie_as_the_mean_over_its_orders(make_lists):
    train = make_lists(0)
    validation = make_lists(1)
    first = np.argsort(-validation.grades.reshape(-1, 12), axis=1) + np.arange(0, len(validation.grades), 12)[:, None]
    best_first = validation._replace(features=np.zeros_like(validation.features), grades=validation.grades[first.ravel()])
    curve = LambdaMart(SMALL).fit(train, best_first, rng=np.random.default_rng(0)).curve
    at_random = np.nanmean(ndcg(np.zeros(len(best_first.grades)), best_first.grades, best_first.sizes, k=10))
    assert [value for _, value in curve] == pytest.approx([at_random] * len(curve))


def test_requests_without_a_preference_change_nothing(make_lists):
    train = make_lists(0)
    silent = make_lists(5, 50)._replace(grades=np.zeros(600, np.int32))
    both = Judged(
        *(
            np.concatenate(pair) if name != "names" else pair[0]
            for name, pair in zip(Judged._fields, zip(train, silent, strict=True), strict=True)
        )
    )
    alone = LambdaMart(SMALL).fit(train, rng=np.random.default_rng(0))
    with_silent = LambdaMart(SMALL).fit(both, rng=np.random.default_rng(0))
    assert np.array_equal(alone.score(train.features), with_silent.score(train.features))


def test_another_number_of_threads_gives_the_same_metrics_to_a_millionth(make_lists):
    found = [
        LambdaMart(Boosting(rounds=40, threads=threads, min_data_in_leaf=5)).fit(
            make_lists(0), make_lists(1), rng=np.random.default_rng(0)
        )
        for threads in (1, 2)
    ]
    assert quality(found[0], make_lists(2)) == pytest.approx(quality(found[1], make_lists(2)), abs=1e-6)


def test_position_bias_is_kept_out_of_the_scores():
    rng = np.random.default_rng(0)
    rows, requests = 10, 1500
    features = rng.normal(size=(rows * requests, 2)).astype(np.float32)
    places = np.tile(np.arange(1, rows + 1, dtype=np.int32), requests)
    features[:, 1] = places + rng.normal(size=len(places))  # a feature that betrays the position and not the worth
    seen = rng.random(len(places)) < 1 / places
    grades = ((features[:, 0] + 0.5 * rng.normal(size=len(places)) > 0.5) & seen).astype(np.int32)
    judged = Judged(features, ("worth", "betrays"), grades, places, np.full(requests, rows), np.arange(requests).astype(object))
    share = {
        unbiased: LambdaMart(Boosting(rounds=40, unbiased=unbiased))
        .fit(judged, rng=np.random.default_rng(0))
        .importance()["worth"]
        for unbiased in (False, True)
    }
    assert share[True] > share[False] + 0.1


def test_unbiased_learning_without_positions_is_refused(make_lists):
    unshown = make_lists(0)._replace(positions=np.zeros(2400, np.int32))
    with pytest.raises(ModelError, match="every position is 0"):
        LambdaMart(Boosting(unbiased=True)).fit(unshown, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features": np.full((2400, 6), np.nan, np.float32)}, "is NaN"),
        ({"features": np.full((2400, 6), np.inf, np.float32)}, "infinite values"),
        ({"grades": np.zeros(2400, np.int32)}, "no order to learn"),
        ({"grades": np.full(2400, 3, np.int32)}, "no order to learn"),
        ({"grades": np.full(2400, 6, np.int32)}, "a grade is 0 to 5"),
        ({"sizes": np.full(199, 12, np.int64)}, "2388 long"),
        ({"positions": np.zeros(3, np.int32)}, "positions is 3 long"),
        ({"names": ("a", "b", "c", "d", "e", "a")}, "one different name each"),
        ({"user_ids": np.array(["u"], object)}, "1 user ids for 200 requests"),
    ],
)
def test_lists_that_cannot_be_learned_from_are_refused(make_lists, change, says):
    with pytest.raises(ModelError, match=says):
        LambdaMart(SMALL).fit(make_lists(0)._replace(**change), rng=np.random.default_rng(0))


def test_too_few_rows_for_a_single_split_are_refused(make_lists):
    with pytest.raises(ModelError, match="min_data_in_leaf"):
        LambdaMart(Boosting(min_data_in_leaf=5000)).fit(make_lists(0), rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("setting", "value"), [("rounds", 0), ("learning_rate", 0.0), ("num_leaves", 1), ("bagging_fraction", 1.2)]
)
def test_a_setting_that_cannot_work_is_named(setting, value):
    with pytest.raises(ModelError, match=setting):
        Boosting(**{setting: value})


def test_an_unknown_setting_is_named():
    with pytest.raises(ModelError, match="num_leafs"):
        Boosting.of({"num_leafs": 31})


def test_what_is_on_disk_is_text(fitted, tmp_path: Path):
    fitted.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.txt", "ranker.json"]
    assert (tmp_path / "model.txt").read_text().startswith("tree\nversion=v4")
    assert json.loads((tmp_path / "ranker.json").read_text())["names"] == list(fitted.names)


@pytest.mark.parametrize(
    ("file", "find", "put", "says"),
    [
        ("model.txt", "leaf_value=", "leaf_value=nan ", "not the text that was written"),
        ("ranker.json", '"format": 1', '"format": 99', "format 99"),
        ("ranker.json", '"feature_0",', "", "differ in features"),
        ("ranker.json", '"rounds": 40,', '"rounds": 39,', "differ in features or rounds"),
        ("ranker.json", "{", "", "no readable ranker"),
    ],
)
def test_an_altered_file_is_refused(make_lists, tmp_path: Path, file, find, put, says):
    LambdaMart(SMALL).fit(make_lists(0), rng=np.random.default_rng(0)).save(tmp_path)
    text = (tmp_path / file).read_text()
    assert find in text
    (tmp_path / file).write_text(text.replace(find, put, 1))
    with pytest.raises(ModelError, match=says):
        LambdaMart.load(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="no readable ranker"):
        LambdaMart.load(tmp_path)


def test_ours_and_lightgbms_ndcg_agree_where_nothing_is_tied(make_lists):
    judged = make_lists(1)
    parameters = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "verbosity": -1,
        "label_gain": [0, 1, 3, 7, 15, 31],
    }
    train = lightgbm.Dataset(judged.features, judged.grades, group=judged.sizes, params=parameters)
    booster = lightgbm.Booster(parameters, train)
    for _ in range(30):
        booster.update()
    ours = ndcg(booster.predict(judged.features), judged.grades, judged.sizes, k=10)
    # LightGBM says 1 where a request has no preference; the tolerance is for the few ties, which it breaks by row
    assert booster.eval_train()[0][2] == pytest.approx(np.mean(np.nan_to_num(ours, nan=1.0)), abs=1e-3)
