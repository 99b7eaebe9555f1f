"""The page of every series, as docs/guides/series.md holds it: `python -m monitoring.metrics`."""

from typing import Final

from prometheus_client import CollectorRegistry

from monitoring.metrics.control import ControlMetrics
from monitoring.metrics.processes import (
    CuratorMetrics,
    EventMetrics,
    HttpMetrics,
    Metrics,
    ProcessMetrics,
    ShadowMetrics,
    SpoolMetrics,
    TallyMetrics,
)
from monitoring.metrics.series import SERIES

__all__ = ["PROCESSES", "exported", "page"]

PROCESSES: Final[dict[str, type[ProcessMetrics]]] = {
    "Every process": ProcessMetrics,
    "Every application over HTTP": HttpMetrics,
    "Replicas and collectors": SpoolMetrics,
    "Replicas": Metrics,
    "Collectors": EventMetrics,
    "The curator": CuratorMetrics,
    "The tally": TallyMetrics,
    "The shadow": ShadowMetrics,
    "The control plane": ControlMetrics,
}
"""Who exports what: a heading of the page, and the class; the earlier ones are part of the later ones."""

_HEAD: Final = ("| series | kind | labels | at most | says |", "| --- | --- | --- | --- | --- |")


def exported(kind: type[ProcessMetrics]) -> list[str]:
    """The names of the families that a process exports, in the order of their declaration."""
    registry: CollectorRegistry = kind(process=False).registry
    found = {name for family in registry.collect() for name in (family.name, f"{family.name}_total")}
    return [name for name in SERIES if name in found]


def page() -> str:
    """The tables, each series once, under whoever exports it."""
    told: set[str] = set()
    lines: list[str] = []
    for heading, kind in PROCESSES.items():
        own = [name for name in exported(kind) if name not in told]
        told.update(own)
        most = sum(SERIES[name].samples for name in exported(kind))
        lines += [f"## {heading}", "", f"At most {most:,} samples in one process.", "", *_HEAD, *map(_row, own), ""]
    return "\n".join(lines)


def _row(name: str) -> str:
    declared = SERIES[name]
    return f"| `{name}` | {declared.kind} | {', '.join(declared.labels)} | {declared.most:,} | {declared.help} |"
