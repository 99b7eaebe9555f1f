"""The page of a drift report: Evidently's charts under our verdicts."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from monitoring.drift import EVIDENTLY, PAGE, render, shelve
from rankloop.drift import Cause, ColumnDrift, DriftReport, Verdict
from rankloop.errors import DataError

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
BAD = "</script><script>alert(1)</script>"
STATUS: dict[Verdict, str] = {"stable": "SUCCESS", "drifted": "FAIL", "broken": "FAIL", "not enough rows": "SKIPPED"}


def column(name: str, verdict: Verdict, kind: str = "numeric", **more: object) -> ColumnDrift:
    return ColumnDrift(name=name, kind=kind, table=name.partition(".")[0], verdict=verdict, **more)


COLUMNS = (
    column("items.budget", "broken", change="unit", measures={"js": 0.9}, impact=0.4, factor=100.0),
    column("items.country", "drifted", "category", measures={"js": 0.3}),
    column("items.skills", "broken", "list", change="nulls", null_share=(0.0, 1.0)),
    column("users.hourly_rate", "stable", measures={"js": 0.01}),
    column("users.headline", "not enough rows", "text"),
)
REPORT = DriftReport(
    report_id="drift-20260504-120000-abc123",
    surface="job_feed",
    release_id="r20260501-a67b2c06",
    at=NOW,
    window_from=NOW,
    window_until=NOW,
    verdict="broken",
    columns=COLUMNS,
    causes=(Cause(cause="unit-change", component="items.budget", impact=0.4, says=BAD),),
    says="items.budget changed unit",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    budgets, rates = rng.lognormal(size=400), rng.normal(size=400)
    reference = pl.DataFrame(
        {
            "items.budget": budgets,
            "items.country": rng.choice(["DE", "AT"], 400).tolist(),
            "items.skills": rng.poisson(3, 400),
            "users.hourly_rate": rates,
        }
    )
    window = pl.DataFrame(
        {
            "items.budget": budgets[:200] * 100,
            "items.country": ["DE", BAD] * 100,
            "items.skills": pl.Series([None] * 200, dtype=pl.Int64),
            "users.hourly_rate": rates[:200],
        }
    )
    made = tmp_path_factory.mktemp("page")
    render(REPORT, reference, window, made)
    return made


def test_every_verdict_that_evidently_shows_is_ours(folder: Path) -> None:
    tests = json.loads((folder / EVIDENTLY).read_text())["tests"]
    shown = {test["metric_config"]["params"]["column"]: (test["test_config"]["verdict"], test["status"]) for test in tests}
    assert shown == {own.name: (own.verdict, STATUS[own.verdict]) for own in COLUMNS}


def test_the_values_that_evidently_shows_are_ours(folder: Path) -> None:
    metrics = json.loads((folder / EVIDENTLY).read_text())["metrics"]
    shown = {own["config"]["column"]: own["value"] for own in metrics if "column" in own["config"]}
    assert shown == {own.name: own.measures.get("js", 0.0) for own in COLUMNS}


def test_the_page_holds_causes_columns_and_charts_and_needs_no_network(folder: Path) -> None:
    page = (folder / PAGE).read_text()
    for words in ("unit-change", "items.budget", "a sample of both", REPORT.release_id):
        assert words in page
    assert 'src="http' not in page


def test_a_text_that_was_logged_cannot_end_the_script_it_stands_in(folder: Path) -> None:
    page = (folder / PAGE).read_text()
    assert "alert(1)" in page
    assert BAD not in page


def test_a_report_without_a_reference_has_a_page_that_says_so(tmp_path: Path) -> None:
    report = DriftReport(**{**_fields(REPORT), "columns": (), "causes": (), "verdict": "not enough rows", "says": "no reference"})
    page = render(report, pl.DataFrame(), pl.DataFrame(), tmp_path).read_text()
    assert "no reference" in page
    assert json.loads((tmp_path / EVIDENTLY).read_text())["tests"] == []


def test_only_the_newest_pages_are_kept(folder: Path, tmp_path: Path) -> None:
    names = [f"drift-{number}" for number in range(4)]
    for name in names:
        place = shelve(DriftReport(**{**_fields(REPORT), "report_id": name}), {PAGE: folder / PAGE}, tmp_path, kept=2)
        assert {file.name for file in place.iterdir()} == {"report.json", PAGE}
    assert sorted(one.name for one in (tmp_path / "drift").iterdir()) == names[-2:]


def test_a_report_whose_name_leads_elsewhere_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="make a name"):
        shelve(DriftReport(**{**_fields(REPORT), "report_id": "../x"}), {}, tmp_path)


def _fields(report: DriftReport) -> dict[str, object]:
    return {name: getattr(report, name) for name in report.__struct_fields__}
