"""Gauges whose labels come and go: what still holds is never gone for a scraper that asks meanwhile."""

from collections.abc import Mapping

from prometheus_client import Gauge

from monitoring.metrics import OTHER

__all__ = ["Drawing"]


class Drawing:
    """One gauge, drawn anew again and again.

    Args:
        gauge: with labels.

    Example:
        >>> from monitoring.metrics import ControlMetrics
        >>> metrics = ControlMetrics(process=False)
        >>> drawing = Drawing(metrics.faults)
        >>> drawing.draw({("edges",): 1})
        >>> drawing.draw({("serve",): 1})
        >>> [line for line in metrics.text().decode().splitlines() if "control_fault_info{" in line]
        ['rankloop_control_fault_info{part="serve"} 1.0']
    """

    def __init__(self, gauge: Gauge) -> None:
        self._gauge, self._drawn = gauge, set[tuple[str, ...]]()

    def draw(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Sets every value, by labels in their order, and takes away what is not among them."""
        for labels in self._drawn.difference(values):
            self._gauge.remove(*labels)
            self._gauge.remove(*(OTHER for _ in labels))
        for labels, value in values.items():
            self._gauge.labels(*labels).set(value)
        self._drawn = set(values)
