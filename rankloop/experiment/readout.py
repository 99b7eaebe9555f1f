"""What an interleaving experiment says, once its time is over and its outcomes have come."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import polars as pl

from rankloop.errors import DataError
from rankloop.experiment.interleaving import Preference, credit, preference

__all__ = ["Liking", "Readout", "read_out"]


class Liking(msgspec.Struct, frozen=True, kw_only=True):
    """Which release people preferred, by one kind of outcome.

    Attributes:
        kind: of the outcomes, such as `click`.
        outcome: `tried`, `against`, or `not enough evidence`.
        wins: people who gave the tried release more credit.
        losses: people who gave the other one more.
        ties: people who gave both the same, at least some.
        silent: people who gave neither any.
        delta: (wins + ties / 2) / (wins + losses + ties) - 1/2; None where nobody gave credit.
        lower: its lower end; None where there is no interval.
        upper: its upper end; None likewise.
        p_value: of the exact sign test, two-sided, before it is corrected for several kinds.
    """

    kind: str
    outcome: Literal["tried", "against", "not enough evidence"]
    wins: int
    losses: int
    ties: int
    silent: int
    delta: float | None
    lower: float | None
    upper: float | None
    p_value: float


class Readout(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an experiment.

    Attributes:
        requests: lists with places of both releases.
        people: distinct people who got one.
        likings: one for each kind of outcome, in the order that was fixed before.
        planned: whether it lasted as long as was fixed before; else no kind decides.
        says: in a sentence, by the first kind.
    """

    requests: int
    people: int
    likings: tuple[Liking, ...]
    planned: bool
    says: str


def read_out(
    impressions: pl.DataFrame,
    outcomes: pl.DataFrame,
    *,
    tried: str,
    against: str,
    kinds: Sequence[str] = ("click", "apply"),
    level: float = 0.95,
    planned: bool = True,
    rng: int | np.random.Generator = 0,
) -> Readout:
    """Reads an experiment, once.

    Several kinds share the chance of a false alarm (Bonferroni): each decides at 1 - (1 - `level`) / kinds. The sign test
    holds for one look at a moment that was fixed before; of an experiment that was ended early the numbers are given,
    and nothing is decided.

    Args:
        impressions: rows of the contract from the time of the experiment; `release_id` is the team of each place.
        outcomes: rows of the contract, from that time and for as long after as outcomes were waited for.
        tried: the release on trial.
        against: the other one.
        kinds: of outcomes; the first is what the experiment was made for.
        level: chance that nothing is decided where people prefer neither.
        planned: whether it lasted as long as was fixed before.
        rng: a seed or a generator, for the intervals.

    Raises:
        DataError: no kind is given, one twice, or `level` is no coverage.

    Example:
        >>> shown = pl.DataFrame(
        ...     [(f"q{n}", f"u{n}", item, team) for n in range(20) for item, team in (("x", "r2"), ("y", "r1"))],
        ...     schema=["request_id", "user_id", "item_id", "release_id"],
        ...     orient="row",
        ... )
        >>> done = pl.DataFrame({"request_id": [f"q{n}" for n in range(12)], "item_id": ["x"] * 12, "kind": ["click"] * 12})
        >>> read_out(shown, done, tried="r2", against="r1", kinds=("click",)).says
        'people prefer r2 to r1 by click: 12 to 0, p = 0.00049'
    """
    if not kinds or len(set(kinds)) != len(kinds):
        raise DataError(f"the kinds are {list(kinds)}; give each kind of outcome once, the one that matters first")
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it is a coverage between 0 and 1, such as 0.95")
    chance, each = np.random.default_rng(rng), 1 - (1 - level) / len(kinds)
    shared = [credit(impressions, outcomes, a=tried, b=against, kinds=(kind,)) for kind in kinds]
    likings = tuple(
        _liking(kind, preference(own, rng=chance, level=each), planned=planned) for kind, own in zip(kinds, shared, strict=True)
    )
    requests = shared[0].requests
    return Readout(
        requests=requests.height,
        people=requests["user_id"].n_unique(),
        likings=likings,
        planned=planned,
        says=_says(likings[0], tried, against, planned=planned),
    )


def _liking(kind: str, found: Preference, *, planned: bool) -> Liking:
    decided = found.outcome if planned else "not enough evidence"
    return Liking(
        kind=kind,
        outcome={"a": "tried", "b": "against"}.get(decided, "not enough evidence"),  # type: ignore[arg-type]
        wins=found.wins,
        losses=found.losses,
        ties=found.ties,
        silent=found.silent,
        delta=_known(found.delta),
        lower=_known(found.lower),
        upper=_known(found.upper),
        p_value=found.p_value,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _says(first: Liking, tried: str, against: str, *, planned: bool) -> str:
    counted = f"{first.wins} to {first.losses}, p = {first.p_value:.2g}"
    if not planned:
        return f"it was ended before its time, so nothing is decided; by {first.kind}, {tried} to {against}: {counted}"
    if first.outcome == "not enough evidence":
        return f"not enough evidence that people prefer {tried} or {against} by {first.kind}: {counted}"
    liked, other = (tried, against) if first.outcome == "tried" else (against, tried)
    return f"people prefer {liked} to {other} by {first.kind}: {counted}"
