"""Errors, empty lists and fallbacks: rare, so they are counted one by one."""

import math
from collections.abc import Sequence

from rankloop.canary.observation import Observation
from rankloop.canary.rules import Rule, both_arms
from rankloop.canary.state import Evidence, Outcome
from rankloop.experiment.counting import Counts, Rates, rate_bounds, rate_ratio_bounds
from rankloop.experiment.ratio import unit_effect
from rankloop.experiment.sequential import AlwaysValid

__all__ = ["errors", "listed"]


def errors(rule: Rule, phases: Sequence[Observation]) -> Evidence:
    """Requests that the edge answered with 5xx."""
    rows = [Counts(phase.stable.failed, phase.stable.requests, phase.canary.failed, phase.canary.requests) for phase in phases]
    return _events(rule, rows, rule.guard.dispersion, "requests")


def listed(rule: Rule, phases: Sequence[Observation]) -> Evidence:
    """Empty lists and fallbacks; lists of one person are alike, by as much as the units show."""
    both = both_arms(rule.metric, phases)
    rows = [Counts(one.x, one.y, two.x, two.y) for one, two in both]
    return _events(rule, rows, max([1.0, *(unit_effect(arm) for arms in both for arm in arms)]), "lists")


def _events(rule: Rule, rows: Sequence[Counts], dispersion: float, what: str) -> Evidence:
    guard = rule.guard
    asked = f"at most {1 + guard.tolerate:g} times stable's rate, or {guard.floor:.2%}"
    first, first_trials, second, second_trials = (sum(column) for column in zip(*rows, strict=True)) if rows else (0.0,) * 4
    if not second_trials or not first_trials:
        return rule.silent(asked, f"{rule.metric}: one of the two has no {what} yet.")
    thin = [Counts(*(value / dispersion for value in row)) for row in rows]
    times = rate_ratio_bounds(thin, alpha_lower=rule.alpha, alpha_upper=rule.beta)
    rate = _rate(rule, second / dispersion, second_trials / dispersion)
    outcome: Outcome = "not enough evidence"
    if times.lower > 1 + guard.tolerate and rate.lower > guard.floor:
        outcome = "worse"
    elif times.upper < 1 + rule.excluded or rate.upper < guard.floor * (1 + rule.excluded):
        outcome = "fine"
    reason = (
        f"{rule.metric}: {second:,.0f} of {second_trials:,.0f} {what} against {first:,.0f} of {first_trials:,.0f}, "
        f"{_times(times)} stable's rate, {second / second_trials:.2%} [{rate.lower:.2%}, {min(rate.upper, 1.0):.2%}]"
    )
    found = AlwaysValid(times.estimate - 1, times.lower - 1, times.upper - 1)
    return rule.row(asked, (first / first_trials, second / second_trials), found, outcome, reason)


def _rate(rule: Rule, events: float, trials: float) -> Rates:
    """The canary's rate, where there is a floor to compare it with."""
    if not rule.guard.floor > 0:
        return Rates(events / trials, math.inf, math.inf)
    return rate_bounds(events, trials, near=rule.guard.floor, alpha_lower=rule.alpha, alpha_upper=rule.beta)


def _times(found: Rates) -> str:
    if not math.isfinite(found.estimate):
        return f"at least {found.lower:.3g} times"
    return f"{found.estimate:.3g} times [{found.lower:.3g}, {found.upper:.3g}]"
