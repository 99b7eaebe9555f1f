"""Every series is declared once, names its unit, is exported, and is documented."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.metrics import SERIES, ControlMetrics, CuratorMetrics, EventMetrics, Metrics, ShadowMetrics, TallyMetrics
from monitoring.metrics.listing import page


def test_exactly_the_declared_series_are_exported() -> None:
    kinds = (Metrics, EventMetrics, CuratorMetrics, ShadowMetrics, TallyMetrics, ControlMetrics)
    texts = [kind(process=False).text().decode() for kind in kinds]
    found = [own for text in texts for own in text_string_to_metric_families(text)]
    families = {own.name: own.type for own in found if not own.name.endswith("_created")}  # the format's own, of a count's birth
    assert families == {name.removesuffix("_total"): series.kind for name, series in SERIES.items()}


@pytest.mark.parametrize("name", SERIES)
def test_a_name_says_its_unit_and_only_counters_are_totals(name: str) -> None:
    assert re.fullmatch(
        r"rankloop_([a-z_]+_)?(total|seconds|info|items|bytes|ratio|units|lists|moments|scores?|columns|incidents)", name
    )
    assert name.endswith("_total") == (SERIES[name].kind == "counter")


def test_two_applications_in_one_process_do_not_share_a_count() -> None:
    ours, theirs = Metrics(process=False), Metrics(process=False)
    ours.empty.labels(surface="job_feed").inc()
    assert "rankloop_empty_answers_total{" in ours.text().decode()
    assert "rankloop_empty_answers_total{" not in theirs.text().decode()


def test_every_series_is_in_a_guide_with_its_labels(root: Path) -> None:
    guides = "\n".join(guide.read_text(encoding="utf-8") for guide in sorted((root / "docs" / "guides").glob("*.md")))
    rows = re.findall(r"^\| `(rankloop_\w+)` \| (\w+) \| ([\w, ]*) ?\|", guides, flags=re.MULTILINE)
    documented = {name: (kind, tuple(label for label in labels.strip().split(", ") if label)) for name, kind, labels in rows}
    assert documented == {name: (series.kind, series.labels) for name, series in SERIES.items()}


def test_the_page_of_series_is_what_the_declarations_print(root: Path) -> None:
    written = (root / "docs" / "guides" / "series.md").read_text(encoding="utf-8")
    assert written.endswith(page()), "print it again: python -m monitoring.metrics"
