"""What a record says in a few words and numbers, for the page and the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from services.shadow.comparing import METRICS
from services.shadow.record import LATENCY_EDGES, Record

__all__ = ["QUANTILES", "metric_names", "moment", "quantiles", "span"]

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def metric_names(record: Record) -> list[str]:
    """The metrics of all surfaces together, in the order they are shown."""
    return [name for name in METRICS if name in record.summary]


def moment(micros: int) -> str:
    """A moment to the minute, UTC."""
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def span(record: Record) -> str:
    """From when to when requests were compared."""
    return f"{moment(record.began)} to {moment(record.updated)} UTC" if record.began else "not begun"


def quantiles(record: Record, side: str) -> dict[str, float | None]:
    """Times of answers, milliseconds, to the width of a bin (21 %); `side` is `shown` or `other`."""
    counts = record.histograms.get(f"{side} seconds", ())
    return {name: _quantile(counts, share) for name, share in QUANTILES.items()}


def _quantile(counts: Sequence[int], share: float) -> float | None:
    if not sum(counts):
        return None
    place = int(np.searchsorted(np.cumsum(counts), share * sum(counts)))
    return float(1000 * np.sqrt(LATENCY_EDGES[place] * LATENCY_EDGES[place + 1]))
