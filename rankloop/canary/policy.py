"""What a canary must show, and what ends it: data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from rankloop.errors import SettingsError
from rankloop.fields import as_struct, read_fields

__all__ = ["GUARDS", "Guard", "Objective", "Policy"]


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One guardrail; what its numbers mean depends on the metric.

    | metric | `tolerate` and `rule_out` |
    | --- | --- |
    | ctr@10, apply_rate, ndcg@10, coverage | share of stable's value that is lost |
    | latency_p50, latency_p95, latency_p99 | share by which the quantile is slower, rounded up to steps of 5 per cent |
    | errors, empty, fallback | how many times stable's rate more; what is tolerated is never below `floor` |
    | score | distance from stable's mean, up or down, in standard deviations of its units' means |
    | overlap | share of the first ten items that differ from stable's |
    """

    tolerate: float
    """Rolled back when surely worse than this."""

    rule_out: float | None = None
    """Promotion needs a larger loss excluded; None: it need not be."""

    floor: float = 0.0
    """Of `errors`, `empty` and `fallback`: a rate that harms nobody; below it stable's counts as being as high."""

    dispersion: float = 1.0
    """Of `errors` and the latencies: how many requests count as one, as those of one person or one second are alike."""

    share: float = 1.0
    """What part of the policy's `alpha` it gets, beside the others'."""


GUARDS: Final[Mapping[str, Guard]] = {
    "errors": Guard(tolerate=0.5, rule_out=1.0, floor=0.001, share=2.0),
    "latency_p50": Guard(tolerate=0.1, dispersion=1.5),
    "latency_p95": Guard(tolerate=0.1, rule_out=0.25, dispersion=1.5),
    "latency_p99": Guard(tolerate=0.2, dispersion=1.5),
    "empty": Guard(tolerate=0.5, floor=0.005),
    "fallback": Guard(tolerate=0.5, floor=0.01),
    "ctr@10": Guard(tolerate=0.02),
    "apply_rate": Guard(tolerate=0.0, share=3.0),
    "ndcg@10": Guard(tolerate=0.02),
    "coverage": Guard(tolerate=0.1),
    "overlap": Guard(tolerate=0.9),
    "score": Guard(tolerate=3.0),
}
"""The guardrails of the default policy, and with them every metric that can be one."""

_OBJECTIVES: Final = ("apply_rate", "ctr@10", "ndcg@10")


