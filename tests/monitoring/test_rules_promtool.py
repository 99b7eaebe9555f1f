"""Prometheus' own tool takes every rule, and each alert is silent, fires with exactly these words, and resolves."""

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.rules import FOLDER, alerts, files

UNITS = sorted((FOLDER / "tests").glob("*.yaml"))
NEEDS_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed; it is in Debian's prometheus"
)


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, timeout=120)


def cases() -> dict[str, list[dict[str, Any]]]:
    """By alert, what its unit tests expect at which moment."""
    found = defaultdict(list)
    for file in UNITS:
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for own in test["alert_rule_test"]:
                found[own["alertname"]].append(own | {"test": test["name"]})
    return found


CASES = cases()


@NEEDS_PROMTOOL
def test_promtool_takes_every_rule() -> None:
    done = promtool("check", "rules", *files())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(files())


@NEEDS_PROMTOOL
@pytest.mark.slow
@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
def test_alerts_are_silent_then_fire_then_resolve(file: Path) -> None:
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@NEEDS_PROMTOOL
def test_promtool_finds_a_word_that_is_wrong(tmp_path: Path) -> None:
    text = (FOLDER / "tests" / "canary.yaml").read_text(encoding="utf-8")
    wrong = tmp_path / "canary.yaml"
    wrong.write_text(text.replace("../", f"{FOLDER}/").replace("The canary has stood", "The canary stands"))
    done = promtool("test", "rules", wrong)
    assert done.returncode != 0
    assert "CanaryStuck" in done.stdout + done.stderr


@pytest.mark.parametrize("name", alerts())
def test_every_alert_has_a_case_in_which_it_is_silent_and_one_in_which_it_fires(name: str) -> None:
    fires = [own for own in CASES[name] if own["exp_alerts"]]
    assert fires, "no case fires"
    if name != "Watchdog":
        moments = {
            own["test"]: [bool(one["exp_alerts"]) for one in CASES[name] if one["test"] == own["test"]] for own in CASES[name]
        }
        assert any(steps[0] is False and True in steps and steps[-1] is False for steps in moments.values()), moments


def test_unit_tests_are_of_alerts_that_there_are() -> None:
    assert set(CASES) == set(alerts())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_that_fires_has_every_label_with_a_value(name: str) -> None:
    for own in (alert for case in CASES[name] for alert in case["exp_alerts"]):
        assert {"severity", "owner", "surface", "release", "component", "cause"} <= set(own["exp_labels"])
        assert all(own["exp_labels"].values())
        assert set(own["exp_annotations"]) == {"summary", "description", "runbook_url", "dashboard_url", "command"}
        assert "<no value>" not in str(own)
        assert "  " not in own["exp_annotations"]["description"]
