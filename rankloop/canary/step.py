"""One look at a canary: what follows from what was seen, and nothing else."""

from collections.abc import Sequence

from msgspec.structs import replace

from rankloop.canary.judging import judge
from rankloop.canary.observation import Observation
from rankloop.canary.policy import Policy
from rankloop.canary.state import Action, Decision, Evidence, State
from rankloop.experiment.sample_ratio import sample_ratio

__all__ = ["step"]


def step(policy: Policy, state: State, observation: Observation | None, now: float) -> Decision:
    """Decides on one observation; a pure function, so the record of its arguments replays it.

    In this order: what has ended stays so; a guardrail surely worse than tolerated rolls back, a paused canary too; units
    that do not arrive in the shares of the split pause it; a share that held long enough, for enough units, is followed by
    the next one; after the last one all that must be ruled out being ruled out promotes. Otherwise it waits, and a late one
    does what the policy says. Without an observation nothing is judged, and only time passes.

    Args:
        policy: the rules.
        state: after the last decision.
        observation: of the share that holds now; None where nothing could be observed.
        now: seconds since the epoch.

    Returns:
        The state to keep, what is to be done, and why.

    Example:
        >>> from rankloop.canary import start
        >>> decision = step(Policy(), start(Policy(), 0.0), None, 10.0)
        >>> decision.action, decision.reasons[0]
        ('hold', 'Nothing could be observed: that is no evidence either way.')
    """
    if state.ended:
        return Decision(state=state, action="hold", reasons=(f"It is {state.status}; nothing follows.",))
    unusable = _unusable(state, observation)
    if observation is None or unusable:
        return _waited(policy, state, now, (unusable,), ())
    state = _remembered(state, observation)
    evidence = judge(policy, (*state.finished, observation))
    worse = tuple(row.reason for row in evidence if row.outcome == "worse")
    if worse:
        return _rolled_back(state, now, worse, evidence)
    if state.status == "paused":
        return Decision(state=state, action="hold", reasons=state.reasons, evidence=evidence)
    if broken := _split(policy, state, observation):
        paused = replace(state, status="paused", split_broken=True, changed=now, reasons=(broken,))
        return Decision(state=paused, action="pause", reasons=(broken,), evidence=evidence)
    return _onward(policy, state, observation, now, evidence)


def _onward(policy: Policy, state: State, observation: Observation, now: float, evidence: tuple[Evidence, ...]) -> Decision:
    """A canary that nothing ends: the next share, promotion, or waiting."""
    waiting = _short(policy, state, observation, now)
    last = state.step == len(policy.steps) - 1
    if last:
        waiting += tuple(row.reason for row in evidence if row.needed and row.outcome != "fine")
    if waiting:
        return _waited(policy, state, now, waiting, evidence)
    if not last:
        return _advanced(policy, state, observation, now, evidence)
    shown = tuple(row.reason for row in evidence if row.needed)
    promoted = replace(state, status="promoted", weight_bp=10_000, late=False, changed=now, reasons=shown)
    return Decision(state=promoted, action="promote", reasons=shown, evidence=evidence)


def _advanced(policy: Policy, state: State, observation: Observation, now: float, evidence: tuple[Evidence, ...]) -> Decision:
    weight_bp = policy.steps[state.step + 1]
    reason = (
        f"No guardrail is breached after {now - state.step_began:,.0f} s with {observation.canary.units:,} units: "
        f"the share goes from {_percent(state.weight_bp)} to {_percent(weight_bp)}."
    )
    after = replace(
        state,
        step=state.step + 1,
        weight_bp=weight_bp,
        step_began=now,
        finished=(*state.finished, observation),
        seen=None,
        late=False,
        paused_seconds=0.0,
        split_accepted=False,
        reasons=(reason,),
    )
    return Decision(state=after, action="advance", reasons=(reason,), evidence=evidence)


def _waited(policy: Policy, state: State, now: float, reasons: tuple[str, ...], evidence: tuple[Evidence, ...]) -> Decision:
    """Nothing follows yet, unless it is late and the policy does not wait."""
    if state.status == "paused":
        return Decision(state=state, action="hold", reasons=(*reasons, *state.reasons), evidence=evidence)
    held = now - state.step_began - state.paused_seconds
    if held <= policy.max_seconds:
        action: Action = "continue" if evidence else "hold"
        return Decision(state=replace(state, late=False, reasons=reasons), action=action, reasons=reasons, evidence=evidence)
    late = f"The share of {_percent(state.weight_bp)} holds for {held:,.0f} s, {policy.max_seconds:,.0f} s are the longest."
    if policy.when_late == "roll back":
        return _rolled_back(state, now, (late, *reasons), evidence)
    reasons = (late, *reasons)
    return Decision(state=replace(state, late=True, reasons=reasons), action="hold", reasons=reasons, evidence=evidence)


def _rolled_back(state: State, now: float, reasons: tuple[str, ...], evidence: tuple[Evidence, ...]) -> Decision:
    after = replace(state, status="rolled back", weight_bp=0, changed=now, reasons=reasons)
    return Decision(state=after, action="roll back", reasons=reasons, evidence=evidence)


def _unusable(state: State, observation: Observation | None) -> str:
    """Why an observation is not used; empty where it is."""
    if observation is None:
        return "Nothing could be observed: that is no evidence either way."
    if observation.canary_bp != state.weight_bp:
        return f"What was observed is of {_percent(observation.canary_bp)}, the canary has {_percent(state.weight_bp)}: not used."
    if state.seen is not None and observation.at < state.seen.at:
        return f"What was observed is {state.seen.at - observation.at:,.0f} s older than what was seen before: not used."
    return ""


def _remembered(state: State, observation: Observation) -> State:
    """The state with the observation in it; where counting began anew at the same share, the old one is a phase of its own."""
    if state.seen is not None and observation.since > state.seen.since:
        state = replace(state, finished=(*state.finished, state.seen))
    return replace(state, seen=observation)


def _split(policy: Policy, state: State, observation: Observation) -> str:
    """What is wrong with the split; empty where nothing is, or where somebody said to take it as it is."""
    share = observation.canary_bp / 10_000
    if state.split_accepted or not 0 < share < 1:
        return ""
    counts = (observation.stable.units, observation.canary.units)
    found = sample_ratio(counts, (1 - share, share))
    if found.p_value > policy.alpha_split / len(policy.steps):
        return ""
    return (
        f"The split is broken: the canary has {counts[1]:,} of {sum(counts):,} units where {found.expected[1]:,.0f} are expected "
        f"(p = {found.p_value:.2g}). No comparison holds; find out which units are missing, then resume or abort."
    )


def _short(policy: Policy, state: State, observation: Observation, now: float) -> tuple[str, ...]:
    """What the share still lacks of its least time and traffic."""
    held = now - state.step_began
    lacks: Sequence[tuple[bool, str]] = (
        (
            held < policy.min_seconds,
            f"The share of {_percent(state.weight_bp)} holds for {held:,.0f} of {policy.min_seconds:,.0f} s.",
        ),
        (
            observation.canary.units < policy.min_units,
            f"The canary had {observation.canary.units:,} of the {policy.min_units:,} units that a share needs.",
        ),
    )
    return tuple(reason for lacking, reason in lacks if lacking)


def _percent(basis_points: int) -> str:
    return f"{basis_points / 100:g} %"
