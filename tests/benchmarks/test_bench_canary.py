"""The canaries' benchmark: the crowd is what it says, the rivals compute what they are named for, a quick run holds."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from benchmarks.canaries.crowd import RATES, STEPS, Crowd, Fault, drawn
from benchmarks.canaries.ours import judged
from benchmarks.canaries.rivals import deviates, failed_checks, first, minutes
from benchmarks.canary import POLICY

TINY = Crowd(6_000, (6, 6, 6, 6))


def test_a_crowd_has_the_shares_rates_and_faults_it_was_asked_for() -> None:
    seen = drawn(TINY, Fault(errors=0.01, rates={"ctr@10": 0.5}), 40, coverage=False, rng=np.random.default_rng(1))
    arms = seen.lists.sum(axis=0)
    assert arms[..., 1] / arms.sum(axis=-1) == pytest.approx(np.array(STEPS)[TINY.phase] / 10_000, rel=0.15)
    assert arms.sum(axis=-1).mean() / 40 == pytest.approx(TINY.lists_a_minute, rel=0.02)
    for name, rate in RATES.items():
        x, y = seen.moments[name][..., 0].sum(axis=(0, 1)), seen.moments[name][..., 1].sum(axis=(0, 1))
        assert x / y == pytest.approx([rate, rate * (0.5 if name == "ctr@10" else 1.0)], rel=0.1)
    assert seen.seconds.sum(axis=-1).tolist() == seen.lists.tolist()
    failed = seen.failed.sum(axis=(0, 1)) / seen.lists.sum(axis=(0, 1))
    assert failed[1] - failed[0] == pytest.approx(0.01, rel=0.2)


def test_lists_of_one_person_are_alike() -> None:
    seen = drawn(TINY, Fault(), 5, coverage=False, rng=np.random.default_rng(1))
    x, y, xx, yy, xy = seen.moments["apply_rate"].sum(axis=(0, 1, 2))
    rate = x / y
    by_person = (xx - 2 * rate * xy + rate**2 * yy) / y**2
    assert by_person > 1.1 * rate * (1 - rate) / y


def test_mann_whitneys_deviate_is_the_textbooks() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(1.0, 0.2, (4, 30, 2))
    z = deviates({"latency": values})["latency"]
    for run in range(4):
        for looks in (5, 17, 30):
            u = mannwhitneyu(values[run, :looks, 1], values[run, :looks, 0], method="asymptotic", use_continuity=False)
            expected = (u.statistic - looks**2 / 2) / np.sqrt(looks**2 * (2 * looks + 1) / 12)
            assert z[run, looks - 1] == pytest.approx(expected)


def test_five_failed_checks_roll_back() -> None:
    values = {"errors": np.zeros((2, 8, 2))}
    values["errors"][0, [0, 1, 3, 4, 6], 1] = 1.0
    values["errors"][1, [0, 1, 3, 4], 1] = 1.0
    assert first(failed_checks(values, {"errors": 0.5})).tolist() == [6, -1]


def test_harmless_canaries_are_left_alone_and_broken_ones_are_not() -> None:
    rng = np.random.default_rng(5)
    policy = POLICY.of({"min_seconds": 360, "min_units": 50, "guards": {"overlap": None}})
    harmless = judged(policy, drawn(TINY, Fault(), 12, coverage=True, rng=rng))
    broken = judged(policy, drawn(TINY, Fault(errors=0.03), 6, coverage=False, rng=rng))
    assert [end.status for end in harmless if end.status == "rolled back"] == []
    assert {(end.status, end.metric) for end in broken} == {("rolled back", "errors")}


def test_a_minutes_metrics_are_turned_so_that_more_is_worse() -> None:
    seen = drawn(TINY, Fault(rates={"apply_rate": 0.5}, slower=2.0), 3, coverage=False, rng=np.random.default_rng(1))
    values = minutes(seen)
    for name in ("apply_rate", "latency_p50", "latency_p95"):
        late = values[name][:, -6:]
        assert late[..., 1].mean() > late[..., 0].mean()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_quick_run_catches_every_fault_and_spares_the_harmless(root: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "canary", "--quick"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    bars = json.loads((root / ".rankloop" / "benchmarks" / "canary.json").read_text())["bars"]
    promised = [bar for bar in bars if not bar["bar"].split(":")[1:] or "over those of" not in bar["bar"]]
    assert promised
    assert [bar for bar in promised if not bar["holds"]] == []
