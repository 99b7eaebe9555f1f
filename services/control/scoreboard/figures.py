"""The scoreboard's figure."""

from typing import Final

from rankloop.experiment import Scoreboard
from rankloop.report.drawing import COLOURS, figure, plain_axes, svg
from rankloop.report.pages import environment

__all__ = ["scatter", "standalone"]

_SIDE: Final = 4.6
_ENDED: Final = {"promoted": ("pass", "o"), "rolled back": ("fail", "s")}
_OTHERWISE: Final = ("unsure", "D")


def scatter(board: Scoreboard, offline: str, online: str) -> str | None:
    """Every trial by its offline and its online difference, with their intervals; None where no trial has both.

    Args:
        board: the trials.
        offline: the offline metric, along x.
        online: the online metric, along y, in percent of the earlier release's value.

    Returns:
        An inline `<svg>` that takes its colours from the page.
    """
    trials = [trial for trial in board.trials if offline in trial.offline and online in trial.online]
    if not trials:
        return None
    with figure("scoreboard", _SIDE, _SIDE) as drawn:
        axes = plain_axes(drawn)
        axes.axhline(0, color=COLOURS["muted"], linewidth=0.8)
        axes.axvline(0, color=COLOURS["muted"], linewidth=0.8)
        for trial in trials:
            x, y = trial.offline[offline], trial.online[online]
            colour, marker = _ENDED.get(trial.ended, _OTHERWISE)
            if x.lower is not None and x.upper is not None:
                axes.plot([x.lower, x.upper], [100 * y.difference] * 2, color=COLOURS["muted"], linewidth=0.8)
            if y.lower is not None and y.upper is not None:
                axes.plot([x.difference] * 2, [100 * y.lower, 100 * y.upper], color=COLOURS["muted"], linewidth=0.8)
            axes.plot([x.difference], [100 * y.difference], marker, color=COLOURS[colour], markersize=6)
        ended = list(dict.fromkeys(trial.ended for trial in trials))
        for name in ended:
            colour, marker = _ENDED.get(name, _OTHERWISE)
            axes.plot([], [], marker, color=COLOURS[colour], label=name)
        axes.set_xlabel(f"{offline}, offline: later minus earlier")
        axes.set_ylabel(f"{online}, online: % of the earlier release's")
        axes.legend(loc="best", fontsize=9)
        return svg(drawn, "scoreboard", f"Releases that were tried: {online} online by {offline} offline")


def standalone(inline: str) -> str:
    """The same figure as a file of its own, with the colours of the report's pages inside."""
    style = environment("rankloop.report").get_template("style.css").render()
    head, rest = inline.split(">", 1)
    return f"{head}><style>{style}</style>{rest}"
