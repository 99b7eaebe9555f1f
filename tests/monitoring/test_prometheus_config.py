"""Prometheus' configuration: every job, the token, the rules; checked by promtool where it is installed."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.prometheus_config import JOBS, Job, duration, prometheus_config

PROMTOOL = shutil.which("promtool")
TALLY = Job("tally", ("127.0.0.1:9105",))
REPLICAS = Job("replicas", found_at="http://127.0.0.1:8002/v1/targets", closed=True)


def read(*jobs: Job, **given: Any) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(prometheus_config(jobs, **{"scrape_seconds": 15, "rule_files": [], **given}))
    return config


def test_each_job_is_asked_at_its_addresses_or_where_a_url_says() -> None:
    tally, replicas = read(TALLY, REPLICAS)["scrape_configs"]
    assert tally == {"job_name": "tally", "static_configs": [{"targets": ["127.0.0.1:9105"]}]}
    assert replicas["http_sd_configs"] == [{"url": REPLICAS.found_at, "refresh_interval": "15s"}]


def test_the_token_is_a_path_and_goes_only_to_who_asks_for_one() -> None:
    tally, replicas = read(TALLY, REPLICAS, credentials_file="/run/token")["scrape_configs"]
    shown = {"type": "Bearer", "credentials_file": "/run/token"}
    assert replicas["authorization"] == replicas["http_sd_configs"][0]["authorization"] == shown
    assert "authorization" not in tally


@pytest.mark.parametrize(("seconds", "every", "timeout"), [(15, "15s", "10s"), (2.0, "2s", "2s"), (0.5, "500ms", "500ms")])
def test_rules_are_evaluated_as_often_as_series_are_read_and_no_reading_outlasts_that(
    seconds: float, every: str, timeout: str
) -> None:
    told = read(TALLY, scrape_seconds=seconds)["global"]
    assert told == {"scrape_interval": every, "evaluation_interval": every, "scrape_timeout": timeout}
    assert duration(seconds) == every


def test_without_rules_and_alertmanagers_neither_is_named() -> None:
    assert {"rule_files", "alerting"}.isdisjoint(read(TALLY))
    told = read(TALLY, rule_files=["rules/*.yaml"], alertmanagers=["127.0.0.1:9093"])
    assert told["rule_files"] == ["rules/*.yaml"]
    assert told["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]


def test_a_job_that_no_rule_looks_at_cannot_be() -> None:
    with pytest.raises(ValueError, match="'nodes' is none that a rule looks at"):
        Job("nodes", ("127.0.0.1:9100",))
    for wrong in ({}, {"addresses": ("a:1",), "found_at": "http://b"}):
        with pytest.raises(ValueError, match="needs addresses or a URL"):
            Job("edge", **wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_no_fault_in_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("rl_secret")
    (tmp_path / "one.yaml").write_text("groups: []\n")
    jobs = [REPLICAS if name == "replicas" else Job(name, ("127.0.0.1:9999",), closed=True) for name in JOBS]
    text = prometheus_config(
        jobs,
        scrape_seconds=0.5,
        rule_files=["*.yaml"],
        alertmanagers=["127.0.0.1:9093"],
        credentials_file=str(tmp_path / "token"),
    )
    (tmp_path / "prometheus.yml").write_text(text)
    done = subprocess.run(
        [str(PROMTOOL), "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "rl_secret" in text) == (0, False), done.stdout + done.stderr
