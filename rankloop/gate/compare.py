"""One rule held against two measurements: a row of the verdict."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.gate.measured import Measured
from rankloop.gate.policy import Policy
from rankloop.gate.verdict import Outcome, Row
from rankloop.metrics import Interval, bootstrap_difference

__all__ = ["Check", "compared", "limited", "total"]

Mask = npt.NDArray[np.bool_]
_ALL = "all"


class Check(NamedTuple):
    """A rule for the paired difference of one metric.

    Attributes:
        metric: its name.
        kind: `superior`, the difference is above 0; `non_inferior`, it is shown to be above minus the tolerance;
            `no_harm`, it is not shown to be below minus the tolerance.
        tolerance: a share of the reference's mean.
        min_requests: fewer are no evidence.
        min_users: fewer are no evidence.
    """

    metric: str
    kind: Literal["superior", "non_inferior", "no_harm"]
    tolerance: float
    min_requests: int
    min_users: int


class Pair(NamedTuple):
    """The two arrays of a comparison, where both have a value."""

    ours: npt.NDArray[np.float64]
    theirs: npt.NDArray[np.float64]
    units: npt.NDArray[np.object_]


def compared(
    check: Check,
    candidate: Measured,
    reference: Measured,
    policy: Policy,
    seed: int,
    *,
    slice_: str = _ALL,
    mask: Mask | None = None,
) -> Row:
    """The paired difference of a metric, held against a rule; a value that is missing or not finite never passes."""
    row = _Maker(check.metric, slice_, _words(check), reference.name, True)
    if not candidate.same_requests(reference):
        return row("not enough evidence", f"{reference.name} was measured on other requests than {candidate.name}.")
    ours, theirs = candidate.array(check.metric), reference.array(check.metric)
    if ours is None or theirs is None:
        which = candidate if ours is None else reference
        return row("not enough evidence", f"{check.metric} of {which.name} was not measured.")
    chosen = np.ones(len(ours), bool) if mask is None else mask
    lost = int(np.count_nonzero(chosen & ~np.isfinite(ours) & np.isfinite(theirs)))
    if lost or np.isinf(ours[chosen]).any():
        return row(
            "fail", f"{check.metric} of {candidate.name} is not a number for {lost} requests for which {reference.name}'s is."
        )
    missing = int(np.count_nonzero(chosen & np.isfinite(ours) & ~np.isfinite(theirs)))
    if missing:
        return row("not enough evidence", f"{check.metric} of {reference.name} is missing for {missing} requests.")
    kept = chosen & np.isfinite(ours)
    pair = Pair(ours[kept], theirs[kept], np.asarray(candidate.units, object)[kept])
    return _judged(check, pair, policy, seed, row)


def limited(metric: str, most: float, candidate: Measured, policy: Policy) -> Row:
    """The mean of a metric, held against a limit of its own."""
    row = _Maker(metric, _ALL, f"at most {most:g}", None, True)
    values = candidate.array(metric)
    if values is None:
        return row("not enough evidence", f"{metric} of {candidate.name} was not measured.")
    if np.isinf(values).any():
        return row("fail", f"{metric} of {candidate.name} is infinite for some requests.")
    kept = np.isfinite(values)
    requests, users = int(kept.sum()), len(set(np.asarray(candidate.units, object)[kept]))
    if not requests:
        return row("fail", f"{metric} of {candidate.name} is not a number for any request.")
    mean = float(values[kept].mean())
    numbers = {"candidate_value": mean, "limit": most, "requests": requests, "users": users}
    if requests < policy.min_requests or users < policy.min_users:
        return row("not enough evidence", _too_few(metric, requests, users, policy.min_requests, policy.min_users), **numbers)
    outcome: Outcome = "pass" if mean <= most else "fail"
    word = "at most" if mean <= most else "above"
    return row(outcome, f"{metric} is {mean:.4f}, {word} the limit of {most:g}, over {requests:,} requests.", **numbers)


def total(metric: str, tolerance: float, candidate: Measured, reference: Measured) -> Row:
    """A metric of the whole system, held against a share of the reference's; it has no interval."""
    row = _Maker(metric, _ALL, f"loses at most {tolerance:.1%}", reference.name, True)
    for system in (candidate, reference):
        if metric not in system.totals:
            return row("not enough evidence", f"{metric} of {system.name} was not measured.")
    ours, theirs = candidate.totals[metric], reference.totals[metric]
    if not math.isfinite(ours):
        return row("fail", f"{metric} of {candidate.name} is not a number.")
    if not math.isfinite(theirs):
        return row("not enough evidence", f"{metric} of {reference.name} is not a number.")
    limit = -tolerance * abs(theirs)
    outcome: Outcome = "pass" if ours - theirs >= limit else "fail"
    word = "within" if outcome == "pass" else "beyond"
    reason = f"{metric} is {ours:.4f} against {theirs:.4f} of {reference.name}, {word} the {tolerance:.0%} it may lose."
    return row(outcome, reason, candidate_value=ours, reference_value=theirs, difference=ours - theirs, limit=limit)


