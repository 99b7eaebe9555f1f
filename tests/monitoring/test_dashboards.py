import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as GrafanasDashboard
from jsonschema import Draft202012Validator

from monitoring.dashboards import ANNOTATIONS, DASHBOARDS, FOLDER, Dashboard, Panel, Row, Target, built, written
from monitoring.foreign import FOREIGN, SCRAPED
from monitoring.metrics import SERIES
from monitoring.rules import alerts, rules, series_in

_SOURCE = {
    "type": "object",
    "required": ["type", "uid"],
    "additionalProperties": False,
    "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
}
_PLACE = {
    "type": "object",
    "required": ["h", "w", "x", "y"],
    "additionalProperties": False,
    "properties": {
        "h": {"minimum": 1},
        "w": {"minimum": 1, "maximum": 24},
        "x": {"minimum": 0, "maximum": 23},
        "y": {"minimum": 0},
    },
}
_FIELD = {
    "type": "object",
    "required": ["unit", "color", "thresholds", "mappings"],
    "properties": {
        "unit": {"enum": ["short", "s", "percentunit", "reqps"]},
        "thresholds": {
            "properties": {
                "mode": {"const": "absolute"},
                "steps": {
                    "minItems": 1,
                    "items": {"required": ["color", "value"], "properties": {"value": {"type": ["number", "null"]}}},
                },
            }
        },
    },
}
_TARGET = {
    "type": "object",
    "required": ["refId", "datasource", "expr", "legendFormat", "range", "instant", "format"],
    "properties": {
        "refId": {"pattern": "^[A-Z]$"},
        "datasource": _SOURCE,
        "expr": {"minLength": 1},
        "format": {"enum": ["time_series", "table"]},
    },
}
_PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "gridPos"],
    "properties": {"id": {"type": "integer", "minimum": 1}, "gridPos": _PLACE},
    "if": {"properties": {"type": {"const": "row"}}},
    "then": {"required": ["collapsed", "panels"]},
    "else": {
        "required": ["description", "datasource", "targets", "fieldConfig", "options", "links"],
        "properties": {
            "type": {"enum": ["timeseries", "stat", "bargauge", "table"]},
            "description": {"minLength": 10},
            "datasource": _SOURCE,
            "targets": {"minItems": 1, "items": _TARGET},
            "fieldConfig": {"required": ["defaults", "overrides"], "properties": {"defaults": _FIELD}},
            "links": {"minItems": 1, "items": {"required": ["title", "url"]}},
        },
    },
}
SCHEMA = {
    "type": "object",
    "required": ["uid", "title", "schemaVersion", "panels", "templating", "annotations", "time", "links"],
    "properties": {
        "uid": {"pattern": "^rankloop-[a-z]+$"},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "tags": {"contains": {"const": "rankloop"}},
        "panels": {"minItems": 1, "items": _PANEL},
        "links": {
            "items": {
                "required": [
                    "title",
                    "type",
                    "icon",
                    "tooltip",
                    "tags",
                    "asDropdown",
                    "targetBlank",
                    "includeVars",
                    "keepTime",
                ]
            }
        },
        "templating": {
            "properties": {
                "list": {
                    "items": {
                        "required": ["name", "type", "current"],
                        "properties": {
                            "current": {"required": ["text", "value"]},
                            "name": {"pattern": "^[a-z]+$"},
                            "type": {"enum": ["datasource", "custom", "query", "constant"]},
                        },
                    }
                }
            }
        },
        "annotations": {
            "properties": {"list": {"items": {"required": ["name", "datasource", "expr", "iconColor", "titleFormat"]}}}
        },
    },
}
"""What Grafana's classic model asks of the parts that are used here; no Grafana runs in the tests."""

EVERY = [pytest.param(one, id=one.name) for one in DASHBOARDS]


def expressions(dashboard: Dashboard) -> Iterator[str]:
    for panel in dashboard.panels:
        yield from (target.expr for target in panel.targets)
    yield from (one.expr for one in ANNOTATIONS)
    yield from (found[1] for one in dashboard.variables if (found := re.match(r"label_values\((.+), (\w+)\)", one.query)))


def filled(expr: str) -> str:
    """With values for Grafana's variables."""
    for name, value in (("$__rate_interval", "5m"), ("$surface", ".*"), ("$slot", ".*"), ("$release", ".*")):
        expr = expr.replace(name, value)
    assert "$" not in expr
    return expr


