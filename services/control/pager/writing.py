"""What a notice says: what broke, since when, where it is worst, what changed, and what to run; for somebody woken at 3 am."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Final

import msgspec

from services.control.database import Incident, NoticeKind
from services.settings import Settings

__all__ = ["Line", "Link", "Message", "between", "links_of", "local", "message", "plain", "title"]

_MOST_CHANGES: Final = 5
_MOST_EXAMPLES: Final = 3
_LONGEST: Final = 600


class Line(msgspec.Struct, frozen=True):
    """One fact.

    Attributes:
        name: what it is about.
        text: the fact.
    """

    name: str
    text: str


class Link(msgspec.Struct, frozen=True):
    """Where to look.

    Attributes:
        name: what is there.
        href: an address, or a file's path where the settings name no place to read it.
    """

    name: str
    href: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A notice before a receiver gives it its form; no key is in it.

    Attributes:
        incident_id: what it is about.
        fingerprint: of the incident's cause.
        kind: trigger, update, acknowledge or resolve.
        severity: page, ticket or info.
        title: one line: what broke, surface, release.
        state: one line: how it stands.
        cause: what is wrong.
        component: where.
        surface: the product place.
        release_id: the release it is about.
        owner: the team.
        since: when it began, UTC.
        at: when this was written, UTC.
        lines: facts, in the order in which they are read.
        command: to run first; empty: none is known.
        links: incident, runbook, dashboard.
    """

    incident_id: str
    fingerprint: str
    kind: NoticeKind
    severity: str
    title: str
    state: str
    cause: str
    component: str
    surface: str
    release_id: str
    owner: str
    since: datetime
    at: datetime
    lines: list[Line]
    command: str
    links: list[Link]


def message(known: Incident, kind: NoticeKind, settings: Settings, at: datetime, *, said: str = "") -> Message:
    """What is to be said of an incident.

    Args:
        known: the incident.
        kind: why it is said.
        settings: where dashboards and docs are shown.
        at: the present moment, UTC.
        said: what happened, in a sentence; empty: the incident began.
    """
    return Message(
        incident_id=known.incident_id,
        fingerprint=known.fingerprint,
        kind=kind,
        severity=known.severity,
        title=title(known),
        state=said or _state(known),
        cause=known.cause,
        component=known.component,
        surface=known.surface,
        release_id=known.release_id,
        owner=known.owner,
        since=known.since,
        at=at,
        lines=list(_lines(known, at)),
        command=known.context.command,
        links=links_of(known, settings),
    )


def title(known: Incident) -> str:
    """What broke, with the surface and the release where the summary does not name them."""
    said = " ".join(known.title.split())
    surface = known.surface if known.surface not in ("all", "") and known.surface not in said else ""
    release = known.release_id if known.release_id != "none" and known.release_id not in said else ""
    more = ", ".join(own for own in (surface, f"release {release}" if release else "") if own)
    return f"{said} ({more})" if more else said


def local(at: datetime, zone: tzinfo | None = None) -> str:
    """A moment as the machine's clock on the wall shows it, and in UTC.

    Example:
        >>> from datetime import timedelta, timezone
        >>> at = datetime(2026, 11, 17, 2, 5, tzinfo=UTC)
        >>> local(at, timezone(timedelta(hours=1), "CET")), local(at, UTC)
        ('17 Nov 03:05 CET (02:05 UTC)', '17 Nov 02:05 UTC')
    """
    here = at.astimezone(zone)
    there = at.astimezone(UTC)
    if here.utcoffset() == there.utcoffset():
        return f"{there:%d %b %H:%M} UTC"
    day = "" if here.date() == there.date() else "%d %b "
    return f"{here:%d %b %H:%M %Z} ({there.strftime(day + '%H:%M')} UTC)"


def between(begin: datetime, end: datetime) -> str:
    """How much later, in one unit.

    Example:
        >>> noon = datetime(2026, 11, 17, 12, tzinfo=UTC)
        >>> [between(noon, noon.replace(hour=hour, minute=minute)) for hour, minute in ((12, 0), (12, 4), (14, 30))]
        ['0 s', '4 min', '2.5 h']
    """
    seconds = max(0.0, (end - begin).total_seconds())
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.3g} h"


def plain(own: Message) -> str:
    """A message as text, for a mail or a terminal."""
    width = max((len(line.name) for line in own.lines), default=0)
    rows = [own.title, "", own.state]
    if own.command:
        rows += [f"run: {own.command}"]
    rows += ["", *(f"{line.name + ':':<{width + 1}} {line.text}" for line in own.lines)]
    return "\n".join([*rows, "", *(f"{link.name}: {link.href}" for link in own.links), ""])


def _state(known: Incident) -> str:
    count = len(known.firing())
    alerts = f"{count} alert{'s fire' if count != 1 else ' fires'}"
    return f"{known.status}: {alerts}"


def _lines(known: Incident, at: datetime) -> Iterator[Line]:
    told = known.context
    where = f" in {known.component}" if known.component else ""
    yield Line("what", f"{known.cause}{where}, surface {known.surface}")
    yield Line("since", f"{local(known.since)}, {between(known.since, at)} ago")
    for alert in known.firing()[:1] or known.alerts[:1]:
        if alert.description:
            yield Line("numbers", _short(alert.description))
    if told.slice:
        yield Line("worst slice", told.slice)
    if told.serving:
        since = f", since {local(told.serving_since)}" if told.serving_since else ""
        yield Line("serves", f"release {told.serving}{since}")
    if told.released:
        yield Line("changed", told.released)
    others = [own for own in told.changes if not (told.released and own.subject == told.serving)]
    for change in others[:_MOST_CHANGES]:
        why = f": {change.why}" if change.why else ""
        yield Line("before it", _short(f"{local(change.at)} {change.kind} {change.subject} by {change.who}{why}"))
    if told.drift:
        yield Line("drift", _short(told.drift))
    if told.upstream:
        yield Line("upstream", ", ".join(told.upstream))
    for act in told.acts:
        yield Line("done", _short(f"{local(act.at)} {act.act}: {act.said}"))
    for one in told.examples[:_MOST_EXAMPLES]:
        yield Line("example", _short(f"request {one.request_id}: {one.says}"))
    if told.because:
        yield Line("because", told.because)
    for missing in told.missing:
        yield Line("not known", _short(missing))


def links_of(known: Incident, settings: Settings) -> list[Link]:
    """Where to look: the incident's page, and what its worst alert names."""
    first = next(iter(known.firing() or known.alerts), None)
    links = [
        Link("incident", f"{(settings.pager_url or settings.control_url).rstrip('/')}/v1/incidents/{known.incident_id}/page")
    ]
    if first and first.runbook_url:
        links.append(Link("runbook", _joined(settings.docs_url, first.runbook_url)))
    if first and first.dashboard_url and (settings.grafana_url or _whole(first.dashboard_url)):
        links.append(Link("dashboard", _joined(settings.grafana_url, first.dashboard_url)))
    if first and _whole(first.generator_url):
        links.append(Link("rule", first.generator_url))
    return links


def _joined(before: str, address: str) -> str:
    return address if _whole(address) or not before else f"{before.rstrip('/')}/{address.lstrip('/')}"


def _whole(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _short(text: str) -> str:
    one = " ".join(text.split())
    return one if len(one) <= _LONGEST else f"{one[: _LONGEST - 1]}…"
