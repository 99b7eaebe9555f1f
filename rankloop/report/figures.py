"""The figures of a report."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from rankloop.gate import Row
from rankloop.report.drawing import COLOURS, DASHES, MARKERS, figure, plain_axes, svg
from rankloop.report.inputs import Estimate, Role, Slice, System, Trial

__all__ = ["by_cut", "by_slice", "exposure", "forest", "importance", "tuning"]

_MOST_FEATURES: Final = 15
_OUTCOME: Final = {"pass": ("pass", "o"), "fail": ("fail", "X"), "not enough evidence": ("unsure", "D")}
_WIDE: Final = 10.75
_HALF: Final = 5.25
"""Inches of the page's width and of half of it, so that 10 points are 10 points on the page."""


def by_cut(systems: Sequence[System]) -> str | None:
    """nDCG at each cut k, with intervals; None where no system has any."""
    cuts = sorted({int(metric[5:]) for system in systems for metric in system.metrics if metric.startswith("ndcg@")})
    if not cuts:
        return None
    with figure("by-cut", _HALF, 3.5) as drawn:
        axes = plain_axes(drawn, "y")
        for place, system in enumerate(systems):
            shown = [(at, system.metrics[f"ndcg@{k}"]) for at, k in enumerate(cuts) if f"ndcg@{k}" in system.metrics]
            aside = (place - (len(systems) - 1) / 2) * 0.1
            _points(axes, [at + aside for at, _ in shown], [one for _, one in shown], system.role, line=True, label=system.name)
        axes.set_xticks(range(len(cuts)), [str(k) for k in cuts])
        axes.set_xlabel("k")
        axes.set_ylabel("nDCG@k")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=9, borderaxespad=0.2)
        return svg(drawn, "by-cut", "nDCG at k for each system, with intervals")


