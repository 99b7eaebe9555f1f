"""What each guardrail says of the phases seen so far: surely worse, fine, or not enough evidence."""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from rankloop.canary.observation import Observation, Ratio
from rankloop.canary.policy import Guard, Policy
from rankloop.canary.slowness import slowness
from rankloop.canary.state import Evidence, Outcome
from rankloop.experiment.counting import Counts, Rates, rate_bounds, rate_ratio_bounds
from rankloop.experiment.ratio import Difference, ratio_difference, unit_effect, variance
from rankloop.experiment.sequential import AlwaysValid, always_valid

__all__ = ["judge"]

_LEAST_SCALE: Final = 0.02
"""The loss that should show soonest where the policy names none."""


class _Rule(NamedTuple):
    """A guardrail with the errors it may make."""

    metric: str
    guard: Guard
    alpha: float
    beta: float
    min_units: int

    @property
    def excluded(self) -> float:
        """The loss that `fine` rules out."""
        return self.guard.tolerate if self.guard.rule_out is None else self.guard.rule_out

    @property
    def scale(self) -> float:
        """The loss that should show soonest."""
        return max(self.excluded - self.guard.tolerate, self.guard.tolerate, _LEAST_SCALE)


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
        rule = _Rule(metric, guard, policy.alpha_of(metric), policy.alpha, policy.min_units)
        rows.append(_JUDGES[metric](rule, phases))
    return (*rows, _objective(policy, phases))


def _loss(rule: _Rule, phases: Sequence[Observation]) -> Evidence:
    found = ratio_difference(_ratios(rule.metric, phases))
    asked = f"loses at most {rule.guard.tolerate:.1%}"
    if found is None or found.units < rule.min_units or not found.variance > 0 or math.isnan(found.relative):
        return _silent(rule, asked, _few(rule.metric, found, rule.min_units))
    return _relative(rule, asked, found.first, found.second, _bounds(rule, found.relative, found.variance))


def _coverage(rule: _Rule, phases: Sequence[Observation]) -> Evidence:
    """Of the newest phase that has one: it counts the people of all earlier steps again, so phases are not added up."""
    asked = f"loses at most {rule.guard.tolerate:.1%}"
    found = next((phase.coverage for phase in reversed(phases) if phase.coverage is not None), None)
    if found is None or not found.stable > 0:
        return _silent(rule, asked, "coverage: one of the two has shown nothing yet.")
    relative = found.canary / found.stable - 1
    spread = max(found.variance, 1.0) / found.stable**2  # an item more or less is never evidence
    return _relative(rule, asked, found.stable, found.canary, _bounds(rule, relative, spread), f" in {found.places:,} places")


def _overlap(rule: _Rule, phases: Sequence[Observation]) -> Evidence:
    least = 1 - rule.guard.tolerate
    asked = f"at least {least:.1%} of the items are stable's"
    rows = [phase.overlap for phase in phases if phase.overlap is not None and phase.overlap.y > 0]
    units = sum(row.units for row in rows)
    whole = sum(row.y for row in rows)
    spread = sum((row.y / whole) ** 2 * variance(row) for row in rows) if whole else math.inf
    if units < rule.min_units or not spread > 0:
        return _silent(rule, asked, f"overlap: {units:,} units were asked of both, {rule.min_units:,} are needed.")
    value = sum(row.x for row in rows) / whole
    found = always_valid(value, spread, alpha_lower=rule.beta, alpha_upper=rule.alpha, scale=max(least, 0.05))
    excluded = 1 - rule.excluded
    outcome: Outcome = "worse" if found.upper < least else "fine" if found.lower > excluded else "not enough evidence"
    said = f"overlap with stable is {value:.1%} [{found.lower:.1%}, {found.upper:.1%}] of {units:,} units: {_said(outcome, rule)}"
    return _row(rule, asked, None, value, found, outcome, said)


