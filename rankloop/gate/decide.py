"""The gate: from recorded numbers to one of three outcomes."""

from collections.abc import Iterator

import msgspec

from rankloop.gate.compare import Check, compared, limited, total
from rankloop.gate.measured import Measured
from rankloop.gate.policy import Policy
from rankloop.gate.verdict import Outcome, Row, Verdict

__all__ = ["decide"]


def decide(
    candidate: Measured,
    *,
    baseline: Measured | None,
    champion: Measured | None = None,
    policy: Policy | None = None,
    serving: str | None = None,
    seed: int = 0,
) -> Verdict:
    """Whether a candidate may replace the champion.

    Not a ranking of candidates, and not an experiment: it sees logged requests only, so a pass earns a canary.

    A pure function of its arguments: the same measurements, policy and seed give the same verdict. Every binding row
    must pass; one that fails makes the verdict `fail`, otherwise one that cannot be decided makes it `not enough
    evidence`. What is missing, of other requests, or not a number never passes.

    Args:
        candidate: measured on the test requests.
        baseline: the popular ranking on the same requests; it must be beaten. None is not enough evidence.
        champion: the release that serves, on the same requests; None when none does, and the baseline stands in.
        policy: the rules; None is the default.
        serving: the id of the release that serves, None when none does; with one, a missing `champion` is not enough
            evidence.
        seed: of the bootstrap.

    Source: the rule for not being worse is a non-inferiority test, G. Piaggio et al., "Reporting of Noninferiority and
    Equivalence Randomized Trials", JAMA 2012; on three outcomes see docs/decisions/0004.

    Example:
        >>> from dataclasses import replace
        >>> people = [f"u{i}" for i in range(300)]
        >>> popular = Measured("popular", people, {"ndcg@10": [0.3, 0.5] * 150})
        >>> better = replace(popular, name="r1", values={"ndcg@10": [0.4, 0.7] * 150})
        >>> plain = Policy(guardrails={}, totals={}, most={}, slices=())
        >>> decide(better, baseline=popular, policy=plain).outcome
        'pass'
        >>> decide(popular, baseline=better, policy=plain).outcome
        'fail'
    """
    rules = policy or Policy()
    rows = tuple(_rows(candidate, baseline, champion, rules, serving, seed))
    outcome = _combined(rows)
    return Verdict(
        outcome=outcome,
        reasons=tuple(row.reason for row in rows if row.binding and row.outcome == outcome),
        rows=rows,
        candidate=candidate.name,
        policy=rules,
        seed=seed,
        baseline=None if baseline is None else baseline.name,
        champion=serving if champion is None else champion.name,
    )


def _combined(rows: tuple[Row, ...]) -> Outcome:
    outcomes = {row.outcome for row in rows if row.binding}
    if "fail" in outcomes:
        return "fail"
    return "pass" if outcomes == {"pass"} else "not enough evidence"


def _rows(
    candidate: Measured, baseline: Measured | None, champion: Measured | None, policy: Policy, serving: str | None, seed: int
) -> Iterator[Row]:
    least = (policy.min_requests, policy.min_users)
    if baseline is None:
        yield _absent(policy.metric, "baseline", "the baseline was not measured.")
    else:
        yield compared(Check(policy.metric, "superior", 0.0, *least), candidate, baseline, policy, seed)
    if champion is None and serving is not None:
        yield _absent(policy.metric, serving, f"the release {serving} serves, and was not measured.")
    reference = champion or baseline
    if reference is not None:
        if champion is not None:
            yield compared(Check(policy.metric, "non_inferior", policy.tolerance, *least), candidate, champion, policy, seed)
        for metric, tolerance in policy.guardrails.items():
            yield compared(Check(metric, "non_inferior", tolerance, *least), candidate, reference, policy, seed)
        for metric, tolerance in policy.totals.items():
            yield total(metric, tolerance, candidate, reference)
        yield from _slices(candidate, reference, policy, seed)
    for metric, most in policy.most.items():
        yield limited(metric, most, candidate, policy)


def _slices(candidate: Measured, reference: Measured, policy: Policy, seed: int) -> Iterator[Row]:
    """Each slice on its own; a slice too small to judge informs, and holds nothing up."""
    for dimension in policy.slices:
        labels = candidate.labels(dimension)
        if labels is None or reference.labels(dimension) is None:
            yield _absent(policy.metric, dimension, f"the requests were not sliced by {dimension}.")
            continue
        for label in sorted(set(labels)):
            mask = labels == label
            check = Check(policy.metric, "no_harm", policy.slice_tolerance, 2, policy.slice_min_users)
            row = compared(check, candidate, reference, policy, seed, slice_=f"{dimension}={label}", mask=mask)
            yield row if row.users >= policy.slice_min_users else _informing(row)


def _informing(row: Row) -> Row:
    return row if row.outcome == "fail" else msgspec.structs.replace(row, binding=False)


def _absent(metric: str, what: str, reason: str) -> Row:
    return Row(
        metric=metric,
        slice="all",
        rule=f"{what} must be there",
        outcome="not enough evidence",
        binding=True,
        reason=reason[0].upper() + reason[1:],
    )
