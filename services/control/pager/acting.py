"""What the control plane does of itself about an incident, where `alerts.yaml` allows it: once for each cause and window."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from rankloop.errors import RankloopError
from services.control.database import Act, Database, Incident, Run, change_incident, events, incident
from services.control.pager.receiving import Heard
from services.control.runs import Triggers

__all__ = ["Acted", "Acting"]


class Acted(NamedTuple):
    """What was done.

    Attributes:
        runs: that were started.
        rolled_back: what was said of the release that was taken back; empty: none was.
        refused: what could not be done, in sentences.
    """

    runs: list[Run]
    rolled_back: str
    refused: list[str]


class Acting:
    """Does what the policy for alerts says.

    Args:
        database: the record.
        triggers: know the policy, and what was answered.
        commands: take a release back.
        clock: the present moment, UTC.
    """

    def __init__(self, database: Database, triggers: Triggers, commands: Any, clock: Callable[[], datetime]) -> None:
        self._database, self._triggers, self._commands, self._clock = database, triggers, commands, clock

    def act(self, heard: Heard, known: Incident, who: str) -> Acted:
        """Answers the alerts of one cause; what could not be done is in the timeline too, and stops no page."""
        runs: list[Run] = []
        refused: list[str] = []
        rolled_back = ""
        try:
            rolled_back = self._roll_back(heard, known, who)
        except RankloopError as error:
            refused.append(f"roll back: {error}")
            self._note(known, "roll back", f"could not be done: {error}", who)
        try:
            runs = self._triggers.answer(heard.sent, who=who, subject=heard.fingerprint)
        except RankloopError as error:
            refused.append(f"run: {error}")
            self._note(known, "run", f"could not be done: {error}", who)
        for run in runs:
            self._note(known, "run", f"{run.run_id} is queued", who)
        return Acted(runs, rolled_back, refused)

    def _roll_back(self, heard: Heard, known: Incident, who: str) -> str:
        if self._taken_back(known.since):
            return ""
        why = self._triggers.to_roll_back(heard.sent, who=who, subject=heard.fingerprint)
        if why is None:
            return ""
        said = str(self._commands.rollback(who=who, why=why).said)
        self._note(known, "roll back", said, who)
        return said

    def _taken_back(self, since: datetime) -> bool:
        """Whether a release was taken back since an incident began: two causes of one bad release take back one."""
        kinds = ("rollback", "rollback.wanted", "rollback.direct", "canary.rolled_back", "canary.aborted")
        with self._database.read() as session:
            return any(events(session, kind=kind, since=since, limit=1) for kind in kinds)

    def _note(self, known: Incident, act: str, said: str, who: str) -> None:
        now = self._clock()
        with self._database.begin() as session:
            fresh = incident(session, known.incident_id)
            if fresh.open is None:
                return
            context = fresh.context
            context.acts.append(Act(now, act, said))
            change_incident(session, fresh, kind="acted", who=who, why=f"{act}: {said}", at=now, context=context)
