"""Counters, gauges and histograms that keep to their declaration: no process exports more series than were declared.

A label that a caller could choose would else fill the memory of this process and of whoever scrapes it. The families also
find a child without a lock, in a third of the time.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitoring.metrics.series import OTHER, SERIES, Series

__all__ = ["Families"]

_SURPLUS: Final = "rankloop_surplus_labels_total"
_Family = TypeVar("_Family", Counter, Gauge, Histogram)


class _Bounded:
    """What every family of ours does beyond the library's: `labels` puts what is too much under `other`.

    Samples named `_created`, which no query uses and which would double the counters, are left out.
    """

    most = 0
    on_surplus: Callable[[], None]

    def labels(self, *values: Any, **named: Any) -> Any:
        """The child for these labels, or the one that stands for all that came too late."""
        known: dict[tuple[str, ...], Any] = self._metrics  # type: ignore[attr-defined]
        child = None if named else known.get(values)
        if child is not None:
            return child
        names: tuple[str, ...] = self._labelnames  # type: ignore[attr-defined]
        asked = tuple(str(named[name]) for name in names) if named else tuple(map(str, values))
        if asked not in known and len(known) >= self.most:
            self.on_surplus()
            asked = (OTHER,) * len(names)
        return super().labels(*asked)  # type: ignore[misc]

    def _child_samples(self) -> Any:
        return tuple(sample for sample in super()._child_samples() if sample.name != "_created")  # type: ignore[misc]


class _Counter(_Bounded, Counter):
    pass


class _Gauge(_Bounded, Gauge):
    pass


class _Histogram(_Bounded, Histogram):
    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """As the library's, in half of its time: the bucket is looked up, not searched for one by one."""
        if exemplar or amount != amount:
            super().observe(amount, exemplar)
            return
        self._sum.inc(amount)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)


class Families:
    """Makes the declared families, in a registry of their own.

    Example:
        >>> own = Families()
        >>> lists = own.counter("rankloop_impressions_total")
        >>> for outcome in ("logged", "lost", "made up", "made up too"):
        ...     lists.labels(outcome).inc()
        >>> lists.labels("other")._value.get()
        2.0
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.surplus: Counter = self._made(_Counter, _SURPLUS)

    def counter(self, name: str) -> Counter:
        """The counter of that name."""
        return self._made(_Counter, name)

    def gauge(self, name: str) -> Gauge:
        """The gauge of that name."""
        return self._made(_Gauge, name)

    def histogram(self, name: str) -> Histogram:
        """The histogram of that name."""
        return self._made(_Histogram, name, buckets=SERIES[name].buckets)

    def _made(self, kind: Any, name: str, **rest: Any) -> Any:
        declared: Series = SERIES[name]
        family = kind(name, declared.help, declared.labels, registry=self.registry, **rest)
        family.most = declared.most
        family.on_surplus = lambda: self.surplus.labels(name).inc()
        return family
