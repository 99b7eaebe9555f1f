"""One panel as Grafana reads it."""

from collections.abc import Callable, Mapping
from string import ascii_uppercase
from typing import Any, Final

from monitoring.dashboards.parts import Kind, Panel

__all__ = ["panel_json"]


def panel_json(panel: Panel, number: int, place: Mapping[str, int], datasource: Mapping[str, str]) -> dict[str, Any]:
    """A panel with its queries, unit, thresholds and link.

    Args:
        panel: what it shows.
        number: its id in the dashboard.
        place: h, w, x and y on the grid.
        datasource: whom its queries ask.
    """
    heading = f"#{panel.alert.lower()}" if panel.alert else ""
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": dict(datasource),
        "gridPos": dict(place),
        "targets": _targets(panel, datasource),
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _OPTIONS[panel.kind](),
        "links": [{"title": "Runbook", "url": f"${{docs}}/docs/runbook.md{heading}", "targetBlank": True}],
        "transformations": [_reduced()] if panel.kind == "table" else [],
    }


def _targets(panel: Panel, datasource: Mapping[str, str]) -> list[dict[str, Any]]:
    now = panel.kind in ("table", "bargauge")  # which show one moment; over a range Prometheus sorts nothing
    return [
        {
            "refId": ref,
            "datasource": dict(datasource),
            "editorMode": "code",
            "expr": target.expr,
            "legendFormat": target.legend or "__auto",
            "range": not now,
            "instant": now,
            "format": "table" if panel.kind == "table" else "time_series",
        }
        for ref, target in zip(ascii_uppercase, panel.targets, strict=False)
    ]


def _field(panel: Panel) -> dict[str, Any]:
    """Unit, bounds and thresholds of a panel's values."""
    field: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": step.colour, "value": step.value} for step in panel.steps],
        },
        "mappings": [],
        "noValue": "nothing",
    }
    field |= {name: value for name, value in (("min", panel.minimum), ("max", panel.maximum)) if value is not None}
    if panel.kind == "timeseries":
        field["custom"] = _lines(panel)
    return field


def _lines(panel: Panel) -> dict[str, Any]:
    return {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 40 if panel.stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "axisPlacement": "auto",
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if len(panel.steps) > 1 else "off"},
    }


def _timeseries() -> dict[str, Any]:
    return {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _stat() -> dict[str, Any]:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto",
        "textMode": "auto",
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
    }


def _bars() -> dict[str, Any]:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "showUnfilled": True,
    }


def _table() -> dict[str, Any]:
    return {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "fields": ""}}


def _reduced() -> dict[str, Any]:
    """A table without what Prometheus adds to each row of it."""
    left_out = dict.fromkeys(("Time", "__name__", "instance", "job"), True)
    return {"id": "organize", "options": {"excludeByName": left_out, "indexByName": {}, "renameByName": {}}}


_OPTIONS: Final[Mapping[Kind, Callable[[], dict[str, Any]]]] = {
    "timeseries": _timeseries,
    "stat": _stat,
    "bargauge": _bars,
    "table": _table,
}
