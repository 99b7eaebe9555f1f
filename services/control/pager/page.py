"""The page of an incident: what broke, since when, what changed, where it is worst, and what to run, with charts inside."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from markupsafe import Markup

from monitoring.charts import bins_svg, chart_svg, said
from rankloop.drift.report import Cause, ColumnDrift, DriftReport
from rankloop.report.pages import environment
from services.control.incident import AlertKept
from services.control.pager.charting import Charts
from services.control.pager.writing import Link, between, local
from services.control.wire_incidents import IncidentShown

__all__ = ["incident_page"]

_MOST_COLUMNS: Final = 2
_MOST_EVENTS: Final = 200
_TONES: Final = {"page": "fail", "ticket": "unsure", "info": "unsure"}


class _Figure(NamedTuple):
    drawn: Markup | None
    title: str
    says: str


class _Card(NamedTuple):
    name: str
    value: str
    says: str


def incident_page(
    shown: IncidentShown,
    charts: Charts,
    *,
    at: datetime,
    links: Sequence[Link] = (),
    drift: DriftReport | None = None,
) -> str:
    """An incident as one self-contained page: no script, nothing fetched, the same bytes for the same arguments.

    Every text is escaped, and only addresses of HTTP become links.

    Args:
        shown: the incident with its context, alerts, timeline and notices.
        charts: of the time around it.
        at: the present moment, UTC.
        links: runbook, dashboard, rule.
        drift: the report of drift that the incident is about; None: it is about none.

    Returns:
        HTML.
    """
    cause = _cause(shown, drift)
    return _ENVIRONMENT.get_template("incident.html.j2").render(
        incident=shown,
        context=shown.context,
        tone="pass" if shown.status == "resolved" else _TONES.get(shown.severity, "unsure"),
        worst=_worst(shown.alerts),
        cards=list(_cards(shown, at)),
        links=[link for link in links if not link.href.endswith("/page")],
        charts=list(_charts(charts)),
        missing=charts.missing,
        report=drift,
        cause=cause,
        columns=list(_columns(drift, cause)),
        timeline=shown.timeline[-_MOST_EVENTS:],
        more=max(0, len(shown.timeline) - _MOST_EVENTS),
        at=at,
    )


def _cards(shown: IncidentShown, at: datetime) -> Iterator[_Card]:
    end = shown.resolved_at or at
    ago = f"{between(shown.since, at)} ago" if shown.resolved_at is None else "when it began"
    yield _Card("since", f"{shown.since:%H:%M} UTC", f"{local(shown.since)}, {ago}")
    firing = [alert for alert in shown.alerts if alert.status == "firing"]
    yield _Card("alerts that fire", str(len(firing)), f"of {len(shown.alerts)} for this cause")
    heard = f"heard of {between(shown.since, shown.opened_at)} after it began"
    yield _Card("lasts" if shown.resolved_at is None else "lasted", between(shown.since, end), heard)
    if shown.resolved_at is not None:
        yield _Card("taken by", shown.acknowledged_by or "nobody", f"resolved {local(shown.resolved_at)}")
    elif shown.acknowledged_at is not None:
        yield _Card("taken by", shown.acknowledged_by or "somebody", local(shown.acknowledged_at))
    else:
        yield _Card("taken by", "nobody yet", f"rankloop incidents ack {shown.incident_id}")


def _worst(alerts: Sequence[AlertKept]) -> AlertKept | None:
    """The alert that says most of what goes on: one that fires, the worst first, then the oldest."""
    order = ("page", "ticket", "info")
    return min(alerts, key=lambda own: (own.status != "firing", order.index(own.severity), own.since), default=None)


def _charts(charts: Charts) -> Iterator[_Figure]:
    for chart in charts.drawn:
        drawn = chart_svg(chart)
        # the only text that is not escaped: SVG drawn here, in which matplotlib has escaped the names
        yield _Figure(Markup(drawn) if drawn else None, chart.title, said(chart))


def _cause(shown: IncidentShown, drift: DriftReport | None) -> Cause | None:
    """The report's cause that the incident is about, as the context was found by."""
    causes = drift.causes if drift else ()
    exact = [own for own in causes if (own.cause, own.component) == (shown.cause, shown.component)]
    alike = [own for own in causes if own.cause == shown.cause or own.component == shown.component]
    return max(exact or alike, key=lambda own: own.impact, default=None)


def _columns(drift: DriftReport | None, cause: Cause | None) -> Iterator[_Figure]:
    """The columns of a cause with the most impact: their bins in the reference and in the window."""
    if drift is None or cause is None:
        return
    named: dict[str, ColumnDrift] = {column.name: column for column in drift.columns}
    wanted = dict.fromkeys(name for name in (cause.component, *cause.columns) if name in named)
    for number, name in enumerate(list(wanted)[:_MOST_COLUMNS]):
        drawn = bins_svg(named[name], f"bins-{number}")
        yield _Figure(Markup(drawn) if drawn else None, name, named[name].says)


def _web(address: str) -> bool:
    return address.startswith(("http://", "https://"))


_ENVIRONMENT: Final = environment("services.control.pager")
_ENVIRONMENT.filters["local"] = local
_ENVIRONMENT.tests["web"] = _web
