"""Where a canary stands, what was decided last and on what."""

from typing import Literal

import msgspec

from rankloop.canary.observation import Observation
from rankloop.canary.policy import Policy
from rankloop.errors import Conflict

__all__ = ["Action", "Decision", "Evidence", "Outcome", "State", "Status", "abort", "pause", "promote", "resume", "start"]

Status = Literal["running", "paused", "promoted", "rolled back", "aborted"]
Action = Literal["continue", "advance", "promote", "roll back", "hold", "pause"]
Outcome = Literal["worse", "fine", "not enough evidence"]


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A canary between two observations; with the policy and the next one it says what follows.

    Attributes:
        status: where it stands; only a running or a paused one can change.
        step: index into the policy's steps.
        weight_bp: the canary's share of the units, basis points: 10,000 once promoted, 0 once rolled back or aborted.
        began: seconds since the epoch.
        step_began: since when the share holds.
        changed: when the status last changed.
        finished: the last observation of each phase that ended, oldest first.
        seen: the newest of the present one.
        late: the share holds longer than the policy's longest time.
        paused_seconds: how long this step was paused; it makes nothing late.
        split_accepted: somebody resumed it after the split was found broken; until the next step it is not tested again.
        reasons: for where it stands.
    """

    status: Status = "running"
    step: int = 0
    weight_bp: int
    began: float
    step_began: float
    changed: float
    finished: tuple[Observation, ...] = ()
    seen: Observation | None = None
    late: bool = False
    paused_seconds: float = 0.0
    split_broken: bool = False
    split_accepted: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing can change it any more."""
        return self.status not in ("running", "paused")


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one guardrail, or the objective, has seen; None is what cannot be said.

    Attributes:
        metric: whose.
        rule: what is asked of it, in words.
        stable: the stable release's value.
        canary: the canary's.
        difference: relative to stable's value; of `score` in its standard deviations; of `overlap` the value itself.
        lower: where it lies at least, whenever one looks.
        upper: where it lies at most.
        outcome: `worse`: surely more than tolerated; `fine`: what was to be ruled out is; `not enough evidence`: neither.
        needed: whether a promotion waits for `fine`.
        reason: the row as a sentence.
    """

    metric: str
    rule: str
    stable: float | None = None
    canary: float | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    outcome: Outcome = "not enough evidence"
    needed: bool = False
    reason: str = ""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What follows from one observation.

    Attributes:
        state: the canary after it.
        action: what is to be done now.
        reasons: why, in sentences with numbers.
        evidence: one row for each guardrail and for the objective; empty where nothing could be observed.
    """

    state: State
    action: Action
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


def start(policy: Policy, now: float) -> State:
    """A canary at its first share.

    Example:
        >>> start(Policy(), 0.0).weight_bp
        100
    """
    return State(weight_bp=policy.steps[0], began=now, step_began=now, changed=now, reasons=("It has begun.",))


def pause(state: State, now: float, reason: str) -> State:
    """Keeps the share as it is; guardrails still roll it back.

    Raises:
        Conflict: it does not run.
    """
    if state.status != "running":
        raise Conflict(f"the canary is {state.status}; only one that is running can be paused")
    return msgspec.structs.replace(state, status="paused", changed=now, reasons=(reason,))


def resume(state: State, now: float, reason: str) -> State:
    """Goes on where it was paused; a split that was found broken is taken as it is until the next step.

    Raises:
        Conflict: it is not paused.
    """
    if state.status != "paused":
        raise Conflict(f"the canary is {state.status}; only a paused one can be resumed")
    return msgspec.structs.replace(
        state,
        status="running",
        paused_seconds=state.paused_seconds + max(0.0, now - state.changed),
        split_accepted=state.split_accepted or state.split_broken,
        split_broken=False,
        changed=now,
        reasons=(reason,),
    )


def promote(state: State, now: float, reason: str) -> State:
    """Ends it with the canary as the release that serves, whatever the evidence says.

    Raises:
        Conflict: it has ended.
    """
    return _ended(state, "promoted", 10_000, now, reason)


def abort(state: State, now: float, reason: str) -> State:
    """Ends it with everybody back at the stable release.

    Raises:
        Conflict: it has ended.
    """
    return _ended(state, "aborted", 0, now, reason)


def _ended(state: State, status: Status, weight_bp: int, now: float, reason: str) -> State:
    if state.ended:
        raise Conflict(f"the canary is {state.status}, and cannot be {status} any more; start a new one")
    return msgspec.structs.replace(state, status=status, weight_bp=weight_bp, changed=now, reasons=(reason,))
