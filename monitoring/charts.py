"""Charts of series over time and of drifted columns, drawn by ourselves: SVG for pages, PNG for mail and chat."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Final, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from rankloop.drift.report import ColumnDrift
from rankloop.report.drawing import COLOURS, DASHES, figure, palette, plain_axes, png, svg

__all__ = ["Chart", "Line", "Mark", "Unit", "bins_svg", "chart_png", "chart_svg", "said"]

Unit = Literal["per second", "seconds", "share", "number"]

_WIDTH: Final = 5.25
_HEIGHT: Final = 2.9
_MOST_LINES: Final = 8
_MOST_BINS: Final = 14
_SERIES: Final = ("candidate", "champion", "baseline", "logged")
_WIDTHS: Final = (1.8, 0.9)
"""Of the first four lines and of the next four, whose colours and dashes are the same."""
_TIMES: Final = ((1.0, 1000.0, "ms"), (600.0, 1.0, "s"), (36_000.0, 1 / 60, "min"), (math.inf, 1 / 3600, "h"))
_DAYS: Final = ("", "%Y", "%b %Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M")
"""What stands under the axis, where it is divided by years, months, days, hours, minutes, seconds."""
_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "since": ("fail", "-"),
    "opened": ("muted", ":"),
    "release": ("candidate", "--"),
    "resolved": ("pass", "-"),
}


class Line(NamedTuple):
    """One series.

    Attributes:
        label: as people read it.
        at: Unix seconds, rising.
        values: as many; NaN where there is none, and the line is broken there.
    """

    label: str
    at: Sequence[float]
    values: Sequence[float]


class Mark(NamedTuple):
    """A moment, as an upright line with a word.

    Attributes:
        at: Unix seconds.
        kind: decides its colour and stroke.
        says: a few words.
    """

    at: float
    kind: Literal["since", "opened", "release", "resolved"]
    says: str


class Chart(NamedTuple):
    """Series over time, and what happened meanwhile.

    Attributes:
        name: of letters, digits and hyphens; unique on its page.
        title: what it shows.
        unit: of its values.
        lines: the series; the eight with the largest values are drawn.
        start: Unix seconds of its left edge.
        until: of its right edge.
        marks: moments; those outside are left out.
        limit: a level to be held; None: none.
    """

    name: str
    title: str
    unit: Unit
    lines: tuple[Line, ...]
    start: float
    until: float
    marks: tuple[Mark, ...] = ()
    limit: float | None = None

    @property
    def empty(self) -> bool:
        """Whether no series has a value."""
        return not any(math.isfinite(value) for line in self.lines for value in line.values)


def chart_svg(chart: Chart) -> str | None:
    """As an inline `<svg>` in the colours of its page; None without a value."""
    if chart.empty:
        return None
    with figure(chart.name, _WIDTH, _HEIGHT) as drawn:
        _draw(drawn, chart, COLOURS)
        return svg(drawn, chart.name, f"{chart.title}: {said(chart)}")


def chart_png(chart: Chart, *, dark: bool = False) -> bytes | None:
    """As PNG with a ground of its own; None without a value."""
    if chart.empty:
        return None
    colours = palette(dark=dark)
    with figure(chart.name, _WIDTH, _HEIGHT + 0.3, colours) as drawn:
        drawn.suptitle(chart.title, x=0.02, ha="left", fontsize=11)
        _draw(drawn, chart, colours)
        return png(drawn)


def said(chart: Chart) -> str:
    """Each series' last and largest value in words, for whoever does not see the lines.

    Example:
        >>> line = Line("5xx", (0.0, 60.0, 120.0), (0.0, 0.5, 0.25))
        >>> said(Chart("failed", "Failures", "share", (line,), 0, 120))
        '5xx: 25 % at last, 50 % at most'
    """
    parts = []
    for line in _shown(chart.lines):
        values = [value for value in line.values if math.isfinite(value)]
        last, most = (_written(value, chart.unit) for value in (values[-1], max(values)))
        parts.append(f"{line.label}: {last} at last, {most} at most")
    return "; ".join(parts) or "nothing"


def bins_svg(column: ColumnDrift, name: str) -> str | None:
    """A drifted column's rows in the reference and in the window, a pair of bars a bin; None without bins.

    Args:
        column: of a report of drift.
        name: of letters, digits and hyphens; unique on its page.
    """
    bins = _largest(column)
    if not bins:
        return None
    labels, reference, window = zip(*bins, strict=True)
    with figure(name, _WIDTH, 1.0 + 0.27 * len(bins)) as drawn:
        axes = plain_axes(drawn, "x")
        for aside, values, colour, label in ((-0.2, reference, "muted", "reference"), (0.2, window, "candidate", "window")):
            places = [at + aside for at in range(len(bins))]
            axes.barh(places, [100 * value for value in values], height=0.38, color=COLOURS[colour], label=label)
        axes.set_yticks(range(len(bins)), [_short(label) for label in labels])
        axes.set_ylim(len(bins) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlabel("% of rows")
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=9, borderaxespad=0.2)
        return svg(drawn, name, f"{column.name}: share of rows in each bin, in the reference and in the window")


def _draw(drawn: Figure, chart: Chart, colours: Mapping[str, str]) -> None:
    axes = plain_axes(drawn, "y")
    shown = _shown(chart.lines)
    for at, line in enumerate(shown):
        role, width = _SERIES[at % len(_SERIES)], _WIDTHS[at // len(_SERIES)]
        moments = [_day(second) for second in line.at]
        axes.plot(moments, line.values, DASHES[role], color=colours[role], linewidth=width, label=_short(line.label))
        _lone(axes, moments, line.values, colours[role])
    if chart.limit is not None:
        axes.axhline(chart.limit, color=colours["fail"], linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(_day(chart.start), _day(chart.until))
    axes.xaxis_date(UTC)
    _levels(axes, chart, shown)
    _moments(axes, chart, colours)
    locator = AutoDateLocator(tz=UTC, minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC, offset_formats=list(_DAYS)))
    axes.xaxis.get_offset_text().set(fontsize=9, color=colours["muted"])
    drawn.legend(loc="outside lower left", ncols=min(len(shown), 4), fontsize=9, handlelength=2.4, columnspacing=1.4)


def _levels(axes: Axes, chart: Chart, shown: Sequence[Line]) -> None:
    """The upright axis: from 0 where nothing is below, with room above the highest value."""
    values = [value for line in shown for value in line.values if math.isfinite(value)]
    values += [] if chart.limit is None else [chart.limit]
    low, high = min(0.0, *values), max(values)
    room = (high - low) or 1.0
    axes.set_ylim(low - 0.05 * room * (low < 0), low + 1.08 * room)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _written(value, chart.unit)))


def _moments(axes: Axes, chart: Chart, colours: Mapping[str, str]) -> None:
    """What happened, as upright lines with their words above the axes, on as many lines as keep them apart."""
    ends: list[float] = []  # of the last word on each line, as a share of the width
    for mark in sorted(chart.marks):
        if not chart.start <= mark.at <= chart.until:
            continue
        colour, stroke = _MARKS[mark.kind]
        place = (mark.at - chart.start) / (chart.until - chart.start)
        wide = 0.0135 * len(mark.says)
        left = min(max(place - wide / 2, 0.0), 1.0 - wide)
        level = next((level for level, end in enumerate(ends) if end + 0.02 <= left), len(ends))
        ends[level : level + 1] = [left + wide]
        axes.axvline(_day(mark.at), color=colours[colour], linestyle=stroke, linewidth=1.2)
        axes.text(left, 1.02 + 0.075 * level, mark.says, transform=axes.transAxes, fontsize=8.5, color=colours[colour])


def _day(second: float) -> float:
    """Matplotlib's days since 1970."""
    return second / 86_400


