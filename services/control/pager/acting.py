"""What the control plane does of itself about an incident, where `alerts.yaml` allows it: once for each cause and window."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

from rankloop.errors import RankloopError
from services.control.database import Database, Incident, Run, Session, change_incident, events, incident
from services.control.incident import Act, Context
from services.control.pager.receiving import Heard
from services.control.runs import Triggers

__all__ = ["ROLL_BACK", "Acted", "Acting", "done_already", "taken_back"]

ROLL_BACK: Final = "roll back"
"""What is done where a release is taken back."""

_NOT_DONE: Final = "could not be done"
_BACK: Final = ("rollback", "rollback.wanted", "rollback.direct", "canary.rolled_back", "canary.withdrawn")


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
            self._note(known, ROLL_BACK, f"{_NOT_DONE}: {error}", who)
        try:
            runs = self._triggers.answer(heard.sent, who=who, subject=heard.fingerprint)
        except RankloopError as error:
            refused.append(f"run: {error}")
            self._note(known, "run", f"{_NOT_DONE}: {error}", who)
        for run in runs:
            self._note(known, "run", f"{run.run_id} is queued", who)
        return Acted(runs, rolled_back, refused)

    def _roll_back(self, heard: Heard, known: Incident, who: str) -> str:
        with self._database.read() as session:
            if taken_back(session, known.since):  # two causes of one bad release take back one
                return ""
        why = self._triggers.to_roll_back(heard.sent, who=who, subject=heard.fingerprint)
        if why is None:
            return ""
        said = str(self._commands.rollback(who=who, why=why).said)
        self._note(known, ROLL_BACK, said, who)
        return said

    def _note(self, known: Incident, act: str, said: str, who: str) -> None:
        now = self._clock()
        with self._database.begin() as session:
            fresh = incident(session, known.incident_id)
            if fresh.open is None:
                return
            context = fresh.context
            context.acts.append(Act(now, act, said))
            if act == ROLL_BACK and not said.startswith(_NOT_DONE):
                done_already(context)
            change_incident(session, fresh, kind="acted", who=who, why=f"{act}: {said}", at=now, context=context)


def taken_back(session: Session, since: datetime) -> bool:
    """Whether a release was taken back since a moment, by whomever."""
    return any(events(session, kind=kind, since=since, limit=1) for kind in _BACK)


def done_already(context: Context) -> None:
    """Advises nobody to take a release back that was taken back: that would take back another one."""
    context.command = "rankloop status"
    context.because = "a release was taken back since it began; see whether that mends it, and do not do it twice"
