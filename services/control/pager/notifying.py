"""The outbox: who is told what, noted with the change itself, and sent by the leader until the receiver took it."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.control.database import (
    Database,
    Incident,
    Lease,
    Notice,
    NoticeKind,
    NoticeState,
    Session,
    add_notice,
    change_notice,
    claim_notice,
    drop_notices,
    due_notices,
    notices,
    record,
    rewrite_notice,
)
from services.control.pager.receivers import NotSent, Receiver, Refused
from services.control.pager.writing import Message, message
from services.control.plane import LOOP, nothing
from services.settings import Settings

__all__ = ["Outbox", "retry_seconds"]

log: Final = logging.getLogger("services.control")

_FIRST: Final = 5.0
_LONGEST: Final = 300.0
_GIVEN_UP: Final = timedelta(hours=24)


def retry_seconds(attempts: int) -> float:
    """How long to wait after so many attempts: 5 s, doubled each time, five minutes at most.

    Example:
        >>> [retry_seconds(attempts) for attempts in (1, 2, 3, 7, 100)]
        [5.0, 10.0, 20.0, 300.0, 300.0]
    """
    return min(_LONGEST, _FIRST * 2.0 ** min(attempts - 1, 16))


class Outbox:
    """Notes what is to be sent, and sends it.

    A notice is noted in the transaction of the change it tells of, so a kill loses none; it is marked as sent after the receiver
    took it, so a kill in between sends it twice, which PagerDuty's deduplication key makes harmless.

    Args:
        database: the record.
        settings: where links lead.
        receivers: where notices go.
        clock: the present moment, UTC.
        passed: is told of each transition; a test ends the process there.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        receivers: Sequence[Receiver],
        *,
        clock: Callable[[], datetime],
        passed: Callable[[str], None] = nothing,
    ) -> None:
        self._database, self._settings, self._clock, self._passed = database, settings, clock, passed
        self._receivers = {own.name: own for own in receivers}
        self._faults: dict[str, str] = {}

    def faults(self) -> dict[str, str]:
        """By receiver, why its last notice was not taken; empty: all were."""
        return dict(self._faults)

    def tell(self, session: Session, known: Incident, kind: NoticeKind, at: datetime, *, said: str = "") -> list[str]:
        """Notes a message to everybody whom an incident concerns, in the transaction of its change.

        Of a trigger: those that were not told of it yet; of all else: those that were.

        Returns:
            The receivers' names.
        """
        if kind == "resolve":
            drop_notices(session, known.incident_id)
        before = [own for own in notices(session, known.incident_id) if own.state != "dropped" or own.attempts]
        told = {own.receiver for own in before}
        concerned = [own for own in self._receivers.values() if known.severity == "page" or not own.pages]
        wanted = [own.name for own in concerned if own.name not in told] if kind == "trigger" else sorted(told)
        untried = {own.receiver: own for own in before if kind == "update" and own.state == "waiting" and not own.attempts}
        for name in wanted:
            if name in untried:  # it says all of it at once
                self._rewrite(session, known, untried[name], at)
                continue
            payload = msgspec.to_builtins(message(known, kind, self._settings, at, said=said))
            add_notice(session, incident_id=known.incident_id, receiver=name, kind=kind, payload=payload, at=at)
        return wanted

    def _rewrite(self, session: Session, known: Incident, own: Notice, at: datetime) -> None:
        said = "" if own.kind == "trigger" else own.payload["state"]
        rewrite_notice(session, own.number, msgspec.to_builtins(message(known, own.kind, self._settings, at, said=said)))

    def send(self, lease: Lease | None = None) -> None:
        """Sends what is due, each receiver's in order and beside the others', so that one that hangs delays none of them.

        Raises:
            Conflict: another process leads.
            ControlError: the database does not answer.
        """
        with self._database.read() as session:
            due = due_notices(session, self._clock())
        by_receiver: dict[str, list[Notice]] = {}
        for own in due:
            by_receiver.setdefault(own.receiver, []).append(own)
        if by_receiver:
            with ThreadPoolExecutor(len(by_receiver), thread_name_prefix="pager") as pool:
                list(pool.map(lambda of_one: self._send_all(of_one, lease), by_receiver.values()))

    def _send_all(self, due: list[Notice], lease: Lease | None) -> None:
        """Ends at the first one that is not taken: a receiver that is away would be waited for once for each."""
        for own in due:
            if not self._send_one(own, lease):
                return

    def _send_one(self, own: Notice, lease: Lease | None) -> bool:
        """Whether it was taken, or is not to be sent any more."""
        receiver, now = self._receivers.get(own.receiver), self._clock()
        with self._database.begin(lease) as session:
            if not claim_notice(session, own.number, at=now + timedelta(seconds=retry_seconds(own.attempts + 1))):
                return True
        try:
            if receiver is None:
                raise Refused(f"{own.receiver} is not configured any more")
            self._passed("before send")
            receiver.send(msgspec.convert(own.payload, Message), own.number)
            self._passed("after send")
        except NotSent as error:
            self._not_taken(own, error, lease)
            return False
        except Exception as error:  # a fault of ours in one message keeps no other from its receiver
            log.exception("notice %d of %s to %s", own.number, own.incident_id, own.receiver)
            self._not_taken(own, Refused(f"{own.receiver}: {type(error).__name__}, see the control plane's log"), lease)
            return True
        self._faults.pop(own.receiver, None)
        now = self._clock()
        with self._database.begin(lease) as session:
            change_notice(session, own.number, state="sent", sent_at=now)
            self._note(session, own, "notified", f"{own.receiver} took the {own.kind}")
        return True

    def _not_taken(self, own: Notice, error: NotSent, lease: Lease | None) -> None:
        now, attempts = self._clock(), own.attempts + 1
        self._faults[own.receiver] = str(error)
        log.warning("notice %d of %s to %s: %s", own.number, own.incident_id, own.receiver, error)
        wait = _LONGEST if isinstance(error, Refused) else max(retry_seconds(attempts), error.after or 0.0)
        over = now - own.at > _GIVEN_UP
        with self._database.begin(lease) as session:
            following = None if over else now + timedelta(seconds=wait)
            state: NoticeState = "failed" if over else "waiting"
            change_notice(session, own.number, state=state, next_at=following, error=str(error))
            if attempts == 1 or over:
                self._note(session, own, "not_notified", f"{error}; {'given up' if over else 'it is tried again'}")

    def _note(self, session: Session, own: Notice, kind: str, why: str) -> None:
        facts = {"receiver": own.receiver, "kind": own.kind, "notice": own.number}
        record(session, kind=f"incident.{kind}", subject=own.incident_id, who=LOOP, why=why, at=self._clock(), facts=facts)