class Objective(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a promotion must show beyond the guardrails."""

    metric: str = "apply_rate"
    """apply_rate, ctr@10 or ndcg@10."""

    aim: Literal["not worse", "better"] = "not worse"
    """`better` promotes only what is surely above stable."""

    rule_out: float = 0.02
    """With `not worse`: the loss that must be excluded, a share of stable's value."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a release is tried beside the stable one.

    Example:
        >>> policy = Policy.of({"steps": [1000, 5000], "guards": {"ctr@10": {"tolerate": 0.05}, "overlap": None}})
        >>> policy.active["ctr@10"].tolerate, "overlap" in policy.active, policy.active["errors"].floor
        (0.05, False, 0.001)
    """

    steps: tuple[int, ...] = (100, 500, 2500, 5000)
    """Shares of the units in turn, basis points; each more than the one before."""

    min_seconds: float = 300.0
    """How long a share holds at least."""

    max_seconds: float = 86_400.0
    """How long a share holds at most before the canary is late; pauses do not count."""

    min_units: int = 200
    """Units of the canary that a share needs, and without which no ratio is judged."""

    interval_seconds: float = 10.0
    """Time between observations."""

    alpha: float = 0.05
    """Chance that a release as good as stable is ever rolled back, all guardrails and looks together; also that of a
    promotion that should not have been, for each loss to be ruled out."""

    alpha_split: float = 0.001
    """Chance that a sound split ever pauses the canary."""

    guards: Mapping[str, Guard | None] = msgspec.field(default_factory=lambda: dict(GUARDS))
    """Guardrails by metric; null is one that was removed."""

    objective: Objective = Objective()
    """What must be shown besides."""

    keep_warm_seconds: float = 3600.0
    """How long the release that stopped serving stays loaded."""

    when_late: Literal["hold", "roll back"] = "hold"
    """What a late canary does: wait for evidence, or end."""

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> "Policy":
        """The default policy with some fields changed; of a guardrail only what is named changes, and null removes it.

        Raises:
            SettingsError: an unknown field, a wrong type, or a number that cannot work.
        """
        fields = dict(changes)
        if isinstance(fields.get("guards"), Mapping):
            fields["guards"] = _guards(fields["guards"])
        if isinstance(fields.get("objective"), Mapping):
            fields["objective"] = msgspec.to_builtins(Objective()) | dict(fields["objective"])
        policy = as_struct(fields, cls, "canary policy")
        policy._check()
        return policy

    @classmethod
    def read(cls, path: Path) -> "Policy":
        """Reads a YAML file of changes.

        Raises:
            SettingsError: the file is missing, is not a mapping, or as `of`.
        """
        return cls.of(read_fields(path, "canary policy"))

    @property
    def active(self) -> dict[str, Guard]:
        """The guardrails that are not removed."""
        return {metric: guard for metric, guard in self.guards.items() if guard is not None}

    def alpha_of(self, metric: str) -> float:
        """The part of `alpha` that a guardrail may err with.

        Example:
            >>> policy = Policy()
            >>> round(sum(policy.alpha_of(metric) for metric in policy.active), 6)
            0.05
        """
        return self.alpha * self.active[metric].share / sum(guard.share for guard in self.active.values())

    def _check(self) -> None:
        rising = all(low < high for low, high in zip(self.steps, self.steps[1:], strict=False))
        if not self.steps or not rising or not 0 < self.steps[0] <= self.steps[-1] <= 9999:
            raise _wrong(f"steps are {list(self.steps)}; they are basis points from 1 to 9999, each more than the one before")
        if not 0 <= self.min_seconds <= self.max_seconds or not self.interval_seconds > 0 or not self.keep_warm_seconds >= 0:
            raise _wrong(
                f"min_seconds {self.min_seconds}, max_seconds {self.max_seconds}, interval_seconds {self.interval_seconds}, "
                f"keep_warm_seconds {self.keep_warm_seconds}: the longest is not below the shortest, and time does not run back"
            )
        if self.min_units < 2:
            raise _wrong(f"min_units is {self.min_units}; fewer than 2 units have no interval")
        if not 0 < self.alpha < 0.5 or not 0 < self.alpha_split < 0.5:
            raise _wrong(f"alpha {self.alpha} and alpha_split {self.alpha_split} are chances in (0, 0.5)")
        if self.objective.metric not in _OBJECTIVES or not 0 < self.objective.rule_out < 1:
            raise _wrong(
                f"objective {self.objective.metric} with rule_out {self.objective.rule_out}: "
                f"one of {', '.join(_OBJECTIVES)}, and a share in (0, 1)"
            )
        if unknown := sorted(set(self.guards) - set(GUARDS)):
            raise _wrong(f"there is no guardrail {unknown[0]!r}; there are {', '.join(GUARDS)}")
        for metric, guard in self.active.items():
            _check_guard(metric, guard)


def _guards(changes: Mapping[str, Any]) -> dict[str, Any]:
    guards: dict[str, Any] = {metric: msgspec.to_builtins(guard) for metric, guard in GUARDS.items()}
    for metric, change in changes.items():
        if metric not in guards:
            raise _wrong(f"there is no guardrail {metric!r}; there are {', '.join(GUARDS)}")
        if change is None:
            guards[metric] = None
        elif isinstance(change, Guard):
            guards[metric] = msgspec.to_builtins(change)
        elif isinstance(change, Mapping):
            guards[metric] |= dict(change)
        else:
            raise _wrong(
                f"the guardrail {metric} is {change!r}; it is a mapping of {', '.join(Guard.__struct_fields__)}, or null"
            )
    return guards


def _check_guard(metric: str, guard: Guard) -> None:
    if not 0 <= guard.tolerate < 100 or (guard.rule_out is not None and not 0 < guard.rule_out < 100):
        raise _wrong(f"{metric}: tolerate {guard.tolerate} and rule_out {guard.rule_out} are shares, of 0.02 for 2 per cent")
    if not guard.share > 0 or not guard.dispersion >= 1 or not 0 <= guard.floor < 1:
        raise _wrong(
            f"{metric}: share {guard.share} is above 0, dispersion {guard.dispersion} at least 1, floor {guard.floor} in [0, 1)"
        )


def _wrong(what: str) -> SettingsError:
    return SettingsError(f"canary policy: {what}")
