"""What starts runs by itself: times, new data, and alerts."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cronsim import CronSim, CronSimError

from rankloop.errors import Conflict, ControlError, Missing
from services.control.database import (
    Database,
    Lease,
    Run,
    Schedule,
    Session,
    Trigger,
    Where,
    desired,
    due_schedules,
    events,
    put_schedule,
    record,
    remove_schedule,
    schedules,
    set_schedule_times,
)
from services.control.database import schedule as schedule_named
from services.control.runs.alerts import AlertPolicy, AlertRule
from services.control.runs.orders import RunOrder, known_place, known_surface
from services.control.runs.queueing import queue, reason
from services.control.runs.watching import NOTHING, Watch, version_at
from services.control.wire import Alert

__all__ = ["Triggers", "next_time"]

_ITSELF: Final = "rankloop"
_ANSWERED: Final = "alert.answered"


def next_time(cron: str, after: datetime) -> datetime:
    """When a cron expression comes true next, in UTC.

    Args:
        cron: five fields (minute, hour, day of the month, month, day of the week), as Debian's cron reads them.
        after: a moment with a time zone.

    Raises:
        ControlError: it is no such expression, or never comes true.

    Example:
        >>> next_time("30 2 * * *", datetime(2026, 11, 17, 14, tzinfo=UTC)).isoformat()
        '2026-11-18T02:30:00+00:00'
    """
    if len(cron.split()) != 5:
        raise ControlError(f"cron is {cron!r}; give five fields (minute hour day month weekday), such as '30 2 * * *'")
    try:
        return next(CronSim(cron, after.astimezone(UTC)))
    except CronSimError as error:
        raise ControlError(f"cron is {cron!r}: {error}; give five fields such as '30 2 * * *'") from error
    except StopIteration as error:
        raise ControlError(f"cron is {cron!r}, which never comes true; give another") from error


class Triggers:
    """Schedules and alerts. What fires and the run it starts are one transaction, so a restart repeats and loses none.

    Args:
        database: the record.
        clock: the present moment, UTC.
        where: where runs run.
        alerts: says which alerts start which runs; asked at each alert.
        look_seconds: how often a watched path is looked at; new data starts a run at the second look that sees it.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        where: Where = "local",
        alerts: Callable[[], AlertPolicy] = AlertPolicy,
        look_seconds: float = 60.0,
    ) -> None:
        self._database, self._clock, self._where = database, clock, where
        self._alerts = alerts
        self._look_every = timedelta(seconds=look_seconds)
        self._watch = Watch()

    def schedules(self) -> list[Schedule]:
        """Every schedule, by name."""
        with self._database.read() as session:
            return schedules(session)

    def schedule(self, name: str) -> Schedule:
        """One schedule.

        Raises:
            Missing: there is none of that name.
        """
        with self._database.read() as session:
            return _known(session, name)

    def put(
        self,
        name: str,
        order: dict[str, Any],
        *,
        surface: str,
        cron: str | None = None,
        watch: str | None = None,
        enabled: bool = True,
        who: str,
        why: str = "",
    ) -> Schedule:
        """Makes or replaces a schedule: by time, or by new data. What lies at a watched path now is not new.

        Raises:
            ControlError: the order, the expression or the surface cannot work, or not exactly one of cron and watch is given.
        """
        if (cron is None) == (watch is None):
            raise ControlError(f"schedule {name!r} needs either cron or watch; give one of them")
        now, fields = self._clock(), RunOrder.of(order).fields()
        due = next_time(cron, now) if cron is not None else now + self._look_every
        version = None if watch is None else version_at(known_place("watch", watch), fields)
        with self._database.begin() as session:
            return put_schedule(
                session,
                name=name,
                surface=known_surface(surface),
                order=fields,
                cron=cron,
                watch=watch,
                watched_version=version,
                enabled=enabled,
                next_at=due,
                who=who,
                why=reason(why, who),
                at=now,
            )

    def remove(self, name: str, *, who: str, why: str = "") -> None:
        """Removes a schedule; runs it started go on.

        Raises:
            Missing: there is none of that name.
        """
        with self._database.begin() as session:
            _known(session, name)
            remove_schedule(session, name, who=who, why=reason(why, who), at=self._clock())

    def tick(self, lease: Lease | None = None) -> None:
        """Starts the runs of every schedule whose time has come; one for all the times missed while nobody led.

        Raises:
            Conflict: another process leads.
            ControlError: what a schedule watches cannot be looked at, or its order cannot be run any more; it is put off.
        """
        with self._database.read() as session:
            due = due_schedules(session, self._clock())
        failed: list[ControlError] = []
        for one in due:
            try:
                self._fire(one, lease)
            except Conflict:
                raise
            except ControlError as error:
                failed.append(error)
                self._put_off(one, lease)
        if failed:
            raise ControlError("; ".join(str(error) for error in failed))

    def answer(self, alerts: Iterable[Alert], *, who: str = "alertmanager", subject: str = "") -> list[Run]:
        """Starts the runs that the policy has for these alerts; the same alert at most once within its window.

        Args:
            alerts: those that fire and others.
            who: for the history.
            subject: what is answered once, such as an incident's fingerprint; empty: each alert by itself.

        Returns:
            The runs, without those of alerts that were answered before.

        Raises:
            ControlError: the policy cannot be read, or a rule cannot work for its alert.
        """
        policy, started, failed = self._alerts(), [], []
        for alert in alerts:
            rule = policy.rule_for(alert)
            try:
                run = self._answered(alert, rule, who, subject) if rule and rule.act == "run" else None
            except ControlError as error:  # it keeps no other alert from its run
                failed.append(f"alert {alert.labels.get('alertname')}: {error}")
            else:
                started += [run] if run else []
        if failed:
            raise ControlError("; ".join(failed))
        return started

    def to_roll_back(self, alerts: Iterable[Alert], *, who: str = "alertmanager", subject: str = "") -> str | None:
        """Why a release is to be taken back by these alerts; None where nothing is.

        Several alerts have one cause, so they take back one release; and one that names a release (label `release_id`) which
        nobody gets any more takes back none. They are noted as answered before the release is taken back: killed in between,
        it stays, since to go back twice would be worse.

        Args:
            alerts: those that fire and others.
            who: for the history.
            subject: what is answered once; empty: each alert by itself.

        Raises:
            ControlError: the policy cannot be read.
        """
        policy, whys = self._alerts(), list[str]()
        for alert in alerts:
            rule = policy.rule_for(alert)
            if rule is None or rule.act != "roll back":
                continue
            with self._database.begin() as session:
                if _has_people(session, _release_of(alert)) and self._is_new(session, alert, rule, who, subject):
                    whys.append(_why(alert))
        return whys[0] if whys else None

    def _answered(self, alert: Alert, rule: AlertRule, who: str, subject: str) -> Run | None:
        with self._database.begin() as session:
            if not self._is_new(session, alert, rule, who, subject):
                return None
            run = self._queue(session, rule.order, rule.surface_of(alert), "alert", who, _why(alert))
        return run

    def _is_new(self, session: Session, alert: Alert, rule: AlertRule, who: str, subject: str) -> bool:
        """Whether an alert, or its cause, was not answered so within its rule's window; now it is."""
        now = self._clock()
        named = " ".join(f"{key}={value}" for key, value in sorted(alert.labels.items()))
        subject = f"{subject}:{rule.act}" if subject else alert.fingerprint or named
        since = now - timedelta(seconds=rule.window_seconds)
        if events(session, kind=_ANSWERED, subject=subject, since=since, limit=1):
            return False
        facts = {"alert": alert.labels["alertname"], "labels": alert.labels, "act": rule.act}
        record(session, kind=_ANSWERED, subject=subject, who=who, why=_why(alert), at=now, facts=facts)
        return True

    def _fire(self, one: Schedule, lease: Lease | None) -> None:
        now = self._clock()
        if one.cron is not None:
            due: Trigger = "schedule"
            why, version, following = f"schedule {one.name}: {one.cron}", None, next_time(one.cron, now)
        else:
            due, following = "new data", now + self._look_every
            why, version = f"schedule {one.name}: new data at {one.watch}", self._settled(one)
        fires = one.cron is not None or version is not None
        with self._database.begin(lease) as session:
            if fires:
                self._queue(session, one.order, one.surface, due, _ITSELF, why)
            last = now if fires else one.last_at
            set_schedule_times(session, one.schedule_id, next_at=following, last_at=last, watched_version=version)

    def _settled(self, one: Schedule) -> str | None:
        """The version of new data that has settled; None where nothing is new."""
        version = version_at(one.watch or "", one.order)
        stable = self._watch.settled(one.schedule_id, version)
        return version if stable and version not in (NOTHING, one.watched_version) else None

    def _put_off(self, one: Schedule, lease: Lease | None) -> None:
        following = self._clock() + self._look_every
        with self._database.begin(lease) as session:
            set_schedule_times(session, one.schedule_id, next_at=following, last_at=one.last_at)

    def _queue(self, session: Session, order: dict[str, Any], surface: str, trigger: Trigger, who: str, why: str) -> Run:
        own = RunOrder.of(order)
        return queue(session, own, surface=surface, trigger=trigger, where=self._where, who=who, why=why, at=self._clock())


def _known(session: Session, name: str) -> Schedule:
    try:
        return schedule_named(session, name)
    except ControlError as error:
        raise Missing(str(error)) from error


def _why(alert: Alert) -> str:
    said = alert.annotations.get("summary") or alert.annotations.get("description") or "it says no more"
    return f"alert {alert.labels['alertname']} fires: {said}"


def _release_of(alert: Alert) -> str | None:
    """The release that an alert names, as its label `release` or `release_id`; `none` names none."""
    named = alert.labels.get("release") or alert.labels.get("release_id")
    return None if named == "none" else named


def _has_people(session: Session, release_id: str | None) -> bool:
    """Whether somebody gets a release; an alert that names none is about the one that serves."""
    now = desired(session)
    got = {now.release(now.stable)} | ({now.release(now.slots().idle)} if now.canary_bp or now.interleave_bp else set())
    return release_id in got if release_id else got != {None}
