"""Reports of drift: written, read back, and refused when they are something else."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rankloop.drift import CAUSES, Cause, ColumnDrift, Day, DriftReport, Performance, Shares, verdict_of
from rankloop.errors import DataError

MONDAY = datetime(2026, 5, 4, tzinfo=UTC)

BUDGET = ColumnDrift(
    name="items.budget",
    kind="numeric",
    table="items",
    verdict="broken",
    change="unit",
    measures={"psi": 2.1, "js": 0.6, "wasserstein": 4.6, "ks": 0.9},
    p_adjusted=1e-9,
    reference_rows=40_000,
    window_rows=1_200,
    null_share=(0.02, 0.02),
    factor=100.0,
    says="items.budget is 100 times what it was",
    bins=Shares(labels=("below 100", "100 and more"), reference=(0.7, 0.3), window=(0.1, 0.9)),
)

REPORT = DriftReport(
    report_id="job_feed-20260504",
    surface="job_feed",
    release_id="r7",
    at=MONDAY + timedelta(days=1, hours=1),
    window_from=MONDAY,
    window_until=MONDAY + timedelta(days=1),
    reference_from=MONDAY - timedelta(days=28),
    reference_until=MONDAY,
    rows=1_200,
    reference_rows=40_000,
    columns=(BUDGET, ColumnDrift(name="scores", kind="numeric", table="scores", verdict="stable")),
    causes=(
        Cause(
            cause="unit-change",
            component="items.budget",
            columns=("items.budget", "item_budget", "budget_fit"),
            impact=0.31,
            since=MONDAY + timedelta(hours=6),
            slice="country=IN",
            says="items.budget is 100 times what it was since 4 May 06:00",
            command="rankloop drift show job_feed-20260504",
        ),
    ),
    performance=(
        Performance(
            metric="ctr@10",
            kind="measured",
            value=0.08,
            reference=0.1,
            ratio=0.8,
            lower=0.7,
            upper=0.91,
            requests=900,
            people=400,
            days=(Day(at=MONDAY, value=0.08, requests=900, ripe=0.97),),
        ),
    ),
    verdict="broken",
    says="items.budget changed its unit",
)


def test_a_report_survives_json_and_disk(tmp_path: Path) -> None:
    assert DriftReport.from_json(REPORT.to_json()) == REPORT
    assert DriftReport.read(REPORT.write(tmp_path / "drift" / "report.json")) == REPORT


def test_times_in_the_json_are_utc_with_z() -> None:
    record = json.loads(REPORT.to_json())
    assert record["window_from"] == "2026-05-04T00:00:00Z"
    assert record["causes"][0]["since"] == "2026-05-04T06:00:00Z"


def test_columns_are_counted_by_verdict() -> None:
    assert dict(REPORT.counts) == {"broken": 1, "drifted": 0, "stable": 1, "not enough rows": 0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        b"\xff",
        '{"report_id": 3}',
        REPORT.to_json().replace('"broken"', '"fine"'),
        REPORT.to_json().replace('"impact": 0.31', '"impact": 1.31'),
        REPORT.to_json().replace("2026-05-04T00:00:00Z", "2026-05-04T00:00:00"),
    ],
)
def test_what_is_no_report_is_refused_with_a_remedy(text: str | bytes) -> None:
    with pytest.raises(DataError, match=r"not a drift report.*to_json"):
        DriftReport.from_json(text)


def test_a_missing_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rankloop drift run"):
        DriftReport.read(tmp_path / "none.json")


@pytest.mark.parametrize("cause", CAUSES)
def test_a_fault_of_the_data_breaks_the_report_and_other_causes_only_drift_it(cause: str) -> None:
    found = verdict_of((), (Cause(cause=cause, component="x"),))  # type: ignore[arg-type]
    assert found == ("drifted" if cause in ("taste-shift", "score-shift", "performance") else "broken")


def test_drifted_columns_without_a_cause_leave_the_report_stable() -> None:
    stable = ColumnDrift(name="a", kind="numeric", table="features", verdict="stable")
    few = ColumnDrift(name="b", kind="numeric", table="features", verdict="not enough rows")
    assert verdict_of((stable, few), ()) == "stable"
    assert verdict_of((few,), ()) == "not enough rows"
