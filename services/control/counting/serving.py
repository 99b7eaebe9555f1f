"""What serves, and where the canary stands, as series."""

from typing import Final

from sqlalchemy import func, select

from monitoring.metrics import ControlMetrics
from services.control.counting.drawing import Drawing
from services.control.database import Canary, Desired, Session, active_canary, desired, tables
from services.control.progress import state_of

__all__ = ["ServingSeries"]

_PAGE: Final = 1000
_BUCKETS: Final = 10_000


class ServingSeries:
    """What the record wants to serve, the canary under way, and decisions on canaries since this was made.

    Args:
        metrics: what is brought up to date.
        session: of the record.
    """

    def __init__(self, metrics: ControlMetrics, session: Session) -> None:
        self._metrics = metrics
        self._serving, self._canary, self._since = map(Drawing, (metrics.serving, metrics.canary, metrics.canary_since))
        self._step = session.execute(select(func.max(tables.observations.c.number))).scalar() or 0

    def update(self, session: Session) -> None:
        """Brings them up to date."""
        canary, wanted = active_canary(session), desired(session)
        self._serving.draw(dict.fromkeys(_roles(wanted), 1))
        self._canary.draw({} if canary is None else {(canary.release_id, canary.status): 1})
        self._since.draw({} if canary is None else {(canary.release_id,): _since(canary)})
        self._metrics.canary_share.set(wanted.canary_bp / _BUCKETS)
        self._count_decisions(session)

    def _count_decisions(self, session: Session) -> None:
        own = tables.observations.c
        fresh = select(own.number, own.decision).where(own.number > self._step).order_by(own.number).limit(_PAGE)
        for number, decision in session.execute(fresh):
            self._metrics.decisions.labels(decision.get("action", "none")).inc()
            self._step = number


def _roles(wanted: Desired) -> list[tuple[str, str, str]]:
    slots = wanted.slots()
    roles = {slots.stable: "stable", slots.idle: "canary" if wanted.canary_bp else "idle"}
    return [(slot, role, held) for slot, role in roles.items() if (held := wanted.release(slot)) is not None]


def _since(canary: Canary) -> float:
    """When its share was set; while it is warmed it has none, and waits since it was asked for."""
    return canary.created_at.timestamp() if canary.status == "warming" else state_of(canary).step_began