def by_slice(slices: Sequence[Slice]) -> str | None:
    """nDCG@10 of each system on each slice, with intervals; None without slices."""
    names = list(dict.fromkeys(one.slice for one in slices))
    if not names:
        return None
    roles = list(dict.fromkeys(one.role for one in slices))
    requests = {one.slice: one.requests for one in slices}
    with figure("by-slice", _HALF, 1.0 + 0.45 * len(names)) as drawn:
        axes = plain_axes(drawn, "x")
        for place, role in enumerate(roles):
            own = {one.slice: one.estimate for one in slices if one.role == role}
            aside = (place - (len(roles) - 1) / 2) * 0.18
            shown = [(at, own[name]) for at, name in enumerate(names) if name in own]
            _points(axes, [at + aside for at, _ in shown], [one for _, one in shown], role, label=role, across=True)
        axes.set_yticks(range(len(names)), [f"{name}  ({requests[name]:,})" for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("nDCG@10 (requests in brackets)")
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(roles), fontsize=9, handletextpad=0.2, borderaxespad=0.2
        )
        return svg(drawn, "by-slice", "nDCG@10 of each system on each slice, with intervals")


def forest(rows: Sequence[Row]) -> str | None:
    """The gate's differences in percent of the reference, with intervals and limits; None where no row has any."""
    shown = [row for row in rows if row.difference is not None and row.reference_value]
    if not shown:
        return None
    scaled = [_percent(row) for row in shown]
    reach = _reach(shown, scaled)
    with figure("forest", _WIDE, 0.75 + 0.32 * len(shown)) as drawn:
        axes = plain_axes(drawn, "x")
        axes.axvline(0, color=COLOURS["muted"], linewidth=1)
        for at, (row, (middle, lower, upper, limit)) in enumerate(zip(shown, scaled, strict=True)):
            colour, marker = _OUTCOME[row.outcome]
            axes.plot([limit, limit], [at - 0.32, at + 0.32], color=COLOURS["muted"], linewidth=1.6, alpha=0.7)
            axes.plot(np.clip([lower, upper], -reach, reach), [at, at], color=COLOURS[colour], linewidth=2)
            if abs(middle) <= reach:
                axes.plot([middle], [at], marker, color=COLOURS[colour], markersize=6.5)
            else:
                axes.plot([np.sign(middle) * reach], [at], ">" if middle > 0 else "<", color=COLOURS[colour], markersize=8)
            said = f"{middle:+.1f} %" if lower == upper else f"{middle:+.1f} % [{lower:+.1f}, {upper:+.1f}]"
            axes.text(reach * 1.06, at, said.replace("-", "−"), va="center", fontsize=9, color=COLOURS["muted"])
        axes.set_yticks(range(len(shown)), [_label(row, shown[-1].reference) for row in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(-reach * 1.02, reach * 1.55)
        axes.set_xlabel("difference in percent of the reference; upright bars are limits")
        return svg(drawn, "forest", "Differences between candidate and reference, with intervals and limits")


def importance(shares: Mapping[str, float]) -> str | None:
    """The largest shares of the gain; None without any."""
    top = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_FEATURES]
    if not top:
        return None
    with figure("importance", _HALF, 0.6 + 0.26 * len(top)) as drawn:
        axes = plain_axes(drawn, "x")
        values = [100 * share for _, share in top]
        axes.barh(range(len(top)), values, height=0.62, color=COLOURS["candidate"])
        for at, value in enumerate(values):
            axes.text(value + max(values) * 0.015, at, f"{value:.1f}", va="center", fontsize=9, color=COLOURS["muted"])
        axes.set_yticks(range(len(top)), [name for name, _ in top])
        axes.set_ylim(len(top) - 0.5, -0.5)
        axes.set_xlim(0, max(values) * 1.12)
        axes.set_xlabel("share of the gain, %")
        return svg(drawn, "importance", "Share of the gain by feature")


def tuning(trials: Sequence[Trial], best: int | None, kept: int | None = None) -> str | None:
    """Validation nDCG@10 by rounds, a line a trial, the best one marked at the rounds kept; None without trials."""
    shown = [trial for trial in trials if trial.curve]
    if not shown:
        return None
    with figure("tuning", _HALF, 3.4) as drawn:
        axes = plain_axes(drawn, "both")
        for trial in shown:
            rounds, values = zip(*trial.curve, strict=True)
            own = trial.number == best
            colour, width = (COLOURS["candidate"], 2.2) if own else (COLOURS["muted"], 1.1)
            axes.plot(rounds, values, color=colour, linewidth=width, alpha=1.0 if own else 0.75, zorder=3 if own else 2)
            if trial.state == "stopped":
                axes.plot(rounds[-1:], values[-1:], "x", color=COLOURS["muted"], markersize=6, markeredgewidth=1.5)
            if own:
                at = rounds.index(kept) if kept in rounds else int(np.argmax(values))
                axes.plot(rounds[at], values[at], "o", color=COLOURS["candidate"], markersize=7, zorder=4)
                said = f"trial {trial.number + 1}: {values[at]:.4f} at {rounds[at]} rounds"
                axes.annotate(said, (rounds[at], values[at]), (0, 9), textcoords="offset points", ha="center", fontsize=9)
        axes.margins(y=0.14)
        axes.set_xlabel("rounds (× stopped early)")
        axes.set_ylabel("validation nDCG@10")
        return svg(drawn, "tuning", "Validation nDCG@10 by rounds, a line a trial")


def exposure(systems: Sequence[System]) -> str | None:
    """Coverage of the catalogue and evenness of exposure, a bar a system; None where no system has any."""
    shown = [system for system in systems if system.coverage is not None or system.gini is not None]
    if not shown:
        return None
    with figure("exposure", _HALF, 0.9 + 0.36 * len(shown)) as drawn:
        left, right = drawn.subplots(1, 2, sharey=True)
        _bars(left, shown, [system.coverage for system in shown], "catalogue shown, %", 100)
        _bars(right, shown, [system.gini for system in shown], "Gini of exposure, 0 is even", 1)
        left.set_yticks(range(len(shown)), [system.name for system in shown])
        left.set_ylim(len(shown) - 0.5, -0.5)
        return svg(drawn, "exposure", "Catalogue coverage and Gini coefficient of exposure for each system")


def _points(
    axes: Axes,
    places: Sequence[float],
    estimates: Sequence[Estimate],
    role: Role,
    *,
    label: str,
    line: bool = False,
    across: bool = False,
) -> None:
    """Means with bars for their intervals, upright or across; what has no mean is left out."""
    kept = [(at, one.mean, one.lower, one.upper) for at, one in zip(places, estimates, strict=True) if one.mean is not None]
    if not kept:
        return
    at, mean, lower, upper = (
        np.array([np.nan if value is None else value for value in part]) for part in zip(*kept, strict=True)
    )
    off = np.nan_to_num(np.stack([mean - lower, upper - mean]))  # (2, points)
    axes.errorbar(
        *((mean, at) if across else (at, mean)),
        **{"xerr" if across else "yerr": off},
        fmt=MARKERS[role],
        linestyle=DASHES[role] if line else "none",
        color=COLOURS[role],
        markersize=5.5,
        linewidth=1.7,
        elinewidth=1.4,
        label=label,
    )


def _bars(axes: Axes, systems: Sequence[System], values: Sequence[float | None], label: str, scale: float) -> None:
    axes.grid(visible=False, axis="y")
    axes.tick_params(length=0)
    heights = [scale * (value or 0.0) for value in values]
    axes.barh(range(len(systems)), heights, height=0.6, color=[COLOURS[system.role] for system in systems])
    top = max([*heights, scale / 100])
    for at, (value, height) in enumerate(zip(values, heights, strict=True)):
        said = "–" if value is None else f"{height:.1f}" if scale == 100 else f"{height:.2f}"
        axes.text(height + top * 0.03, at, said, va="center", fontsize=9, color=COLOURS["muted"])
    axes.set_xlim(0, top * 1.25)
    axes.set_xlabel(label)


def _percent(row: Row) -> tuple[float, float, float, float]:
    """Difference, its ends and its limit, in percent of the reference."""
    assert row.difference is not None
    scale = 100 / abs(row.reference_value or 1.0)
    lower = row.difference if row.lower is None else row.lower
    upper = row.difference if row.upper is None else row.upper
    return row.difference * scale, lower * scale, upper * scale, (row.limit or 0.0) * scale


def _reach(rows: Sequence[Row], scaled: Sequence[tuple[float, float, float, float]]) -> float:
    """How far the axis goes: far enough for most of what is compared with the main reference; the rest is an arrow."""
    main = rows[-1].reference
    ends = sorted(max(map(abs, values)) for row, values in zip(rows, scaled, strict=True) if row.reference == main)
    most, middle = ends[int(0.9 * (len(ends) - 1))], ends[len(ends) // 2]
    return max(1.25 * min(most, 3 * middle), 1.0)


def _label(row: Row, main: str | None) -> str:
    where = "" if row.slice == "all" else f", {row.slice}"
    return f"{row.metric}{where}" + ("" if row.reference == main else f" against {row.reference}")
