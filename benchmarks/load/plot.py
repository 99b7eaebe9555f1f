"""Drawings of what the online path did, as SVG files that stand alone."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.load.timing import Sent

__all__ = ["bars", "drawn", "seconds_of"]

_OURS, _OTHERS, _BAD = "#2f6fb0", "#b0b0b0", "#c0392b"
_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "rankloop",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}


def drawn(title: str, panels: Sequence[Any], *, width: float = 9.0, height: float = 3.2) -> str:
    """One SVG of several panels side by side; a panel is a function that draws on axes."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        figure.suptitle(title, fontsize=10)
        for axes, panel in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
            panel(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def bars(axes: Axes, title: str, values: Mapping[str, float], *, ours: Sequence[str], unit: str) -> None:
    """Lying bars, one a system."""
    names = list(values)
    axes.barh(names, list(values.values()), color=[_OURS if name in ours else _OTHERS for name in names])
    axes.invert_yaxis()
    for place, value in enumerate(values.values()):
        axes.annotate(f" {value:.3g}", (max(value, 0.0), place), va="center", fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(unit)
    axes.margins(x=0.18)


def seconds_of(axes: Axes, title: str, rows: Sent, start: float, *, marks: Mapping[str, float], limit_ms: float) -> None:
    """The p50 and p99 of each second's answers, refusals and failures below, and moments marked."""
    second = np.floor(rows.intended - start).astype(int)
    whole = np.arange(second.max(initial=0) + 1)
    parts = [rows.where(second == one) for one in whole]
    axes.plot(whole, [part.at_ms(0.5) for part in parts], color=_OTHERS, label="p50")
    axes.plot(whole, [part.at_ms(0.99) for part in parts], color=_OURS, label="p99")
    axes.axhline(limit_ms, color=_BAD, linewidth=0.8, linestyle=":")
    axes.set_ylabel("ms")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_title(title, fontsize=9)
    share = axes.twinx()
    share.fill_between(whole, [part.failed / max(len(part.status), 1) for part in parts], color=_BAD, alpha=0.25, step="post")
    share.set_ylim(0, 1)
    share.set_ylabel("share not answered", color=_BAD)
    for name, moment in marks.items():
        axes.axvline(moment, color="black", linewidth=0.7, linestyle="--")
        axes.annotate(name, (moment, axes.get_ylim()[1]), fontsize=7, rotation=90, va="top", ha="right")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
