"""The figures of a shadow's page."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter

from rankloop.report.drawing import COLOURS, figure, plain_axes, svg
from services.shadow.record import LATENCY_EDGES, SHARE_BINS, Estimate

__all__ = ["by_surface", "latency", "shares"]

_HALF: Final = 5.25


def shares(counts: Sequence[int], name: str, title: str, *, bins: int = SHARE_BINS) -> str | None:
    """How many requests have which share, in percent of them; None without any."""
    if not sum(counts):
        return None
    percent = 100 * np.array(counts).reshape(bins, -1).sum(axis=1) / sum(counts)  # (bins,)
    with figure(name, _HALF, 2.7) as drawn:
        axes = plain_axes(drawn, "y")
        axes.bar((np.arange(bins) + 0.5) / bins, percent, width=0.9 / bins, color=COLOURS["candidate"])
        axes.set_xlim(0, 1)
        axes.set_xlabel(title)
        axes.set_ylabel("% of requests")
        return svg(drawn, name, f"Requests by {title}")


def latency(shown: Sequence[int], other: Sequence[int]) -> str | None:
    """Which share of the answers took at most how long; None without any."""
    if not sum(shown) or not sum(other):
        return None
    with figure("latency", _HALF, 2.7) as drawn:
        axes = plain_axes(drawn, "both")
        for counts, colour, dash, label in (
            (shown, "champion", "--", "list shown: engine"),
            (other, "candidate", "-", "other list: over HTTP"),
        ):
            axes.plot(
                LATENCY_EDGES[1:], 100 * np.cumsum(counts) / sum(counts), dash, color=COLOURS[colour], linewidth=2, label=label
            )
        used = np.flatnonzero(np.array(shown) + np.array(other))
        axes.set_xscale("log")
        axes.set_xlim(LATENCY_EDGES[max(used[0] - 1, 0)], LATENCY_EDGES[min(used[-1] + 2, len(LATENCY_EDGES) - 1)])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{1000 * value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0, 103)
        axes.set_xlabel("ms, logarithmic")
        axes.set_ylabel("% of answers within")
        axes.legend(loc="lower right", fontsize=9)
        return svg(drawn, "latency", "Share of answers within a time, for the list shown and for the other")


def by_surface(values: Mapping[str, Estimate]) -> str | None:
    """Rank-biased overlap by product place, with intervals; None with fewer than two places."""
    if len(values) < 2:
        return None
    with figure("by-surface", _HALF, 0.9 + 0.45 * len(values)) as drawn:
        axes = plain_axes(drawn, "x")
        for at, one in enumerate(values.values()):
            if one.mean is None:
                continue
            if one.lower is not None and one.upper is not None:
                axes.plot([one.lower, one.upper], [at, at], color=COLOURS["candidate"], linewidth=2)
            axes.plot([one.mean], [at], "o", color=COLOURS["candidate"], markersize=6.5)
        axes.set_yticks(range(len(values)), [f"{name}  ({one.requests:,})" for name, one in values.items()])
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("rank-biased overlap (requests in brackets)")
        return svg(drawn, "by-surface", "Rank-biased overlap by product place, with intervals")
