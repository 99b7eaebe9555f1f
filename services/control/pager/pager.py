"""The pager: one incident for each cause, told once, looked into, and ended by itself when nothing fires any more."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from services.control.database import (
    Database,
    Incident,
    Lease,
    Run,
    Session,
    change_incident,
    closed_since,
    incident,
    new_incident,
    open_incident,
    open_incidents,
)
from services.control.incident import Context
from services.control.pager.acting import Acting, done_already, taken_back
from services.control.pager.enriching import known_of
from services.control.pager.examples import look_up_within
from services.control.pager.merging import described, turned
from services.control.pager.notifying import Outbox
from services.control.pager.receivers import Receiver
from services.control.pager.receiving import SEVERITIES, Heard, by_cause
from services.control.pager.writing import between
from services.control.plane import LOOP, nothing, now
from services.control.runs import Triggers
from services.control.wire import Alerts
from services.settings import Settings

__all__ = ["Pager", "Received"]

log: Final = logging.getLogger("services.control")

_BY_HAND: Final = timedelta(hours=1)
"""An alert of an incident that somebody ended by hand opens no new one within this time."""

_LOOK_SECONDS: Final = 5.0
_TAKES_BACK: Final = ("rankloop rollback", "rankloop canary abort")


class Received(NamedTuple):
    """What followed from a webhook.

    Attributes:
        incidents: those that its alerts belong to.
        runs: that were started.
        rolled_back: what was said of the release that was taken back; empty: none was.
        refused: what the policy for alerts asks for and could not be done.
    """

    incidents: list[Incident]
    runs: list[Run]
    rolled_back: str
    refused: list[str]


class Pager:
    """Takes alerts and commands in any process; what is sent, looked up and ended is the leader's, by `tick`.

    Args:
        database: the record.
        settings: where links lead, and how long nothing must fire before an incident ends.
        receivers: who is told.
        triggers: know the policy for alerts.
        commands: take a release back.
        clock: the present moment, UTC.
        heard: is told of each alert's status, to be counted.
        passed: is told of each transition; a test ends the process there.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        receivers: Sequence[Receiver],
        *,
        triggers: Triggers,
        commands: Any,
        clock: Callable[[], datetime] = now,
        heard: Callable[[str], None] = nothing,
        passed: Callable[[str], None] = nothing,
    ) -> None:
        self._database, self._settings, self._clock, self._passed = database, settings, clock, passed
        self._heard, self._settle = heard, timedelta(seconds=settings.settle_seconds)
        self._acting = Acting(database, triggers, commands, clock)
        self.outbox = Outbox(database, settings, receivers, clock=clock, passed=passed)

    def faults(self) -> dict[str, str]:
        """By receiver, why its last notice was not taken; empty: all were."""
        return {f"notices to {name}": said for name, said in self.outbox.faults().items()}

    def receive(self, webhook: Alerts, *, who: str = "alertmanager") -> Received:
        """Takes a webhook of Alertmanager's. Heard again, it changes nothing: incidents first, then what the policy allows.

        Raises:
            ControlError: the database does not answer; Alertmanager sends it again.
        """
        for alert in webhook.alerts:
            self._heard(alert.status)
        if webhook.truncatedAlerts:
            log.warning("Alertmanager left out %d alerts of a webhook; raise its max_alerts", webhook.truncatedAlerts)
        found = Received([], [], "", [])
        for group in by_cause(webhook.alerts, self._clock()):
            known = self._taken(group, who)
            if known is None:
                continue
            acted = self._acting.act(group, known, who)
            said = found.rolled_back or acted.rolled_back
            found = Received([*found.incidents, known], found.runs + acted.runs, said, found.refused + acted.refused)
            if acted != ([], "", []):
                self._told_again(known.incident_id)
        return found

    def acknowledge(self, incident_id: str, *, who: str, why: str) -> Incident:
        """Somebody has taken an incident; said twice, the first one has it.

        Raises:
            Conflict: it ended.
            Missing: there is none.
        """
        at = self._clock()
        with self._database.begin() as session:
            known = incident(session, incident_id)
            if known.acknowledged_at is not None and known.open:
                return known
            status = "acknowledged" if known.quiet_since is None else "quiet"
            fields: dict[str, Any] = {"acknowledged_at": at, "acknowledged_by": who, "status": status}
            known = change_incident(session, known, kind="acknowledged", who=who, why=why, at=at, **fields)
            self.outbox.tell(session, known, "acknowledge", at, said=f"{who} has it: {why}")
            return known

    def silence(self, incident_id: str, seconds: float, *, who: str, why: str) -> Incident:
        """Nobody is told anything about an incident, and the next ones of its cause, for a while; 0 seconds end that.

        PagerDuty is told that somebody has it, since it would go on calling people otherwise.

        Raises:
            Conflict: it ended.
            Missing: there is none.
        """
        at = self._clock()
        with self._database.begin() as session:
            known = incident(session, incident_id)
            if not seconds:
                ended = change_incident(session, known, kind="unsilenced", who=who, why=why, at=at, silenced_until=None)
                return self._tell_worst(session, ended, at)
            until = at + timedelta(seconds=seconds)
            facts = {"until": until.isoformat()}
            known = change_incident(session, known, kind="silenced", who=who, why=why, at=at, facts=facts, silenced_until=until)
            self.outbox.tell(session, known, "acknowledge", at, said=f"silenced by {who} for {between(at, until)}: {why}")
            return known

    def resolve(self, incident_id: str, *, who: str, why: str) -> Incident:
        """Ends an incident by hand; its alerts that fire still open no new one for an hour.

        Raises:
            Conflict: it ended.
            Missing: there is none.
        """
        at = self._clock()
        with self._database.begin() as session:
            return self._end(session, incident(session, incident_id), who, why, at)

    def note(self, incident_id: str, text: str, *, who: str) -> Incident:
        """Adds a note to an incident's timeline, of one that ended too.

        Raises:
            Missing: there is none.
        """
        at = self._clock()
        with self._database.begin() as session:
            return change_incident(session, incident(session, incident_id), kind="noted", who=who, why=text, at=at)

    def tick(self, lease: Lease | None = None) -> None:
        """Sends what is due, looks examples up, ends what is over: the leader's, once a second.

        Raises:
            Conflict: another process leads.
            ControlError: the database does not answer.
        """
        self.outbox.send(lease)
        with self._database.read() as session:
            known = open_incidents(session)
        for own in known:
            if own.looked_at is None:
                self._look(own, lease)
            if own.context.command.startswith(_TAKES_BACK):
                self._advise_anew(own, lease)
            if own.quiet_since is not None and self._clock() - own.quiet_since >= self._settle:
                self._settled(own, lease)
            elif own.silenced_until is not None and not own.silent(self._clock()):
                self._speak_again(own, lease)

    def _taken(self, group: Heard, who: str) -> Incident | None:
        """The incident that a group of alerts belongs to, changed by it; None where they change and open none."""
        at = self._clock()
        self._passed("before received")
        with self._database.begin() as session:
            known = open_incident(session, group.fingerprint)
            if known is None:
                known = self._opened(session, group, who, at)
            elif turn := turned(known, group.alerts, at):
                known = change_incident(session, known, kind=turn.kind, who=who, why=turn.why, at=at, **turn.fields)
                known = self._tell_worst(session, known, at)
            self._passed("within received")
        self._passed("after received")
        return known

    def _opened(self, session: Session, group: Heard, who: str, at: datetime) -> Incident | None:
        before = closed_since(session, group.fingerprint, at - _BY_HAND)
        ended = {(own.fingerprint, own.since) for one in before if _by_hand(one) for own in one.alerts}
        alerts = [own for own in group.alerts if own.status == "firing" and (own.fingerprint, own.since) not in ended]
        if not alerts:
            return None
        said = described(alerts)
        silences = [one.silenced_until for one in before if one.silent(at) and one.silenced_until]
        known = new_incident(
            session,
            who=who,
            why=said["title"],
            at=at,
            fingerprint=group.fingerprint,
            cause=group.cause,
            component=group.component,
            surface=group.surface,
            status="firing",
            alerts=alerts,
            context=Context(),
            since=min(own.since for own in alerts),
            silenced_until=max(silences, default=None),
            **said,
        )
        context = known_of(session, known, self._settings.home)
        known = change_incident(session, known, kind="looked_into", who=LOOP, why="what the record knows", at=at, context=context)
        return self._tell_worst(session, known, at)

    def _tell_worst(self, session: Session, known: Incident, at: datetime) -> Incident:
        """Tells those who were not told of an incident yet, where it is bad enough, and not silenced."""
        if known.severity == "info" or known.silent(at) or known.quiet_since is not None:
            return known
        if known.told and SEVERITIES.index(known.told) <= SEVERITIES.index(known.severity):  # type: ignore[arg-type]
            return known
        to = self.outbox.tell(session, known, "trigger", at)
        why = f"to be told to {', '.join(to)}" if to else "no receiver is configured for it"
        return change_incident(session, known, kind="told", who=LOOP, why=why, at=at, told=known.severity)

    def _told_again(self, incident_id: str) -> None:
        """What was done about an incident goes to those who were told of it."""
        at = self._clock()
        with self._database.begin() as session:
            known = incident(session, incident_id)
            if known.context.acts and known.open and not known.silent(at):
                act = known.context.acts[-1]
                self.outbox.tell(session, known, "update", at, said=f"{act.act}: {act.said}")

    def _look(self, known: Incident, lease: Lease | None) -> None:
        """Examples from files, which may take a while: after the page was sent."""
        looked, at = look_up_within(known, self._settings.home, _LOOK_SECONDS), self._clock()
        with self._database.begin(lease) as session:
            fresh = incident(session, known.incident_id)
            if fresh.open is None:
                return
            context = fresh.context
            context.examples, context.missing = looked.examples, [*context.missing, *looked.missing]
            why = f"{len(looked.examples)} example requests; {len(looked.missing)} places could not be read"
            change_incident(session, fresh, kind="looked_up", who=LOOP, why=why, at=at, context=context, looked_at=at)

    def _advise_anew(self, known: Incident, lease: Lease | None) -> None:
        """Where somebody took a release back meanwhile, nobody is to do it again."""
        at = self._clock()
        with self._database.read() as session:
            if not taken_back(session, known.opened_at):
                return
        with self._database.begin(lease) as session:
            fresh = incident(session, known.incident_id)
            if fresh.open and fresh.context.command.startswith(_TAKES_BACK):
                done_already(context := fresh.context)
                change_incident(session, fresh, kind="looked_into", who=LOOP, why=context.because, at=at, context=context)

    def _settled(self, known: Incident, lease: Lease | None) -> None:
        at = self._clock()
        with self._database.begin(lease) as session:
            fresh = incident(session, known.incident_id)
            if fresh.open and fresh.quiet_since == known.quiet_since and fresh.quiet_since is not None:
                self._end(session, fresh, LOOP, f"nothing has fired for {between(fresh.quiet_since, at)}", at)

    def _speak_again(self, known: Incident, lease: Lease | None) -> None:
        at = self._clock()
        with self._database.begin(lease) as session:
            fresh = incident(session, known.incident_id)
            if fresh.open is None or fresh.silenced_until != known.silenced_until:
                return
            why = "the silence is over"
            fresh = change_incident(session, fresh, kind="unsilenced", who=LOOP, why=why, at=at, silenced_until=None)
            if fresh.told and fresh.firing():
                self.outbox.tell(session, fresh, "update", at, said=f"{why}, and it still fires")
            self._tell_worst(session, fresh, at)

    def _end(self, session: Session, known: Incident, who: str, why: str, at: datetime) -> Incident:
        fields: dict[str, Any] = {"status": "resolved", "resolved_at": at, "open": None}
        known = change_incident(session, known, kind="resolved", who=who, why=why, at=at, **fields)
        said = f"resolved after {between(known.since, at)}: {why}" + ("" if who == LOOP else f" ({who})")
        self.outbox.tell(session, known, "resolve", at, said=said)
        return known


def _by_hand(known: Incident) -> bool:
    """Whether somebody ended an incident while its alerts fired."""
    return known.resolved_at is not None and bool(known.firing())
