"""Grafana's JSON, made from the descriptions: the same bytes for the same description.

No Grafana is asked. The model is the classic one, schema version 41 (Grafana 11.6 and later; a later one migrates it itself).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from monitoring.dashboards.canary import CANARY
from monitoring.dashboards.drift import DRIFT
from monitoring.dashboards.overview import OVERVIEW
from monitoring.dashboards.panels import panel_json
from monitoring.dashboards.parts import Annotation, Dashboard, Row, Variable
from monitoring.dashboards.pipeline import PIPELINE
from monitoring.dashboards.surface import SURFACE_IN_DEPTH
from rankloop.files import write_aside

__all__ = ["ANNOTATIONS", "COLUMNS", "DASHBOARDS", "FOLDER", "SCHEMA_VERSION", "built", "written"]

COLUMNS: Final = 24
"""A dashboard's width in Grafana's own unit."""

SCHEMA_VERSION: Final = 41

FOLDER: Final = Path(__file__).parent
"""Where the JSON files lie, beside what they are made from."""

DASHBOARDS: Final = (OVERVIEW, SURFACE_IN_DEPTH, CANARY, DRIFT, PIPELINE)

ANNOTATIONS: Final = (
    Annotation(
        "Releases",
        'rankloop_serving_info{role="stable"} unless rankloop_serving_info{role="stable"} offset 2m',
        "{{release_id}} serves from {{slot}}",
        "blue",
    ),
    Annotation(
        "Alerts",
        'ALERTS{alertstate="firing",severity=~"page|ticket"}',
        "{{alertname}}: {{cause}}, {{component}}",
        "red",
    ),
)

_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def built(dashboard: Dashboard, docs_url: str = "") -> dict[str, Any]:
    """One dashboard as Grafana reads it.

    Args:
        dashboard: what it shows.
        docs_url: what is put before `docs/runbook.md` in its links.
    """
    return {
        "uid": dashboard.uid,
        "title": f"Rankloop: {dashboard.title}",
        "description": dashboard.says,
        "tags": ["rankloop"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "weekStart": "",
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {},
        "liveNow": False,
        "links": [_others(), _runbook()],
        "annotations": {"list": [_annotation(one) for one in ANNOTATIONS]},
        "templating": {"list": [_source(), *map(_variable, dashboard.variables), _docs(docs_url)]},
        "panels": list(_panels(dashboard.rows)),
    }


def written(folder: Path, docs_url: str = "") -> Mapping[str, Path]:
    """Writes every dashboard as `<folder>/<name>.json`.

    Returns:
        The files by the dashboards' names.
    """
    files = {}
    for dashboard in DASHBOARDS:
        text = json.dumps(built(dashboard, docs_url), indent=2, ensure_ascii=False) + "\n"
        files[dashboard.name] = write_aside(folder / f"{dashboard.name}.json", text)
    return files


def _panels(rows: tuple[Row, ...]) -> Iterator[dict[str, Any]]:
    """Rows and panels with their places: from left to right, on a new line where one is full."""
    number, top = 1, 0
    for row in rows:
        yield _heading(row.title, number, top)
        number, top = number + 1, top + 1
        left, height = 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, height = 0, top + height, 0
            yield panel_json(panel, number, {"h": panel.height, "w": panel.width, "x": left, "y": top}, _DATASOURCE)
            number, left, height = number + 1, left + panel.width, max(height, panel.height)
        top += height


def _heading(title: str, number: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
        "panels": [],
    }


def _annotation(one: Annotation) -> dict[str, Any]:
    return {
        "name": one.name,
        "datasource": _DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": one.colour,
        "expr": one.expr,
        "step": "1m",
        "titleFormat": one.title,
        "textFormat": "",
        "tagKeys": "",
        "useValueForTime": False,
    }


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "current": {"text": "default", "value": "default", "selected": True},
        "options": [],
        "skipUrlSync": False,
    }


def _variable(one: Variable) -> dict[str, Any]:
    """Chosen among fixed values, where all is one of them by the name that alerts' links use; or asked for."""
    shared = {"name": one.name, "label": one.label, "hide": 0, "skipUrlSync": False, "multi": False}
    if one.values:
        everything = {"text": "all", "value": ".*", "selected": True}
        rest = [{"text": value, "value": value, "selected": False} for value in one.values]
        query = ",".join(["all : .*", *(f"{value} : {value}" for value in one.values)])
        return shared | {
            "type": "custom",
            "query": query,
            "includeAll": False,
            "current": everything,
            "options": [everything, *rest],
        }
    return shared | {
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": one.query,
        "query": {"query": one.query, "refId": f"variable-{one.name}", "qryType": 1},
        "refresh": 2,
        "regex": "",
        "sort": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"], "selected": True},
        "options": [],
    }


def _docs(url: str) -> dict[str, Any]:
    option = {"text": url, "value": url, "selected": True}
    return {
        "name": "docs",
        "type": "constant",
        "hide": 2,
        "query": url,
        "skipUrlSync": True,
        "current": option,
        "options": [option],
    }


def _others() -> dict[str, Any]:
    return {
        "title": "Rankloop",
        "type": "dashboards",
        "tags": ["rankloop"],
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "The other dashboards, with the same choices",
        "url": "",
    }


def _runbook() -> dict[str, Any]:
    return {
        "title": "Runbook",
        "type": "link",
        "tags": [],
        "asDropdown": False,
        "icon": "doc",
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
        "tooltip": "What each alert means and what to do",
        "url": "${docs}/docs/runbook.md",
    }
