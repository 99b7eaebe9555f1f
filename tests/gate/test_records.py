"""What the gate reads and writes: measurements, policies, verdicts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rankloop.errors import DataError, SettingsError
from rankloop.gate import Measured, Policy, Verdict, decide

UNITS = [f"u{place % 150}" for place in range(450)]
VALUES = np.random.default_rng(0).random(450)
ONE = Measured(
    "r2",
    UNITS,
    {"ndcg@10": np.where(np.arange(450) < 3, np.nan, VALUES), "empty": np.zeros(450)},
    {"surface": ["job_feed", "job_search", "job_feed"] * 150},
    {"coverage": 0.25},
)
POPULAR = replace(ONE, name="popular", values={"ndcg@10": ONE.values["ndcg@10"] - 0.1, "empty": np.zeros(450)})
POLICY = Policy(guardrails={}, slices=("surface",))


def test_a_measurement_is_read_as_it_was_written(tmp_path: Path):
    ONE.write(tmp_path / "r2.parquet")
    again = Measured.read(tmp_path / "r2.parquet")
    assert again.name == "r2"
    assert again.totals == {"coverage": 0.25}
    np.testing.assert_array_equal(again.units, ONE.units)
    np.testing.assert_array_equal(again.array("ndcg@10"), ONE.array("ndcg@10"))
    np.testing.assert_array_equal(again.labels("surface"), ONE.labels("surface"))


def test_a_verdict_can_be_replayed_from_its_records(tmp_path: Path):
    verdict = decide(ONE, baseline=POPULAR, policy=POLICY, seed=11)
    (tmp_path / "verdict.json").write_text(verdict.to_json())
    ONE.write(tmp_path / "candidate.parquet")
    POPULAR.write(tmp_path / "popular.parquet")
    recorded = Verdict.from_json((tmp_path / "verdict.json").read_text())
    again = decide(
        Measured.read(tmp_path / "candidate.parquet"),
        baseline=Measured.read(tmp_path / "popular.parquet"),
        policy=recorded.policy,
        seed=recorded.seed,
    )
    assert again == recorded == verdict
    assert again.to_json() == verdict.to_json()


def test_a_missing_measurement_is_an_error_and_not_a_pass(tmp_path: Path):
    with pytest.raises(DataError, match="holds no measurement"):
        Measured.read(tmp_path / "champion.parquet")


def test_a_file_of_something_else_is_refused(tmp_path: Path):
    import polars as pl

    pl.DataFrame({"unit": ["a"]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="holds no measurement"):
        Measured.read(tmp_path / "x.parquet")


def test_no_request_at_all_is_refused():
    with pytest.raises(DataError, match="no request"):
        Measured("r2", [], {})


def test_arrays_of_another_length_are_named():
    with pytest.raises(DataError, match="ndcg@10 has shape"):
        Measured("r2", ["u1"], {"ndcg@10": [0.5, 0.6]})


@pytest.mark.parametrize("text", ["{}", "[1]", '{"outcome": "maybe"}', "not json"])
def test_what_is_not_a_verdict_is_refused(text):
    with pytest.raises(DataError, match="not a verdict"):
        Verdict.from_json(text)


def test_a_policy_is_read_from_yaml(tmp_path: Path):
    (tmp_path / "gate.yaml").write_text("tolerance: 0.02\nguardrails: {}\nslices: [surface]\n")
    assert Policy.read(tmp_path / "gate.yaml") == Policy(tolerance=0.02, guardrails={}, slices=("surface",))


@pytest.mark.parametrize("text", ["tolerence: 0.02", "tolerance: much", "[1, 2]", "tolerance: [", "tolerance: 1.5"])
def test_a_policy_that_cannot_work_is_refused(tmp_path: Path, text):
    (tmp_path / "gate.yaml").write_text(text)
    with pytest.raises(SettingsError, match="gate policy"):
        Policy.read(tmp_path / "gate.yaml")


def test_a_missing_policy_file_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read"):
        Policy.read(tmp_path / "gate.yaml")


@pytest.mark.parametrize(
    "changes", [{"min_users": 1}, {"level": 1.0}, {"resamples": 10}, {"guardrails": {"recall": -0.1}}, {"slice_tolerance": 1.0}]
)
def test_a_number_that_cannot_work_is_named(changes):
    with pytest.raises(SettingsError, match="gate policy"):
        Policy.of(changes)
