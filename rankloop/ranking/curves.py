"""Validation curves: what they show once the noise of single looks is averaged out."""

from typing import Final

__all__ = ["Curve", "best_round", "steadied"]

Curve = tuple[tuple[int, float], ...]
"""(rounds grown, validation nDCG@10), in order of rounds."""

_LOOKS: Final = 5


def steadied(curve: Curve) -> Curve:
    """Each value with those before it: the mean of the last five looks.

    A few hundred validation lists tell one look from the next by luck more than by worth, and a search that takes the
    highest of several hundred looks takes the luckiest: few rounds, a spike. What five looks in a row say is worth more
    (docs/decisions/0005 has the numbers).

    Example:
        >>> steadied(((5, 0.25), (10, 0.75), (15, 0.5)))
        ((5, 0.25), (10, 0.5), (15, 0.5))
    """
    values = [value for _, value in curve]
    windows = (values[max(0, place - _LOOKS + 1) : place + 1] for place in range(len(values)))
    return tuple((rounds, sum(window) / len(window)) for (rounds, _), window in zip(curve, windows, strict=True))


def best_round(curve: Curve) -> int:
    """The rounds of the highest steadied value, the fewest of equals.

    Example:
        >>> best_round(((5, 0.5), (10, 0.75), (15, 0.25)))
        10
    """
    return max(steadied(curve), key=lambda look: (look[1], -look[0]))[0]
