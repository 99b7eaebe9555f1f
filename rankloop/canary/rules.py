"""A guardrail with the errors it may make, and its rows of evidence."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from rankloop.canary.observation import Observation, Ratio
from rankloop.canary.policy import Guard
from rankloop.canary.state import Evidence, Outcome
from rankloop.experiment.sequential import AlwaysValid, always_valid

__all__ = ["Rule", "both_arms"]

_LEAST_SCALE: Final = 0.02
"""The loss that should show soonest where the policy names none."""


class Rule(NamedTuple):
    """A guardrail and what it may err with.

    Attributes:
        metric: whose.
        guard: what is tolerated.
        alpha: chance of seeing a loss that is none, over all looks.
        beta: chance of excluding a loss that is one.
        min_units: of the smaller arm, without which no ratio is judged.
    """

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

    def bounds(self, relative: float, spread: float) -> AlwaysValid:
        """The interval around a relative difference of which more is better."""
        found = always_valid(relative, spread, alpha_lower=self.beta, alpha_upper=self.alpha, scale=self.scale)
        return found._replace(lower=max(found.lower, -1.0))  # nobody loses more than everything

    def said(self, outcome: Outcome) -> str:
        """The outcome as the end of a sentence."""
        if outcome == "worse":
            return "surely worse than tolerated."
        if outcome == "fine":
            return "fine."
        return "no harm shown." if self.guard.rule_out is None else "not enough evidence."

    def silent(self, asked: str, reason: str) -> Evidence:
        """The row of a metric that nothing can be said of yet."""
        return Evidence(metric=self.metric, rule=asked, needed=self.guard.rule_out is not None, reason=reason)

    def row(self, asked: str, values: tuple[float | None, float], found: AlwaysValid, outcome: Outcome, reason: str) -> Evidence:
        """A row; `values` are stable's and the canary's."""
        return Evidence(
            metric=self.metric,
            rule=asked,
            stable=values[0],
            canary=values[1],
            difference=_finite(found.difference),
            lower=_finite(found.lower),
            upper=_finite(found.upper),
            outcome=outcome,
            needed=self.guard.rule_out is not None,
            reason=f"{reason}: {self.said(outcome)}",
        )

    def loss(self, asked: str, values: tuple[float, float], found: AlwaysValid, where: str = "") -> Evidence:
        """A row from a relative difference of which more is better."""
        outcome: Outcome = "not enough evidence"
        if found.upper < -self.guard.tolerate:
            outcome = "worse"
        elif found.lower > -self.excluded:
            outcome = "fine"
        reason = f"{self.metric} is {values[1]:.4g} against {values[0]:.4g}{where}, {_percent(found)}"
        return self.row(asked, values, found, outcome, reason)

    def slowness(self, asked: str, values: tuple[float, float], found: AlwaysValid) -> Evidence:
        """A row from a relative difference of seconds, of which less is better."""
        outcome: Outcome = "not enough evidence"
        if found.lower > self.guard.tolerate:
            outcome = "worse"
        elif found.upper < self.excluded:
            outcome = "fine"
        reason = f"{self.metric} is {values[1] * 1000:.3g} ms against {values[0] * 1000:.3g} ms, {_percent(found)}"
        return self.row(asked, values, found, outcome, reason)


def both_arms(metric: str, phases: Sequence[Observation]) -> list[tuple[Ratio, Ratio]]:
    """Stable's and the canary's moments of a metric in each phase; empty ones where it was not measured."""
    none = Ratio()
    return [(phase.stable.ratios.get(metric, none), phase.canary.ratios.get(metric, none)) for phase in phases]


def _percent(found: AlwaysValid) -> str:
    return f"{found.difference:+.2%} [{found.lower:+.2%}, {found.upper:+.2%}]"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
