"""A canary's way: it is warmed, gets its first share, is judged once an interval, and ends."""

from typing import Any, Final

import httpx
import msgspec
from msgspec.structs import replace

from rankloop.canary import Decision, Observation, Policy, State, start, step
from rankloop.errors import Conflict, RankloopError
from services.control.changes import Change
from services.control.database import (
    Canary,
    CanaryStatus,
    Desired,
    Lease,
    Session,
    active_canary,
    desired,
    save_step,
)
from services.control.faults import Faults
from services.control.observing import Observer
from services.control.plane import LOOP, Plane
from services.control.trying import Trying

__all__ = ["OBSERVATION", "Progress", "policy_of", "state_of"]

OBSERVATION: Final = "observation"
"""The part whose fault it is that nothing can be seen of a canary."""

_BLIND: Final = 3


def policy_of(canary: Canary) -> Policy:
    """What decides of a canary."""
    return msgspec.convert(canary.policy, Policy)


def state_of(canary: Canary) -> State:
    """Where a canary stands that runs."""
    return msgspec.convert(canary.state, State)


class Progress:
    """Carries the active canary on.

    Args:
        plane: the record and the world.
        faults: where what goes wrong is told.
        trying: warms the canary's slot.
        observer: counts what both slots did.
    """

    def __init__(self, plane: Plane, faults: Faults, trying: Trying, observer: Observer) -> None:
        self._plane, self._faults, self._trying, self._observer = plane, faults, trying, observer
        self._judged: dict[str, float] = {}
        self._blind = 0

    def follow(self, canary: Canary, lease: Lease) -> None:
        """Does what is due of the active canary.

        Raises:
            Conflict: a command changed it meanwhile, or another process leads; the next tick looks again.
            StackError: an edge did not take the new share.
        """
        if canary.status == "warming":
            self._warm(canary, lease)
        elif self._plane.clock().timestamp() >= self._judged.get(canary.canary_id, 0.0) + policy_of(canary).interval_seconds:
            self._judge(canary, lease)

    def retire(self, wanted: Desired, lease: Lease) -> None:
        """Empties the idle slot when the time is over for which it is kept warm.

        Raises:
            Conflict: a command changed the record meanwhile, or another process leads.
        """
        if wanted.kept_until is None or self._plane.clock() < wanted.kept_until:
            return
        with self._plane.change("retired", lease) as session:
            now = desired(session)
            if now != wanted or active_canary(session) is not None:
                return
            idle = now.slots().idle
            why = f"it was kept warm until {wanted.kept_until:%Y-%m-%d %H:%M:%S} UTC"
            change = Change(session, LOOP, why, self._plane.clock())
            change.move(now.release(idle), "retired", only_from=("kept warm",))
            change.put(replace(now, **{idle: None}, kept_until=None), "slots.emptied", now.release(idle) or idle)

    def _warm(self, canary: Canary, lease: Lease) -> None:
        filled = self._trying.outcome(canary.slot, canary.release_id, canary.canary_id)
        if filled is None:
            return
        warmth = msgspec.to_builtins(filled.warmth)
        at, policy = self._plane.clock(), policy_of(canary)
        with self._plane.change("refused" if filled.refused else "running", lease) as session:
            _assert_same(session, canary)
            if filled.refused:
                change = Change(session, LOOP, filled.refused, at)
                change.note("canary.refused", canary.canary_id, {"warmth": warmth})
                change.withdraw(canary, "failed", "canary.withdrawn", keep=policy.keep_warm_seconds)
            else:
                self._run(session, canary, policy, warmth)
        self._plane.tell()

    def _run(self, session: Session, canary: Canary, policy: Policy, warmth: dict[str, Any]) -> None:
        at = self._plane.clock()
        state = start(policy, at.timestamp())
        why = f"{canary.release_id} answers in slot {canary.slot}: p50 {warmth['p50_ms']:.1f} ms, p95 {warmth['p95_ms']:.1f} ms"
        change = Change(session, LOOP, why, at)
        change.turn(canary, "canary.running", status="running", state=msgspec.to_builtins(state), warmth=warmth)
        change.move(canary.release_id, "canary")
        change.put(replace(change.now, canary_bp=state.weight_bp), "canary.weighted", canary.canary_id)

    def _judge(self, canary: Canary, lease: Lease) -> None:
        policy, state = policy_of(canary), state_of(canary)
        observation = self._observed(canary, state)
        at = self._plane.clock()
        decision = step(policy, state, observation, at.timestamp())
        with self._plane.change(decision.action, lease) as session:
            _assert_same(session, canary)
            seen = None if observation is None else msgspec.to_builtins(observation)
            save_step(session, canary.canary_id, seen, msgspec.to_builtins(decision), at)
            changed = self._carry_out(session, canary, policy, decision)
        self._judged[canary.canary_id] = at.timestamp()
        if changed:
            self._plane.tell()

    def _observed(self, canary: Canary, state: State) -> Observation | None:
        """What was seen; a fault where nothing could be seen several times in a row, as it is for a moment after each step."""
        try:
            with self._plane.transition("observed"):
                found = self._observer.observe(canary.against, canary.release_id, state.step_began)
            why = "nothing could be observed; the canary waits. See that the tally and the edges' metrics answer"
        except (RankloopError, OSError, httpx.HTTPError) as error:
            found, why = None, f"nothing could be observed ({error}); the canary waits"
        self._blind = 0 if found is not None else self._blind + 1
        if found is not None:
            self._faults.over(OBSERVATION)
        elif self._blind >= _BLIND:
            self._faults.met(OBSERVATION, why)
        return found

    def _carry_out(self, session: Session, canary: Canary, policy: Policy, decision: Decision) -> bool:
        """Records what a decision changes beside the state; whether the edges are to be told."""
        change = Change(session, LOOP, " ".join(decision.reasons) or decision.action, self._plane.clock())
        state, keep = msgspec.to_builtins(decision.state), policy.keep_warm_seconds
        if decision.action == "promote":
            change.promote(canary, keep=keep, state=state)
            return True
        if decision.action == "roll back":
            change.withdraw(canary, "rolled back", "canary.withdrawn", keep=keep, state=state)
            return True
        status: CanaryStatus = "paused" if decision.state.status == "paused" else "running"
        if status != canary.status:
            change.turn(canary, "canary.paused" if status == "paused" else "canary.resumed", status=status)
        if decision.state.weight_bp == change.now.canary_bp:
            return False
        change.put(replace(change.now, canary_bp=decision.state.weight_bp), "canary.advanced", canary.canary_id)
        return True


def _assert_same(session: Session, canary: Canary) -> None:
    if active_canary(session) != canary:
        raise Conflict(f"canary {canary.canary_id} was changed by somebody else; it is looked at again")