def test_the_five_dashboards_are_those_that_alerts_link_to():
    assert [one.uid for one in DASHBOARDS] == [
        f"rankloop-{name}" for name in ("overview", "surface", "canary", "drift", "pipeline")
    ]


def test_the_json_files_are_exactly_what_the_descriptions_make(tmp_path):
    files = written(tmp_path)
    assert sorted(files) == sorted(one.name for one in DASHBOARDS)
    for name, file in files.items():
        assert file.read_text() == (FOLDER / f"{name}.json").read_text(), "run python -m monitoring.dashboards"
    assert {file.name for file in FOLDER.glob("*.json")} == {file.name for file in files.values()}


def test_the_module_writes_them_where_it_is_told_with_the_docs_address(tmp_path):
    command = [
        sys.executable,
        "-m",
        "monitoring.dashboards",
        "--into",
        str(tmp_path / "new"),
        "--docs-url",
        "https://docs.example/",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(DASHBOARDS)
    found = json.loads((tmp_path / "new" / "drift.json").read_text())
    docs = next(one for one in found["templating"]["list"] if one["name"] == "docs")
    assert docs["query"] == docs["current"]["value"] == "https://docs.example"


@pytest.mark.parametrize("dashboard", EVERY)
def test_a_dashboard_has_the_parts_that_grafana_asks_for(dashboard):
    errors = Draft202012Validator(SCHEMA).iter_errors(built(dashboard))
    assert [f"{list(error.path)}: {error.message}" for error in errors] == []


OF_PROMETHEUS = {
    *(f"annotations.list.{field}" for field in ("step", "tagKeys", "textFormat", "titleFormat", "useValueForTime")),
    "templating.list.definition",
}
"""Fields of Grafana's Prometheus plugin, which the model of the core does not have."""


def lost(own, theirs, path=""):
    """Where a value is not as it was; what was added is no matter."""
    if isinstance(own, dict):
        for name, value in own.items():
            here = f"{path}.{name}".removeprefix(".")
            yield from lost(value, theirs[name], here) if name in theirs else [here]
    elif isinstance(own, list) and len(own) == len(theirs):
        for each, other in zip(own, theirs, strict=True):
            yield from lost(each, other, path)
    elif own != theirs:
        yield f"{path}: {own!r} became {theirs!r}"


@pytest.mark.parametrize("dashboard", EVERY)
def test_grafanas_own_model_loses_and_changes_nothing(dashboard):
    register_default_plugins()
    own = built(dashboard)
    theirs = json.loads(json.dumps(GrafanasDashboard.from_json(own), cls=JSONEncoder))
    assert set(lost(own, theirs)) <= OF_PROMETHEUS


def test_what_grafana_would_lose_is_seen():
    own = built(DASHBOARDS[0])
    own["panels"][0] |= {"fieldConfigs": {}}
    assert "panels.fieldConfigs" in set(lost(own, json.loads(json.dumps(GrafanasDashboard.from_json(own), cls=JSONEncoder))))


@pytest.mark.parametrize("dashboard", EVERY)
def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard):
    panels = built(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for cell in (
            (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
        ):
            assert cell not in taken, f"{panel['title']} lies on {taken.get(cell)}"
            taken[cell] = panel["title"]


@pytest.mark.parametrize("dashboard", EVERY)
def test_no_row_leaves_a_hole_in_the_middle(dashboard):
    panels = built(dashboard)["panels"]
    for line in {panel["gridPos"]["y"] for panel in panels}:
        places = sorted(panel["gridPos"]["x"] for panel in panels if panel["gridPos"]["y"] == line)
        widths = {panel["gridPos"]["x"]: panel["gridPos"]["w"] for panel in panels if panel["gridPos"]["y"] == line}
        assert places == [sum(widths[own] for own in places[:number]) for number in range(len(places))]
        assert sum(widths.values()) == 24


@pytest.mark.parametrize("dashboard", EVERY)
def test_each_panel_asks_something_once_and_says_how_to_read_it(dashboard):
    titles = [panel.title for panel in dashboard.panels]
    assert len(set(titles)) == len(titles)
    assert all(title.endswith("?") for title in titles)
    for panel in built(dashboard)["panels"]:
        refs = [target["refId"] for target in panel.get("targets", [])]
        assert refs == list("ABCDEFGH"[: len(refs)])


@pytest.mark.parametrize("dashboard", EVERY)
def test_a_variable_is_used_where_it_is_offered_and_offered_where_it_is_used(dashboard):
    offered = {one.name for one in dashboard.variables}
    used = {name for expr in expressions(dashboard) for name in re.findall(r"\$([a-z]\w*)", expr)}
    assert used == offered


@pytest.mark.parametrize("dashboard", EVERY)
def test_all_surfaces_are_chosen_by_the_word_that_alerts_use(dashboard):
    surface = next(one for one in built(dashboard)["templating"]["list"] if one["name"] == "surface")
    assert surface["query"].split(",")[0] == "all : .*"
    assert surface["current"] == {"text": "all", "value": ".*", "selected": True}


@pytest.mark.parametrize("dashboard", EVERY)
def test_every_annotation_and_table_hides_what_prometheus_adds(dashboard):
    whole = built(dashboard)
    assert [one["name"] for one in whole["annotations"]["list"]] == ["Releases", "Alerts"]
    for panel in (one for one in whole["panels"] if one["type"] == "table"):
        assert set(panel["transformations"][0]["options"]["excludeByName"]) >= {"Time", "__name__", "instance"}
        assert all(target["instant"] and target["format"] == "table" for target in panel["targets"])


def test_a_panel_that_does_not_fit_begins_a_new_line():
    row = Row("one", tuple(Panel(f"{width}?", "how to read it", (Target("up"),), width=width) for width in (12, 13, 11)))
    panels = built(Dashboard("x", "x", "x", (row,), ()))["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert places == [(0, 0), (0, 1), (0, 9), (13, 9)]


def declared(name: str) -> tuple[str, ...]:
    """The labels of the series that a sample is of."""
    for ending in ("_bucket", "_sum", "_count"):
        if (whole := name.removesuffix(ending)) in SERIES and SERIES[whole].kind == "histogram":
            return (*SERIES[whole].labels, *(["le"] if ending == "_bucket" else []))
    assert name in SERIES or name in FOREIGN, f"{name} is declared nowhere"
    return (SERIES.get(name) or FOREIGN[name]).labels


def grouped(expr: str) -> set[str]:
    lists = re.findall(r"\b(?:by|on|ignoring|group_left|group_right) ?\(([^)]*)\)", expr)
    return {name.strip() for part in lists for name in part.split(",")} - {""}


@pytest.mark.parametrize("dashboard", EVERY)
def test_every_query_uses_declared_series_by_labels_that_they_have(dashboard):
    recorded = {rule.name: rule for rule in rules() if not rule.alerts}
    for expr in expressions(dashboard):
        found = series_in(filled(expr))
        assert found, expr
        known: set[str] = set(SCRAPED)
        for name, chosen in found.items():
            if name == "ALERTS":
                own = {"alertname", "alertstate", "severity"}
            else:
                own = grouped(recorded[name].expr) if name in recorded else {*declared(name)}
            assert chosen <= own | set(SCRAPED), f"{name} has no {chosen - own}: {expr}"
            known |= own
        assert grouped(expr) <= known, expr


@pytest.mark.parametrize("dashboard", EVERY)
def test_a_legend_names_labels_that_its_query_leaves(dashboard):
    for panel in dashboard.panels:
        for target in panel.targets:
            named = set(re.findall(r"\{\{(\w+)\}\}", target.legend))
            assert named <= grouped(target.expr), f"{panel.title}: {target.legend}"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_every_query_is_promql(tmp_path):
    queries = [filled(expr) for dashboard in DASHBOARDS for expr in expressions(dashboard)]
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout


def test_every_alert_links_to_a_dashboard_that_is_there():
    assert alerts()
    offered = {one.uid: {variable.name for variable in one.variables} for one in DASHBOARDS}
    for name, rule in alerts().items():
        path, _, query = rule.annotations["dashboard_url"].partition("?")
        assert path.removeprefix("/d/") in offered, name
        chosen = re.findall(r"var-(\w+)=", query)
        assert set(chosen) <= offered[path.removeprefix("/d/")], name


def test_every_panel_links_to_an_alert_of_the_runbook_that_is_there():
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            assert not panel.alert or panel.alert in alerts(), panel.title
    linked = {panel.alert for dashboard in DASHBOARDS for panel in dashboard.panels} - {""}
    assert len(linked) >= 10
