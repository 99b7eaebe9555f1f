"""Grafana's dashboards, written from short descriptions so that they cannot drift from the series."""

from monitoring.dashboards.build import ANNOTATIONS, DASHBOARDS, FOLDER, built, written
from monitoring.dashboards.parts import Annotation, Dashboard, Panel, Row, Step, Target, Variable

__all__ = [
    "ANNOTATIONS",
    "DASHBOARDS",
    "FOLDER",
    "Annotation",
    "Dashboard",
    "Panel",
    "Row",
    "Step",
    "Target",
    "Variable",
    "built",
    "written",
]
