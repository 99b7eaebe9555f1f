"""The charts of an incident: what Prometheus has of the time around it, with what happened meanwhile."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from monitoring.charts import Chart, Line, Mark
from rankloop.errors import DataError, Missing
from services.control.pager.asking import Found, Prometheus
from services.control.pager.wanted import WANTED, Wanted
from services.control.wire_incidents import IncidentShown

__all__ = ["Charts", "charts_of", "marks_of", "span"]

_LEAST_BEFORE: Final = 3600.0
_MOST_BEFORE: Final = 12 * 3600.0
_AFTER: Final = 900.0
_MOST_CHARTS: Final = 6
_MOST_MOVED: Final = 3
_SERVED: Final = ("release.served", "slots.swapped", "slots.weighted")


class Charts(NamedTuple):
    """What can be shown.

    Attributes:
        drawn: charts with at least one value.
        missing: what cannot be shown, and why, in sentences.
    """

    drawn: tuple[Chart, ...]
    missing: tuple[str, ...] = ()


def charts_of(shown: IncidentShown, url: str, at: float, *, scrape_seconds: float = 15.0, only: str = "") -> Charts:
    """The charts of an incident; what cannot be had is said, and stops nothing.

    Args:
        shown: the incident.
        url: Prometheus'; empty: nothing is watched.
        at: the present moment, Unix seconds.
        scrape_seconds: how often Prometheus reads.
        only: the name of the one chart that is wanted; empty: those of the incident's page.

    Raises:
        Missing: there is no chart of that name.
    """
    wanted_now = [wanted for wanted in WANTED if wanted.name == only] if only else _chosen({shown.cause, shown.component})
    if not wanted_now:
        raise Missing(f"there is no chart {only[:64]!r}; there are {', '.join(wanted.name for wanted in WANTED)}")
    if not url:
        return Charts((), ("Not watched: no Prometheus is set, so there are no series to draw.",))
    start, until = span(shown, at)
    drawn: list[Chart] = []
    unseen: list[Chart] = []
    try:
        with Prometheus(url) as prometheus:
            step = prometheus.step(start, until, scrape_seconds)
            for wanted in wanted_now:
                lines = tuple(_lines(prometheus, wanted, shown.surface, (start, until, step), 4 * scrape_seconds))
                chart = Chart(wanted.name, wanted.title, wanted.unit, lines, start, until, marks_of(shown), wanted.limit)
                (unseen if chart.empty else drawn).append(chart)
    except DataError as error:
        return Charts(tuple(drawn), (f"Not watched: {error}.",))
    titles = ", ".join(chart.title.lower() for chart in unseen)
    return Charts(tuple(drawn), (f"Prometheus has no values in this time of: {titles}.",) if titles else ())


def span(shown: IncidentShown, at: float) -> tuple[float, float]:
    """From when to when charts are drawn, Unix seconds: as long before an incident as it lasted, from an hour to twelve.

    Args:
        shown: the incident.
        at: the present moment.
    """
    since = shown.since.timestamp()
    until = at if shown.resolved_at is None else min(at, shown.resolved_at.timestamp() + _AFTER)
    return since - min(max(until - since, _LEAST_BEFORE), _MOST_BEFORE), max(until, since + 60.0)


def marks_of(shown: IncidentShown) -> tuple[Mark, ...]:
    """What is marked in charts: when it began, when it was heard of, when it ended, and releases that began to serve."""
    marks = [
        Mark(shown.since.timestamp(), "since", f"since {shown.since:%H:%M}"),
        Mark(shown.opened_at.timestamp(), "opened", "opened"),
    ]
    if shown.resolved_at is not None:
        marks.append(Mark(shown.resolved_at.timestamp(), "resolved", f"resolved {shown.resolved_at:%H:%M}"))
    changes = shown.context.changes if shown.context else []  # the newest first
    moved = [change for change in changes if change.kind in _SERVED or change.kind.startswith("canary.")][:_MOST_MOVED]
    return (*marks, *(Mark(own.at.timestamp(), "release", f"{own.subject} {own.kind.partition('.')[2]}") for own in moved))


def _chosen(about: set[str]) -> list[Wanted]:
    """The charts of a cause or a component first, then those that every incident may have."""
    own = [wanted for wanted in WANTED if about.intersection(wanted.about)]
    return [*own, *(wanted for wanted in WANTED if not wanted.about)][:_MOST_CHARTS]


def _lines(
    prometheus: Prometheus, wanted: Wanted, surface: str, times: tuple[float, float, float], least: float
) -> Iterator[Line]:
    selector = "" if surface in ("all", "") else f"surface={json.dumps(surface)}"
    window, long = (f"{max(least, times[2], lowest):.0f}s" for lowest in (0.0, 1800.0))
    for query in wanted.queries:
        expr = query.expr.replace("WINDOW", window).replace("LONG", long).replace("SURFACE", selector)
        answer = prometheus.ranges(expr.replace("{,", "{"), *times)
        for found in sorted(answer, key=lambda own: -sum(value for value in own.values if math.isfinite(value))):
            yield Line(_label(query.label, found), found.at, found.values)


def _label(pattern: str, found: Found) -> str:
    return " ".join(pattern.format_map(defaultdict(str, found.labels)).split()).strip(", ") or "all"