class _Maker(NamedTuple):
    """Fills in what all rows of one check share."""

    metric: str
    slice: str
    rule: str
    reference: str | None
    binding: bool

    def __call__(self, outcome: Outcome, reason: str, **numbers: float | int) -> Row:
        finite: dict[str, Any] = {name: value for name, value in numbers.items() if math.isfinite(value)}
        return Row(**self._asdict(), outcome=outcome, reason=reason, **finite)


def _judged(check: Check, pair: Pair, policy: Policy, seed: int, row: _Maker) -> Row:
    requests, users = len(pair.units), len(set(pair.units))
    if not requests:
        return row("not enough evidence", f"{check.metric} has no value on any of the {row.slice} requests.")
    found = bootstrap_difference(*pair, rng=seed, resamples=policy.resamples, level=policy.level)
    theirs = float(pair.theirs.mean())
    limit = 0.0 if check.kind == "superior" else -check.tolerance * abs(theirs)
    numbers = {
        "candidate_value": float(pair.ours.mean()),
        "reference_value": theirs,
        "difference": found.mean,
        "lower": found.lower,
        "upper": found.upper,
        "limit": limit,
        "requests": requests,
        "users": users,
    }
    if requests < check.min_requests or users < check.min_users:
        return row("not enough evidence", _too_few(check.metric, requests, users, check.min_requests, check.min_users), **numbers)
    outcome = _outcome(check, found, limit)
    return row(outcome, _sentence(check, row, numbers, outcome), **numbers)


def _outcome(check: Check, found: Interval, limit: float) -> Outcome:
    """Three outcomes of an interval and a limit; a NaN bound compares false everywhere and decides nothing."""
    if check.kind == "superior":
        if found.lower > limit:
            return "pass"
        return "fail" if found.upper <= limit else "not enough evidence"
    if found.upper < limit:
        return "fail"
    if found.lower >= limit or (check.kind == "no_harm" and found.upper >= limit):
        return "pass"
    return "not enough evidence"


def _words(check: Check) -> str:
    return {
        "superior": "better",
        "non_inferior": f"shown to lose at most {check.tolerance:.1%}",
        "no_harm": f"not shown to lose more than {check.tolerance:.1%}",
    }[check.kind]


def _sentence(check: Check, row: _Maker, numbers: dict[str, float], outcome: Outcome) -> str:
    where = "" if row.slice == _ALL else f" on {row.slice}"
    share = f"{check.tolerance:.1%}"
    said = {
        ("superior", "pass"): "it is better",
        ("superior", "fail"): "it is not better",
        ("superior", "not enough evidence"): "whether it is better is not decided",
        ("non_inferior", "pass"): f"it is shown to lose at most {share}",
        ("non_inferior", "not enough evidence"): f"it is not shown to lose at most {share}",
        ("no_harm", "pass"): f"it is not shown to lose more than {share}",
        ("no_harm", "not enough evidence"): f"whether it loses more than {share} is not decided",
    }.get((check.kind, outcome), f"it loses more than {share}")
    return (
        f"{check.metric}{where} is {numbers['candidate_value']:.4f} against {numbers['reference_value']:.4f} of {row.reference}, "
        f"{numbers['difference']:+.4f} [{numbers['lower']:+.4f}, {numbers['upper']:+.4f}] over {numbers['requests']:,} requests "
        f"of {numbers['users']:,} people: {said}."
    )


def _too_few(metric: str, requests: int, users: int, min_requests: int, min_users: int) -> str:
    return f"{metric} has {requests:,} judged requests of {users:,} people; it needs {min_requests:,} of {min_users:,}."
