"""Implicit alternating least squares on a sparse matrix: the mathematics of `Als`, without tables.

Letters of the papers: X users' factors, Y items' factors, C confidences of what was observed, a weight of what was not,
d dimensions.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Factors", "Loss", "factorise", "fold_in"]

Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]

_FLOATS_AT_ONCE: Final = 1_000_000
"""Gathered factors held by one thread."""


class Loss(NamedTuple):
    """What is minimised; see `factorise`.

    Attributes:
        unobserved: `a`, weight of every cell, observed or not.
        regularisation: `l`, penalty of an average row.
        frequency: `v`, how much more a row with more observed weight is penalised: 0 not at all, 1 in proportion.
    """

    unobserved: float
    regularisation: float
    frequency: float


class Factors(NamedTuple):
    """Row `u` of `users` times row `i` of `items` predicts how much `u` wants `i`: about 0 to 1.

    Attributes:
        users: `(users, d)` float32.
        items: `(items, d)` float32.
        mean_weight: the mean of `s_u`, against which users are penalised.
    """

    users: Matrix
    items: Matrix
    mean_weight: float


def factorise(
    confidences: Any, *, dims: int, loss: Loss, sweeps: int, steps: int, threads: int | None, rng: np.random.Generator
) -> Factors:
    """Users' and items' factors that predict 1 where something was observed and 0 elsewhere.

        sum over observed (u, i) of C_ui (1 - x_u.y_i)^2 + a sum over all (u, i) of (x_u.y_i)^2
            + sum over users of l_u |x_u|^2 + sum over items of l_i |y_i|^2
        l_u = l (s_u / mean s)^v,  s_u = sum over i of C_ui;  l_i likewise

    Alternates between the sides. A side's rows are independent least squares problems that share a Y'Y; in the
    eigenbasis of Y'Y the shared part is diagonal, so conjugate gradients preconditioned with it need one or two steps
    from the last sweep's answer. Rows are solved in padded batches, each by one thread alone: the answer does not
    depend on how many threads there are.

    Args:
        confidences: `(users, items)` SciPy CSR, float32, above 0 where observed.
        dims: `d`.
        loss: its three weights.
        sweeps: how often both sides are solved, items first, so that users fit the final items.
        steps: conjugate gradient steps for each row.
        threads: how many; None: one a core.
        rng: draws the start.

    Returns:
        The factors; a row without observations is 0.

    Source: Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; S. Rendle
    et al., "Revisiting the Performance of iALS on Item Recommendation Benchmarks", RecSys 2022 (the loss; there `s_u`
    holds the unobserved cells as well, which makes the penalties of a large catalogue all but equal); Y. Zhou et al.,
    "Large-Scale Parallel Collaborative Filtering for the Netflix Prize", AAIM 2008 (penalties by what was observed);
    G. Takács, I. Pilászy, D. Tikk, "Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative
    Filtering", RecSys 2011.
    """
    by_user, by_item = confidences.tocsr(), confidences.T.tocsr()
    users, items = _Side(by_user, dims, loss), _Side(by_item, dims, loss)
    X, Y = users.start(rng), np.zeros((len(items.indptr) - 1, dims), np.float32)
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        for _ in range(sweeps):
            Y, X = items.solve(Y, X, steps, pool)
            X, Y = users.solve(X, Y, steps, pool)
    return Factors(X, Y, users.mean_weight)


def fold_in(
    items: Matrix, codes: Codes, confidence: npt.ArrayLike, *, unobserved: float, penalty: float
) -> npt.NDArray[np.float32]:
    """The factors of a user who was not there: the exact least squares answer to known items' factors.

    Args:
        items: `(items, d)` factors.
        codes: `(n,)` which items the user acted upon.
        confidence: `(n,)` how much each counts.
        unobserved: `a`.
        penalty: `l_u`.

    Returns:
        `(d,)` float32.
    """
    Y = items.astype(np.float64)
    seen, c = Y[codes], np.asarray(confidence, np.float64)
    normal = unobserved * (Y.T @ Y) + (seen.T * c) @ seen + penalty * np.eye(Y.shape[1])
    return np.linalg.solve(normal, seen.T @ c).astype(np.float32)


class _Side:
    """The rows of one side and what does not change between sweeps."""

    def __init__(self, observed: Any, dims: int, loss: Loss) -> None:
        self.indptr, self.indices = observed.indptr.astype(np.int64), observed.indices
        self.data = observed.data.astype(np.float32)
        self.dims, self.loss = dims, loss
        sums = np.asarray(observed.sum(axis=1), np.float64).ravel()
        self.filled = np.flatnonzero(np.diff(self.indptr))
        self.mean_weight = float(sums[self.filled].mean()) if len(self.filled) else 1.0
        self.penalty = np.asarray(loss.regularisation * (sums / self.mean_weight) ** loss.frequency, np.float32)
        self.batches = self._batches()

    def start(self, rng: np.random.Generator) -> Matrix:
        """Small random factors, 0 for rows without observations."""
        factors = np.zeros((len(self.indptr) - 1, self.dims), np.float32)
        drawn = rng.standard_normal((len(self.filled), self.dims), np.float32)
        factors[self.filled] = drawn * np.float32(0.1 / np.sqrt(self.dims))
        return factors

    def solve(self, X: Matrix, Y: Matrix, steps: int, pool: ThreadPoolExecutor) -> tuple[Matrix, Matrix]:
        """This side's factors for the other's `Y`, from the start `X`; and `Y` in the basis that both now have."""
        values, basis = np.linalg.eigh(Y.T @ Y)
        X, Y = X @ basis, Y @ basis
        shared = np.float32(self.loss.unobserved) * np.maximum(values, 0)
        solved = np.zeros_like(X)

        def batch(rows: Codes) -> None:
            solved[rows] = self._solve_rows(rows, X[rows], Y, shared, steps)

        list(pool.map(batch, self.batches))
        return solved, Y

    def _solve_rows(self, rows: Codes, x: Matrix, Y: Matrix, shared: Matrix, steps: int) -> Matrix:
        seen, c = self._padded(rows)
        seen_Y: Matrix = Y[seen]  # (rows, longest, d)
        diagonal: Matrix = shared + self.penalty[rows, None]  # (rows, d)

        def observed(weight: Matrix) -> Matrix:
            return np.asarray(np.einsum("rn,rnd->rd", weight, seen_Y), np.float32)

        def predicted(p: Matrix) -> Matrix:
            return np.asarray(np.vecdot(seen_Y, p[:, None, :]), np.float32)

        residual: Matrix = observed(c - c * predicted(x)) - diagonal * x
        direction = residual / diagonal
        product = (residual * direction).sum(axis=1)
        for _ in range(steps):
            image = observed(c * predicted(direction)) + diagonal * direction
            step = _ratio(product, (direction * image).sum(axis=1))
            x = x + step * direction
            residual = residual - step * image
            scaled = residual / diagonal
            last, product = product, (residual * scaled).sum(axis=1)
            direction = scaled + _ratio(product, last) * direction
        return x

    def _padded(self, rows: Codes) -> tuple[Codes, Matrix]:
        """Codes and confidences of rows, padded with confidence 0 to the longest row, both `(rows, longest)`."""
        start, length = self.indptr[rows, None], np.diff(self.indptr)[rows, None]
        place = np.arange(length.max())
        position = start + np.minimum(place, length - 1)
        return self.indices[position], np.where(place < length, self.data[position], np.float32(0))

    def _batches(self) -> list[Codes]:
        """Rows of nearly the same length together, none of them empty."""
        length = np.diff(self.indptr)[self.filled]
        order = np.argsort(length, kind="stable")
        rows, length = self.filled[order], length[order]
        cells = _FLOATS_AT_ONCE // self.dims
        batches, start = [], 0
        while start < len(rows):
            # lengths ascend, so rows * longest grows with the end: the last end that fits
            reach = length[start : start + cells] * np.arange(1, len(length[start : start + cells]) + 1)
            end = start + max(1, int(np.searchsorted(reach, cells, side="right")))
            batches.append(rows[start:end])
            start = end
        return batches


def _ratio(a: Matrix, b: Matrix) -> Matrix:
    """`a / b` as a column, 0 where a row is solved already and both vanish."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)[:, None]
