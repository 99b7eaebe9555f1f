"""What each guardrail says of the phases seen so far: surely worse, fine, or not enough evidence."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from rankloop.canary.events import errors, listed
from rankloop.canary.observation import Observation
from rankloop.canary.policy import Guard, Policy
from rankloop.canary.rules import Rule, both_arms
from rankloop.canary.slowness import slowness
from rankloop.canary.state import Evidence, Outcome
from rankloop.experiment.ratio import Difference, ratio_difference, variance
from rankloop.experiment.sequential import AlwaysValid, always_valid

__all__ = ["judge"]


def judge(policy: Policy, phases: Sequence[Observation]) -> tuple[Evidence, ...]:
    """One row for each guardrail, in the policy's order, and the objective's last.

    A loss may be wrongly seen with the guardrail's part of `alpha`, and wrongly excluded with all of it: what must all be
    excluded needs no correction (R. Berger, "Multiparameter Hypothesis Testing and Acceptance Sampling", Technometrics 1982).

    Args:
        policy: the rules.
        phases: the last observation of each phase, oldest first.
    """
    rows = []
    for metric, guard in policy.active.items():
        alpha = policy.alpha_of(metric) / (len(policy.steps) if metric == "coverage" else 1)
        rule = Rule(metric, guard, alpha, policy.alpha, policy.min_units)
        rows.append(_JUDGES[metric](rule, phases))
    return (*rows, _objective(policy, phases))


def _loss(rule: Rule, phases: Sequence[Observation]) -> Evidence:
    found = ratio_difference(both_arms(rule.metric, phases))
    asked = f"loses at most {rule.guard.tolerate:.1%}"
    if found is None or found.units < rule.min_units or not found.variance > 0 or math.isnan(found.relative):
        return rule.silent(asked, _few(rule.metric, found, rule.min_units))
    return rule.loss(asked, (found.first, found.second), rule.bounds(found.relative, found.variance))


def _coverage(rule: Rule, phases: Sequence[Observation]) -> Evidence:
    """Of the newest phase that has one: distinct items of several phases do not add up, so each step begins anew."""
    asked = f"loses at most {rule.guard.tolerate:.1%}"
    found = next((phase.coverage for phase in reversed(phases) if phase.coverage is not None), None)
    if found is None or not found.stable > 0:
        return rule.silent(asked, "coverage: one of the two has shown nothing yet.")
    relative = found.canary / found.stable - 1
    spread = max(found.variance, 1.0) / found.stable**2  # an item more or less is never evidence
    return rule.loss(asked, (found.stable, found.canary), rule.bounds(relative, spread), f" in {found.places:,} places")


def _overlap(rule: Rule, phases: Sequence[Observation]) -> Evidence:
    least = 1 - rule.guard.tolerate
    asked = f"at least {least:.1%} of the items are stable's"
    rows = [phase.overlap for phase in phases if phase.overlap is not None and phase.overlap.y > 0]
    units = sum(row.units for row in rows)
    whole = sum(row.y for row in rows)
    spread = sum((row.y / whole) ** 2 * variance(row) for row in rows) if whole else math.inf
    if units < rule.min_units or not spread > 0:
        return rule.silent(asked, f"overlap: {units:,} units were asked of both, {rule.min_units:,} are needed.")
    value = sum(row.x for row in rows) / whole
    found = always_valid(value, spread, alpha_lower=rule.beta, alpha_upper=rule.alpha, scale=max(least, 0.05))
    excluded = 1 - rule.excluded
    outcome: Outcome = "worse" if found.upper < least else "fine" if found.lower > excluded else "not enough evidence"
    reason = f"overlap with stable is {value:.1%} [{found.lower:.1%}, {found.upper:.1%}] of {units:,} units"
    return rule.row(asked, (None, value), found, outcome, reason)


def _score(rule: Rule, phases: Sequence[Observation]) -> Evidence:
    asked = f"lies within {rule.guard.tolerate:g} standard deviations of stable's"
    found = ratio_difference(both_arms("score", phases))
    if found is None or found.units < rule.min_units or not found.spread > 0 or not found.absolute_variance > 0:
        return rule.silent(asked, _few("score", found, rule.min_units))
    moved = found.absolute / found.spread
    seen = always_valid(
        moved, found.absolute_variance / found.spread**2, alpha_lower=rule.alpha / 2, alpha_upper=rule.alpha / 2, scale=rule.scale
    )
    nearest = max(seen.lower, -seen.upper)
    farthest = max(seen.upper, -seen.lower)
    outcome: Outcome = "worse" if nearest > rule.guard.tolerate else "fine" if farthest < rule.excluded else "not enough evidence"
    reason = (
        f"score is {found.second:.4g} against {found.first:.4g}, moved by {moved:+.2f} [{seen.lower:+.2f}, {seen.upper:+.2f}] "
        f"standard deviations of stable's units"
    )
    return rule.row(asked, (found.first, found.second), seen, outcome, reason)


def _latency(rule: Rule, phases: Sequence[Observation]) -> Evidence:
    quantile = int(rule.metric.removeprefix("latency_p")) / 100
    asked = f"at most {rule.guard.tolerate:.1%} slower"
    both = [(phase.stable.seconds, phase.canary.seconds) for phase in phases]
    found = slowness(both, quantile, alpha_lower=rule.alpha, alpha_upper=rule.beta, dispersion=rule.guard.dispersion)
    if found is None:
        return rule.silent(asked, f"{rule.metric}: too few lists of one of the two to know the quantile.")
    bounds = AlwaysValid(found.canary / found.stable - 1, found.lower, found.upper)
    return rule.slowness(asked, (found.stable, found.canary), bounds)


def _objective(policy: Policy, phases: Sequence[Observation]) -> Evidence:
    aim = policy.objective
    better = aim.aim == "better"
    asked = "objective: better than stable" if better else f"objective: loses less than {aim.rule_out:.1%}"
    guard = Guard(tolerate=0.0, rule_out=aim.rule_out)
    rule = Rule(aim.metric, guard, policy.alpha, policy.alpha, policy.min_units)
    row = msgspec.structs.replace(_loss(rule, phases), rule=asked, needed=True)
    if row.lower is None or row.difference is None or row.upper is None:
        return row
    shown = row.lower > (0.0 if better else -aim.rule_out)
    verdict = "shown." if shown else "not shown yet."
    reason = (
        f"{aim.metric} is {row.difference:+.2%} [{row.lower:+.2%}, {row.upper:+.2%}] of stable's; "
        f"{'better' if better else f'a loss below {aim.rule_out:.1%}'} is {verdict}"
    )
    return msgspec.structs.replace(row, outcome="fine" if shown else "not enough evidence", reason=reason)


def _few(metric: str, found: Difference | None, needed: int) -> str:
    if found is None or found.units < needed:
        return f"{metric}: {0 if found is None else found.units:,} units in the smaller arm, {needed:,} are needed."
    return f"{metric}: it is the same for every unit, or 0, and cannot be compared yet."


_JUDGES: Final[dict[str, Callable[[Rule, Sequence[Observation]], Evidence]]] = {
    "errors": errors,
    "latency_p50": _latency,
    "latency_p95": _latency,
    "latency_p99": _latency,
    "empty": listed,
    "fallback": listed,
    "ctr@10": _loss,
    "apply_rate": _loss,
    "ndcg@10": _loss,
    "coverage": _coverage,
    "overlap": _overlap,
    "score": _score,
}