def _score(rule: _Rule, phases: Sequence[Observation]) -> Evidence:
    asked = f"lies within {rule.guard.tolerate:g} standard deviations of stable's"
    found = ratio_difference(_ratios("score", phases))
    if found is None or found.units < rule.min_units or not found.spread > 0 or not found.absolute_variance > 0:
        return _silent(rule, asked, _few("score", found, rule.min_units))
    moved = found.absolute / found.spread
    seen = always_valid(
        moved, found.absolute_variance / found.spread**2, alpha_lower=rule.alpha / 2, alpha_upper=rule.alpha / 2, scale=rule.scale
    )
    nearest = max(seen.lower, -seen.upper)
    farthest = max(seen.upper, -seen.lower)
    outcome: Outcome = "worse" if nearest > rule.guard.tolerate else "fine" if farthest < rule.excluded else "not enough evidence"
    said = (
        f"score is {found.second:.4g} against {found.first:.4g}, moved by {moved:+.2f} [{seen.lower:+.2f}, {seen.upper:+.2f}] "
        f"standard deviations of stable's units: {_said(outcome, rule)}"
    )
    return _row(rule, asked, found.first, found.second, seen, outcome, said)


def _errors(rule: _Rule, phases: Sequence[Observation]) -> Evidence:
    rows = [Counts(phase.stable.failed, phase.stable.requests, phase.canary.failed, phase.canary.requests) for phase in phases]
    return _events(rule, rows, rule.guard.dispersion, "requests")


def _listed(rule: _Rule, phases: Sequence[Observation]) -> Evidence:
    """Empty lists and fallbacks; lists of one person are alike, by as much as the units show."""
    ratios = _ratios(rule.metric, phases)
    rows = [Counts(one.x, one.y, two.x, two.y) for one, two in ratios]
    return _events(rule, rows, max([1.0, *(unit_effect(arm) for both in ratios for arm in both)]), "lists")


def _events(rule: _Rule, rows: Sequence[Counts], dispersion: float, what: str) -> Evidence:
    guard = rule.guard
    asked = f"at most {1 + guard.tolerate:g} times stable's rate, or {guard.floor:.2%}"
    first, first_trials, second, second_trials = (sum(column) for column in zip(*rows, strict=True)) if rows else (0.0,) * 4
    if not second_trials or not first_trials:
        return _silent(rule, asked, f"{rule.metric}: one of the two has no {what} yet.")
    thin = [Counts(*(value / dispersion for value in row)) for row in rows]
    times = rate_ratio_bounds(thin, alpha_lower=rule.alpha, alpha_upper=rule.beta)
    rate = _rate(rule, second / dispersion, second_trials / dispersion)
    outcome: Outcome = "not enough evidence"
    if times.lower > 1 + guard.tolerate and rate.lower > guard.floor:
        outcome = "worse"
    elif times.upper < 1 + rule.excluded or rate.upper < guard.floor:
        outcome = "fine"
    said = (
        f"{rule.metric}: {second:,.0f} of {second_trials:,.0f} {what} against {first:,.0f} of {first_trials:,.0f}, "
        f"{_times(times)} stable's rate, {second / second_trials:.2%} [{rate.lower:.2%}, {min(rate.upper, 1.0):.2%}]: "
        f"{_said(outcome, rule)}"
    )
    found = AlwaysValid(times.estimate - 1, times.lower - 1, times.upper - 1)
    return _row(rule, asked, first / first_trials, second / second_trials, found, outcome, said)


def _rate(rule: _Rule, events: float, trials: float) -> Rates:
    """The canary's rate, where there is a floor to compare it with."""
    if not rule.guard.floor > 0:
        return Rates(events / trials, math.inf, math.inf)
    return rate_bounds(events, trials, near=rule.guard.floor, alpha_lower=rule.alpha, alpha_upper=rule.beta)


def _latency(rule: _Rule, phases: Sequence[Observation]) -> Evidence:
    quantile = int(rule.metric.removeprefix("latency_p")) / 100
    asked = f"at most {rule.guard.tolerate:.1%} slower"
    both = [(phase.stable.seconds, phase.canary.seconds) for phase in phases]
    found = slowness(both, quantile, alpha_lower=rule.alpha, alpha_upper=rule.beta, dispersion=rule.guard.dispersion)
    if found is None:
        return _silent(rule, asked, f"{rule.metric}: too few lists of one of the two to know the quantile.")
    bounds = AlwaysValid(found.canary / found.stable - 1, found.lower, found.upper)
    return _relative(
        rule, asked, found.stable, found.canary, AlwaysValid(-bounds.difference, -bounds.upper, -bounds.lower), slower=True
    )


