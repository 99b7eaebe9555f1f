"""Every query of every dashboard, asked of a real Prometheus in which each declared series has a past."""

import itertools
import math
import re
import time

import pytest

from monitoring.dashboards import ANNOTATIONS, DASHBOARDS
from monitoring.foreign import FOREIGN
from monitoring.metrics import SERIES, Metrics
from monitoring.rules import rules
from services.control.pager.asking import Prometheus
from services.control.pager.wanted import WANTED
from tests.services.control.recorded_series import installed, prometheus

pytestmark = pytest.mark.skipif(not installed(), reason="prometheus and promtool are not installed")

HOURS, STEP = 2, 60
VALUES = {
    "action": ("advance", "hold"),
    "alertname": ("ErrorBurst",),
    "alertstate": ("firing",),
    "cause": ("unit-change",),
    "code": ("2xx", "4xx", "5xx"),
    "component": ("items.budget",),
    "cut": ("5", "10", "all"),
    "instance": ("127.0.0.1:1",),
    "job": ("replicas",),
    "kind": ("click", "apply", "measured", "estimated"),
    "le": ("0.01", "0.1", "1.0", "+Inf"),
    "measure": ("psi", "js"),
    "metric": ("ctr@10", "apply_rate", "ndcg@10", "fallback", "empty"),
    "moment": ("units", "x", "y"),
    "of": ("places", "canary", "stable", "variance"),
    "outcome": ("whole", "fallback", "empty", "failed"),
    "proxy": ("public", "blue", "green"),
    "release_id": ("r-1", "r-2"),
    "replica": ("1",),
    "role": ("stable", "canary"),
    "severity": ("page", "ticket"),
    "slot": ("blue", "green"),
    "status": ("firing", "acknowledged"),
    "surface": ("job_feed", "job_search"),
}


def past(until: float) -> str:
    """Each declared series, for every combination of labels: counters rise, times are recent, the rest is between 0 and 1."""
    of_replicas = set(re.findall(r"# TYPE (\S+)", Metrics(process=False).text().decode()))
    texts = []
    for name, declared in {**SERIES, **FOREIGN}.items():
        scraped = ("slot", "replica") if name in of_replicas else ("job", "instance") if name == "up" else ()
        texts.append(family(name, declared.kind, (*declared.labels, *scraped), until))
    texts.append(family("ALERTS", "gauge", ("alertname", "alertstate", "severity", "cause", "component"), until))
    for rule in (rule for rule in rules() if not rule.alerts):
        by = re.findall(r"\bby ?\(([^)]*)\)", rule.expr)
        texts.append(family(rule.name, "gauge", tuple(sorted({label.strip() for one in by for label in one.split(",")})), until))
    return "".join(texts) + "# EOF\n"


def family(name: str, kind: str, labels: tuple[str, ...], until: float) -> str:
    if kind == "histogram":
        parts = [(f"{name}_bucket", (*labels, "le")), (f"{name}_sum", labels), (f"{name}_count", labels)]
    else:
        parts = [(name, labels)]
    head = f"# TYPE {name.removesuffix('_total') if kind == 'counter' else name} {'unknown' if kind == 'histogram' else kind}\n"
    if kind == "histogram":  # samples as they are: this text is no histogram of one bucket each
        return "".join(f"# TYPE {part} unknown\n" + "".join(samples(part, "counter", own, until)) for part, own in parts)
    return head + "".join(samples(name, kind, labels, until))


def samples(name: str, kind: str, labels: tuple[str, ...], until: float):
    chosen = [VALUES.get(label, (f"some {label}",)) for label in labels]
    for values in itertools.product(*chosen):
        own = ",".join(f'{label}="{value}"' for label, value in zip(labels, values, strict=True))
        for tick in range(-HOURS * 3600 // STEP, 1):
            at = until + STEP * tick
            if kind == "counter":
                bound = values[labels.index("le")] if "le" in labels else ""
                value = (200 + tick) * (4.0 if not bound else 1.0 + VALUES["le"].index(bound))
            elif name.endswith("timestamp_seconds"):
                value = until - 600.0
            else:
                value = 0.5 + 0.4 * math.sin(tick / 20) if "info" not in name and name != "up" else 1.0
            yield f"{name}{{{own}}} {value:.6f} {at:.3f}\n"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory):
    until = 60.0 * (time.time() // 60)
    with prometheus(tmp_path_factory.mktemp("prometheus"), past(until)) as url, Prometheus(url) as client:
        yield lambda expr: client.ranges(expr, until - 1800, until, 60)


def filled(expr: str) -> str:
    for name, value in (("$__rate_interval", "5m"), ("$surface", "job_feed"), ("$slot", "blue"), ("$release", "r-1")):
        expr = expr.replace(name, value)
    return expr


@pytest.mark.parametrize("dashboard", [pytest.param(one, id=one.name) for one in DASHBOARDS])
def test_every_panel_has_an_answer_and_its_legend_names_it(dashboard, asked):
    for panel in dashboard.panels:
        for target in panel.targets:
            found = asked(filled(target.expr))
            assert any(math.isfinite(value) for series in found for value in series.values), f"{panel.title}: {target.expr}"
            for label in re.findall(r"\{\{(\w+)\}\}", target.legend):
                assert all(series.labels.get(label) for series in found), f"{panel.title}: no {label} in {target.expr}"
            names = [
                re.sub(r"\{\{(\w+)\}\}", lambda own, series=series: series.labels[own[1]], target.legend) for series in found
            ]
            assert len(set(names)) == len(names) or panel.kind == "table", f"{panel.title}: {names}"


def test_every_chart_of_an_incident_has_an_answer(asked):
    for wanted in WANTED:
        for query in wanted.queries:
            expr = query.expr.replace("WINDOW", "300s").replace("LONG", "1800s").replace("SURFACE", 'surface="job_feed"')
            assert asked(expr.replace("{,", "{")), f"{wanted.name}: {expr}"


def test_the_alerts_annotation_finds_alerts_and_the_releases_annotation_only_changes(asked):
    releases, alerts = (asked(one.expr) for one in ANNOTATIONS)
    assert releases == []  # the same two releases all the time
    assert {series.labels["alertname"] for series in alerts} == {"ErrorBurst"}
