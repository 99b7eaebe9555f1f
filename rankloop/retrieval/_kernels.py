"""The loops that touch every item of the catalogue in every request, compiled."""

from contextlib import suppress

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["added", "dots", "highest", "scored"]

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


# the order of a sum is the compiler's, but one for all rows: a score never depends on which others are asked for
@numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def dots(rows: Floats, vector: Floats, chosen: Codes, known: npt.NDArray[np.bool_]) -> Floats:
    """The product of chosen rows with a vector, `(len(chosen),)`; NaN for a negative code and a row that is not known."""
    out = np.empty(len(chosen), np.float32)
    for place in range(len(chosen)):
        row, product = chosen[place], np.float32(0)
        if row < 0 or not known[row]:
            out[place] = np.nan
            continue
        for dim in range(rows.shape[1]):
            product += rows[row, dim] * vector[dim]
        out[place] = product
    return out


@numba.njit(nogil=True)
def highest(scores: Floats, allowed: npt.NDArray[np.bool_], k: int) -> Codes:
    """The codes of the `k` highest allowed scores that are not NaN, in no order; of equal ones the smaller codes.

    A heap of the best so far, the worst on top: most items are compared once and left.
    """
    score, code, held = np.empty(k, np.float32), np.empty(k, np.int64), 0
    worst = np.float32(-np.inf)
    for item in range(len(scores)):
        new = scores[item]
        # a NaN is above nothing; an item comes after those of smaller codes, so an equal one is left
        if not (new > worst or (held < k and new == worst)) or not allowed[item]:
            continue
        if held < k:
            at = held
            held += 1
            while at and score[(at - 1) // 2] >= new:
                score[at], code[at] = score[(at - 1) // 2], code[(at - 1) // 2]
                at = (at - 1) // 2
        else:
            at = 0
            while 2 * at + 1 < k:
                child = 2 * at + 1
                other = child + 1
                if other < k and (score[other] < score[child] or (score[other] == score[child] and code[other] > code[child])):
                    child = other
                if score[child] > new:
                    break
                score[at], code[at] = score[child], code[child]
                at = child
        score[at], code[at] = new, item
        if held == k:
            worst = score[0]
    return code[:held]


@numba.njit(nogil=True)
def added(starts: Codes, items: npt.NDArray[np.integer], values: Floats, rows: Codes, weights: Floats, size: int) -> Floats:
    """The sum of sparse rows times their weights, `(size,)`, added in the order given."""
    sums = np.zeros(size, np.float32)
    for place in range(len(rows)):
        weight = weights[place]
        for at in range(starts[rows[place]], starts[rows[place] + 1]):
            sums[items[at]] += values[at] * weight
    return sums


@numba.njit(nogil=True)
def scored(sums: Floats, least: float) -> Floats:
    """Sums, NaN where they are not above `least`."""
    scores = np.empty(len(sums), np.float32)
    for item in range(len(sums)):
        scores[item] = sums[item] if sums[item] > least else np.nan
    return scores


with suppress(RuntimeError):  # nowhere to keep the machine code (a read-only image): each process compiles it again
    for kernel in (added, dots, highest, scored):
        kernel.enable_caching()
