"""What the record knows about an incident's cause: what serves, what was changed before, and what drifted."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import select

from rankloop.drift.report import Cause, DriftReport
from rankloop.errors import RankloopError
from services.control.changes import previous
from services.control.database import Event, Incident, Session, active_canary, events, serving_at, tables
from services.control.incident import Change, Context
from services.control.pager.writing import between

__all__ = ["known_of"]

log: Final = logging.getLogger("services.control")

_LOOK_BACK: Final = timedelta(hours=6)
_SUSPECT: Final = timedelta(hours=1)
"""A release that began to serve so shortly before is what is taken back first."""

_MOST: Final = 12
_PAGE: Final = 400
_NOISE: Final = ("release.moved", "release.updated", "edges.corrected", "alert.answered", "fault.over")
_OF_RELEASES: Final = (
    *("edge", "replicas", "ranking", "ranker", "retrievers", "index", "catalogue"),
    *("canary", "serving", "scores", "outcomes"),
)
"""Components that a release can break; what else breaks is not mended by taking one back."""


def known_of(session: Session, known: Incident, home: Path) -> Context:
    """What the record says about an incident; what it cannot say is named in `missing`, and stops nothing.

    Args:
        session: of `Database.read` or `Database.begin`.
        known: the incident.
        home: where files of configuration lie.
    """
    found = msgspec.structs.replace(known.context, missing=[])
    parts: dict[str, Callable[[], None]] = {
        "what serves": lambda: _serving(session, known, found),
        "what was changed": lambda: _changes(session, known, found, home),
        "the drift report": lambda: _drift(session, known, found),
    }
    for name, look in parts.items():
        try:
            look()
        except (RankloopError, msgspec.ValidationError, OSError) as error:
            log.warning("%s: %s: %s", known.incident_id, name, error)
            found.missing.append(f"{name} could not be looked up: {error}")
    _advise(session, known, found)
    return found


def _serving(session: Session, known: Incident, found: Context) -> None:
    held = next((own for own in serving_at(session, known.since) if own.stable), None)
    if held is None:
        return
    found.serving = held.release_id
    moved = events(session, kind="release.moved", subject=held.release_id, until=known.since, limit=_PAGE)
    began = next((own for own in moved if own.facts.get("to") == "serving"), None)
    if began is None:
        return
    found.serving_since = began.at
    if known.since - began.at <= _LOOK_BACK:
        before = between(began.at, known.since)
        found.released = f"release {held.release_id} began to serve {before} before ({began.who}: {began.why})"


def _changes(session: Session, known: Incident, found: Context, home: Path) -> None:
    since = known.since - _LOOK_BACK
    page = events(session, since=since, until=known.opened_at, limit=_PAGE)
    changes = [Change(own.at, own.kind, own.subject, own.who, own.why) for own in page if _matters(own)]
    changes += _files(home, since, known.opened_at)
    found.changes = sorted(changes, key=lambda own: own.at, reverse=True)[:_MOST]


def _matters(own: Event) -> bool:
    noun, _, act = own.kind.partition(".")
    if noun == "incident" or own.kind in _NOISE:
        return False
    return noun != "run" or act in ("succeeded", "failed", "lost") or own.facts.get("trigger") == "new data"


def _files(home: Path, since: datetime, until: datetime) -> Iterator[Change]:
    """Files of configuration that were written."""
    for file in sorted(home.glob("*.yaml")):
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        if since <= at < until:
            yield Change(at, "configuration.written", file.name, "somebody", "the file was written")


def _drift(session: Session, known: Incident, found: Context) -> None:
    own = tables.drift_reports.c
    newest = select(own.report).where(own.at <= known.opened_at).order_by(own.at.desc()).limit(1)
    if known.surface != "all":
        newest = newest.where(own.surface == known.surface)
    row = session.execute(newest).first()
    if row is None:
        return
    report = msgspec.convert(row.report, DriftReport)
    cause = _matching(report, known)
    if cause is None:
        return
    found.drift_report, found.drift = report.report_id, f"{cause.says or cause.cause} (impact {cause.impact:.2f})"
    found.slice = cause.slice if cause.slice != "all" else found.slice
    found.upstream = [cause.component] if "." in cause.component else [own for own in cause.columns if "." in own]
    found.command = found.command or cause.command


def _matching(report: DriftReport, known: Incident) -> Cause | None:
    """The report's cause that an incident is about: the same cause and component, else of either the one with most impact."""
    exact = [own for own in report.causes if (own.cause, own.component) == (known.cause, known.component)]
    alike = [own for own in report.causes if own.cause == known.cause or own.component == known.component]
    return max(exact or alike, key=lambda own: own.impact, default=None)


def _advise(session: Session, known: Incident, found: Context) -> None:
    """The command to run first: take back what was changed shortly before, else what the alert says."""
    worst = next(iter(known.firing() or known.alerts), None)
    labels = worst.labels if worst else {}
    found.slice = found.slice or labels.get("slice", "")
    given = (worst.command if worst else "") or found.command
    canary, why = active_canary(session), f'"{known.cause} since {known.since:%H:%M} UTC"'
    if canary is not None and canary.release_id == known.release_id:
        found.command = f"rankloop canary abort {canary.canary_id} --why {why}"
        found.because = f"release {known.release_id} is the canary; to look further: {given}" if given else "it is the canary"
        return
    found.command = given
    lately = found.serving_since is not None and known.since - found.serving_since <= _SUSPECT
    about = known.release_id in (found.serving, "none") and known.component in _OF_RELEASES
    if lately and about and previous(session) is not None:
        found.command = f"rankloop rollback --why {why}"
        found.because = found.released + (f"; to look further: {given}" if given else "")
