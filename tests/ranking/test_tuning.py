"""Tuning with the real Ray Tune, on small lists."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import ray

from rankloop.errors import ModelError, SettingsError
from rankloop.metrics import ndcg
from rankloop.ranking import Boosting, LambdaMart
from rankloop.ranking.space import Dimension
from rankloop.ranking.tuning import Budget, tune

pytestmark = pytest.mark.filterwarnings("ignore::rankloop.metrics.UndefinedMetric")
BASE = Boosting(min_data_in_leaf=5, patience=20)
BUDGET = Budget(trials=5, rounds=60, cpus=2)


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def lists(make_lists):
    return make_lists(0), make_lists(1)


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module")
def tuned(storage, lists, lines):
    return tune(*lists, budget=BUDGET, storage=storage, rng=3, base=BASE, progress=lines.append)


def test_the_best_ranker_has_the_ndcg_of_the_best_trial(tuned, lists):
    validation = lists[1]
    values = ndcg(tuned.best_ranker.score(validation.features), validation.grades, validation.sizes, k=10)
    assert np.nanmean(values) == pytest.approx(tuned.ndcg, abs=1e-6)
    assert tuned.best_ranker.rounds == tuned.best_config.rounds


def test_the_best_trial_is_no_worse_than_the_settings_given(tuned):
    first = tuned.trials.row(0, named=True)
    assert tuned.trials["steady"].max() == tuned.trials["steady"][tuned.best_trial] >= first["steady"]
    assert first["num_leaves"] == BASE.num_leaves


def test_the_record_is_on_disk(tuned):
    record = json.loads((tuned.folder / "search.json").read_text())
    assert record["best"]["trial"] == tuned.best_trial
    assert record["best"]["boosting"]["rounds"] == tuned.best_config.rounds
    assert pl.read_parquet(tuned.folder / "trials.parquet").equals(tuned.trials)
    assert len(list((tuned.folder / "trials").iterdir())) == BUDGET.trials


def test_it_says_how_it_goes(tuned, lines):
    assert len([line for line in lines if line.startswith("trial ")]) == BUDGET.trials
    assert any("ndcg@10" in line and f"/{BUDGET.trials} " in line for line in lines)


def test_it_leaves_no_ray_behind_and_nothing_outside_its_storage(tuned, storage):
    assert not ray.is_initialized()
    assert [folder.name for folder in storage.iterdir()] == [tuned.folder.name]
    assert sorted(path.name for path in tuned.folder.iterdir()) == ["curves.parquet", "search.json", "trials", "trials.parquet"]


def test_a_search_that_is_finished_is_not_run_again(tuned, storage, lists, monkeypatch):
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    again = tune(*lists, budget=BUDGET, storage=storage, rng=3, base=BASE)
    assert again.trials.equals(tuned.trials)
    assert np.array_equal(again.best_ranker.score(lists[0].features), tuned.best_ranker.score(lists[0].features))


@pytest.fixture(scope="module")
def cluster(tuned):
    """A Ray of three cores that somebody else has started."""
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
def test_neither_an_interruption_nor_too_few_seconds_nor_other_cores_change_the_result(tuned, lists, tmp_path: Path):
    seen = []

    def interrupt(line):
        seen.append(line)
        if sum(line.startswith("trial ") for line in seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(*lists, budget=replace(BUDGET, cpus=1), storage=tmp_path, rng=3, base=BASE, progress=interrupt)
    cut = tune(*lists, budget=replace(BUDGET, seconds=1e-3), storage=tmp_path, rng=3, base=BASE)
    assert cut.cut_by_time
    assert "open" in cut.trials["state"]
    lines = []
    again = tune(*lists, budget=replace(BUDGET, cpus=3), storage=tmp_path, rng=3, base=BASE, progress=lines.append)
    assert lines[0].startswith(f"{BUDGET.trials - 2} of {BUDGET.trials} trials to run")
    assert not again.cut_by_time
    assert again.trials.equals(tuned.trials)
    assert again.curves.equals(tuned.curves)
    assert np.array_equal(again.best_ranker.score(lists[0].features), tuned.best_ranker.score(lists[0].features))
    assert ray.is_initialized()


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_fails_fails_the_search(lists, tmp_path: Path):
    broken = Dimension("min_data_in_leaf", 1e9, 2e9, whole=True)  # more than LightGBM's number can hold
    with pytest.raises(ModelError, match="failed twice"):
        tune(*lists, budget=Budget(trials=2, rounds=10), storage=tmp_path, rng=3, space=(replace(broken, high=1e12),))


@pytest.mark.parametrize("change", [{"trials": 0}, {"rounds": 0}, {"seconds": 0}, {"cpus": 0}])
def test_a_budget_that_cannot_work_is_refused(change):
    with pytest.raises(SettingsError, match=next(iter(change))):
        Budget(**change)


def test_a_temp_folder_too_long_for_a_socket_is_refused(lists, tmp_path: Path):
    with pytest.raises(SettingsError, match="UNIX socket"):
        tune(*lists, budget=BUDGET, storage=tmp_path, rng=3, temp=tmp_path / ("x" * 100))


def test_an_address_where_no_ray_answers_is_named(lists, tmp_path: Path, monkeypatch):
    def refuse(**_):
        raise ConnectionError("no route")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(SettingsError, match=r"no Ray answers at 10\.0\.0\.1:6379"):
        tune(*lists, budget=BUDGET, storage=tmp_path, rng=3, address="10.0.0.1:6379")


def test_lists_without_a_preference_are_refused_before_ray_is_started(lists, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    silent = lists[1]._replace(grades=np.zeros(2400, np.int32))
    with pytest.raises(ModelError, match="validation"):
        tune(*lists[:1], silent, budget=BUDGET, storage=tmp_path, rng=3)


def test_a_best_trial_that_cannot_be_reproduced_is_refused(tuned, storage, lists):
    file = tuned.folder / "trials" / f"{tuned.best_trial:04d}.json"
    text = file.read_text()
    record = json.loads(text)
    record["curve"] = [[rounds, value + 0.01] for rounds, value in record["curve"]]
    file.write_text(json.dumps(record))
    try:
        with pytest.raises(ModelError, match="second fit"):
            tune(*lists, budget=BUDGET, storage=storage, rng=3, base=BASE)
    finally:
        file.write_text(text)


def test_a_fit_of_the_best_settings_is_the_best_ranker(tuned, lists):
    seed = json.loads((tuned.folder / "search.json").read_text())["seed"]
    again = LambdaMart(tuned.best_config).fit(*lists, rng=np.random.default_rng([seed, tuned.best_trial]))
    assert np.array_equal(again.score(lists[1].features), tuned.best_ranker.score(lists[1].features))


def test_the_environment_is_as_it_was(tuned):
    assert "TUNE_DISABLE_SIGINT_HANDLER" not in os.environ
