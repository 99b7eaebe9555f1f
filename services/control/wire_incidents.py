"""What goes over the wire about incidents: what is wrong, since when, what was found out, and who does what about it."""

from typing import Annotated

from msgspec import Meta, Struct

from services.control.incident import AlertKept, Context
from services.control.wire import EventShown, Moment, Text
from services.control.wire_runs import RunShown

__all__ = ["AlertsTaken", "IncidentList", "IncidentShown", "NewNote", "NoticeShown", "Silence", "StillGoing"]


class IncidentShown(Struct, kw_only=True):
    """One incident: all that is wrong for one cause.

    Attributes:
        incident_id: names it.
        cause: what is wrong, in kebab-case; of a rule that does not say, the alert's name.
        component: where: a process, a table, a column.
        surface: the product place, or `all`.
        release_id: the release it is about; `none` where there is none.
        owner: the team it is for.
        severity: page, ticket or info: the worst of the alerts that fire.
        title: what broke, in one line.
        status: firing, acknowledged, quiet (nothing fires any more; it ends by itself), or resolved.
        since: when the first alert began to fire.
        opened_at: when it was heard of.
        changed_at: when it changed last.
        acknowledged_at: null: nobody took it yet.
        acknowledged_by: who took it.
        silenced_until: nobody is told anything before; null: it is not silenced.
        quiet_since: since when nothing fires; null: something does.
        looked_at: when examples were looked up; null: not yet.
        resolved_at: null: it goes on.
        fingerprint: of cause, surface and component.
        alerts: each with its own state; left out of lists, as what follows.
        context: what was found out.
        timeline: every change of it, the oldest first.
        notices: every message about it, the oldest first.
    """

    incident_id: str
    cause: str
    component: str
    surface: str
    release_id: str
    owner: str
    severity: str
    title: str
    status: str
    since: Moment
    opened_at: Moment
    changed_at: Moment
    acknowledged_at: Moment | None = None
    acknowledged_by: str | None = None
    silenced_until: Moment | None = None
    quiet_since: Moment | None = None
    looked_at: Moment | None = None
    resolved_at: Moment | None = None
    fingerprint: str = ""
    alerts: list[AlertKept] = []
    context: Context | None = None
    timeline: list[EventShown] = []
    notices: "list[NoticeShown]" = []


class NoticeShown(Struct, kw_only=True):
    """One message to one receiver.

    Attributes:
        number: larger for later ones.
        receiver: pagerduty, slack, webhook or mail.
        kind: trigger, update, acknowledge or resolve.
        state: waiting, sent, failed (given up), or dropped: the incident ended before it was sent.
        attempts: how often it was tried.
        at: when it was noted.
        sent_at: when the receiver took it; null: it has not.
        error: why the last attempt failed; null: it did not.
    """

    number: int
    receiver: str
    kind: str
    state: str
    attempts: int
    at: Moment
    sent_at: Moment | None
    error: str | None


class IncidentList(Struct):
    """Incidents, the newest first.

    Attributes:
        incidents: at most `limit` of them.
        next: of a full page, when its last one was opened: send it as `before`; else null.
    """

    incidents: list[IncidentShown]
    next: Moment | None = None


class Silence(Struct, forbid_unknown_fields=True):
    """Tells nobody anything about an incident, or its next ones of the same cause, for a while.

    Attributes:
        seconds: for how long; 0 ends a silence.
        why: for whoever reads the history.
    """

    seconds: Annotated[float, Meta(ge=0, le=30 * 86_400)]
    why: Text


class NewNote(Struct, forbid_unknown_fields=True):
    """A note in an incident's timeline.

    Attributes:
        text: what was found, or done.
    """

    text: Annotated[str, Meta(min_length=1, max_length=4000, pattern=r"\S")]


class StillGoing(Struct):
    """An incident of an answered webhook.

    Attributes:
        incident_id: names it.
        status: where it stands.
    """

    incident_id: str
    status: str


class AlertsTaken(Struct):
    """What followed from alerts; from those that were heard before, nothing does.

    Attributes:
        runs: that they started.
        rolled_back: what was said of the release they took back; empty: none was.
        incidents: those that the alerts belong to.
        refused: what the policy for alerts asks for and could not be done, in sentences.
    """

    runs: list[RunShown]
    rolled_back: str = ""
    incidents: list[StillGoing] = []
    refused: list[str] = []
