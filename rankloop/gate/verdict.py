"""What the gate decided and why: rows of numbers, reasons in sentences."""

from typing import Literal

import msgspec

from rankloop.errors import DataError
from rankloop.gate.policy import Policy

__all__ = ["Outcome", "Row", "Verdict"]

Outcome = Literal["pass", "fail", "not enough evidence"]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One comparison and what it came to; None where there is no such number."""

    metric: str
    """What was compared."""

    slice: str
    """On which requests: `all`, or `surface=job_feed`."""

    rule: str
    """In words, the rule it was held against."""

    outcome: Outcome
    """Of this row."""

    binding: bool
    """Whether the verdict depends on it; the others inform."""

    reason: str
    """The outcome in a sentence."""

    reference: str | None = None
    """With what it was compared."""

    candidate_value: float | None = None
    """The candidate's mean."""

    reference_value: float | None = None
    """The reference's mean, over the same requests."""

    difference: float | None = None
    """Candidate minus reference."""

    lower: float | None = None
    """The lower end of the difference's interval."""

    upper: float | None = None
    """The upper end of the difference's interval."""

    limit: float | None = None
    """What the difference, or for a limit of its own the candidate's value, is held against."""

    requests: int = 0
    """Judged requests."""

    users: int = 0
    """People they came from."""


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The gate's decision; it can be replayed from the measurements, the policy and the seed.

    Example:
        >>> verdict = Verdict(outcome="pass", reasons=("It is better.",), rows=(), candidate="r2", policy=Policy(), seed=1)
        >>> Verdict.from_json(verdict.to_json()) == verdict
        True
    """

    outcome: Outcome
    """`pass`, `fail` or `not enough evidence`."""

    reasons: tuple[str, ...]
    """The sentences of the rows that decided it."""

    rows: tuple[Row, ...]
    """Every comparison."""

    candidate: str
    """The candidate's name."""

    policy: Policy
    """The rules it was held against."""

    seed: int
    """Of the bootstrap."""

    baseline: str | None = None
    """The baseline's name."""

    champion: str | None = None
    """The champion's name; None when none serves, and the baseline stands in."""

    def to_json(self) -> str:
        """As JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "Verdict":
        """Reads what `to_json` wrote.

        Raises:
            DataError: it is not a verdict.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise DataError(f"not a verdict: {error}; decide again from the recorded measurements") from error
