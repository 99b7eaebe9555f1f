"""What Prometheus is told: whom to ask for series, which rules to evaluate, whom to tell of alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

__all__ = ["JOBS", "Job", "duration", "prometheus_config"]

JOBS: Final = ("edge", "replicas", "collectors", "curator", "tally", "shadow", "control", "prometheus", "alertmanager")
"""Every value of the label `job`; what is not started is not asked either."""

_WRITTEN: Final = "# Written by monitoring/prometheus_config.py; a change to this copy is lost at the next start.\n"
_MOST_TIMEOUT: Final = 10.0


@dataclass(frozen=True)
class Job:
    """What is asked for series under one value of the label `job`.

    Attributes:
        name: one of `JOBS`.
        addresses: host:port of each process; empty where `found_at` says which they are.
        found_at: a URL that lists the processes, in Prometheus' HTTP service discovery; empty: `addresses` are all.
        closed: whether they ask for a token while one is configured.

    Raises:
        ValueError: it asks nobody, or its name is none of `JOBS`, so no rule would ever look at it.
    """

    name: str
    addresses: tuple[str, ...] = ()
    found_at: str = ""
    closed: bool = False

    def __post_init__(self) -> None:
        if self.name not in JOBS:
            raise ValueError(f"the job {self.name!r} is none that a rule looks at; take one of {', '.join(JOBS)}")
        if bool(self.addresses) == bool(self.found_at):
            raise ValueError(f"the job {self.name!r} needs addresses or a URL that lists them, and not both")


def prometheus_config(
    jobs: Sequence[Job],
    *,
    scrape_seconds: float,
    rule_files: Sequence[str],
    alertmanagers: Sequence[str] = (),
    credentials_file: str = "",
) -> str:
    """Prometheus' configuration.

    Rules are evaluated as often as series are read, so a fault is seen after one of each at the latest.

    Args:
        jobs: whom to ask.
        scrape_seconds: between two readings, and two evaluations.
        rule_files: paths, which may end in a pattern such as `*.yaml`.
        alertmanagers: host:port of each; empty: rules have a state, and nobody is told.
        credentials_file: path of the file with the token that processes with `closed` are shown; empty: none is shown. It is
            read again for each reading.

    Returns:
        YAML, as `promtool check config` takes it.

    Example:
        >>> print(prometheus_config([Job("tally", ("127.0.0.1:9105",))], scrape_seconds=15, rule_files=[]))  # doctest: +ELLIPSIS
        # Written by ...
        global:
          scrape_interval: 15s
          scrape_timeout: 10s
          evaluation_interval: 15s
        scrape_configs:
        - job_name: tally
          static_configs:
          - targets:
            - 127.0.0.1:9105
        <BLANKLINE>
    """
    every = duration(scrape_seconds)
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": every,
            "scrape_timeout": duration(min(scrape_seconds, _MOST_TIMEOUT)),
            "evaluation_interval": every,
        }
    }
    if rule_files:
        config["rule_files"] = list(rule_files)
    if alertmanagers:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]}
    # service discovery of 2.42 sends no type where none is named
    token = {"authorization": {"type": "Bearer", "credentials_file": credentials_file}} if credentials_file else {}
    config["scrape_configs"] = [_scraped(job, token if job.closed else {}, every) for job in jobs]
    return _WRITTEN + yaml.safe_dump(config, sort_keys=False, width=1_000)


def duration(seconds: float) -> str:
    """A length of time as Prometheus and Alertmanager write it.

    Example:
        >>> duration(15.0), duration(0.25), duration(5400)
        ('15s', '250ms', '5400s')
    """
    return f"{seconds:.0f}s" if float(seconds).is_integer() else f"{seconds * 1e3:.0f}ms"


def _scraped(job: Job, token: dict[str, Any], every: str) -> dict[str, Any]:
    asked: dict[str, Any]
    if job.found_at:
        asked = {"http_sd_configs": [{"url": job.found_at, "refresh_interval": every, **token}]}
    else:
        asked = {"static_configs": [{"targets": list(job.addresses)}]}
    return {"job_name": job.name, **token, **asked}
