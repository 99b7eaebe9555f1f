"""The record as answers show it: read only, through the API or, while nobody answers, by the terminal itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import make_url

from rankloop.drift.report import DriftReport
from rankloop.errors import ControlError
from services.control import database as db
from services.control.drifting import Drift
from services.control.drivers import Edges, Server, sample_requests
from services.control.moments import moment
from services.control.readout import due
from services.control.wire import (
    CanaryList,
    CanaryShown,
    DecisionList,
    DecisionShown,
    DesiredShown,
    Diff,
    EventList,
    EventShown,
    ReleaseList,
    ReleaseShown,
    Scores,
    ServingShown,
    ServingSlot,
    SlotsShown,
    Split,
    Told,
)
from services.control.wire_drift import DriftList
from services.control.wire_experiments import ExperimentList, ExperimentShown
from services.settings import Settings

__all__ = ["Views", "has_record"]

_HEAVY: Final = ("features", "importance", "lineage", "files", "reasons")
_MOST: Final = 1000
_PAGE: Final = 100
_SEED: Final = 1
_T = TypeVar("_T")


class Views:
    """What the record holds, as the control plane's answers have it.

    Args:
        database: the record.
        settings: where bundles and the log lie, for differences and the scoreboard.
    """

    def __init__(self, database: db.Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self.drift = Drift(database, settings)

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> "Iterator[Views]":
        """Those of the record that the settings name."""
        with db.open_database(db.database_url(settings)) as database:
            yield cls(database, settings)

    def releases(self) -> ReleaseList:
        """Every release, the newest first; the newest thousand where there are more."""
        with self._database.read() as session:
            return ReleaseList([_release(own, whole=False) for own in db.releases(session, limit=_MOST)])

    def release(self, release_id: str) -> ReleaseShown:
        """One release, with fingerprints and lineage.

        Raises:
            ControlError: it is not registered.
        """
        with self._database.read() as session:
            return _release(db.release(session, release_id), whole=True)

    def diff(self, before: str, after: str, *, requests: int = 0) -> Diff:
        """How a release differs from another; with `requests`, also their rankings of so many logged requests.

        Raises:
            ControlError: one of them is not registered, or its bundle is not there any more.
            BundleError: a bundle was altered, or does not answer.
        """
        with self._database.read() as session:
            old, new = db.release(session, before), db.release(session, after)
        from services.control.comparing import compare_releases  # what it asks bundles with takes a second to load

        asked = sample_requests(self._settings, requests, _SEED, bento=new.bento or None) if requests else []
        found = compare_releases(old, new, requests=asked, settings=self._settings)
        return Diff(before, after, msgspec.to_builtins(found))

    def scoreboard(self) -> Scores:
        """What was measured offline beside what was measured online."""
        from services.control.scoreboard import read_scoreboard

        with self._database.read() as session:
            return Scores(msgspec.to_builtins(read_scoreboard(session)))

    def serving(self, at: datetime | str = "") -> ServingShown:
        """Who got which release at a moment; empty: now."""
        given = (moment(at) if at else None) if isinstance(at, str) else at
        with self._database.read() as session:
            then = given or db.database_now(session)
            return ServingShown(then, [_as(ServingSlot, own) for own in db.serving_at(session, then)])

    def drift_reports(self, **chosen: Any) -> DriftList:
        """Reports of drift, those made last first; chosen by surface, verdict, before and limit."""
        return self.drift.reports(**chosen)

    def drift_report(self, report_id: str) -> DriftReport:
        """One report of drift, whole.

        Raises:
            Missing: there is none of that name.
        """
        return self.drift.report(report_id)

    def desired(self) -> DesiredShown:
        """Who should get what."""
        with self._database.read() as session:
            return _as(DesiredShown, db.desired(session))

    def told(self, came: Any) -> Told:
        """What a command came to."""
        return Told(came.said, _as(DesiredShown, came.desired))

    def canaries(self) -> CanaryList:
        """Every canary, the newest first; the newest thousand where there are more."""
        with self._database.read() as session:
            return CanaryList([_canary(own) for own in db.canaries(session, limit=_MOST)])

    def canary(self, canary_id: str) -> CanaryShown:
        """One canary, with its newest decision.

        Raises:
            ControlError: there is none of that name.
        """
        with self._database.read() as session:
            shown = _canary(db.canary(session, canary_id))
            newest = db.last_step(session, canary_id)
        shown.latest = None if newest is None else _as(DecisionShown, newest)
        return shown

    def experiments(self) -> ExperimentList:
        """Every experiment, the newest first; the newest thousand where there are more."""
        with self._database.read() as session:
            return ExperimentList([_experiment(own) for own in db.experiments(session, limit=_MOST)])

    def experiment(self, experiment_id: str) -> ExperimentShown:
        """One experiment.

        Raises:
            Missing: there is none of that name.
        """
        with self._database.read() as session:
            return _experiment(db.experiment(session, experiment_id))

    def decisions(self, canary_id: str, *, after: int | None = None, limit: int | None = None) -> DecisionList:
        """What a canary saw and decided, oldest first; with `after` only what came later.

        Raises:
            ControlError: there is none of that name.
        """
        most = limit or _PAGE
        with self._database.read() as session:
            own = db.canary(session, canary_id)
            found = [_as(DecisionShown, step) for step in db.steps(session, canary_id, after=after or 0, limit=most)]
        return DecisionList(canary_id, own.policy, found, found[-1].number if len(found) == most else None)

    def events(self, *, limit: int = _PAGE, **chosen: Any) -> EventList:
        """What was changed, the newest first; after a number, the oldest first."""
        for name in ("since", "until"):
            if isinstance(chosen.get(name), str):
                chosen[name] = moment(chosen[name])
        with self._database.read() as session:
            found = [_as(EventShown, own) for own in db.events(session, limit=limit, **chosen)]
        return EventList(found, found[-1].id if len(found) == limit else None)

    def has(self, kind: str, name: str) -> bool:
        """Whether there is a `release` or a `canary` of that name."""
        with self._database.read() as session:
            try:
                (db.release if kind == "release" else db.canary)(session, name)
            except ControlError:  # of the name: what the database says is another error here
                return False
            return True

    def slots(self, edges: Edges, server: Server) -> SlotsShown:
        """What should be, beside what edges and Serve say."""
        wanted, says = self.desired(), edges.read()
        held = server.holds()
        splits = {name: Split(own.stable, own.canary_bp, own.interleave_bp) if own else None for name, own in says.items()}
        right = Split(wanted.stable, wanted.canary_bp, wanted.interleave_bp)
        agrees = all(own == right for own in splits.values()) and held == {"blue": wanted.blue, "green": wanted.green}
        return SlotsShown(desired=wanted, edges=splits, server=held, agrees=agrees)


def has_record(settings: Settings) -> bool:
    """Whether there may be a record; one in a file is not made by being asked for."""
    url = make_url(db.database_url(settings))
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def _as(kind: type[_T], own: Any) -> _T:
    """A row of the record as answers have it: the fields of the same names."""
    return msgspec.convert(own, kind, from_attributes=True)


def _release(own: db.Release, *, whole: bool) -> ReleaseShown:
    given = {name: getattr(own, name) for name in ReleaseShown.__struct_fields__ if name not in ("verdict", "reasons")}
    verdict = own.verdict or {}
    shown = {**given, "verdict": verdict.get("outcome"), "reasons": verdict.get("reasons", [])}
    return msgspec.convert({name: value for name, value in shown.items() if whole or name not in _HEAVY}, ReleaseShown)


def _canary(own: db.Canary) -> CanaryShown:
    """The state is empty until the first unit came."""
    return CanaryShown(
        canary_id=own.canary_id,
        release_id=own.release_id,
        against=own.against,
        slot=own.slot,
        status=own.status,
        late=own.state.get("late", False),
        step=own.state.get("step", 0),
        steps=len(own.policy.get("steps", [])),
        weight_bp=own.state.get("weight_bp", 0),
        policy=own.policy,
        created_at=own.created_at,
        who=own.who,
        why=own.why,
        warmth=own.warmth,
        began=_moment(own.state.get("began")),
        step_began=_moment(own.state.get("step_began")),
        ended_at=own.ended_at,
        reasons=list(own.state.get("reasons", [])),
    )


def _experiment(own: db.Experiment) -> ExperimentShown:
    return msgspec.convert({**msgspec.structs.asdict(own), "until": due(own)}, ExperimentShown)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
