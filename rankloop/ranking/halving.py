"""Successive halving whose decisions depend on what trials show, never on when they show it."""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Literal, NamedTuple

from rankloop.errors import SettingsError
from rankloop.ranking.curves import Curve, steadied

__all__ = ["Standing", "rungs", "standings"]


class Standing(NamedTuple):
    """Where a trial stands.

    Attributes:
        state: `stopped` at a rung, `ended` by itself, or `open`: running, waiting, or not begun.
        curve: what it showed, as far as that counts: nothing after the rung it was stopped at.
    """

    state: Literal["stopped", "ended", "open"]
    curve: Curve


def rungs(rounds: int, reduction: int = 3, lowest: int = 20) -> tuple[int, ...]:
    """The rounds at which trials are compared: the whole, divided by the reduction again and again.

    Example:
        >>> rungs(300)
        (33, 100)
        >>> rungs(10)
        ()
    """
    if reduction < 2:
        raise SettingsError(f"reduction is {reduction}; at least 2, so that a rung keeps a half or less")
    found, rung = [], rounds // reduction
    while rung >= lowest:
        found.append(rung)
        rung //= reduction
    return tuple(reversed(found))


def standings(curves: Sequence[Curve], ended: AbstractSet[int], at: Sequence[int], reduction: int = 3) -> list[Standing]:
    """Which trials go on, from their curves alone.

    Not the asynchronous rule (ASHA), which compares a trial with whatever has arrived by then: there the order of
    arrival, and so the clock, decides. Here trial i is compared with the trials before it, by number; until each of
    those has reached the rung or is out, trial i is undecided and goes on, and what it shows beyond a rung that it
    turns out not to have passed is cut away. So any schedule on any number of cores comes to the same standings.

        trial i passes rung r when its best steadied value up to r is among the first ceil(m / reduction) of the m trials
        0..i that arrived at r

    Args:
        curves: what each trial has shown so far.
        ended: the trials that will show nothing more: out of rounds, or of patience.
        at: the rungs, in rounds, ascending.
        reduction: one in this many passes.

    Returns:
        One standing a trial.

    Source: L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (the rule for stopping);
    the order by number is ours.

    Example:
        >>> strong, weak = ((10, 0.5), (30, 0.6)), ((10, 0.3), (30, 0.9))
        >>> [standing.state for standing in standings([strong, weak], {0}, [10])]
        ['ended', 'stopped']
        >>> standings([strong, weak], {0}, [10])[1].curve
        ((10, 0.3),)
    """
    found: list[Standing] = []
    arrivals: list[dict[int, float] | None] = [{} for _ in at]  # by rung; None once a trial's arrival is unknown
    for trial, curve in enumerate(curves):
        found.append(_climb(trial, curve, trial in ended, at, reduction, arrivals))
    return found


def _climb(
    trial: int, curve: Curve, ended: bool, at: Sequence[int], reduction: int, arrivals: list[dict[int, float] | None]
) -> Standing:
    last = curve[-1][0] if curve else 0
    for place, rung in enumerate(at):
        peers = arrivals[place]
        if peers is None or not (ended or last >= rung):
            for later in range(place, len(at)):
                arrivals[later] = None
            return Standing("ended" if ended and last < rung else "open", curve)
        value = max((value for rounds, value in steadied(curve) if rounds <= rung), default=-math.inf)
        better = sum(other > value for other in peers.values())
        peers[trial] = value
        if better >= math.ceil(len(peers) / reduction):
            counted = tuple(look for look in curve if look[0] <= rung)
            return Standing("ended" if ended and counted == curve else "stopped", counted)
    return Standing("ended" if ended else "open", curve)
