"""How a canary looks in a terminal: its share, its step, the evidence with intervals, and the reasons."""

from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.cli.console import out
from services.control.wire import CanaryShown

__all__ = ["drawn", "line", "table_of"]

_COLOURS: Final = {
    "warming": "yellow",
    "running": "cyan",
    "paused": "yellow",
    "promoted": "green",
    "rolled back": "red",
    "failed": "red",
    "aborted": "magenta",
}
_OUTCOMES: Final = {"fine": "green", "worse": "red", "not enough evidence": "dim"}
_IN_DEVIATIONS: Final = ("score",)
_AS_IT_IS: Final = ("overlap",)
_BAR: Final = 40
_WIDE: Final = 130
_MANIFOLD: Final = 9.0
"""A relative difference from which on it is told as a multiple of stable's value."""


def drawn(own: CanaryShown) -> RenderableType:
    """One canary, whole."""
    decision = own.latest.decision if own.latest else {}
    parts: list[RenderableType] = [_headline(own), _share(own)]
    if own.warmth:
        parts.append(Text(_warmed(own.warmth), style="dim"))
    if own.latest:
        units = _units(own.latest.observation)
        parts.append(Text(f"{decision.get('action', '')} at {own.latest.at:%H:%M:%S} UTC{units}"))
    if decision.get("evidence"):
        parts.append(_evidence(decision["evidence"]))
    parts += [Text(f"• {reason}") for reason in own.reasons]
    return Group(*parts)


def line(own: CanaryShown) -> str:
    """One canary in one line: for a log."""
    action = f"{own.latest.decision.get('action', '')}: " if own.latest else ""
    moment = own.ended_at or (own.latest.at if own.latest else own.created_at)
    said = f"{action}{' '.join(own.reasons)}".strip() or own.why
    return f"{moment:%H:%M:%S} {own.release_id} {_status(own)}, {own.weight_bp / 100:g} %: {said}"


def table_of(canaries: list[CanaryShown]) -> Table:
    """Canaries, one a row."""
    table = Table("canary", "release", "against", "status", "share", "asked for (UTC)", "by", "why", box=box.SIMPLE_HEAD)
    for own in canaries:
        cells = (own.canary_id, own.release_id, own.against)
        status, when = f"[{_COLOURS.get(own.status, '')}]{_status(own)}[/]", f"{own.created_at:%Y-%m-%d %H:%M}"
        table.add_row(*cells, status, f"{own.weight_bp / 100:g} %", when, escape(own.who), escape(own.why))
    return table


def _headline(own: CanaryShown) -> Text:
    text = Text()
    text.append(own.release_id, style="bold")
    text.append(f" in slot {own.slot} against {own.against}: ")
    text.append(_status(own), style=_COLOURS.get(own.status, ""))
    text.append(f"   {own.canary_id}", style="dim")
    return text


def _share(own: CanaryShown) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    steps = [f"{bp / 100:g}" for bp in own.policy.get("steps", [])]
    running = own.ended_at is None and own.status != "warming"
    shown = [f"[bold reverse] {text} [/]" if running and n == own.step else f" {text} " for n, text in enumerate(steps)]
    grid.add_row(f"{own.weight_bp / 100:g} %", ProgressBar(10_000, own.weight_bp, width=_BAR), f"steps, %: {'→'.join(shown)}")
    return grid


def _evidence(rows: list[dict[str, Any]]) -> Table:
    """The rules themselves are shown where there is room for them."""
    wide = out.width >= _WIDE
    columns = ["metric", "stable", "canary", "difference", "surely within", "says", *(["rule"] if wide else [])]
    table = Table(*columns, box=box.SIMPLE_HEAD, caption="* a promotion waits for it", caption_justify="left")
    for column in table.columns[1:5]:
        column.justify = "right"
    for row in rows:
        metric, outcome = row["metric"], row["outcome"]
        differs, lower, upper = (_difference(metric, row.get(name)) for name in ("difference", "lower", "upper"))
        within = f"{lower or '−∞'} to {upper or '∞'}" if lower or upper else ""
        values = (_value(row.get("stable")), _value(row.get("canary")))
        said = f"[{_OUTCOMES.get(outcome, '')}]{outcome}[/]"
        rule = [escape(row["rule"])] if wide else []
        table.add_row(escape(metric) + (" *" if row.get("needed") else ""), *values, differs, within, said, *rule)
    return table


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _difference(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    if metric in _IN_DEVIATIONS:
        return f"{value:+.2f} sd"
    if metric in _AS_IT_IS:
        return f"{value:.3f}"
    return f"{100 * value:+.1f} %" if abs(value) < _MANIFOLD else f"× {1 + value:,.0f}"


def _status(own: CanaryShown) -> str:
    return f"{own.status}, late" if own.late and own.ended_at is None else own.status


def _units(observation: dict[str, Any] | None) -> str:
    if observation is None:
        return ", nothing could be observed"
    canary, stable = observation["canary"], observation["stable"]
    counts = f"{canary['units']:,} units, {canary['requests']:,} requests"
    return f"; canary {counts}; stable {stable['units']:,} units, {stable['requests']:,} requests"


def _warmed(warmth: dict[str, Any]) -> str:
    known = {"requests": "{:,} requests", "p50_ms": "p50 {:.1f} ms", "p95_ms": "p95 {:.1f} ms", "failed": "{:,} failed"}
    said = [words.format(warmth[name]) for name, words in known.items() if warmth.get(name) is not None]
    return f"before the first unit: {', '.join(said)}"