def _lone(axes: Axes, moments: Sequence[float], values: Sequence[float], colour: str) -> None:
    """Dots for values without neighbours, of which a line shows nothing."""
    there = [False, *map(math.isfinite, values), False]
    lone = [at for at in range(len(values)) if there[at + 1] and not there[at] and not there[at + 2]]
    axes.plot([moments[at] for at in lone], [values[at] for at in lone], ".", color=colour, markersize=5)


def _shown(lines: Sequence[Line]) -> list[Line]:
    """The lines with the largest values, in their own order; those without a value are left out."""
    tops = {at: max(_finite(line.values)) for at, line in enumerate(lines) if any(True for _ in _finite(line.values))}
    kept = set(sorted(tops, key=lambda at: -tops[at])[:_MOST_LINES])
    return [line for at, line in enumerate(lines) if at in kept]


def _finite(values: Sequence[float]) -> Iterator[float]:
    return (value for value in values if math.isfinite(value))


def _largest(column: ColumnDrift) -> list[tuple[str, float, float]]:
    """The bins in their order; of more than fit, those that moved most, and the rest as one."""
    shares = column.bins
    bins = list(zip(shares.labels, shares.reference, shares.window, strict=True))
    if len(bins) <= _MOST_BINS:
        return bins
    kept = set(sorted(range(len(bins)), key=lambda at: -abs(bins[at][2] - bins[at][1]))[: _MOST_BINS - 1])
    rest = [one for at, one in enumerate(bins) if at not in kept]
    others = (f"{len(rest)} others", sum(one[1] for one in rest), sum(one[2] for one in rest))
    return [*(one for at, one in enumerate(bins) if at in kept), others]


def _written(value: float, unit: Unit) -> str:
    """A value with its unit, short."""
    if unit == "share":
        return f"{100 * value:.3g} %"
    if unit == "seconds":
        return next(f"{value * times:,.3g} {word}" for most, times, word in _TIMES if abs(value) < most)
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _short(text: str, most: int = 28) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