def _objective(policy: Policy, phases: Sequence[Observation]) -> Evidence:
    aim = policy.objective
    better = aim.aim == "better"
    asked = "objective: better than stable" if better else f"objective: loses less than {aim.rule_out:.1%}"
    guard = Guard(tolerate=0.0, rule_out=aim.rule_out)
    rule = _Rule(aim.metric, guard, policy.alpha, policy.alpha, policy.min_units)
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


def _bounds(rule: _Rule, relative: float, spread: float) -> AlwaysValid:
    return always_valid(relative, spread, alpha_lower=rule.beta, alpha_upper=rule.alpha, scale=rule.scale)


def _ratios(metric: str, phases: Sequence[Observation]) -> list[tuple[Ratio, Ratio]]:
    none = Ratio()
    return [(phase.stable.ratios.get(metric, none), phase.canary.ratios.get(metric, none)) for phase in phases]


def _few(metric: str, found: Difference | None, needed: int) -> str:
    if found is None or found.units < needed:
        return f"{metric}: {0 if found is None else found.units:,} units in the smaller arm, {needed:,} are needed."
    return f"{metric}: it is the same for every unit, or 0, and cannot be compared yet."


def _said(outcome: Outcome, rule: _Rule) -> str:
    if outcome == "worse":
        return "surely worse than tolerated."
    if outcome == "fine":
        return "fine."
    return "not enough evidence." if rule.guard.rule_out is not None else "no harm shown."


def _relative(
    rule: _Rule, asked: str, stable: float, canary: float, found: AlwaysValid, where: str = "", *, slower: bool = False
) -> Evidence:
    """A row from a relative difference of which more is better; `slower` turns a latency's sign back for people."""
    outcome: Outcome = "not enough evidence"
    if found.upper < -rule.guard.tolerate:
        outcome = "worse"
    elif found.lower > -rule.excluded:
        outcome = "fine"
    shown = AlwaysValid(-found.difference, -found.upper, -found.lower) if slower else found
    of = "{:.4g} s" if slower else "{:.4g}"
    said = (
        f"{rule.metric} is {of.format(canary)} against {of.format(stable)}{where}, "
        f"{shown.difference:+.2%} [{shown.lower:+.2%}, {shown.upper:+.2%}]: {_said(outcome, rule)}"
    )
    return _row(rule, asked, stable, canary, shown, outcome, said)


def _row(
    rule: _Rule, asked: str, stable: float | None, canary: float, found: AlwaysValid, outcome: Outcome, reason: str
) -> Evidence:
    return Evidence(
        metric=rule.metric,
        rule=asked,
        stable=stable,
        canary=canary,
        difference=_finite(found.difference),
        lower=_finite(found.lower),
        upper=_finite(found.upper),
        outcome=outcome,
        needed=rule.guard.rule_out is not None,
        reason=reason,
    )


def _silent(rule: _Rule, asked: str, reason: str) -> Evidence:
    return Evidence(metric=rule.metric, rule=asked, needed=rule.guard.rule_out is not None, reason=reason)


def _times(found: Rates) -> str:
    if not math.isfinite(found.estimate):
        return f"at least {found.lower:.3g} times"
    return f"{found.estimate:.3g} times [{found.lower:.3g}, {found.upper:.3g}]"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


_JUDGES: Final[dict[str, Callable[[_Rule, Sequence[Observation]], Evidence]]] = {
    "errors": _errors,
    "latency_p95": _latency,
    "latency_p99": _latency,
    "empty": _listed,
    "fallback": _listed,
    "ctr@10": _loss,
    "apply_rate": _loss,
    "ndcg@10": _loss,
    "coverage": _coverage,
    "overlap": _overlap,
    "score": _score,
}
