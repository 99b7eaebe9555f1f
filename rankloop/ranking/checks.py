"""What judged lists must satisfy before a ranker learns from them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rankloop.contracts import GRADES
from rankloop.errors import ModelError
from rankloop.ranking.base import Judged, Matrix

__all__ = ["check_judged", "check_names", "check_width", "with_preferences"]

_TOP: int = max(GRADES.values())


def check_judged(judged: Judged, what: str) -> None:
    """Raises unless the lists hold together and have a feature with a value.

    Args:
        judged: the lists.
        what: their part in the message, such as `training`.

    Raises:
        ModelError: empty; lengths, sizes, names or grades that do not fit; no finite feature value at all; an
            infinite value.
    """
    rows, width = judged.features.shape
    if not rows or not len(judged.sizes):
        raise ModelError(f"the {what} lists are empty ({rows} rows, {len(judged.sizes)} requests); widen the time window")
    if len(judged.names) != width or len(set(judged.names)) != width:
        raise ModelError(f"the {what} matrix has {width} columns and the names {list(judged.names)}; one different name each")
    lengths = {"grades": len(judged.grades), "positions": len(judged.positions), "the sum of sizes": int(judged.sizes.sum())}
    for name, length in lengths.items():
        if length != rows:
            raise ModelError(f"{what}: {name} is {length} long, but there are {rows} rows; each row has one of every column")
    if len(judged.user_ids) != len(judged.sizes):
        raise ModelError(f"{what}: {len(judged.user_ids)} user ids for {len(judged.sizes)} requests; one each")
    if judged.grades.min() < 0 or judged.grades.max() > _TOP:
        raise ModelError(f"{what}: grades reach from {judged.grades.min()} to {judged.grades.max()}; a grade is 0 to {_TOP}")
    _check_values(judged, what)


def check_names(names: Sequence[str], expected: Sequence[str], what: str) -> None:
    """Raises unless the names are the expected ones, in the same order.

    Raises:
        ModelError: another name, or another order; says which come first.
    """
    if tuple(names) == tuple(expected):
        return
    unknown, missing = sorted(set(names) - set(expected)), sorted(set(expected) - set(names))
    how = f"unknown {unknown}, missing {missing}" if unknown or missing else "the same names in another order"
    raise ModelError(f"{what}: the features differ from those it was fitted on: {how}; fit again or restore the recipe")


def check_width(features: Matrix, names: Sequence[str]) -> None:
    """Raises unless the matrix has one column a name.

    Raises:
        ModelError: another shape.
    """
    if features.ndim != 2 or features.shape[1] != len(names):
        raise ModelError(f"a matrix of shape {features.shape} for {len(names)} features; it must be (rows, {len(names)})")


def with_preferences(judged: Judged, what: str) -> Judged:
    """Only the requests with two different grades: in the others no order is better than another.

    Raises:
        ModelError: no request has any.
    """
    starts = np.cumsum(judged.sizes) - judged.sizes
    some = judged.sizes > 0  # reduceat would read the next request's row for an empty one
    keep = np.zeros(len(judged.sizes), bool)
    lowest = np.minimum.reduceat(judged.grades, starts[some])
    keep[some] = np.maximum.reduceat(judged.grades, starts[some]) > lowest
    if not keep.any():
        raise ModelError(
            f"none of the {len(keep)} {what} requests has two different grades, so there is no order to learn; "
            "widen the time window, or check that outcomes carry their request_id"
        )
    if keep.all():
        return judged
    rows: npt.NDArray[np.bool_] = np.repeat(keep, judged.sizes)
    return Judged(
        judged.features[rows],
        judged.names,
        judged.grades[rows],
        judged.positions[rows],
        judged.sizes[keep],
        judged.user_ids[keep],
    )


def _check_values(judged: Judged, what: str) -> None:
    infinite = np.flatnonzero(np.isinf(judged.features).any(axis=0))
    if len(infinite):
        names = [judged.names[i] for i in infinite]
        raise ModelError(f"{what}: the features {names} have infinite values; a feature that is undefined is NaN")
    if np.isnan(judged.features).all():
        raise ModelError(f"{what}: every value of all {len(judged.names)} features is NaN; check the feature views' dates")
