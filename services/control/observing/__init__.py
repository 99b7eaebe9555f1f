"""Observers: what was seen of two releases, from the tally and the edge, asked directly or by way of Prometheus."""

from services.control.observing.direct import DirectObserver
from services.control.observing.observer import Observer
from services.control.observing.opening import open_observer
from services.control.observing.prometheus import PrometheusObserver

__all__ = ["DirectObserver", "Observer", "PrometheusObserver", "open_observer"]
